# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sensors that hang and fail: they go offline and come back, and nobody else notices (issue 3).

A hang is real: a system call of iotd that is not answered (iotd_fuse.py). The clock of these tests
is the watchdog, which beats every 100 ms while iotd makes progress.
"""

import contextlib
import errno
import os
import re
import time
from pathlib import Path

import pytest

from iotd_broker import retained
from iotd_figures import Cost
from iotd_fuse import Bmp280
from iotd_harness import BEAT, PATIENCE, SLOW, assert_beats, file_sensor, libconfig, replace_file
from iotd_metronome import own_seconds

IDLE_THREADS = 10  # seconds until one that has nothing to do ends
READ_LIMIT = 3  # seconds until a read that hangs has failed (iotd.conf(5))
TICK = file_sensor("/proc/uptime", "tick", interval="200ms")
ALLOW = {"commands": {"allow": ["ping", "list", "stats", "read", "interval", "reload"]}}

# a thread that hangs at the end is left behind on purpose
ENV = {**BEAT, "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"}


def threads(daemon, name=None):
    """How many it has; those called `name`, as `ps -L` shows it."""
    names = []
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            names.append(Path(task, "comm").read_text(encoding="ascii").strip())
    return sum(name in (None, each) for each in names)


def about(name):
    return lambda line: f"sensor {name}: " in line.text


def about_a_bus(line):
    return re.search(r" (warning|notice): bus ", line.text)


def bus_sensor(name, bus):
    return {"name": name, "driver": "bmp280", "bus": bus, "address": 0x76, "interval": "100ms"}


LOFT = bus_sensor("loft", "i2c-8")


class Hang:
    """A sensor `air` whose source can be made to hang in one way, and what it reads when it can."""

    def __init__(self, faulty, way):
        self.way = way
        if way == "transfer":
            self.source = faulty.bus("air")
            self.sensor = bus_sensor("air", "i2c-7")
            self.key, self.value = "temperature", Bmp280.TEMPERATURE
        else:
            self.source = faulty.file("air", b"21.37\n")
            self.sensor = file_sensor(self.source.path)
            self.key, self.value = "value", 21.37

    def begin(self):
        self.source.hang(self.way)
        if self.way == "open":
            self.source.replace()  # else it is open
        self.source.wait_hung()

    def is_read(self, message):
        return abs(message.json[self.key] - self.value) < 0.005


@pytest.fixture(params=["stat", "open", "read", "transfer"])
def hang(request, faulty):
    return Hang(faulty, request.param)


@pytest.fixture
def start(iotd, faulty):
    """Start an iotd with the sensor that hangs, and healthy ones: a file and a bus."""
    healthy = faulty.bus("healthy")

    def begin(*sensors, **more):
        return iotd(
            prefix=faulty.prefix,
            env=ENV,
            sensors=[*sensors, TICK, LOFT],
            i2c=[
                {"bus": "i2c-7", "path": str(faulty.folder / "air")},
                {"bus": "i2c-8", "path": str(healthy.path)},
            ],
            **{**ALLOW, **more},
        )

    return begin


@pytest.mark.parametrize("seconds", [5, pytest.param(30, marks=pytest.mark.nightly)])
def test_a_hang_is_nobody_elses(start, hang, client, broker, figures, seconds):
    daemon = start(hang.sensor)
    for name in ("air", "tick", "loft"):
        client.wait(f"sensor/{name}", count=3)
    usual, mark, since = threads(daemon), client.mark(), daemon.supervisor.events.mark()
    begun = time.monotonic()
    hang.begin()
    offline = client.wait("sensor/air/status", "offline", since=mark)
    early = offline.at - begun - own_seconds(begun, offline.at)  # a read may have waited before
    assert READ_LIMIT - 0.2 - early < offline.at - begun
    assert own_seconds(begun, offline.at) < READ_LIMIT + 0.5 * SLOW
    assert retained(broker.port)["sensor/air/status"].text == "offline"
    asked = time.monotonic()
    assert "hangs" in client.error("read", name="air")
    assert own_seconds(asked) < 0.5 * SLOW
    left = seconds - (time.monotonic() - begun)
    if left > 0:
        daemon.supervisor.beats(int(10 * left) + 1, timeout=left + PATIENCE)
    deadline = time.monotonic() + IDLE_THREADS + PATIENCE
    while threads(daemon) > usual + 2:  # those that a busy moment wanted end when they are idle
        assert time.monotonic() < deadline
        daemon.supervisor.beats(1)
    hung = time.monotonic() - begun
    mark = client.mark()
    hang.source.free()
    client.wait("sensor/air/status", "online", since=mark)
    client.wait("sensor/air", match=hang.is_read, since=mark, count=3)
    begin, end = daemon.log.wait(about("air"), count=2)
    held_up = time.monotonic() - begun - own_seconds(begun)
    what = "bus i2c-7" if hang.way == "transfer" else "its source"
    assert f"offline: no answer within 3 s: {what} hangs; trying again" in begin.text
    told = float(re.search(r"online again after ([0-9.]+) s, 1 failed reads", end.text)[1])
    assert abs(told - (hung - READ_LIMIT)) < 0.5 * SLOW + held_up
    assert_beats(daemon.supervisor, since)
    figures(
        f"a sensor's {hang.way} hangs for {seconds} s", daemon, 0.2, breaks=0, healthy=["tick"]
    )
    daemon.log.wait(about("air"), count=2)
    assert len(daemon.log.all(about("air"))) == 2
    if hang.way == "transfer":
        daemon.log.wait(about_a_bus, count=2)  # the second one comes behind the sensor's
    told = [line.text for line in daemon.log.all(about_a_bus)]
    if hang.way == "transfer":
        assert "bus i2c-7 hangs: its sensors are offline" in told.pop(0)
        assert "bus i2c-7 answers again after " in told.pop(0)
    assert told == []


def test_a_hang_at_the_very_first_read(start, hang, client):
    hang.source.hang(hang.way)
    daemon = start(hang.sensor)
    assert daemon.ready() < 1 * SLOW
    client.wait("sensor/air/status", "offline")
    client.wait("sensor/tick", count=2)
    client.wait("sensor/loft", count=2)
    assert_schedule(client)
    hang.source.free()
    client.wait("sensor/air/status", "online")
    client.wait("sensor/air", match=hang.is_read)


def assert_schedule(client):
    """As figures() has it, for the file; the bus is as slow as Python, but does not hang."""
    cost = Cost.of(client.all("sensor/tick"), 0.2)
    assert cost.gap_to_judge <= cost.gap_allowed, cost
    assert Cost.of(client.all("sensor/loft"), 0.1).gap_to_judge < 1 * SLOW


def test_a_stop_does_not_wait_for_a_hang(start, hang, client):
    daemon = start(hang.sensor)
    client.wait("sensor/air", count=3)
    hang.begin()
    daemon.supervisor.beats(3)
    code, seconds = daemon.stop()
    assert code == 0 and seconds < 3 * SLOW
    assert client.wait("status", "offline")


@pytest.mark.parametrize("phase", ["first", "later"])
def test_many_hang_at_once(start, faulty, client, figures, phase):
    """As when the network file system that they are all on is away; they are read before `tick`."""
    count = 50
    files = [faulty.file(f"n{number}") for number in range(count)]
    for file in files if phase == "first" else []:
        file.hang("read")
    daemon = start(*(file_sensor(file.path) for file in files))
    if phase == "later":
        client.wait("sensor/+/status", "online", count=count + 2)
        client.wait("sensor/tick", count=3)
        for file in files:
            file.hang("read")
    client.wait("sensor/+/status", "offline", count=count)
    while (several := threads(daemon, "iotd-file")) <= count:  # one is being started still
        client.wait("sensor/tick", since=client.mark())
    # one each, and of the healthy two at most one each as well, should one of them seem to hang
    assert several <= count + 2
    mark = client.mark()
    for file in files:
        file.free()
    client.wait("sensor/+/status", "online", since=mark, count=count)
    figures(f"{count} files hang at their {phase} read", daemon, 0.2, breaks=0, healthy=["tick"])


def test_more_hang_than_there_are_threads(start, faulty, client):
    """Then files have to wait, but no bus, no connection and no reload."""
    count = 300
    files = [faulty.file(f"n{number}") for number in range(count)]
    for file in files:
        file.hang("read")
    daemon = start(*(file_sensor(file.path) for file in files))
    client.wait("sensor/+/status", "offline", count=count)
    assert threads(daemon) < 300
    mark = client.mark()
    client.wait("sensor/loft", since=mark, count=5)
    assert Cost.of(client.all("sensor/loft"), 0.1).gap_to_judge < 1 * SLOW
    assert client.result("reload") == {}
    for file in files:
        file.free()
    client.wait("sensor/+/status", "online", since=mark, count=count)
    assert daemon.running


class Reloaded:
    """The configuration of `start`, with other sensors in it."""

    def __init__(self, daemon, client):
        self.daemon, self.client = daemon, client
        self.text = daemon.config.read_text(encoding="utf-8")

    def __call__(self, *sensors):
        lines = [
            f"sensors = {libconfig([*sensors, TICK, LOFT])};" if line.startswith("sensors") else line
            for line in self.text.splitlines()
        ]
        replace_file(self.daemon.config, "\n".join(lines))
        assert self.client.result("reload") == {}


def test_what_hangs_can_be_removed_and_come_again(start, hang, client):
    daemon = start(hang.sensor)
    reload = Reloaded(daemon, client)
    for name in ("air", "tick", "loft"):
        client.wait(f"sensor/{name}", count=3)
    descriptors = daemon.descriptors()
    hang.begin()
    client.wait("sensor/air/status", "offline")
    reload()
    client.wait("sensor/air/status", b"")
    assert "no sensor" in client.error("read", name="air")
    mark = client.mark()
    reload(hang.sensor)
    client.wait("sensor/air/status", "offline", since=mark)
    hang.source.free()
    client.wait("sensor/air/status", "online", since=mark)
    client.wait("sensor/air", match=hang.is_read, since=mark, count=3)
    assert_schedule(client)
    deadline = time.monotonic() + PATIENCE
    while daemon.descriptors() > descriptors + 1:  # what hung is closed on its own thread
        assert time.monotonic() < deadline
        daemon.supervisor.beats(1)


def test_changing_what_hangs_again_and_again_disturbs_nobody(start, hang, client):
    daemon = start(hang.sensor)
    reload = Reloaded(daemon, client)
    client.wait("sensor/air", count=3)
    hang.begin()
    client.wait("sensor/air/status", "offline")
    for number in range(30):
        mark = client.mark()
        reload({**hang.sensor, "retries": 1 + number % 2})
        client.wait("sensor/tick", since=mark, count=2)
    mark = client.mark()
    hang.source.free()
    client.wait("sensor/air", match=hang.is_read, since=mark, count=3)
    assert_schedule(client)


# What drivers and file systems return, and what has a meaning of its own inside iotd.
ERRORS = [
    errno.EIO, errno.EAGAIN, errno.EINTR, errno.ENODEV, errno.ENXIO, errno.EBUSY, errno.ETIMEDOUT,
    errno.ECANCELED, errno.EINPROGRESS, errno.EALREADY, errno.ESTALE, errno.ENOTCONN, errno.EBADMSG,
    errno.EREMOTEIO, errno.ENODATA, errno.EINVAL, errno.ENOMEM, errno.EPERM, errno.ENOENT, 511,
]  # fmt: skip


@pytest.mark.parametrize("operation", ["stat", "open", "read"])
def test_files_that_fail_in_every_way(start, faulty, client, figures, operation):
    files = {faulty.file(f"n{number}"): number for number in ERRORS}
    daemon = start(*(file_sensor(file.path) for file in files))
    client.wait("sensor/+/status", "online", count=len(files) + 2)
    for file, number in files.items():
        file.errors = {operation: number}
        if operation == "open":
            file.replace()
    for file, number in files.items():
        client.wait(f"sensor/n{number}/status", "offline")
        line = daemon.log.wait(about(f"n{number}"))
        assert f"{file.path}: {os.strerror(number)}; trying again" in line.text
    mark = client.mark()
    for file in files:
        file.errors = {}
    for number in ERRORS:
        client.wait(f"sensor/n{number}/status", "online", since=mark)
    figures(f"files with an error in {operation}", daemon, 0.2, breaks=0, healthy=["tick"])
    daemon.log.wait(lambda line: "sensor n" in line.text, count=2 * len(files))
    assert len(daemon.log.all(lambda line: "sensor n" in line.text)) == 2 * len(files)


BUS_ERRORS = [
    errno.EIO, errno.EAGAIN, errno.ENXIO, errno.EREMOTEIO, errno.ETIMEDOUT, errno.EBUSY,
    errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ECANCELED, errno.EINPROGRESS,
]  # fmt: skip


def test_buses_that_fail_in_every_way(iotd, faulty, client, figures):
    buses = {number: faulty.bus(f"i2c-{number}") for number in BUS_ERRORS}
    daemon = iotd(
        prefix=faulty.prefix,
        env=BEAT,
        sensors=[*(bus_sensor(f"n{number}", f"i2c-{number}") for number in buses), TICK],
        i2c=[{"bus": f"i2c-{n}", "path": str(bus.path)} for n, bus in buses.items()],
    )
    client.wait("sensor/+/status", "online", count=len(buses) + 1)
    for number, bus in buses.items():
        bus.errors = {"transfer": number}
    for number in buses:
        client.wait(f"sensor/n{number}/status", "offline")
    mark = client.mark()
    for bus in buses.values():
        bus.errors = {}
    for number in buses:
        client.wait(f"sensor/n{number}/status", "online", since=mark)
        client.wait(
            f"sensor/n{number}",
            match=lambda m: abs(m.json["temperature"] - Bmp280.TEMPERATURE) < 0.005,
            since=mark,
        )
    figures("buses with every error", daemon, 0.2, breaks=0, healthy=["tick"])
    daemon.log.wait(lambda line: "sensor n" in line.text, count=2 * len(buses))
    assert len(daemon.log.all(lambda line: "sensor n" in line.text)) == 2 * len(buses)
    hung = (errno.EBUSY, errno.ETIMEDOUT)  # what a driver of a bus that hangs returns
    daemon.log.wait(about_a_bus, count=2 * len(hung))  # the last ones come behind the sensors'
    told = [re.search(r"bus i2c-(\d+) ", line.text) for line in daemon.log.all(about_a_bus)]
    assert sorted(int(match[1]) for match in told) == sorted(hung * 2)


def test_a_chip_that_holds_the_clock_is_not_its_bus(iotd, faulty, client):
    first, second = Bmp280(), Bmp280()
    bus = faulty.file("shared", b"", {0x76: first, 0x77: second})
    daemon = iotd(
        prefix=faulty.prefix,
        sensors=[bus_sensor("first", "i2c-7"), {**bus_sensor("second", "i2c-7"), "address": 0x77}],
        i2c=[{"bus": "i2c-7", "path": str(bus.path)}],
    )
    client.wait("sensor/+/status", "online", count=2)
    first.error = errno.ETIMEDOUT
    client.wait("sensor/first/status", "offline")
    client.wait("sensor/second", count=10, since=client.mark())
    assert not daemon.log.all(about_a_bus)
    second.error = errno.ETIMEDOUT
    assert "bus i2c-7 hangs" in daemon.log.wait(about_a_bus).text
    client.wait("sensor/second/status", "offline")
    mark = client.mark()
    first.error = second.error = 0
    client.wait("sensor/+/status", "online", since=mark, count=2)
    daemon.log.wait(about_a_bus, count=2)  # it comes behind the sensor's, which is another channel
    told = daemon.log.all(about_a_bus)
    assert len(told) == 2 and "bus i2c-7 answers again after" in told[1].text


def cpu_seconds(daemon):
    user, system = Path(f"/proc/{daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_a_missing_file_at_1_ms_costs_next_to_nothing(start, client, figures, tmp_path):
    daemon = start(*(file_sensor(tmp_path / f"n{n}", interval="1ms") for n in range(20)))
    client.wait("sensor/+/status", "offline", count=20)
    before, tries = cpu_seconds(daemon), client.result("stats")["read_errors"]
    daemon.supervisor.beats(40)
    assert cpu_seconds(daemon) - before < 1 * SLOW  # of 4 s, with the healthy ones
    assert client.result("stats")["read_errors"] - tries < 20 * 15  # doubling from 1 ms
    daemon.log.wait(lambda line: "sensor n" in line.text, count=20)
    assert len(daemon.log.all(lambda line: "sensor n" in line.text)) == 20
    figures("missing files at 1 ms", daemon, 0.2, breaks=0, healthy=["tick"])


@pytest.mark.slow
def test_a_thousand_fail_at_once_and_come_back_at_once(start, client, figures, tmp_path):
    folder, away, count = tmp_path / "device", tmp_path / "away", 1000
    folder.mkdir()
    for number in range(count):
        (folder / f"n{number}").write_text("21.37\n", encoding="ascii")
    daemon = start(*(file_sensor(folder / f"n{n}", interval="1s") for n in range(count)))
    client.wait("sensor/+/status", "online", count=count + 2)
    since = daemon.supervisor.events.mark()
    for _ in range(2):
        mark = client.mark()
        folder.rename(away)
        client.wait("sensor/+/status", "offline", since=mark, count=count)
        mark = client.mark()
        away.rename(folder)
        client.wait("sensor/+/status", "online", since=mark, count=count)
    assert_beats(daemon.supervisor, since)
    figures("1,000 sensors fail and come back at once", daemon, 0.2, breaks=0, healthy=["tick"])
    told = 0

    def are_all_told(line):
        nonlocal told
        dropped = re.search(r"(\d+) messages dropped", line.text)
        told += int(dropped[1]) if dropped else "sensor n" in line.text
        return told >= 4 * count

    daemon.log.wait(are_all_told)  # the log is behind the messages
    told = 0
    daemon.stop()  # says the rest
    for line in daemon.log.all():
        are_all_told(line)
    assert told == 4 * count
