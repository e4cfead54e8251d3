# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a fault cost, in numbers, and whether that is within what is promised (issue 3).

A test of a fault ends with `figures(…)`. It asserts the promises, the same for every fault, and
writes its numbers as a row of a table to the file that IOTD_FIGURES names, if it does.
tests/RELIABILITY.md has the table that this program makes of such a file.
"""

import os
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass

from paho.mqtt.client import topic_matches_sub

from iotd_harness import SLOW
from iotd_metronome import longest_gap

IN_FLIGHT = 64  # what was in flight when a line broke may come twice: QoS 1 promises no less
VARIANT = re.compile(r" with 0x\w+|, (run|MQTT) \d+|(?<=reload refused): .*")
COLUMNS = ("fault", "readings", "lost", "doubled", "longest gap", "memory")


@dataclass
class Cost:
    """What became of the readings of some sensors with one interval (seconds)."""

    interval: float
    readings: int
    doubled: int
    gap: float
    own_gap: float = None  # the longest but for what the machine itself held up; None: as it is

    @classmethod
    def of(cls, messages, interval):
        """Of the messages of T/sensor/+; the first of each reading must come in order."""
        times = defaultdict(list)
        for message in messages:
            times[message.topic].append(message.time)
        assert times, "no reading has come"
        readings = doubled = 0
        gap = own_gap = 0.0
        for topic, stamps in times.items():
            first = list(dict.fromkeys(stamps))
            assert first == sorted(first), f"{topic}: oldest first"
            readings += len(first)
            doubled += len(stamps) - len(first)
            gap = max([gap, *(b - a for a, b in zip(first, first[1:]))])
            own_gap = max(own_gap, longest_gap(first))
        return cls(interval, readings, doubled, gap, own_gap)

    @property
    def gap_allowed(self):
        return max(3 * self.interval, 0.05) * SLOW

    @property
    def gap_to_judge(self):
        return self.gap if self.own_gap is None else self.own_gap


class Tally:
    """Counts the readings that came, from all messages in their order.

    Within one connection iotd sends a reading once: what is there twice are two readings of one
    millisecond, one that was late and the next. What comes in a later connection, too, came again.
    """

    def __init__(self, prefix):
        self._status, self._topics = f"{prefix}/status", f"{prefix}/sensor/+"
        self._here, self._most = Counter(), Counter()  # in this connection, in any
        self.messages = []  # those with a reading
        self.readings = 0

    def add(self, message):
        """Return: readings until now."""
        if message.topic == self._status and message.text == "online":  # the first of a connection
            self._here.clear()
        elif topic_matches_sub(self._topics, message.topic):
            reading = message.topic, message.time
            self._here[reading] += 1
            if self._here[reading] > self._most[reading]:
                self._most[reading] += 1
                self.readings += 1
            self.messages.append(message)
        return self.readings

    @property
    def doubled(self):
        return len(self.messages) - self.readings

    def __str__(self):
        twins = self.readings - len(self._most)
        return f"with {self.readings} readings, {twins} of them twins, and {self.doubled} again,"


def assert_schedule(messages, interval):
    """No reading of the schedule is missing, and only what was in flight came twice."""
    cost = Cost.of(messages, interval)
    assert cost.gap_to_judge <= cost.gap_allowed, cost
    assert cost.doubled <= IN_FLIGHT, cost


def record(fault, readings, lost, doubled, gap="", memory=""):
    """Write the row; return it as {column: text}."""
    row = (fault, f"{readings:,}", f"{lost:,}", f"{doubled:,}", gap, memory)
    if os.environ.get("IOTD_FIGURES"):
        with open(os.environ["IOTD_FIGURES"], "a", encoding="utf-8") as file:
            file.write("| " + " | ".join(row) + " |\n")
    return dict(zip(COLUMNS, row))


def judge(fault, cost, taken, memory_kib=None, breaks=1, pause=0.0):
    """Assert the promises, and record the row.

    taken: readings that iotd took, by its own counter or by the schedule; breaks: how often the
    line was broken, for what may come twice; pause: seconds in which iotd itself was stopped.
    """
    lost = taken - cost.readings
    gap = f"{cost.gap * 1000:.0f} ms of {cost.interval * 1000:g} ms"
    memory = f"{memory_kib / 1024:.1f} MiB" if memory_kib else ""
    numbers = record(fault, taken, lost, cost.doubled, gap, memory)
    assert lost == 0, numbers
    assert cost.doubled <= IN_FLIGHT * breaks, numbers
    assert cost.gap_to_judge <= max(cost.gap_allowed, pause), (numbers, cost)


def table(path):
    """The rows of a run as a table of tests/RELIABILITY.md; variants of a fault share a row."""
    rows = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            fault, taken, lost, doubled, gap, memory = (cell.strip() for cell in line.split("|")[1:7])
            gap, interval = (float(text.removesuffix(" ms")) for text in gap.split(" of "))
            kind = VARIANT.sub("", fault)
            numbers = [int(text.replace(",", "")) for text in (taken, lost, doubled)]
            rows.setdefault(kind, []).append(
                (*numbers, gap / interval, gap, interval, float(memory.split()[0]) if memory else 0)
            )
    print("| fault | times | readings | lost | doubled | longest gap | memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in sorted(rows, key=str.lower):
        runs = rows[kind]
        taken, lost, doubled = (sum(run[i] for run in runs) for i in range(3))
        _, gap, interval = max(run[3:6] for run in runs)
        memory = max(run[6] for run in runs)
        print(
            f"| {kind} | {len(runs)} | {taken:,} | {lost:,} | {doubled:,} | {gap:.0f} of {interval:.0f} ms"
            f" | {f'{memory:.1f} MiB' if memory else ''} |"
        )


if __name__ == "__main__":
    table(sys.argv[1])
