# SPDX-License-Identifier: LGPL-2.1-or-later
"""The spool: what the broker has not acknowledged outlives iotd (SPEC 5.2, issue 3).

Every reading carries its own time, so a gap in the times is a reading that was lost. The clock of
these tests is the watchdog, as in test_broker_away.py.
"""

import random
import re
import signal
import time
from pathlib import Path

import pytest

from iotd_broker import Proxy
from iotd_harness import BEAT, PATIENCE, SLOW, configuration, file_sensor, output
from iotd_metronome import METRONOME
from iotd_spool import GAP, arrived, assert_balance, assert_none_missing, outage, recover


@pytest.mark.any_broker
def test_kill_during_an_outage_loses_the_last_second_at_most(daemon, client, link, spool):
    one = daemon()
    client.wait("sensor/air", count=5)
    begin = client.all("sensor/air")[0].time
    outage(client, link)
    one.supervisor.beats(round(25 * SLOW))
    killed = time.time()
    one.kill()
    assert spool.stat().st_size > 0
    two = daemon()
    restarted = time.time()
    two.supervisor.beats(round(10 * SLOW))
    end = recover(client, link)
    assert_none_missing(arrived(client), [(begin, killed - 1), (restarted + GAP, end)])
    assert client.result("stats")["discarded"] == 0


def test_reload_during_an_outage_leaves_the_spool_alone(daemon, client, link, spool, value_file):
    """The file is made after the reload, whose old settings are gone by then."""
    link.cut()
    one = daemon(sensors=[file_sensor(value_file, interval="10s")])
    one.supervisor.beats(2)
    one.config.write_text(
        configuration(link.url, sensors=[file_sensor(value_file)], spool={"path": str(spool)}),
        encoding="utf-8",
    )
    asked = time.monotonic()
    one.signal(signal.SIGHUP)
    one.supervisor.reloaded(asked)
    begin = time.time() + GAP
    one.supervisor.beats(round(20 * SLOW))
    one.kill()
    killed = time.time()
    assert spool.stat().st_size > 0
    daemon()
    recover(client, link)
    assert_none_missing([t for t in arrived(client) if t < killed], [(begin, killed - 1)])


def test_kills_at_random_moments_lose_nothing_older_than_a_second(daemon, client, link):
    dice, lives = random.Random(20261122), []
    one = daemon()
    client.wait("sensor/air", count=1)
    begin = client.all("sensor/air")[0].time
    outage(client, link)
    for _ in range(6):
        one.supervisor.beats(round(dice.randrange(8, 25) * SLOW))
        killed = time.time()
        one.kill()
        if killed - 1 > begin:
            lives.append((begin, killed - 1))
        one = daemon()
        begin = time.time() + GAP
    recover(client, link)
    assert len(lives) >= 3
    assert_none_missing(arrived(client), lives)


def test_clean_stop_during_an_outage_loses_nothing(daemon, client, link):
    one = daemon()
    client.wait("sensor/air", count=3)
    begin = client.all("sensor/air")[0].time
    outage(client, link)
    one.supervisor.beats(12)
    stopped = time.time()
    code, seconds = one.stop()
    assert code == 0 and seconds < 3 * SLOW
    assert re.search(r"stopped; \d+ readings wait in ", one.text())
    daemon()
    recover(client, link)
    assert_none_missing(arrived(client), [(begin, stopped - GAP)])


def written(one):
    """Bytes that the process has had written to a disk."""
    text = Path(f"/proc/{one.pid}/io").read_text(encoding="ascii")
    return int(re.search(r"^write_bytes: (\d+)$", text, re.M).group(1))


def wait_quiet(one, beats):
    """Until nothing was written for so long."""
    before, deadline = None, time.monotonic() + PATIENCE
    while before != written(one):
        assert time.monotonic() < deadline
        before = written(one)
        one.supervisor.beats(beats)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.nightly)])
def test_healthy_run_writes_nothing(daemon, client, spool, seconds):
    one = daemon()
    begin = time.time()
    client.wait("sensor/air", count=5)
    before = written(one)
    one.supervisor.beats(seconds * 10, timeout=seconds * 2 * SLOW)
    late = METRONOME.held_up(begin, time.time())  # so may be what is not acknowledged
    assert written(one) == before or late > 0.2
    assert not list(spool.parent.iterdir()) or late > 0.2, "not even a file"
    client.wait("sensor/air", count=seconds * 8)
    assert written(one) < 1 << 20, "before that at most what exec() and the like cost"


