# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Manager's Spool: what it tells is what the broker gets afterwards (org.iotd1(5))."""

import contextlib
import shutil
import sqlite3
import subprocess
import time

import pytest

from iotd_bus import NOBODY, wait_for_name
from iotd_harness import BEAT, PATIENCE, SLOW, configuration, file_sensor
from iotd_spool import outage

NAMES = ("air", "room", "attic")
RESTS = 86_400_000_000  # µs: a day


def page(caller, after=0, limit=500):
    """([(id, time, topic, payload)], next)"""
    messages, following = caller.call("Spool", "tu", after, limit)
    assert len(messages) <= limit
    return [(one[0], one[1], one[2], bytes(one[3])) for one in messages], following


def pages(caller, limit=500, between=lambda: None):
    """All that waits, page by page."""
    told, after = [], 0
    while True:
        messages, after = page(caller, after, limit)
        told += messages
        ids = [one[0] for one in told]
        assert ids == sorted(set(ids)), "never twice, and the oldest first"
        if after == 0:
            return told
        between()


def contents(told):
    return [one[2:] for one in told]


def contents_of_file(spool):
    """What the file has, by a copy: iotd keeps others out of it."""
    copy = shutil.copytree(spool.parent, spool.parent.with_name("copy"))
    try:
        with contextlib.closing(sqlite3.connect(copy / spool.name)) as db:
            rows = db.execute("SELECT topic, payload FROM reading ORDER BY row").fetchall()
            return [(topic, bytes(payload)) for topic, payload in rows]
    finally:
        shutil.rmtree(copy)


def came(client, since):
    """What the broker got, without what came twice: it may have been in flight."""
    messages = [(m.topic, m.payload) for m in client.all("sensor/+", since=since)]
    return list(dict.fromkeys(messages))


@pytest.fixture
def on_bus(bus, start_iotd, value_file, link, client):
    """Start an iotd with three sensors, on the bus, online behind the line that can be cut."""

    def start(spool=""):
        caller = bus.client()
        daemon = start_iotd(
            configuration(
                link.url,
                sensors=[file_sensor(value_file, name=name) for name in NAMES],
                spool={"path": str(spool)},
            ),
            env={**bus.environment, **BEAT},
        )
        wait_for_name(caller)
        caller.listen(member="Reading")
        client.wait("status", "online")  # else nobody would be told that it is cut off
        return daemon, caller

    return start


def rest(caller):
    """No more readings, but for one that is under way."""
    for name in NAMES:
        caller.call("SetInterval", "st", name, RESTS)
        caller.call("Read", "s", name)  # behind it


def fill(caller, count):
    mark = caller.messages.mark()
    caller.signal("Reading", count=count, since=mark, timeout=PATIENCE + count * 0.1 * SLOW)


def assert_all_come(client, link, told):
    """The line is mended: what was told comes, in this order, and first of all."""
    mark = client.mark()
    link.forward()
    client.wait("status", "online", since=mark)
    last = told[-1][2:]
    client.wait("sensor/+", match=lambda m: (m.topic, m.payload) == last, since=mark)
    wanted = list(dict.fromkeys(contents(told)))  # two of one millisecond look alike
    assert came(client, mark)[: len(wanted)] == wanted


def test_nothing_waits_where_the_broker_is_there(on_bus, client):
    _, caller = on_bus()
    client.wait("sensor/air")
    rest(caller)
    deadline = time.monotonic() + PATIENCE * SLOW
    while page(caller) != ([], 0):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_pages_are_what_the_broker_gets(on_bus, client, link, limit):
    begun = time.time()
    _, caller = on_bus()
    client.wait("sensor/air")
    outage(client, link)
    fill(caller, 40)
    rest(caller)
    told = pages(caller, limit)
    assert len(told) >= 40
    times = [one[1] / 1e6 for one in told]
    assert begun <= times[0] <= times[-1] <= time.time()
    again = pages(caller, limit)
    assert contents(again) == contents(told), "asking takes nothing away"
    assert [one[0] for one in again] == [one[0] for one in told]
    assert_all_come(client, link, told)


def test_everybody_may_see_them(on_bus, bus, client, link):
    _, caller = on_bus()
    outage(client, link)
    fill(caller, 3)
    rest(caller)
    assert contents(pages(bus.client(NOBODY), 2)) == contents(pages(caller))


def test_readings_of_a_killed_iotd_are_told_by_the_next(on_bus, client, link, spool):
    daemon, caller = on_bus(spool)
    client.wait("sensor/air")
    outage(client, link)
    fill(caller, 60)
    rest(caller)
    before = pages(caller, 50)
    while contents_of_file(spool)[-len(before) :] != contents(before):
        daemon.supervisor.beats(1)
    daemon.kill()
    daemon, caller = on_bus(spool)
    fill(caller, 10)
    rest(caller)
    told = pages(caller, 23)
    assert contents(told)[: len(before)] == contents(before)
    assert [one[0] for one in told[: len(before)]] == [one[0] for one in before]
    assert {one[1] for one in told[: len(before)]} == {0}, "the file does not say when"
    assert len(told) >= len(before) + 10 and told[-1][1] > 0
    assert_all_come(client, link, told)


def test_what_stays_is_told_while_the_rest_goes(on_bus, client, link):
    """Each reading was told, or had reached the broker before its page."""
    _, caller = on_bus()
    client.wait("sensor/air")
    mark = client.mark()
    outage(client, link)
    fill(caller, 60)
    before = contents(pages(caller))
    link.forward()
    told = contents(pages(caller, 5))
    rest(caller)
    client.publish("harness/told", "")
    client.wait("harness/told")  # behind what the broker had by then
    assert set(before) <= set(came(client, mark)) | set(told)
    client.wait("sensor/+", match=lambda m: (m.topic, m.payload) == before[-1], since=mark)


def test_busctl_can_read_a_page(on_bus, bus, client, link):
    busctl = shutil.which("busctl")
    if not busctl:
        pytest.skip("needs busctl")
    _, caller = on_bus()
    outage(client, link)
    fill(caller, 3)
    words = ["call", "org.iotd1", "/org/iotd1", "org.iotd1.Manager", "Spool", "tu", "0", "1"]
    done = subprocess.run(
        [busctl, f"--address={bus.address}", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    (one,), following = page(caller, limit=1)
    assert done.stdout.startswith(f"a(ttsay)t 1 {one[0]} ") and f'"{one[2]}"' in done.stdout
    assert done.stdout.endswith(f" {following}\n")
