# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd sees: notifications, signals, exit codes, speed (SPEC 6 and 7, issue 2)."""

import contextlib
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
from pathlib import Path

import pytest

from iotd_harness import BEAT, SLOW, configuration, file_sensor, output, program

NOWHERE = "mqtt://127.0.0.1:1"
CHIP = {"name": "air", "driver": "bme280", "bus": "i2c-77", "address": 0x76}


def test_ready_without_a_broker(start_iotd, value_file):
    daemon = start_iotd(configuration(NOWHERE, sensors=[file_sensor(value_file)]))
    assert len(daemon.supervisor.events.all(lambda e: e.key == "READY")) == 1


def test_ready_with_devices_that_are_missing(start_iotd, tmp_path):
    daemon = start_iotd(
        configuration(
            NOWHERE,
            sensors=[CHIP, file_sensor(tmp_path / "absent")],
            inputs=[{"name": "door", "chip": "gpiochip77", "line": 1}],
            outputs=[{"name": "pump", "chip": "gpiochip77", "line": 2}],
        )
    )
    text = daemon.supervisor.status(lambda text: "2 sensors" in text and "2 offline" in text)
    assert text and daemon.running


@pytest.mark.slow
def test_ready_is_quick(start_iotd, value_file, record_property):
    text = configuration(NOWHERE, sensors=[file_sensor(value_file, f"s{i}") for i in range(10)])
    times = []
    for _ in range(9):
        daemon = start_iotd(text)
        times.append(daemon.ready())
        daemon.stop()
    record_property("ready_ms", [round(1000 * t, 1) for t in times])
    median = statistics.median(times)
    print(f"exec to READY=1: median {median * 1000:.1f} ms, {max(times) * 1000:.1f} ms at most")
    assert median < 0.05 * SLOW, times


def test_status_in_words(iotd, broker, client, value_file, tmp_path):
    daemon = iotd(sensors=[file_sensor(value_file), file_sensor(tmp_path / "absent")])
    client.wait("sensor/air")
    daemon.supervisor.wait(
        "STATUS", f"2 sensors, 1 offline; connected to {broker.url}; 0 spooled"
    )


def test_status_follows_the_broker_and_the_sensors(iotd, link, client, value_file):
    daemon = iotd(link.url, sensors=[file_sensor(value_file)], env=BEAT)
    events = daemon.supervisor.events
    daemon.supervisor.status(lambda text: f"connected to {link.url}" in text)
    mark = events.mark()
    link.cut()
    daemon.supervisor.status(
        lambda text: f"; connected to {link.url}" not in text
        and int(re.search(r"(\d+) spooled", text).group(1)) > 0,
        since=mark,
    )
    mark = events.mark()
    link.forward()
    daemon.supervisor.status(
        lambda text: f"; connected to {link.url}; 0 spooled" in text, since=mark
    )
    mark = events.mark()
    value_file.unlink()
    daemon.supervisor.status(lambda text: "1 sensor" in text and "1 offline" in text, since=mark)


def test_status_is_not_sent_with_every_reading(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file, interval="10ms")])
    client.wait("sensor/air", count=200)
    assert len(daemon.supervisor.events.all(lambda e: e.key == "STATUS")) < 20


@pytest.mark.slow
def test_watchdog_is_fed_in_time(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)], env=BEAT)
    times = [event.at for event in daemon.supervisor.beats(20)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert max(gaps) < 0.2 + 0.1 * SLOW, gaps
    assert statistics.median(gaps) > 0.03, "not more often than needed"


def test_no_watchdog_no_beats(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air", count=10)
    assert not daemon.supervisor.events.all(lambda e: e.key == "WATCHDOG")


def test_watchdog_of_another_process_is_not_ours(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)], env={**BEAT, "WATCHDOG_PID": "1"})
    client.wait("sensor/air", count=10)
    assert not daemon.supervisor.events.all(lambda e: e.key == "WATCHDOG")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_stop_is_clean_and_quick(iotd, client, value_file, number):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air", count=3)
    code, seconds = daemon.stop(number)
    assert code == 0
    assert seconds < 0.5 * SLOW
    daemon.supervisor.wait("STOPPING", "1")
    client.wait("status", "offline")


