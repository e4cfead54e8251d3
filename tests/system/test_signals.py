# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storms of signals, and a process that is stopped for a while."""

import ctypes
import os
import re
import signal
import threading
import time

import pytest

from iotd_harness import BEAT, LIBC, SLOW, assert_beats, file_sensor
from iotd_metronome import longest_gap

INTERVAL = 0.1
ENOUGH = 5000  # signals make a storm
IGNORED = (signal.SIGCONT, signal.SIGWINCH, signal.SIGURG, signal.SIGCHLD, signal.SIGPIPE)


class Storm:
    """A thread that sends a batch every 5 ms until it is told to stop."""

    def __init__(self, send):
        self.sent = 0
        self.longest = 0.0  # seconds that a batch took
        self._send = send
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._over.wait(0.005):
            begin = time.monotonic()
            self.sent += self._send()
            self.longest = max(self.longest, time.monotonic() - begin)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def to_process(*numbers):
    def send(one):
        for number in numbers * 40:
            os.kill(one.pid, number)
        return 40 * len(numbers)

    return send


def to_threads(*numbers):
    def send(one):
        threads = one.threads()
        for thread in threads:
            for number in numbers:
                LIBC.tgkill(ctypes.c_int(one.pid), ctypes.c_int(thread), ctypes.c_int(number))
        return len(threads) * len(numbers)

    return send


STORMS = {
    "statistics": to_process(signal.SIGUSR1),
    "ignored": to_process(*IGNORED),
    "to each thread": to_threads(signal.SIGUSR1, *IGNORED),
    "stop and go": to_process(signal.SIGSTOP, signal.SIGCONT),
}


@pytest.fixture
def daemon(simulated, client, link, tmp_path):
    """Five file sensors ten times a second, a spool on a file, behind a line that can be cut."""

    def start(**mqtt):
        sensors = []
        for number in range(5):
            (tmp_path / f"f{number}").write_text("1.5\n", encoding="ascii")
            sensors.append(file_sensor(tmp_path / f"f{number}", interval=f"{INTERVAL * 1000:g}ms"))
        one = simulated(
            link.url,
            sensors=sensors,
            spool={"path": str(tmp_path / "spool.db")},
            mqtt=mqtt,
            env=BEAT,
        )
        client.wait("sensor/f0", count=10)
        return one

    return start


@pytest.mark.parametrize("storm", STORMS)
def test_storm_of_signals(daemon, client, link, figures, storm):
    """Reads, the spool's writes and a connect whose answer is late go on in it."""
    one = daemon()
    begin, log, cpu = one.supervisor.events.mark(), one.log.mark(), one.cpu()
    started = time.monotonic()
    with Storm(lambda: STORMS[storm](one)) as sending:
        mark = client.mark()
        link.cut()
        client.wait("status", "offline", since=mark)
        one.supervisor.beats(10)  # the spool writes
        link.mute()
        link.accepted.wait(lambda line: line.text == "mute")
        one.supervisor.beats(10)  # a worker waits for the CONNACK
        while sending.sent < ENOUGH:
            one.supervisor.beats(1)
        link.cut()
        link.forward()
        client.wait("status", "online", since=mark)
        client.result("ping")
    is_told = storm in ("statistics", "to each thread")
    if is_told:
        one.log.wait(lambda line: "statistics" in line.text, since=log)
    lines = [line.text for line in one.log.all(since=log)]
    took = time.monotonic() - started
    told = [line for line in lines if "statistics" in line]
    print(f"{storm}: {sending.sent / took:,.0f} signals a second for {took:.1f} s, "
          f"{one.cpu() - cpu:.2f} s of CPU, {len(lines)} lines")
    assert len(told) <= took + 2, "one a second at most"
    assert bool(told) == is_told
    assert len(lines) - len(told) <= 5, lines
    pause = 0.0
    if storm == "stop and go":  # this process decides for how long it is stopped
        pause = 3 * INTERVAL * SLOW + sending.longest
    else:
        assert_beats(one.supervisor, begin)
    figures(f"{sending.sent / took:,.0f} signals a second: {storm}", one, INTERVAL, pause=pause)


@pytest.mark.parametrize("keepalive, connects", [("60s", 1), ("5s", 2)], ids=["60s", "5s"])
def test_stopped_for_a_while(daemon, client, figures, keepalive, connects):
    """The schedule is caught up once, nothing that was read is lost, the line lives or is remade."""
    one = daemon(keepalive=keepalive)
    log = one.log.mark()
    begin = time.monotonic()
    one.signal(signal.SIGSTOP)
    time.sleep(11)  # nothing happens that could be waited for
    mark, events = client.mark(), one.supervisor.events.mark()
    one.signal(signal.SIGCONT)
    stopped, gone_on = time.monotonic() - begin, time.time()
    one.supervisor.wait("WATCHDOG", "1", since=events)
    if connects > 1:
        client.wait("status", "online", since=mark)
    client.wait("sensor/f0", match=lambda m: m.time > gone_on + 1)
    client.settle()
    readings = client.all("sensor/f0")
    second = [m for m in readings if gone_on <= m.time < gone_on + 1]
    assert len({m.time for m in second}) <= 1 / INTERVAL + 2, "once, not for each that was missed"
    times = sorted({m.time for m in readings})
    stop, last = max((b - a, a) for a, b in zip(times, times[1:]))
    assert 10.5 < stop < stopped + SLOW
    for part in ([t for t in times if t <= last], [t for t in times if t > last]):
        assert longest_gap(part) <= max(3 * INTERVAL, 0.05) * SLOW
    stats = client.result("stats")
    assert stats["connects"] == connects
    assert stats["reads_missed"] >= 5 * 10 / INTERVAL - 5
    lines = [line.text for line in one.log.all(since=log)]
    assert not re.search("watchdog", "\n".join(lines)), "it was not iotd's fault"
    assert len(lines) <= 3, lines

    figures(f"stopped for 11 s, keepalive {keepalive}", one, INTERVAL, pause=stop + INTERVAL)
