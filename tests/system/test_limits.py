# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory and descriptors run out: what works goes on, what fails is said once and comes back."""

import re
import resource
import signal
import time
from pathlib import Path

import pytest

from iotd_harness import (
    BEAT,
    PATIENCE,
    SLOW,
    assert_beats,
    configuration,
    file_sensor,
    is_sanitized,
    output,
    replace_file,
    run_iotd,
)

MIB = 1 << 20
IDLE_THREADS = 10  # seconds until one that has nothing to do ends
CHIP = {"driver": "bme280", "address": 0x76, "interval": "100ms"}
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}


@pytest.fixture
def own_memory():
    if is_sanitized():
        pytest.skip("a sanitizer and valgrind reserve terabytes of address space")


def files(tmp_path, count):
    """File sensors f0, f1 … ten times a second."""
    for number in range(count):
        (tmp_path / f"f{number}").write_text(f"{number}.5\n", encoding="ascii")
    return [file_sensor(tmp_path / f"f{number}") for number in range(count)]


# --- memory ---------------------------------------------------------------------------------------


@pytest.fixture
def rich(simulated, link, tmp_path, own_memory):
    """All kinds of things in one daemon; start(prefix=…)."""
    del own_memory

    def start(**more):
        chips = [{**CHIP, "name": f"b{bus}", "bus": f"i2c-{bus}"} for bus in range(4)]
        return simulated(
            link.url,
            sensors=[*files(tmp_path, 10), *chips],
            inputs=[DOOR],
            outputs=[output("pump", 22)],
            spool={"path": str(tmp_path / "spool.db")},
            **{"env": BEAT, **more},
        )

    return start


def outages(one, client, link, count):
    """The line is cut and comes back, each time with a reload; the first outage reaches the file."""
    for number in range(count):
        mark, down = client.mark(), one.supervisor.events.mark()
        link.cut()
        one.supervisor.disconnected(since=down)
        if number == 0:
            one.supervisor.beats(12)
        one.signal(signal.SIGHUP)
        link.forward()
        client.wait("status", "online", since=mark)
        client.wait("sensor/f0", since=mark, count=3)


def test_64_mib_of_address_space_are_enough(rich, client, link, figures):
    one = rich(prefix=["prlimit", f"--as={64 * MIB}"])
    client.wait("sensor/+", count=50)
    begin, log = one.supervisor.events.mark(), one.log.mark()
    outages(one, client, link, 5)
    assert client.result("set", name="pump", state="on")
    assert one.kib("VmPeak") < 40 * 1024, "half of it is left"
    assert not re.search("memory|thread", "\n".join(line.text for line in one.log.all(since=log)))
    assert_beats(one.supervisor, begin)
    figures("64 MiB of address space, 5 outages and reloads", one, 0.1, breaks=5)
    code, seconds = one.stop()
    assert code == 0 and seconds < 3 * SLOW


def test_a_thread_costs_little_address_space(rich, client, link):
    one = rich()
    client.wait("sensor/+", count=50)
    outages(one, client, link, 1)
    assert len(one.threads()) >= 6, one.threads()
    assert one.kib("VmPeak") < 40 * 1024, "no 8 MiB of stack, no 64 MiB of heap a thread"


