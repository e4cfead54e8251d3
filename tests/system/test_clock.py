# SPDX-License-Identifier: LGPL-2.1-or-later
"""The wall clock is set, back and forth by a day: readings carry it, and nothing else goes by it.

wall-clock.c stands between iotd and the kernel, so that this machine's clock stays what it is.
"""

import mmap
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from iotd_figures import Cost, judge
from iotd_harness import BEAT, SLOW, assert_beats, file_sensor, output

DAY = 86400


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """wall-clock.c, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("needs a C compiler")
    target = tmp_path_factory.mktemp("clock") / "wall-clock.so"
    source = Path(__file__).with_name("wall-clock.c")
    subprocess.run(
        [compiler, "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", target, source], check=True
    )
    return target


class Clock:
    """The wall clock of an iotd with this environment."""

    def __init__(self, folder, library):
        path = folder / "wall-clock"
        path.write_bytes(bytes(8))
        with open(path, "r+b") as file:
            self._offset = mmap.mmap(file.fileno(), 8)
        self.env = {
            "LD_PRELOAD": str(library),
            "WALL_CLOCK": str(path),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
            **BEAT,
        }

    def set(self, days):
        self._offset[:] = struct.pack("=q", days * DAY)


@pytest.fixture
def clock(tmp_path, library):
    return Clock(tmp_path, library)


def days_off(message):
    """By how many days the reading's time is off, seen when it came."""
    arrived = message.at + time.time() - time.monotonic()
    return round((message.time - arrived) / DAY)


def by_true_time(messages):
    """The same readings as of a clock that was never set."""
    return [
        SimpleNamespace(topic=m.topic, time=round(m.time - days_off(m) * DAY, 3)) for m in messages
    ]


def assert_no_gap(cost):
    assert cost.gap <= cost.gap_allowed, cost


@pytest.fixture
def daemon(simulated, link, clock, tmp_path, value_file):
    def start(**more):
        return simulated(
            link.url,
            sensors=[file_sensor(value_file)],
            outputs=[output("pump", 22)],
            mqtt={"keepalive": "5s"},
            spool={"path": str(tmp_path / "spool.db")},
            env=clock.env,
            **more,
        )

    return start


def test_schedule_order_and_watchdog_do_not_go_by_it(daemon, client, clock):
    one = daemon()
    client.wait("sensor/air", count=5)
    begin, steps = one.supervisor.events.mark(), [1, 0, -1, 0]
    for days in steps:
        mark = client.mark()
        clock.set(days)
        client.wait("sensor/air", match=lambda m, days=days: days_off(m) == days, since=mark)
        client.result("pulse", name="pump", **{"for": "500ms"})
        one.supervisor.beats(15)  # more than a keepalive in all
    assert_beats(one.supervisor, begin)

    client.result("interval", name="air", interval="1d")
    client.result("read", name="air")  # behind what is being read, and the last one
    client.settle()
    stats = client.result("stats")
    client.settle()
    readings = client.all("sensor/air")
    assert stats["connects"] == 1
    assert list(dict.fromkeys(map(days_off, readings))) == [0, 1, -1]
    assert {abs(m.time - days_off(m) * DAY - time.time()) < 60 * SLOW for m in readings} == {True}
    cost = Cost.of(by_true_time(readings), 0.1)
    cost.readings, cost.doubled = len(readings), 0  # the line held: two of one ms are two
    judge("wall clock set by a day, four times", cost, stats["readings"], one.kib("VmHWM"))


def test_an_output_goes_off_in_time(daemon, client, clock):
    """By the wall clock it would go off at once, or in a day."""
    daemon()
    client.state("pump", "off")
    for days in (1, -1, 0):
        mark, asked = client.mark(), time.monotonic()
        client.result("pulse", name="pump", **{"for": "2s"})
        client.state("pump", "on", since=mark)
        clock.set(days)
        off = client.state("pump", "off", since=mark)
        assert off.at - asked > 2
        assert days_off(off) == days


@pytest.mark.slow
def test_an_output_goes_off_on_time(daemon, client, clock):
    daemon()
    client.state("pump", "off")
    for days in (1, -1, 0):
        mark, asked = client.mark(), time.monotonic()
        client.result("pulse", name="pump", **{"for": "800ms"})
        client.state("pump", "on", since=mark)
        clock.set(days)
        off = client.state("pump", "off", since=mark)
        assert 0.8 < off.at - asked < 0.8 + 0.2 * SLOW


@pytest.mark.parametrize(
    "is_measured", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["works", "exactly"]
)
def test_max_age_does_not_go_by_it(simulated, client, clock, value_file, is_measured):
    """A value that does not move is published each second, whatever the clock says.

    By the wall clock it would be published once more, or not for a day, each time that it is set.
    """
    simulated(
        sensors=[file_sensor(value_file, value={"deadband": 5.0, "max_age": "1s"})], env=clock.env
    )
    client.wait("sensor/air", count=2)
    for days in (1, 0, -1, 0):
        mark = client.mark()
        clock.set(days)
        client.wait(
            "sensor/air", match=lambda m, days=days: days_off(m) == days, since=mark, count=2
        )
    times = [m.time for m in by_true_time(client.all("sensor/air"))]
    assert len(times) - 1 < times[-1] - times[0] + 1
    gaps = [b - a for a, b in zip(times, times[1:])]
    if is_measured:
        assert 1 - 0.25 * min(SLOW, 3) < min(gaps) and max(gaps) < 1 + 0.25 * SLOW, gaps


def test_the_spool_keeps_the_order_in_which_they_were_read(daemon, client, clock, link):
    """Spooled a day ahead, replayed by an iotd that lives a day behind."""
    one = daemon()
    client.wait("sensor/air", count=5)
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    clock.set(1)
    one.supervisor.beats(15)
    assert one.stop()[0] == 0
    clock.set(-1)
    two = daemon()
    two.supervisor.beats(15)
    clock.set(0)
    link.forward()
    client.wait("status", "online", since=mark)
    client.wait("sensor/air", match=lambda m: days_off(m) == 0, since=mark, count=5)
    client.settle()
    readings = client.all("sensor/air")
    order = list(map(days_off, readings))
    ahead, behind = order.index(1), order.index(-1)
    back = len(order) - order[::-1].index(-1)
    assert set(order[:ahead]) == {0} and set(order[ahead:behind]) == {1}
    assert set(order[behind:back]) == {-1} and set(order[back:]) == {0}
    assert behind - ahead >= 10 and back - behind >= 10
    assert_no_gap(Cost.of(by_true_time(readings[:behind]), 0.1))
    assert_no_gap(Cost.of(by_true_time(readings[behind:]), 0.1))
