# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the machine itself is to blame for: when nobody woke up in time, or iotd found no processor.

Where that does not happen, a bound that is judged with it is as sharp as one without.
"""

import os
import threading
import time
from bisect import bisect_left, bisect_right
from contextlib import suppress
from pathlib import Path

THREADS = 16  # of one process that are looked at, the oldest


class Series:
    """Seconds, each noted at a time of the wall's clock; one thread notes, others ask."""

    def __init__(self):
        self._when, self._sums = [], [0]  # before each, and in all

    def note(self, when, seconds):
        self._sums.append(self._sums[-1] + seconds)
        self._when.append(when)

    def between(self, begin, end):
        first, last = bisect_left(self._when, begin), bisect_right(self._when, end)
        return self._sums[last] - self._sums[first]


def waited(pid):
    """Seconds that the threads of a process found no processor: schedstat, see proc(5)."""
    total = 0
    with suppress(OSError, IndexError, ValueError):
        tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
        for task in tasks[:THREADS]:
            with suppress(OSError):
                total += int((task / "schedstat").read_text(encoding="ascii").split()[1])
    return total / 1e9


def stolen():
    """Seconds that a host took from this machine, of all its processors."""
    ticks = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[8]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


class Metronome(threading.Thread):
    """Knows when the machine itself was too busy to let anybody wake up in time."""

    TICK, LOOK = 0.02, 5  # seconds; each fifth time it looks at what is watched

    def __init__(self):
        super().__init__(daemon=True)
        self._late, self._waited = Series(), Series()
        self._looking = threading.Lock()
        self._watched = {}  # by process: what it had waited at the last look
        self.start()

    def watch(self, pid):
        self._watched[pid] = waited(pid)

    def forget(self, pid):
        self._watched.pop(pid, None)

    def run(self):
        due, number = time.time(), 0
        while True:
            due += self.TICK
            time.sleep(max(0, due - time.time()))
            late = time.time() - due
            if late > 0.005:
                self._late.note(due, late)
                due += late
            number += 1
            if number % self.LOOK == 0:
                self.look()

    def look(self):
        with self._looking:
            for pid, before in list(self._watched.items()):
                now = waited(pid)
                if now > before + 0.005:
                    self._waited.note(time.time(), now - before)
                if pid in self._watched:
                    self._watched[pid] = now

    def held_up(self, begin, end):
        """For how many seconds, on the wall's clock; three threads wake up for a reading."""
        late = self._late.between(begin - 0.5, end + 1.2)
        return 3 * late + self._waited.between(begin - 0.2, end + 0.5)


METRONOME = Metronome()
_EPOCH = time.time() - time.monotonic()


def own_gap(begin, end):
    """Without what the machine is to blame for."""
    return end - begin - METRONOME.held_up(begin, end)


def longest_gap(times):
    """Of these on the wall's clock, without what the machine is to blame for."""
    METRONOME.look()
    return max((own_gap(a, b) for a, b in zip(times, times[1:])), default=0)


def longest_monotonic_gap(times):
    """The same, on the clock of time.monotonic()."""
    return longest_gap([_EPOCH + moment for moment in times])


def own_seconds(begin, end=None):
    """From one time.monotonic() to another, or to now, without what the machine is to blame for."""
    METRONOME.look()
    return own_gap(_EPOCH + begin, _EPOCH + (time.monotonic() if end is None else end))