def test_no_memory_left_at_all(simulated, client, link, tmp_path, own_memory):
    """A long outage with nothing but memory, which ends: readings are lost, and nothing else."""
    one = simulated(
        link.url,
        sensors=[file_sensor(f.path, f.name, interval="10ms") for f in fast(tmp_path, 10)],
        outputs=[output("pump", 22)],
        spool={"path": "", "max_size": "1G"},
        env=BEAT,
    )
    client.wait("sensor/+", count=100)
    mark, log, begin = client.mark(), one.log.mark(), one.supervisor.events.mark()
    link.cut()
    one.supervisor.disconnected(since=begin)
    before = one.limit(resource.RLIMIT_AS, one.kib("VmSize") * 1024 + MIB // 4)
    one.log.wait(lambda line: "a reading is lost" in line.text, since=log)
    size, cpu = one.kib("VmSize"), one.cpu()
    one.supervisor.beats(20)
    assert one.kib("VmSize") <= size + 1024
    assert len(one.log.all(since=log)) <= 8, "each failure once"
    assert one.cpu() - cpu < 2 * SLOW, "it does not spin"
    assert_beats(one.supervisor, begin)
    one.limit(resource.RLIMIT_AS, before)
    link.forward()
    client.wait("status", "online", since=mark)
    one.log.wait(lambda line: "no reading is lost any more" in line.text, since=log)
    client.settle()
    assert client.result("set", name="pump", state="on") is not None
    assert client.result("stats")["discarded"] > 0
    times = [m.time for m in client.all("sensor/s0")]
    assert times == sorted(times), "oldest first"
    assert len(one.log.all(since=log)) <= 12, one.text()


class Fast:
    """A file that a fast sensor reads."""

    def __init__(self, folder, number):
        self.name = f"s{number}"
        self.path = Path(folder) / self.name
        self.path.write_text("21.5\n", encoding="ascii")


def fast(tmp_path, count):
    return [Fast(tmp_path, number) for number in range(count)]


# --- descriptors ----------------------------------------------------------------------------------


def use_up_descriptors(one):
    """No descriptor is to be had from now on; what the limit was.

    Some come and go, as with each attempt to connect: so it is looked for a while.
    """
    was, limit = None, 1 << 20
    for _ in range(12):
        used = {int(name.name) for name in Path(f"/proc/{one.pid}/fd").iterdir()}
        limit = min(limit, *(set(range(len(used) + 1)) - used))
        before = one.limit(resource.RLIMIT_NOFILE, limit)
        was = before if was is None else was
        one.supervisor.beats(1)
    return was


def test_descriptors_run_out_and_come_back(simulated, client, link, tmp_path, figures):
    one = simulated(
        link.url,
        sensors=[*files(tmp_path, 4), {**CHIP, "name": "chip", "bus": "i2c-1"}],
        outputs=[output("pump", 22)],
        env=BEAT,
    )
    for name in ("f0", "f1", "f2", "f3", "chip"):
        client.wait(f"sensor/{name}", count=3)
    log, begin = one.log.mark(), one.supervisor.events.mark()
    before = use_up_descriptors(one)

    replace_file(tmp_path / "f3", "7.5\n")  # must be opened anew, and cannot
    one.log.wait(lambda line: "sensor f3: offline" in line.text, since=log)
    mark, down = client.mark(), one.supervisor.events.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    one.supervisor.disconnected(since=down)
    use_up_descriptors(one)  # again: the connection's are free now
    link.forward()  # the broker is there again, but there is no socket for it
    cpu = one.cpu()
    one.supervisor.beats(30)
    assert not client.all("status", "online", since=mark)
    used, lines = one.cpu() - cpu, [line.text for line in one.log.all(since=log)]
    print(f"{used:.2f} s of CPU in 3 s; log {lines}")
    assert used < 0.6 * SLOW, "it does not spin"
    assert len(lines) <= 4, lines
    assert len([line for line in lines if "sensor f3" in line]) == 1, lines
    assert not re.search("sensor (f[012]|chip)", "\n".join(lines)), lines

    one.limit(resource.RLIMIT_NOFILE, before)
    client.wait("status", "online", since=mark)
    client.wait("sensor/f3", match=lambda m: m.json["value"] == 7.5, since=mark)
    client.result("set", name="pump", state="on")
    assert_beats(one.supervisor, begin)
    figures("no descriptor left for 3 s", one, 0.1, healthy=["f0", "f1", "f2", "chip"])


def test_files_that_come_and_go_with_few_descriptors(iotd, client, tmp_path, link, figures):
    """A low limit from the start: some sensors are offline, and reconnects still find a socket."""
    sensors = files(tmp_path, 60)
    one = iotd(link.url, sensors=sensors, env=BEAT, prefix=["prlimit", "--nofile=64"])
    client.wait("sensor/f0", count=3)
    for sensor in sensors:  # until each has said what it is
        client.wait(f"sensor/{sensor['name']}/status")
    client.wait("sensor/+/status", "offline", count=5)
    offline = {m.topic.split("/")[-2] for m in client.all("sensor/+/status", "offline")}
    assert 5 <= len(offline) <= 45
    log, replaced = one.log.mark(), {f"f{number}" for number in range(0, 20, 5)}
    for _ in range(5):
        mark = client.mark()
        link.cut()
        client.wait("status", "offline", since=mark)
        link.forward()
        client.wait("status", "online", since=mark)
        for name in replaced:
            replace_file(tmp_path / name, "1.5\n")
        client.wait("sensor/f1", since=client.mark(), count=2)
    client.settle()
    assert one.descriptors() <= 64
    told = [line.text for line in one.log.all(lambda line: "sensor" in line.text, since=log)]
    named = set(re.findall(r"sensor (\w+):", "\n".join(told)))
    # a file that was replaced is closed to be opened anew, and one of the others may be quicker
    assert named <= offline | replaced, "those that had a descriptor kept it"
    assert len(told) <= 2 * len(named | offline), "and each of the others says it once"
    healthy = {sensor["name"] for sensor in sensors} - offline - named
    figures("64 descriptors for 60 files, 5 reconnects", one, 0.1, breaks=5, healthy=healthy)


FEW = ["prlimit", "--nofile=64:4096"]  # more may be had: the soft limit is there for select()


def test_a_reload_raises_the_limit(start_iotd, broker, client, tmp_path):
    sensors = files(tmp_path, 100)
    one = start_iotd(configuration(broker.url, sensors=sensors[:1]), prefix=FEW)
    client.wait("sensor/f0/status", "online")
    replace_file(one.config, configuration(broker.url, sensors=sensors))
    one.signal(signal.SIGHUP)
    client.wait("sensor/+/status", "online", count=100)
    assert not client.all("sensor/+/status", "offline")


def test_once_raises_the_limit(broker, tmp_path):
    path = tmp_path / "iotd.conf"
    path.write_text(configuration(broker.url, sensors=files(tmp_path, 100)), encoding="utf-8")
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))}
    done = run_iotd("--once", "-c", path, **limits)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 100


