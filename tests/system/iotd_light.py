# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that is light enough for many thousand readings a second (paho takes 0.1 ms for each).

MQTT 3.1.1 as far as it is needed, on a plain socket. As a program it is a subscriber in a process
of its own, which follows the readings of all sensors and says what became of them:

    iotd_light.py PORT INTERVAL

Its session outlives it and the broker, so that not a reading is missed between the two starts. It
writes lines of JSON to stderr: {"late": true} when a reading comes that is over a second old,
{"late": false} when the next one is not; at SIGTERM its sums, and then it ends.
"""

import contextlib
import json
import socket
import struct
import sys
import time
from collections import defaultdict, deque
from datetime import datetime, timezone

PUBLISH = 3
END = "iotd/test/follower/end"


def packet(kind, body):
    length, size = b"", len(body)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([kind]) + length + bytes([size]) + body


class Light:
    """A connection to the broker on 127.0.0.1.

    Its session outlives it, and the broker too if that has persistence, so that nothing is missed
    between a broker's start and our own.
    """

    def __init__(self, port, client_id, *filters):
        self._line = socket.create_connection(("127.0.0.1", port))
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""
        name = client_id.encode()
        hello = packet(0x10, struct.pack(">H4sBBHH", 4, b"MQTT", 4, 0, 0, len(name)) + name)
        for topic in filters:
            wanted = topic.encode()
            hello += packet(0x82, struct.pack(">HH", 1, len(wanted)) + wanted + b"\x01")
        self._line.sendall(hello)  # at once: when the broker says that we are here we listen

    def publish(self, topic, payload):
        """At QoS 0."""
        name = topic.encode()
        body = struct.pack(">H", len(name)) + name + payload.encode()
        self._line.sendall(packet(0x30, body))

    def fileno(self):
        return self._line.fileno()

    def close(self):
        self._line.close()

    def receive(self):
        """All messages that are there, at least a byte: [(topic, payload, retain)]; acknowledged."""
        data = self._line.recv(1 << 18)
        if not data:
            raise ConnectionError("the broker closed the connection")
        data = self._left + data
        at, messages, acks = 0, [], []
        while True:
            shift, size, body = 0, 0, at + 1
            while body < len(data):
                size |= (data[body] & 127) << shift
                shift += 7
                body += 1
                if data[body - 1] < 128:
                    break
            else:
                break
            if body + size > len(data):
                break
            head = data[at]
            if head >> 4 == PUBLISH:
                begin = body + 2 + (data[body] << 8 | data[body + 1])
                topic = data[body + 2 : begin]
                if head & 6:
                    acks.append(b"\x40\x02" + data[begin : begin + 2])
                    begin += 2
                messages.append((topic, data[begin : body + size], bool(head & 1)))
            at = body + size
        self._left = data[at:]
        if acks:
            self._line.sendall(b"".join(acks))
        return messages


class Sums:
    """What became of the readings, sensor by sensor."""

    def __init__(self):
        self.readings = self.doubled = self.disorder = 0
        self.gap = 0
        self.late = False
        self._recent = defaultdict(lambda: deque(maxlen=300))
        self._resumed = set()
        self._days = {}

    def broke(self):
        """The line did: what was in flight may come again."""
        self._resumed.clear()

    def _milliseconds(self, payload):
        """Of `{"time":"2026-11-22T13:15:00.123Z",…`."""
        day = payload[9:19]
        if day not in self._days:
            midnight = datetime.fromisoformat(day.decode()).replace(tzinfo=timezone.utc)
            self._days[day] = int(midnight.timestamp()) * 1000
        hour, minute, second, rest = payload[20:22], payload[23:25], payload[26:28], payload[29:32]
        return (
            self._days[day]
            + ((int(hour) * 60 + int(minute)) * 60 + int(second)) * 1000
            + int(rest)
        )

    def add(self, topic, payload, now_ms):
        stamp, recent = self._milliseconds(payload), self._recent[topic]
        if not recent or stamp > recent[-1]:
            if recent:
                self.gap = max(self.gap, stamp - recent[-1])
            recent.append(stamp)
            self.readings += 1
            self._resumed.add(topic)
        elif topic in self._resumed and stamp == recent[-1]:
            self.readings += 1  # nothing comes twice now: two were taken in one millisecond
        elif stamp in recent:
            self.doubled += 1
        else:
            self.disorder += 1
        if (now_ms - stamp > 1000) != self.late:
            self.late = not self.late
            say(late=self.late)

    def say(self):
        say(
            readings=self.readings,
            doubled=self.doubled,
            disorder=self.disorder,
            gap=self.gap / 1000,
            sensors=len(self._recent),
        )


def say(**words):
    print(json.dumps({**words, "at": time.time()}), file=sys.stderr, flush=True)


def follow(port, sums):
    """Until we are told to end; OSError when the broker goes."""
    with contextlib.closing(Light(port, "follower", "iotd/test/sensor/+", END)) as line:
        sums.broke()
        while True:
            now_ms = time.time() * 1000
            for topic, payload, _ in line.receive():
                if topic == END.encode():
                    sums.say()
                    return
                sums.add(topic, payload, now_ms)


def main():
    port, sums = int(sys.argv[1]), Sums()
    while True:
        with contextlib.suppress(OSError):
            follow(port, sums)
            return
        time.sleep(0.02)  # the broker is away


if __name__ == "__main__":
    main()
