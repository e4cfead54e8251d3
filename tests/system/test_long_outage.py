# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker is away for ten minutes while a thousand readings a second come in (issue 3).

None is lost, the oldest come first, it is caught up within two minutes while new ones keep coming,
in 32 MiB, and commands are answered meanwhile. A short form runs each time, the long one at night.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from iotd_ask import Asker
from iotd_broker import Broker
from iotd_figures import Cost, judge
from iotd_harness import BEAT, PREFIX, SLOW, Process, configuration, file_sensor, output
from iotd_light import END

SENSORS, INTERVAL = 100, 0.1
MEMORY_KIB = 32 << 10
REPLY_MS = 250
PLEASE = [{"command": "ping"}, {"command": "stats"}, {"command": "toggle", "name": "pump"}]


class Follower(Process):
    """iotd_light.py as a process, which gives way to all others."""

    def __init__(self, port):
        program = str(Path(__file__).with_name("iotd_light.py"))
        super().__init__(["nice", "-n", "5", sys.executable, program, str(port)], "follower")

    def catches_up(self, since):
        """When it did, on the wall's clock; None: not yet."""
        said = [json.loads(line.text) for line in self.log.all(since=since)]
        return next((one["at"] for one in said if one.get("late") is False), None)

    def sums(self, asker):
        asker.line.publish(END, "")
        self.wait()
        return json.loads(self.log.all()[-1].text)


class Metronome(Process):
    """Wakes up as often as a sensor is due, and nothing else: what the machine itself holds up."""

    PROGRAM = """
import signal, sys, time
late, due, ended = 0, time.monotonic(), []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
while not ended:
    due += 0.1
    time.sleep(max(0, due - time.monotonic()))
    late = max(late, time.monotonic() - due)
print(late, file=sys.stderr)
"""

    def __init__(self):
        super().__init__([sys.executable, "-c", self.PROGRAM], "metronome")

    def latest(self):
        self.signal(signal.SIGTERM)
        self.wait()
        return float(self.text())


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def record(outage, caught_up, asker, memory, size, machine):
    """A line for tests/RELIABILITY.md."""
    times = asker.times
    text = (
        f"{outage:.0f} s outage at {SENSORS / INTERVAL:,.0f} readings/s: caught up in "
        f"{caught_up:.1f} s; {len(times)} replies meanwhile, p50 {percentile(times, 0.5):.1f} ms, "
        f"p99 {percentile(times, 0.99):.1f} ms, max {max(times):.1f} ms; "
        f"VmHWM {memory / 1024:.1f} MiB; file {size / 2**20:.1f} MiB; the machine itself was late "
        f"by {machine * 1000:.0f} ms"
    )
    print(text)
    if os.environ.get("IOTD_FIGURES"):
        with open(os.environ["IOTD_FIGURES"] + ".outage", "a", encoding="utf-8") as file:
            file.write(text + "\n")


def count_taken(asker):
    """Let the sensors rest, and wait until the broker has everything. Return: readings in all."""
    for i in range(SENSORS):
        asker.ask({"command": "interval", "name": f"s{i}", "interval": "1d"})
    deadline, before = time.monotonic() + 10 * SLOW, None
    stats = asker.ask({"command": "stats"})
    while stats["queued"] > 0 or stats["readings"] != before:  # one may have been under way
        assert time.monotonic() < deadline, stats
        before = stats["readings"]
        stats = asker.ask({"command": "stats"})
    return stats["readings"]


@pytest.fixture
def keeper(tmp_path):
    """A broker that keeps sessions when it is restarted."""
    one = Broker(
        tmp_path, f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/\n"
    )
    yield one
    one.close()


@pytest.fixture
def metronome():
    one = Metronome()
    yield one
    one.kill()


@pytest.fixture
def follower(keeper):
    one = Follower(keeper.port)
    keeper.connection("follower")
    yield one
    one.kill()


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(10, marks=pytest.mark.slow), pytest.param(600, marks=pytest.mark.nightly)],
)
def test_outage_at_a_thousand_readings_a_second(
    keeper, follower, metronome, start_iotd, value_file, tmp_path, seconds
):
    asker, spool = Asker(keeper.port), tmp_path / "spool.db"
    sensors = [file_sensor(value_file, f"s{i}") for i in range(SENSORS)]
    one = start_iotd(
        configuration(
            keeper.url, sensors=sensors, outputs=[output("pump", 22)], spool={"path": str(spool)}
        ),
        options=["--simulate"],
        env=BEAT,
    )
    asker.wait_online()
    asker.measure(PLEASE)
    mark = follower.log.mark()

    keeper.process.signal(signal.SIGTERM)
    keeper.process.wait()
    asker.line.close()
    begin = time.time()
    one.supervisor.beats(seconds * 10, timeout=seconds * 1.5 * SLOW)
    keeper.start()
    back = time.time()
    asker = Asker(keeper.port)
    asker.wait_online()
    while not follower.catches_up(mark) and time.time() - back < seconds * SLOW:
        asker.measure(PLEASE)
    caught_up = (follower.catches_up(mark) or time.time()) - back
    taken = count_taken(asker)
    machine = metronome.latest()
    record(back - begin, caught_up, asker, one.kib("VmHWM"), spool.stat().st_size, machine)

    sums = follower.sums(asker)
    assert sums["disorder"] == 0 and sums["sensors"] == SENSORS, sums
    gap = max(INTERVAL, sums["gap"] - 2 * machine)  # of the reactor, and of the worker
    cost = Cost(INTERVAL, sums["readings"], sums["doubled"], gap)
    judge(f"broker gone for {seconds} s at 1,000 readings/s", cost, taken, one.kib("VmHWM"))
    assert caught_up < seconds / 5 * SLOW, caught_up
    # a reply takes the broker, iotd, a worker and ourselves to wake up
    assert max(asker.times) < (REPLY_MS + 4000 * machine) * SLOW, sorted(asker.times)[-10:]
    if SLOW == 1:
        assert one.kib("VmHWM") < MEMORY_KIB