# --- nothing is left behind -----------------------------------------------------------------------


@pytest.mark.parametrize("count", [40, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_reconnects_and_reloads_leave_nothing_behind(
    start_iotd, client, link, tmp_path, figures, count
):
    settings = {
        "sensors": files(tmp_path, 5),
        "mqtt": {"reconnect_min": "100ms", "reconnect_max": "100ms"},
        "spool": {"path": str(tmp_path / "spool.db")},
    }
    texts = [
        configuration(link.url, outputs=outputs, inputs=inputs, **settings)
        for outputs, inputs in (([output("pump", 22)], []), ([], [DOOR]))
    ]
    one = start_iotd(texts[0], options=["--simulate"], env=BEAT)
    client.wait("sensor/f0")

    def again(times):
        for number in range(1, times + 1):
            mark = client.mark()
            link.cut()
            replace_file(one.config, texts[number % 2])
            one.signal(signal.SIGHUP)
            client.wait("status", "offline", since=mark)
            link.forward()
            client.wait("status", "online", since=mark)

    again(10)
    threads, descriptors, memory = len(one.threads()), one.descriptors(), one.kib()
    again(count)
    client.settle()
    deadline = time.monotonic() + IDLE_THREADS + PATIENCE
    while len(one.threads()) > threads + 2 or one.descriptors() > descriptors + 2:
        assert time.monotonic() < deadline, (one.threads(), one.descriptors())
        one.supervisor.beats(1)  # what a busy moment wanted in addition ends
    if not is_sanitized():
        assert one.kib() - memory < 4096
    print(f"threads {threads} {len(one.threads())}, descriptors {descriptors} {one.descriptors()}, "
          f"KiB {memory} {one.kib()}")
    figures(f"{count:,} reconnects and reloads", one, 0.1, breaks=count + 10)
