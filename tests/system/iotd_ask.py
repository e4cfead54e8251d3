# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that asks again and again, and takes the time until it is answered.

As a program it does so in a process of its own, so that nothing that a test does beside holds it up:

    iotd_ask.py PORT

It pings until SIGTERM, then writes the times of the replies in ms as a line of JSON to stderr.
"""

import itertools
import json
import select
import signal
import sys
import time

from iotd_harness import PREFIX, SLOW
from iotd_light import Light

PACE = 0.01  # from one command to the next


class Asker:
    """Sends a command each PACE seconds and takes the time of each reply, in ms."""

    def __init__(self, port):
        self.line = Light(port, "light-asker", f"{PREFIX}/status", f"{PREFIX}/reply")
        self.times = []
        self._ids = itertools.count()

    def wait_online(self):
        self._receive(lambda topic, payload, old: payload == b"online" and not old, 30 * SLOW)

    def ask(self, command):
        """Return: the result."""
        number, replies = next(self._ids), []

        def is_reply(topic, payload, _):
            reply = json.loads(payload) if topic.endswith(b"/reply") else {}
            replies.append(reply)
            return reply.get("id") == number

        self.line.publish(f"{PREFIX}/command", json.dumps({**command, "id": number}))
        self._receive(is_reply, 10 * SLOW)
        assert replies[-1]["ok"], replies
        return replies[-1]["result"]

    def measure(self, commands):
        """One of them, in turn."""
        begin = time.monotonic()
        self.ask(commands[len(self.times) % len(commands)])
        self.times.append((time.monotonic() - begin) * 1000)
        time.sleep(max(0, begin + PACE - time.monotonic()))  # the pace of the commands

    def _receive(self, match, timeout):
        """Until a message matches, which is the last that is looked at."""
        deadline = time.monotonic() + timeout
        while select.select([self.line], [], [], max(0, deadline - time.monotonic()))[0]:
            if any(match(*message) for message in self.line.receive()):
                return
        raise AssertionError(f"nothing from iotd in {timeout:g} s")


def main():
    asker, ended = Asker(int(sys.argv[1])), []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        asker.measure([{"command": "ping"}])
    print(json.dumps(asker.times), file=sys.stderr)


if __name__ == "__main__":
    main()
