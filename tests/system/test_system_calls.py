# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a reading costs the kernel, as strace counts it (issue 5)."""

import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from iotd_harness import PATIENCE, SLOW, file_sensor, replace_file

SENSORS = 100
READINGS = 1000


@pytest.fixture
def memory():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def attach(pid, summary):
    """strace, once it is there."""
    command = ["strace", "-f", "-c", "-U", "name,calls", "-o", str(summary), "-p", str(pid)]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert "attached" in strace.stderr.readline()
    return strace


def calls_of(strace, summary):
    strace.send_signal(signal.SIGINT)
    strace.communicate(timeout=PATIENCE)
    lines = [line.split() for line in summary.read_text(encoding="ascii").splitlines()]
    return {w[0]: int(w[1]) for w in lines if len(w) == 2 and w[1].isdigit() and w[0] != "total"}


@pytest.mark.slow
@pytest.mark.skipif(SLOW > 1, reason="a sanitizer asks the kernel for itself")
def test_a_reading_costs_four_system_calls(iotd, broker, clients, memory, tmp_path):
    paths = [memory / f"f{number}" for number in range(SENSORS)]
    for path in paths:
        path.write_text("1\n", encoding="ascii")
    client = clients(broker.port, qos=0, subscribe="iotd/test/sensor/#")
    daemon = iotd(sensors=[file_sensor(path, interval="100ms") for path in paths], mqtt={"qos": 0})
    client.wait("sensor/f0", count=10)

    strace = attach(daemon.pid, tmp_path / "summary")
    attached = time.time()
    # the first may have begun before it was there, and the last round is not over
    client.wait(
        "sensor/f0",
        match=lambda message: message.time > attached,
        count=READINGS // SENSORS + 2,
        timeout=4 * PATIENCE,
    )
    replace_file(paths[0], "2\n")
    client.wait("sensor/f0", match=lambda message: message.json["value"] == 2)
    calls = calls_of(strace, tmp_path / "summary")

    readings = calls["pread64"]
    print({name: round(count / readings, 3) for name, count in calls.items()})
    assert readings >= READINGS
    assert sum(calls.values()) <= 4 * readings
    assert calls.get("futex", 0) < SENSORS  # no thread is woken but to look what was replaced
    assert calls.get("openat", 0) <= 2  # the one that was replaced
    assert calls.get("close", 0) <= 2
    assert calls.get("newfstatat", 0) + calls.get("statx", 0) <= SENSORS + 10  # once each, then
