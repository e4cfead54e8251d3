# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters and on_time (SPEC 3 and 4, issue 6). All lines are emulated: each is off for a second, then on for one."""

import shutil
import signal
import sqlite3
import time

import pytest

from iotd_harness import PATIENCE, SLOW, configuration

RAIN = {
    "name": "rain",
    "chip": "gpiochip0",
    "line": 27,
    "edge": "both",
    "count": True,
    "interval": "1s",
    "scale": 0.25,
    "unit": "mm",
}
PUMP = {"name": "pump", "chip": "gpiochip0", "line": 22, "on_time": True, "interval": "1s"}
ALLOW = {"allow": ["ping", "read", "list", "reload", "count"]}


def total(client, **more):
    return client.wait("input/rain", **more).json["total"]


def edges_between(before, after):
    """How many edges were counted between two readings, and how many seconds passed.

    There is one a second, by the kernel's clock: however late the readings are, these two agree.
    """
    return (after.json["total"] - before.json["total"]) / 0.25, after.time - before.time


def most(seconds):
    """What edges can add to a total in that time."""
    return 0.25 * (seconds + 1)


def on_for(state, seconds):
    """Seconds on of a line that was in this state then, and goes on to change each second."""
    pairs, rest = divmod(seconds, 2)
    return pairs + (min(rest, 1) if state == "on" else max(rest - 1, 0))


def end(client, one):
    """Stop it or kill it: what it told last is there, and nothing of it is on its way any more."""
    mark = client.mark()
    one()
    client.wait("status", "offline", since=mark)


def kept(tmp_path):
    """What the file says: {(input, kind): start + amount}. iotd must not have it open."""
    with sqlite3.connect(tmp_path / "counts-simulated.db") as db:
        return {(r[0], r[1]): r[2:] for r in db.execute("SELECT * FROM count")}


def is_written(tmp_path):
    """Does the file count edges? A copy says what a kill at this moment would leave."""
    copy = tmp_path / "copy"
    copy.mkdir(exist_ok=True)
    for file in tmp_path.glob("counts-simulated.db*"):
        shutil.copy(file, copy)
    try:
        return kept(copy)["rain", "edges"][1] > 0
    except (sqlite3.OperationalError, KeyError):  # no table yet, no row yet
        return False


def test_a_counter_tells_total_and_rate(simulated, client):
    begun = time.time()
    simulated(inputs=[RAIN])
    first, *_, last = client.wait("input/rain", count=5, timeout=12 * SLOW)
    assert first.retain and list(first.json) == ["time", "total", "rate"]
    # nothing, unless it came late
    assert first.json["total"] <= 0.25 * int(first.time - begun)
    assert first.json["total"] > 0 or first.json["rate"] == 0
    edges, seconds = edges_between(first, last)
    assert edges == pytest.approx(seconds, abs=1.5) and edges >= 3
    assert last.json["rate"] == pytest.approx(0.25, rel=0.05)  # an edge a second, by their own times


def test_frequency_is_told_on_demand(simulated, client):
    simulated(inputs=[{**RAIN, "frequency": True, "edge": "rising"}])
    last = client.wait("input/rain", match=lambda m: m.json["frequency"] > 0, timeout=12 * SLOW)
    assert list(last.json) == ["time", "total", "rate", "frequency"]
    assert last.json["frequency"] == pytest.approx(0.5, rel=0.05)


def test_format_value_has_a_topic_a_channel(simulated, client):
    simulated(inputs=[RAIN, PUMP], mqtt={"format": "value"})
    for topic in ("rain/total", "rain/rate", "pump/on_time/since_start", "pump/on_time/total"):
        assert float(client.wait(f"input/{topic}").text) >= 0


def test_totals_last_over_a_restart(simulated, client):
    one = simulated(inputs=[RAIN])
    client.wait("input/rain", match=lambda m: m.json["total"] >= 0.5, timeout=12 * SLOW)
    end(client, one.stop)
    last, mark = client.all("input/rain")[-1], client.mark()
    simulated(inputs=[RAIN])
    again = client.wait("input/rain", since=mark)
    edges, seconds = edges_between(last, again)
    assert 0 <= edges <= seconds + 1  # an edge may come before the end
    client.wait("input/rain", match=lambda m: edges_between(again, m)[0] >= 1, since=mark)


def test_a_kill_loses_ten_seconds_at_most_and_counts_nothing_twice(simulated, client, tmp_path):
    one = simulated(inputs=[RAIN, PUMP])
    client.wait(
        "input/rain",
        match=lambda m: m.json["total"] >= 3 and is_written(tmp_path),
        timeout=25 * SLOW,
    )
    end(client, one.kill)
    last, mark = client.all("input/rain")[-1], client.mark()
    simulated(inputs=[RAIN, PUMP])
    again = client.wait("input/rain", since=mark)
    edges, seconds = edges_between(last, again)
    assert -11 * SLOW <= edges <= seconds + 1
    assert again.json["total"] > 0