def test_stopping_is_told_each_time(iotd, client, value_file):
    for _ in range(20):
        mark = client.mark()
        daemon = iotd(sensors=[file_sensor(value_file)])
        client.wait("sensor/air", since=mark)
        assert daemon.stop()[0] == 0
        daemon.supervisor.wait("STOPPING", "1")


def test_readings_come_before_the_goodbye(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file, f"s{i}", interval="20ms") for i in range(20)])
    client.wait("sensor/s0", count=5)
    daemon.stop()
    last = client.wait("status", "offline")
    client.publish("harness/last", "")
    client.wait("harness/last")
    everything = client.all(match=lambda m: "harness" not in m.topic)
    assert everything[-1] is last


def test_second_signal_does_no_harm(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air")
    for _ in range(5):
        daemon.signal(signal.SIGTERM)
    daemon.wait()
    assert daemon.child.returncode == 0


def test_stop_right_after_the_start(start_iotd, broker, value_file):
    for _ in range(10):
        daemon = start_iotd(configuration(broker.url, sensors=[file_sensor(value_file)]))
        assert daemon.stop()[0] == 0


def test_sigusr1_logs_the_statistics(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air", count=3)
    stats = client.result("stats")
    mark = daemon.log.mark()
    daemon.signal(signal.SIGUSR1)
    line = daemon.log.wait(lambda line: "statistics: " in line.text, since=mark).text
    for words in ("published", "acknowledged", "refused", "discarded", "log messages dropped"):
        assert re.search(rf"{words} \d", line), line
    told = re.findall(r"\d+", line.split("statistics: ")[1])
    assert len(told) == len(stats.keys() - {"time", "connected"}), "each counter, in words"


def test_sigusr1_as_the_first_thing(start_iotd, value_file):
    daemon = start_iotd(configuration(NOWHERE, sensors=[file_sensor(value_file)]))
    for _ in range(100):
        daemon.signal(signal.SIGUSR1)
    assert daemon.stop()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH])
def test_other_signals_do_no_harm(iotd, client, number):
    daemon = iotd()
    client.settle()
    daemon.signal(number)
    client.settle()
    assert daemon.running


def test_a_slow_start_asks_for_more_time(iotd, broker, client, faulty, value_file):
    """Its configuration is on a network file system that is away for a while."""
    text = configuration(broker.url, sensors=[file_sensor(value_file)])
    slow = faulty.file("slow.conf", text.encode())
    slow.hang("read")
    daemon = iotd(prefix=faulty.prefix, options=["-c", str(slow.path)], wait=False)
    events = daemon.supervisor.events
    asked = daemon.supervisor.wait("EXTEND_TIMEOUT_USEC", count=3)
    assert all(int(event.value) == 10_000_000 for event in asked)
    times = [event.at for event in asked]
    assert max(b - a for a, b in zip([daemon.started, *times], times)) < 5
    assert f"reading {slow.path}, for 3 s" in daemon.supervisor.status(lambda t: "for 3 s" in t)
    slow.free()
    daemon.ready()
    mark = events.mark()
    client.wait("sensor/air", count=15)  # at 100 ms
    assert not events.all(lambda e: e.key == "EXTEND_TIMEOUT_USEC", mark)


# Where nobody reads it would block for ever. Not for a moment either: that is measured alone.
MEASURED = pytest.mark.parametrize(
    "is_measured", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["works", "in time"]
)


def assert_never_blocked(daemon, messages, is_measured):
    times = [m.time for m in messages]
    code, seconds = daemon.stop()
    assert code == 0
    if is_measured:
        assert max(b - a for a, b in zip(times, times[1:])) < 0.1 + 0.1 * SLOW
        assert seconds < 1 * SLOW


@MEASURED
def test_full_notify_socket_blocks_nobody(iotd, client, value_file, is_measured):
    """A systemd that is busy reads late; ten datagrams fill its socket."""
    daemon = iotd(
        sensors=[file_sensor(value_file)],
        env={"WATCHDOG_USEC": "40000"},
        deaf=True,
        wait=False,
    )
    assert_never_blocked(daemon, client.wait("sensor/air", count=30), is_measured)


