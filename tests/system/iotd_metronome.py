# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the machine itself is to blame for: a thread wakes up all the time and notes how late.

Where it comes in time, a bound that is judged with it is as sharp as one without.
"""

import threading
import time
from bisect import bisect_left, bisect_right


class Metronome(threading.Thread):
    """Knows when the machine itself was too busy to let anybody wake up in time."""

    TICK = 0.02

    def __init__(self):
        super().__init__(daemon=True)
        self._when, self._sums = [], [0]  # on the wall's clock; seconds before each, and in all
        self.start()

    def run(self):
        due = time.time()
        while True:
            due += self.TICK
            time.sleep(max(0, due - time.time()))
            late = time.time() - due
            if late > 0.005:
                self._sums.append(self._sums[-1] + late)
                self._when.append(due)
                due += late

    def held_up(self, begin, end):
        """For how many seconds of that time, on the wall's clock."""
        first, last = bisect_left(self._when, begin), bisect_right(self._when, end)
        return self._sums[last] - self._sums[first]


METRONOME = Metronome()
_EPOCH = time.time() - time.monotonic()


def own_gap(begin, end):
    """Without what the machine is to blame for; it takes three threads to wake up for a reading."""
    return end - begin - 3 * METRONOME.held_up(begin - 0.5, end + 1.2)


def longest_gap(times):
    """Of these on the wall's clock, without what the machine is to blame for."""
    return max((own_gap(a, b) for a, b in zip(times, times[1:])), default=0)


def longest_monotonic_gap(times):
    """The same, on the clock of time.monotonic()."""
    return longest_gap([_EPOCH + moment for moment in times])


def own_seconds(begin, end=None):
    """From one time.monotonic() to another, or to now, without what the machine is to blame for."""
    return own_gap(_EPOCH + begin, _EPOCH + (time.monotonic() if end is None else end))
