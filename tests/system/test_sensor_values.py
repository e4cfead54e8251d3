# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a file holds, and what it turns into: a number that was meant is published, nothing else is.

Each test has one iotd with a sensor for each case, `tick` beside them.
"""

import contextlib
import os
import signal
import socket

import pytest

from iotd_harness import BEAT, file_sensor, replace_file

GOOD = 21.37
TICK = file_sensor("/proc/uptime", "tick", interval="200ms")
NO_NUMBERS = [
    "garbage", "NaN", "-nan", "inf", "+INF", "-Infinity", "infinity", "1e400", "-1e400", "1e999",
    "0x10", "0x1p4", "0b1", "21.5x", "x21.5", "--5", "+-5", "1e", "e5", "1e+", "-", "+", ".", "",
    "\n", " \t\r\n", "\0\0\0\0", "21.5\0", "\x001", "1\x005", "1" * 5000, "9" * 64, "0." + "3" * 90,
    "x" * (1 << 20), "\n" * 5000 + "5", "\ufeff5", "1,5", "1'000", "1_000", "١٢", "−5", "5°C",
    "\x1b[31m5", "5;", "{5}", "true", "on", "%n%n%s", "5\v6",
]
NUMBERS = {
    "5": 5, "+5": 5, "-5": -5, "  7": 7, "\t\n 8": 8, "21.5\r\n": 21.5, "12345 kB": 12345,
    ".5": 0.5, "5.": 5, "-0": 0, "1e3": 1000, "1E-3": 0.001, "1e-400": 0, "007": 7,
    "3.14159265358979323846264338327950288419716939937510": 3.141593,
    "9007199254740993": 9007199254740992, "5\nNaN": 5, "5 \0\0": 5, "6\n" + "x" * 100000: 6,
    "0" * 60 + "5": 5,
}  # fmt: skip


@pytest.fixture
def sensors(iotd, client, tmp_path):
    """Start an iotd with a good sensor for each case: (daemon, {name: path})."""

    def start(count, options=None, **more):
        paths = {f"n{number}": tmp_path / f"n{number}" for number in range(count)}
        for path in paths.values():
            path.write_text(f"{GOOD}\n", encoding="ascii")
        several = [file_sensor(path, **(options or {})) for path in paths.values()]
        daemon = iotd(sensors=[*several, TICK], env=BEAT, **more)
        wait_all(client, paths, "online")
        return daemon, paths

    return start


def wait_all(client, names, status, since=0):
    for name in names:
        client.wait(f"sensor/{name}/status", status, since=since)


def restore(client, paths):
    """All of them are good again, and come back."""
    mark = client.mark()
    for path in paths.values():
        replace_file(path, GOOD)
    wait_all(client, paths, "online", since=mark)


def test_what_is_no_number_is_offline_and_never_published(sensors, client, figures):
    daemon, paths = sensors(len(NO_NUMBERS))
    for path, text in zip(paths.values(), NO_NUMBERS):
        replace_file(path, text)
    wait_all(client, paths, "offline")
    restore(client, paths)
    told = daemon.log.wait(lambda line: ": offline: " in line.text, count=len(paths))
    assert all(line.text.isprintable() for line in told)
    daemon.log.wait(lambda line: ": online again after " in line.text, count=len(paths))
    daemon.log.wait(lambda line: ": offline: " in line.text, count=len(paths))
    assert len(daemon.log.all(lambda line: ": offline: " in line.text)) == len(paths)
    assert {m.json["value"] for m in client.all("sensor/+") if "/n" in m.topic} == {GOOD}
    figures(f"{len(paths)} files without a number", daemon, 0.2, breaks=0, healthy=["tick"])


def test_what_is_a_number_is_published(sensors, client):
    _, paths = sensors(len(NUMBERS))
    mark = client.mark()
    for path, text in zip(paths.values(), NUMBERS):
        replace_file(path, text)
    for name, (text, value) in zip(paths, NUMBERS.items()):
        client.wait(f"sensor/{name}", match=lambda m, v=value: m.json["value"] == v, since=mark)
        assert client.all(f"sensor/{name}/status", "offline") == [], text


@pytest.mark.parametrize(
    "options, fault",
    [
        ({"scale": 1e308}, "value is no finite number"),
        ({"scale": -1e308}, "value is no finite number"),
        ({"max": 20.0}, "value 21.37 is outside -inf .. 20"),
        ({"min": 22}, "value 21.37 is outside 22 .. inf"),
    ],
)
def test_what_is_out_of_range_is_offline(iotd, client, value_file, options, fault):
    daemon = iotd(sensors=[file_sensor(value_file, **options), file_sensor(value_file, "tick")])
    client.wait("sensor/air/status", "offline")
    daemon.log.wait(lambda line: f"sensor air: offline: {fault}" in line.text)
    client.wait("sensor/tick", count=3)
    assert client.all("sensor/air") == []


@pytest.mark.parametrize("how", ["mean", "median", "min", "max", "last"])
def test_a_window_of_the_largest_numbers_is_finite(iotd, client, value_file, how):
    value_file.write_text("1.7e308", encoding="ascii")
    iotd(sensors=[file_sensor(value_file, window="300ms", aggregate=how)])
    for message in client.wait("sensor/air", count=2):
        assert message.json["value"] == pytest.approx(1.7e308)


def socket_at(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def sparse(path, text):
    with open(path, "wb") as file:
        file.write(text)
        file.truncate(1 << 30)


@contextlib.contextmanager
def stopped(daemon):
    """It sees nothing of what is between one state of its files and the next."""
    daemon.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.pid, os.WSTOPPED | os.WNOWAIT)
    yield
    daemon.signal(signal.SIGCONT)


# What a file turns into, and what the log says about it.
TURNS = {
    "vanished": (lambda path: None, "No such file or directory"),
    "folder": (os.mkdir, "Is a directory"),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
    "fifo": (os.mkfifo, "is no regular file"),
    "socket": (socket_at, "is no regular file"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    "full": (lambda path: path.symlink_to("/dev/full"), "is no regular file"),
    "null": (lambda path: path.symlink_to("/dev/null"), "is no regular file"),
    "terminal": (lambda path: path.symlink_to("/dev/ptmx"), "is no regular file"),
    "memory": (lambda path: path.symlink_to("/proc/self/mem"), "Input/output error"),
    "too deep": (lambda path: path.symlink_to("/dev/null/x"), "Not a directory"),
    "huge": (lambda path: sparse(path, b""), "the number is not within the first 4096 bytes"),
    "empty": (lambda path: path.touch(), "is empty"),
    "closed": (lambda path: (path.touch(), path.chmod(0)), "Permission denied"),
}
# as root without root's right to read everything
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for setpriv")
def test_what_a_file_turns_into(sensors, client, figures):
    daemon, paths = sensors(len(TURNS), prefix=UNPRIVILEGED)
    before = daemon.descriptors()
    with stopped(daemon):
        for path, (turn, _) in zip(paths.values(), TURNS.values()):
            path.unlink()
            turn(path)
    wait_all(client, paths, "offline")
    for (name, path), (what, (_, fault)) in zip(paths.items(), TURNS.items()):
        line = daemon.log.wait(lambda line, n=name: f"sensor {n}: offline: " in line.text)
        assert line.text.endswith(f"offline: {path}: {fault}; trying again"), (what, line.text)
    daemon.supervisor.beats(10)
    assert daemon.descriptors() <= before
    for path in paths.values():
        if path.is_dir():
            path.rmdir()
    restore(client, paths)
    figures("files that turn into something else", daemon, 0.2, breaks=0, healthy=["tick"])


def test_a_file_of_a_gigabyte_is_not_read_whole(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air", count=10)  # what is allocated once, a sanitizer's shadow with it
    before = daemon.kib("VmHWM")
    mark = client.mark()
    os.truncate(value_file, 1 << 30)
    client.wait("sensor/air", match=lambda m: m.json["value"] == GOOD, since=mark, count=10)
    assert daemon.kib("VmHWM") - before < 2048


def test_a_file_that_grows_while_it_is_read(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file, interval="10ms")])
    client.wait("sensor/air")
    with open(value_file, "a", encoding="ascii") as file:
        for _ in range(2000):
            file.write("x" * 10000)
    client.wait("sensor/air", since=client.mark(), count=3)
    assert client.all("sensor/air/status", "offline") == []
    assert daemon.running