def test_a_command_sets_the_total(simulated, client):
    one = simulated(inputs=[RAIN, PUMP], commands=ALLOW)
    client.wait("input/rain", match=lambda m: m.json["total"] > 0)
    mark, asked = client.mark(), time.monotonic()
    result = client.result("count", name="rain", total=4711.5)
    assert list(result) == ["name", "total", "before"]
    assert result["total"] == 4711.5 and 0 < result["before"] < 10
    first = total(client, since=mark, match=lambda m: m.json["total"] > 1000)
    assert 0 <= first - 4711.5 <= 0.25 * int(time.monotonic() - asked)
    read = client.result("read", name="rain")["total"]
    assert 0 <= read - 4711.5 <= most(time.monotonic() - asked)
    client.wait("input/rain", count=3, since=client.mark())
    end(client, one.kill)  # it was written by now, not 10 s after the change
    mark = client.mark()
    simulated(inputs=[RAIN, PUMP], commands=ALLOW)
    assert 0 <= total(client, since=mark) - 4711.5 <= most(time.monotonic() - asked)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"name": "rain", "total": -1}, "must be a number"),
        ({"name": "rain", "total": 1e16}, "must be a number"),
        ({"name": "rain", "total": "7"}, "must be a number"),
        ({"name": "rain"}, "total"),
        ({"name": "rainn", "total": 7}, "no input named"),
        ({"name": "door", "total": 7}, "neither count nor on_time"),
    ],
)
def test_a_total_that_cannot_be_set_is_refused(simulated, client, fields, words):
    door = {"name": "door", "chip": "gpiochip0", "line": 3}
    simulated(inputs=[RAIN, door], commands=ALLOW)
    client.wait("input/rain")
    assert words in client.error("count", **fields)
    assert client.result("read", name="rain")["total"] < 7


def test_count_must_be_allowed(simulated, client):
    simulated(inputs=[RAIN])
    client.wait("input/rain")
    assert "not allowed" in client.error("count", name="rain", total=7)
    assert client.result("read", name="rain")["total"] < 7


def reload(one, text, count=1):
    mark = one.supervisor.events.mark()
    one.config.write_text(text, encoding="utf-8")
    one.signal(signal.SIGHUP)
    one.supervisor.wait("READY", "1", since=mark, count=count)


def test_a_reload_keeps_counts_and_another_name_is_another_counter(simulated, broker, client):
    one = simulated(inputs=[RAIN], commands=ALLOW)
    client.wait("input/rain")
    client.result("count", name="rain", total=100)
    mark = client.mark()
    changed = {**RAIN, "interval": "900ms", "frequency": True}  # it is made anew
    reload(one, configuration(broker.url, inputs=[changed], commands=ALLOW))
    first = client.wait("input/rain", match=lambda m: "frequency" in m.json, since=mark)
    assert 100 <= first.json["total"] < 110
    renamed = {**changed, "name": "rain2"}
    reload(one, configuration(broker.url, inputs=[renamed], commands=ALLOW))
    assert client.wait("input/rain2").json["total"] < 1
    assert client.wait("input/rain", payload="", since=mark)  # its retained reading is cleared
    mark = client.mark()
    reload(one, configuration(broker.url, inputs=[RAIN], commands=ALLOW))
    assert 100 <= total(client, since=mark, match=lambda m: m.text) < 120  # and it is back


def test_on_time_counts_seconds_on(simulated, client):
    one = simulated(inputs=[PUMP], commands=ALLOW)
    reading = client.wait(
        "input/pump/on_time", match=lambda m: m.json["total"] > 1.9, timeout=20 * SLOW
    )
    assert list(reading.json) == ["time", "since_start", "total"]
    assert reading.json["since_start"] == reading.json["total"] < 5 * SLOW
    client.wait("input/pump", match=lambda m: m.time > reading.time)  # all before it are there
    states = [m for m in client.all("input/pump") if m.time <= reading.time]
    assert {m.json["state"] for m in states} == {"on", "off"}
    spans = zip(states, [m.time for m in states[1:]] + [reading.time])
    on = sum(on_for(m.json["state"], then - m.time) for m, then in spans)
    assert reading.json["total"] == pytest.approx(on, abs=0.1 * SLOW)
    assert client.result("count", name="pump", total=3600)["before"] > 1.9
    end(client, one.stop)
    mark = client.mark()
    simulated(inputs=[PUMP], commands=ALLOW)
    reading = client.wait("input/pump/on_time", since=mark)
    assert reading.json["total"] >= 3600 and reading.json["since_start"] < 1


def test_on_time_that_is_configured_no_more_is_cleared(simulated, broker, client):
    one = simulated(inputs=[PUMP])
    client.wait("input/pump/on_time")
    mark = client.mark()
    state_only = {k: v for k, v in PUMP.items() if k not in ("on_time", "interval")}
    reload(one, configuration(broker.url, inputs=[state_only]))
    client.wait("input/pump/on_time", payload="", since=mark)


def test_a_directory_that_cannot_be_written_stops_nothing_and_is_said_once(simulated, client):
    one = simulated(inputs=[RAIN], env={"STATE_DIRECTORY": "/proc/iotd"})
    client.wait("input/rain", match=lambda m: m.json["total"] >= 5, timeout=40 * SLOW)
    one.log.wait(lambda line: "counts: /proc/iotd/" in line.text, count=1)
    assert len(one.log.all(lambda line: "counts: /proc/iotd/" in line.text)) == 1
    one.stop()
    one.log.wait(lambda line: "counts: /proc/iotd/" in line.text, count=1)
    assert len(one.log.all(lambda line: "counts: /proc/iotd/" in line.text)) == 1


def test_the_file_is_for_people_too(simulated, client, tmp_path):
    one = simulated(inputs=[RAIN, PUMP], commands=ALLOW)
    client.wait("input/rain", match=lambda m: m.json["total"] > 0)
    client.result("count", name="rain", total=7)
    one.stop()
    rows = kept(tmp_path)
    assert rows["rain", "edges"][0] == 7 and rows["rain", "edges"][1] <= PATIENCE
    assert rows["pump", "on_us"][1] >= 0
