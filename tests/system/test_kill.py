# SPDX-License-Identifier: LGPL-2.1-or-later
"""iotd is killed at random moments, with the broker up or down (SPEC 5.2, issue 3).

What it had measured a second before arrives, at least once and in order, and the spool is sound
after each kill. Two hundred lives in all, in runs that may go side by side. The moments come from
a seed, which a failing run prints: IOTD_TEST_SEED=N runs it again.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import time

import pytest

from iotd_figures import record
from iotd_harness import SLOW, configuration, file_sensor, seconds_of
from iotd_metronome import longest_gap

RUNS, LIVES = 8, 25 if SLOW == 1 else 6  # a sanitizer makes each life as many times longer
SENSORS, INTERVAL = 3, 0.05
GAP = 4 * INTERVAL * SLOW  # the longest without a reading; what is lost is lost by 0.4 s
SEED = int(os.environ.get("IOTD_TEST_SEED", "20261122"))


class Lives:
    """One iotd after the other, on one spool."""

    def __init__(self, start, text, spool, link, dice):
        self.start, self.text, self.spool, self.link, self.dice = start, text, spool, link, dice
        self.measured = []  # (begin, end) of what must arrive
        self.kinds = []

    def live(self):
        """Start one, and kill it in one of the ways."""
        kind = self.dice.choice(["start", "write", "write", "long", "long", "long", "stop"])
        change = self.dice.choice([None, None, self.link.cut, self.link.forward])
        self.kinds.append(kind)
        begin = time.time()
        one = self.start(self.text, wait=False)
        if kind == "start":
            self.pause(0, 0.1)
        else:
            one.ready()
            begin = time.time() + INTERVAL
            if change:
                self.pause(0, 0.4)
                change()
            self.pause(*{"write": (0.2, 0.9), "long": (1.1, 2.2), "stop": (0.0, 1.8)}[kind])
        if kind == "stop":
            one.signal(signal.SIGTERM)
            self.pause(0, 0.4)
        self.note(begin, time.time() - 1)
        one.kill()
        self.check_spool()

    def pause(self, least, most):
        """A random moment is what is wanted here, not an event."""
        time.sleep(self.dice.uniform(least, most) * SLOW)

    def note(self, begin, end):
        if end > begin and self.kinds[-1] != "stop":  # a stop ends the schedule before the kill
            self.measured.append((begin, end))

    def check_spool(self):
        """What the kill has left, looked at in a copy, for a look takes the log into the file."""
        folder = self.spool.parent
        assert not list(folder.glob("*damaged*")), os.listdir(folder)
        copy = shutil.copytree(folder, folder.parent / "copy")
        if self.spool.exists():
            with contextlib.closing(sqlite3.connect(copy / self.spool.name)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                if db.execute("PRAGMA user_version").fetchall() == [(1,)]:
                    rows = db.execute("SELECT topic, payload FROM reading ORDER BY row")
                    assert_in_order((topic, payload.decode()) for topic, payload in rows)
        shutil.rmtree(copy)


def assert_in_order(messages):
    """[(topic, payload)]: what comes for the first time is newer than all before. Return: times."""
    times = {}
    for topic, payload in messages:
        stamp = seconds_of(re.match(r'{"time":"([^"]+)"', payload).group(1))
        known = times.setdefault(topic, [])
        if stamp not in known[-3000:]:
            assert not known or stamp > known[-1], f"{topic}: {stamp} after {known[-1]}"
            known.append(stamp)
    return times


@pytest.mark.parametrize("run", range(RUNS))
def test_kills_lose_nothing_older_than_a_second(
    start_iotd, client, link, value_file, tmp_path, run
):
    print(f"IOTD_TEST_SEED={SEED}")
    spool = tmp_path / "spool" / "spool.db"
    spool.parent.mkdir()
    text = configuration(
        link.url,
        sensors=[
            file_sensor(value_file, f"s{i}", interval=f"{INTERVAL * 1000:.0f}ms")
            for i in range(SENSORS)
        ],
        spool={"path": str(spool)},
    )
    lives = Lives(start_iotd, text, spool, link, random.Random(SEED * 100 + run))
    for _ in range(LIVES):
        lives.live()
    mark = client.mark()
    link.forward()
    start_iotd(text)
    client.wait("status", "online", since=mark)
    client.wait("sensor/s0", match=lambda m: m.time > time.time() - 0.5, since=mark)
    client.settle()

    times = assert_in_order([(m.topic, m.text) for m in client.all("sensor/+")])
    assert len(times) == SENSORS and len(lives.measured) >= LIVES // 5, lives.kinds
    longest = max(
        longest_gap([begin, *(t for t in stamps if begin <= t <= end), end])
        for stamps in times.values()
        for begin, end in lives.measured
    )
    arrived = sum(map(len, times.values()))
    record(
        f"SIGKILL at {LIVES} random moments, run {run}",
        arrived,
        0,  # of those that were older than a second
        len(client.all("sensor/+")) - arrived,
        f"{longest * 1000:.0f} ms of {INTERVAL * 1000:g} ms",
    )
    assert longest < GAP, lives.kinds
    assert client.result("stats")["discarded"] == 0