def test_broker_back_within_the_second_leaves_an_empty_file_at_most(daemon, client, link, spool):
    one = daemon()
    client.wait("sensor/air", count=3)
    outage(client, link)
    one.supervisor.beats(15)
    recover(client, link)
    assert spool.exists()
    wait_quiet(one, 10)  # the rows are removed
    begin, before = time.time(), written(one)
    one.supervisor.beats(20)
    late = METRONOME.held_up(begin, time.time())
    assert written(one) == before or late > 0.2, "and then all is quiet again"
    deadline = time.monotonic() + PATIENCE
    while (queued := client.result("stats")["queued"]) > 1:
        assert time.monotonic() < deadline, queued


def test_max_size_discards_the_oldest_and_says_how_many(daemon, client, link, value_file, spool):
    sensors = [file_sensor(value_file, f"s{i}", interval="10ms") for i in range(10)]
    one = daemon(sensors, max_size="64K")
    client.wait("sensor/s0", count=5)
    cut = outage(client, link)
    one.log.wait(lambda line: "full: 64 KiB (spool.max_size)" in line.text)
    one.supervisor.beats(40)  # 4 s, 4,000 readings
    assert spool.stat().st_size < 200_000
    recover(client, link, "sensor/s0")
    stats = assert_balance(client)
    assert stats["discarded"] > 1000
    for i in range(10):
        times = arrived(client, f"sensor/s{i}")
        assert times == sorted(times)
        gaps = sorted((b - a, b) for a, b in zip(times, times[1:]))
        hole, end = gaps[-1]
        assert hole > 0.5 and end > cut + 0.5, "the oldest of the outage were given up"
        assert gaps[-2][0] < hole / 2, "and nothing else"
    counts = []

    def are_all_told(line):
        counts.extend(map(int, re.findall(r"; (\d+) were within ", line.text)))
        return sum(counts) >= stats["discarded"]

    one.log.wait(are_all_told)
    told = [line.text for line in one.log.all() if "spool" in line.text]
    # once it begins and once it ends; again, should the broker be held up while it is nearly full
    assert len(told) == 2 * len(counts) and sum(counts) == stats["discarded"], told
    assert all("full: 64 KiB (spool.max_size)" in line for line in told[::2]), told


def test_damaged_file_is_put_aside(daemon, client, spool):
    garbage = random.Random(1).randbytes(50_000)
    spool.write_bytes(garbage)
    one = daemon()
    line = one.log.wait(lambda line: "put aside" in line.text).text
    aside = Path(re.search(r"put aside as (\S+?);", line).group(1))
    assert aside.parent == spool.parent and aside.name.startswith("spool.db.damaged-20")
    assert aside.read_bytes() == garbage
    client.wait("sensor/air", count=5)


class OneWay(Proxy):
    """A relay that can hold back what comes from iotd, while commands pass."""

    def __init__(self, target):
        self.held = None  # not held
        super().__init__(target)

    def hold(self):
        self.held = []

    def release(self):
        with self._lock:
            for other, data in self.held:
                other.sendall(data)
            self.held = None

    def _on_bytes(self, side):
        if self.held is None or side.getsockname()[1] != self.port:
            super()._on_bytes(side)
        else:
            self.held.append((self._peers[side], side.recv(65536)))


def commands_done(textfile):
    return int(re.search(r"^iotd_commands_total\S* (\d+)$", textfile.read_text(), re.M)[1])


def test_state_that_changed_a_thousand_times_is_told_once(simulated, broker, client, tmp_path):
    """Only the latest counts: what was under way, and then how it is now."""
    line, textfile = OneWay(broker.port), tmp_path / "iotd.prom"
    stats = {"interval": "200ms", "textfile": str(textfile)}
    one = simulated(line.url, outputs=[output("pump", 22)], stats=stats, env=BEAT)
    client.state("pump", "off")
    client.settle()
    mark = client.mark()
    line.hold()
    number, deadline = 0, time.monotonic() + PATIENCE
    while number < 1000 or commands_done(textfile) <= 500:
        assert time.monotonic() < deadline
        client.publish("output/pump/set", "toggle", qos=0)
        time.sleep(0.002)  # a command that follows at once would replace it
        number += 1
    client.publish("output/pump/set", "on", qos=0)
    one.supervisor.beats(5)
    line.release()
    client.settle()
    told = [m.json["state"] for m in client.all("output/pump", since=mark)]
    assert len(told) <= 2 and told[-1] == "on", "the first of all, and the last"
    assert client.result("stats")["commands"] > 500
    line.close()