@MEASURED
def test_full_stderr_blocks_nobody(iotd, client, value_file, is_measured):
    """Nobody reads the log, and there is much of it."""
    debug = ["--log-level", "debug"]
    daemon = iotd(sensors=[file_sensor(value_file)], options=debug, collect=False)
    mark = client.mark()
    for _ in range(100):
        daemon.signal(signal.SIGUSR1)
        client.publish("command", "nonsense")
        client.settle()
    assert_never_blocked(daemon, client.wait("sensor/air", count=20, since=mark), is_measured)
    daemon.child.stderr.close()


def test_runs_without_a_supervisor(broker, client, tmp_path, value_file):
    path = tmp_path / "plain.conf"
    path.write_text(configuration(broker.url, sensors=[file_sensor(value_file)]), encoding="utf-8")
    with subprocess.Popen([*program(), "-c", path], stderr=subprocess.DEVNULL) as child:
        try:
            client.wait("sensor/air", count=3)
        finally:
            child.terminate()
        assert child.wait(10 * SLOW) == 0


def test_abstract_notify_socket(broker, client, tmp_path):
    """Containers hand over a socket with an abstract name."""
    path = tmp_path / "plain.conf"
    path.write_text(configuration(broker.url), encoding="utf-8")
    name = f"iotd-test-{broker.port}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name)
        supervisor.settimeout(10 * SLOW)
        env = {"NOTIFY_SOCKET": "@" + name, "PATH": "/usr/bin"}
        command = [*program(), "-c", path]
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as child:
            try:
                said = supervisor.recv(4096)
                while b"READY=1" not in said:
                    said = supervisor.recv(4096)
            finally:
                child.terminate()
            assert child.wait(10 * SLOW) == 0


KEPT = ["pump@gpiochip77.2.active-high.as-is", "pump@", "gone@gpiochip77.3.active-low", "times.1", ""]
HAND_OVER = "exec 3</dev/zero 4<&3 5<&3 6<&3 7<&3; export LISTEN_PID=$$; exec \"$@\""


def test_garbage_in_the_descriptor_store(start_iotd):
    """What systemd hands over and is no line of ours is let go, at once and by its name."""
    daemon = start_iotd(
        configuration(NOWHERE, outputs=[{"name": "pump", "chip": "gpiochip77", "line": 2}]),
        env={"LISTEN_FDS": str(len(KEPT)), "LISTEN_FDNAMES": ":".join(KEPT)},
        prefix=["sh", "-c", HAND_OVER, "sh"],
    )
    for name in KEPT:
        daemon.supervisor.wait("FDNAME", name)
    removals = daemon.supervisor.events.all(lambda e: e.key == "FDSTOREREMOVE")
    assert len(removals) == len(KEPT)
    links = []
    for entry in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the next message's socket comes and goes
            links.append(os.readlink(entry))
    assert links and "/dev/zero" not in links


def test_does_not_fork_and_keeps_its_descriptors_to_itself(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air")
    children = subprocess.run(["ps", "--ppid", str(daemon.pid)], capture_output=True, check=False)
    assert children.returncode == 1, children.stdout
    assert daemon.descriptors() < 40


def test_few_descriptors_are_enough_to_fail_well(iotd, client, tmp_path, value_file):
    """With 64 descriptors and 200 files: readings or `offline`, but it lives and obeys."""
    for number in range(200):
        (tmp_path / f"f{number}").write_text("1", encoding="ascii")
    resource_limit = ("prlimit", "--nofile=64:64", "--")
    daemon = iotd(
        sensors=[file_sensor(tmp_path / f"f{n}") for n in range(200)], prefix=resource_limit
    )
    client.wait("status", "online")
    client.settle()
    client.wait("sensor/f199/status")
    client.settle()
    assert daemon.running and resource.RLIMIT_NOFILE


def test_stop_switches_outputs_before_it_says_stopping_is_over(simulated, client):
    daemon = simulated(outputs=[output("pump", 22, on_exit="off")])
    client.result("set", name="pump", state="on")
    daemon.stop()
    client.wait("status", "offline")
    told = client.all(match=lambda m: m.text == "offline" or "output" in m.topic)
    assert [m.topic for m in told[-2:]] == ["iotd/test/output/pump", "iotd/test/status"]
