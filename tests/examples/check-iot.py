#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run the example iot against a broker of its own, and watch it from outside.

usage: check-iot.py IOT

Its sensor blocks for 300 ms in each read. If that held up the loop, nearly all heartbeats, due
every 20 ms, would be late by more than 50 ms, and most commands would be answered later than after
half of a read (IOTD_TEST_SLOW stretches both). Now and then one is late because the machine is
busy. Its whole output is compared.
"""

import contextlib
import json
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import paho.mqtt.client as mqtt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from iotd_broker import Broker  # noqa: E402
from iotd_harness import PATIENCE, SLOW  # noqa: E402

READ_TAKES = 0.300
BEAT_INTERVAL = 0.020
LATE_MAX = 0.050 * SLOW
READINGS = 5
EXPECTED = """connected
command: ping
command: hello
command: ping
command: stop
ended: sensor
ended: publisher
ended: commands
ended: heartbeat
"""


class Watcher:
    """A client that keeps what iot publishes, with the time at which it came."""

    def __init__(self, port):
        self.readings, self.replies, self.beats = queue.Queue(), queue.Queue(), []
        self.ready = queue.Queue()
        self.client = mqtt.Client()
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self.ready.put(True)
        self.client.connect("127.0.0.1", port)
        self.client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.subscribe([("iot/reading", 0), ("iot/reply", 0), ("iot/beat", 0)])
        self.client.loop_start()
        self.ready.get(timeout=PATIENCE)

    def _on_message(self, client, data, message):
        now = time.monotonic()
        text = message.payload.decode()
        if message.topic == "iot/reading":
            self.readings.put((now, json.loads(text)))
        elif message.topic == "iot/reply":
            self.replies.put((now, text))
        elif message.topic == "iot/beat":
            self.beats.append((now, int(text) / 1e6))

    def command(self, word):
        """Send it; returns the reply and how long that took."""
        start = time.monotonic()
        self.client.publish("iot/command", word, 1)
        now, reply = self.replies.get(timeout=PATIENCE)
        return reply, now - start

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def judge(watcher, started):
    """Watch a run up to the reply to "stop"."""
    times = [watcher.readings.get(timeout=PATIENCE)]
    answers = [watcher.command(word) for word in ("ping", "hello", "ping")]
    times += [watcher.readings.get(timeout=PATIENCE) for _ in range(READINGS - 1)]
    answers.append(watcher.command("stop"))
    beats = list(watcher.beats)

    assert [reply for reply, _ in answers] == ["pong", "hello", "pong", "stop"], answers
    assert statistics.median(took for _, took in answers) < READ_TAKES / 2 * SLOW, answers
    assert [reading["count"] for _, reading in times] == list(range(1, READINGS + 1)), times
    assert all(reading["celsius"] == 21 for _, reading in times), times
    took = times[-1][0] - started
    assert took > READINGS * READ_TAKES * 0.9, f"reads do not block: {took}"
    late = [late for _, late in beats]
    assert statistics.median(late) < LATE_MAX, f"heartbeats were so late: {late}"
    least = (READINGS * READ_TAKES - max(late) - LATE_MAX) / BEAT_INTERVAL
    assert len(beats) > least, f"only {len(beats)} beats"
    slowest = max(took for _, took in answers)
    print(f"{len(beats)} heartbeats, {max(late) * 1e3:.1f} ms late at most; "
          f"replies within {slowest * 1e3:.1f} ms")


@contextlib.contextmanager
def running(folder):
    """iot, its broker and a watcher, while they run."""
    broker = Broker(folder)
    watcher = Watcher(broker.port)
    started = time.monotonic()
    iot = subprocess.Popen([sys.argv[1], str(broker.port)], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    try:
        yield iot, broker, watcher, started
    finally:
        iot.kill()
        iot.wait()
        watcher.close()
        broker.close()


def ended(iot, code):
    output, _ = iot.communicate(timeout=PATIENCE)
    assert iot.returncode == code, output
    return output


def main():
    with tempfile.TemporaryDirectory() as folder:
        with running(folder) as (iot, broker, watcher, started):
            judge(watcher, started)
            output = ended(iot, 0)
            assert output == EXPECTED, output
        with running(folder) as (iot, broker, watcher, _):
            watcher.readings.get(timeout=PATIENCE)
            broker.kill()
            output = ended(iot, 1)
            assert output.endswith("\niot: Transport endpoint is not connected\n"), output
        refused = subprocess.run([sys.argv[1], str(broker.port)], capture_output=True, text=True,
                                 timeout=PATIENCE)
        assert refused.returncode == 1, refused
        assert refused.stdout == "" and refused.stderr == "iot: Connection refused\n", refused


if __name__ == "__main__":
    main()
