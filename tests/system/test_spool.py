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

from iotd_harness import BEAT, SLOW, configuration, file_sensor

INTERVAL = 0.1
GAP = 2 * INTERVAL * SLOW  # from a moment to the next reading, on a busy machine


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool" / "spool.db"


@pytest.fixture
def daemon(start_iotd, value_file, link, spool):
    """Start an iotd with a file under its spool; again, and it is the next run."""
    spool.parent.mkdir()

    def start(sensors=None, **options):
        text = configuration(
            link.url,
            sensors=sensors or [file_sensor(value_file)],
            spool={"path": str(spool), **options},
        )
        return start_iotd(text, env=BEAT)

    return start


def outage(client, link):
    """Cut the line, and wait until the broker has said so. Return: when."""
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    return time.time()


def recover(client, link, topic="sensor/air"):
    """Mend the line; when this returns all that waited has come."""
    mark = client.mark()
    link.forward()
    client.wait("status", "online", since=mark)
    client.wait(topic, match=lambda m: m.time > time.time() - 0.5, since=mark)
    client.settle()


def arrived(client, topic="sensor/air"):
    """The times of the readings in the order in which each came for the first time."""
    return list(dict.fromkeys(message.time for message in client.all(topic)))


def assert_none_missing(times, lives):
    """In order, and without a hole in any of these (begin, end) of a life of iotd."""
    assert times == sorted(times), "oldest first"
    for begin, end in lives:
        life = [t for t in times if begin <= t <= end]
        assert life, f"nothing of the {end - begin:.1f} s before {end}"
        assert life[0] - begin < GAP and end - life[-1] < GAP, (begin, life, end)
        assert len(life) == round((life[-1] - life[0]) / INTERVAL) + 1, life


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
    recover(client, link)
    assert_none_missing(
        arrived(client), [(begin, killed - 1), (restarted + GAP, time.time() - GAP)]
    )
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
    mark = one.supervisor.events.mark()
    one.signal(signal.SIGHUP)
    one.supervisor.wait("READY", "1", since=mark)
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


def test_healthy_run_writes_nothing(daemon, client, spool):
    one = daemon()
    client.wait("sensor/air", count=5)
    before = written(one)
    one.supervisor.beats(100, timeout=20 * SLOW)  # 10 s
    assert written(one) == before
    assert not list(spool.parent.iterdir()), "not even a file"
    client.wait("sensor/air", count=80)


def test_broker_back_within_the_second_leaves_an_empty_file_at_most(daemon, client, link, spool):
    one = daemon()
    client.wait("sensor/air", count=3)
    outage(client, link)
    one.supervisor.beats(15)
    recover(client, link)
    assert spool.exists()
    one.supervisor.beats(10)  # the rows are removed
    before = written(one)
    one.supervisor.beats(20)
    assert written(one) == before, "and then all is quiet again"
    assert client.result("stats")["queued"] <= 1


def test_max_size_discards_the_oldest_and_says_how_many(daemon, client, link, value_file, spool):
    sensors = [file_sensor(value_file, f"s{i}", interval="10ms") for i in range(10)]
    one = daemon(sensors, max_size="64K")
    client.wait("sensor/s0", count=5)
    cut = outage(client, link)
    one.supervisor.beats(40)  # 4 s, 4,000 readings
    assert spool.stat().st_size < 200_000
    recover(client, link, "sensor/s0")
    stats = client.result("stats")
    missing = 0
    for i in range(10):
        times = arrived(client, f"sensor/s{i}")
        assert times == sorted(times)
        gaps = sorted((b - a, b) for a, b in zip(times, times[1:]))
        hole, end = gaps[-1]
        assert hole > 0.5 and end > cut + 0.5, "the oldest of the outage were given up"
        assert gaps[-2][0] < 0.1 * SLOW, "and nothing else"
        missing += round(hole / 0.01) - 1
    assert stats["discarded"] == pytest.approx(missing, rel=0.05)
    assert any("spool.max_size" in line.text for line in one.log.all())


def test_damaged_file_is_put_aside(daemon, client, spool):
    garbage = random.Random(1).randbytes(50_000)
    spool.write_bytes(garbage)
    one = daemon()
    line = one.log.wait(lambda line: "put aside" in line.text).text
    aside = Path(re.search(r"put aside as (\S+?);", line).group(1))
    assert aside.parent == spool.parent and aside.name.startswith("spool.db.damaged-20")
    assert aside.read_bytes() == garbage
    client.wait("sensor/air", count=5)


def test_missing_folder_is_told_once_and_made_up_for(daemon, client, link, spool):
    spool.parent.rmdir()
    one = daemon()
    client.wait("sensor/air", count=3)
    begin = client.all("sensor/air")[0].time
    outage(client, link)
    told = one.log.wait(lambda line: "cannot be used" in line.text).text
    assert str(spool) in told and "No such file or directory" in told and "memory" in told
    one.supervisor.beats(10)
    spool.parent.mkdir()
    one.log.wait(lambda line: "works again" in line.text, timeout=15 * SLOW)
    assert sum("spool:" in line.text for line in one.log.all()) == 2
    one.supervisor.beats(12)
    killed = time.time()
    one.kill()
    daemon()
    recover(client, link)
    assert_none_missing(arrived(client), [(begin, killed - 1)])
