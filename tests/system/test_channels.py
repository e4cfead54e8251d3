# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the number in the file to the number on the broker: channels (SPEC 2).

A test that needs a clock takes a second sensor, `tick`, which publishes every reading.
"""

import statistics

import pytest

from iotd_harness import PATIENCE, SLOW, file_sensor, replace_file


@pytest.fixture
def channel(iotd, client, value_file):
    """A sensor `air` on value_file with these channel options, and `tick` beside it."""

    def start(options=None, **more):
        sensor = file_sensor(value_file, **more)
        if options:
            sensor["value"] = options
        iotd(sensors=[sensor, file_sensor(value_file, "tick")])

    return start


def values(messages):
    return [message.json["value"] for message in messages]


def wait_ticks(client, value, **more):
    """Wait until `tick` has read this value three times."""
    client.wait("sensor/tick", match=lambda m: m.json["value"] == value, count=3, **more)


@pytest.mark.parametrize("grouped", [True, False], ids=["in the channel", "in the sensor"])
def test_value_times_scale_plus_offset(channel, client, value_file, grouped):
    value_file.write_text("45123", encoding="ascii")
    options = {"scale": 0.001, "offset": -0.4}
    if grouped:
        channel(options)
    else:
        channel(**options)
    assert client.wait("sensor/air").json["value"] == pytest.approx(44.723, abs=1e-9)


@pytest.mark.parametrize(
    "digits, text, payload",
    [
        (0, "21.37", "21"),
        (1, "21.37", "21.4"),
        (2, "21.375001", "21.38"),
        (3, "-0.12345", "-0.123"),
    ],
)
def test_digits_round(channel, client, value_file, digits, text, payload):
    value_file.write_text(text, encoding="ascii")
    channel({"digits": digits})
    assert client.wait("sensor/air").text.endswith(f',"value":{payload}}}')


def test_digits_come_after_scale(channel, client, value_file):
    value_file.write_text("21379", encoding="ascii")
    channel({"scale": 0.001, "digits": 1})
    assert client.wait("sensor/air").text.endswith(',"value":21.4}')


@pytest.mark.parametrize("bad", ["101", "-5.5"])
def test_value_outside_min_and_max_is_a_failed_reading(channel, client, value_file, bad):
    channel({"min": 0.0, "max": 100.0})
    client.wait("sensor/air")
    replace_file(value_file, bad)
    client.wait("sensor/air/status", "offline")
    mark = client.mark()
    wait_ticks(client, float(bad))
    assert not client.all("sensor/air", since=mark)
    assert float(bad) not in values(client.all("sensor/air"))
    replace_file(value_file, "50")
    client.wait("sensor/air/status", "online", since=mark)
    client.wait("sensor/air", match=lambda m: m.json["value"] == 50)


def test_limits_belong_to_the_range(channel, client, value_file):
    value_file.write_text("100", encoding="ascii")
    channel({"min": 0.0, "max": 100.0})
    assert client.wait("sensor/air").json["value"] == 100
    replace_file(value_file, "0")
    client.wait("sensor/air", match=lambda m: m.json["value"] == 0)


def test_limits_apply_after_scale(channel, client, value_file):
    value_file.write_text("50000", encoding="ascii")
    channel({"scale": 0.001, "max": 100.0})
    assert client.wait("sensor/air").json["value"] == 50


def test_deadband_holds_back_what_moved_too_little(channel, client, value_file):
    channel({"deadband": 1.0})
    client.wait("sensor/air")
    # Steps away from 21.37, the value last published; 22.2 is 1.1 away from 21.1 but not from it.
    steps = [(21.1, False), (22.2, False), (22.4, True), (21.5, False), (21.3, True)]
    for value, published in steps:
        mark = client.mark()
        replace_file(value_file, value)
        wait_ticks(client, value, since=mark)
        assert values(client.all("sensor/air", since=mark)) == ([value] if published else [])


def test_deadband_measures_after_scale(channel, client, value_file):
    value_file.write_text("20000", encoding="ascii")
    channel({"scale": 0.001, "deadband": 0.5})
    client.wait("sensor/air")
    replace_file(value_file, "20400")
    wait_ticks(client, 20400)
    assert values(client.all("sensor/air")) == [20]
    replace_file(value_file, "20600")
    client.wait("sensor/air", match=lambda m: m.json["value"] == pytest.approx(20.6))


def test_without_deadband_every_reading_is_published(channel, client):
    channel()
    assert len(set(values(client.wait("sensor/air", count=5)))) == 1


def test_max_age_publishes_what_did_not_move(channel, client):
    channel({"deadband": 5.0, "max_age": "500ms"})
    first, *_, last = client.wait("sensor/air", count=4)
    client.wait("sensor/tick", match=lambda m: m.time > last.time)
    ticks = client.all("sensor/tick", match=lambda m: first.time < m.time < last.time)
    assert len(ticks) >= 6, "but not each reading"


@pytest.mark.slow
def test_max_age_is_exact(channel, client):
    channel({"deadband": 5.0, "max_age": "500ms"})
    times = [m.time for m in client.wait("sensor/air", count=4)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(0.35 < gap < 0.65 for gap in gaps), gaps


def test_recovered_sensor_publishes_in_spite_of_its_deadband(channel, client, value_file):
    channel({"deadband": 5.0})
    client.wait("sensor/air")
    value_file.unlink()
    client.wait("sensor/air/status", "offline")
    mark = client.mark()
    value_file.write_text("21.37", encoding="ascii")
    client.wait("sensor/air", since=mark)


AGGREGATES = {
    "mean": statistics.fmean,
    "min": min,
    "max": max,
    "median": statistics.median,
    "last": lambda numbers: numbers[-1],
}


@pytest.mark.slow  # each value must be there before the next readings, and each reading in time
def test_windows_aggregate_the_readings_in_them(iotd, client, value_file):
    """Each tick's value is set right after the tick before it was seen, so all sensors read it."""
    numbers = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6, 4, 3, 3, 8]
    value_file.write_text(str(numbers[0]), encoding="ascii")
    tick = 0.1 * SLOW  # the new value must be there in time
    every = {"interval": f"{round(1000 * tick)}ms"}
    five = {"window": f"{round(5000 * tick)}ms", **every}
    windows = [file_sensor(value_file, how, aggregate=how, **five) for how in AGGREGATES]
    iotd(sensors=[*windows, file_sensor(value_file, "tick", **every)])
    mark = 0
    for number in numbers[1:]:
        client.wait("sensor/tick", since=mark)
        mark = client.mark()
        replace_file(value_file, number)
    client.wait("sensor/last", count=4)

    ticks = [(m.time, m.json["value"]) for m in client.all("sensor/tick")]
    for how, combine in AGGREGATES.items():
        published = client.wait(f"sensor/{how}", count=4, timeout=PATIENCE)
        times = [m.time for m in published]
        assert all(abs(b - a - 5 * tick) < tick / 2 for a, b in zip(times, times[1:])), (how, times)
        for message in published[1:]:
            possible = [
                combine([value for _, value in ticks[i - 4 : i + 1]])
                for i in range(4, len(ticks))
                if message.time - 1.5 * tick < ticks[i][0] < message.time + tick / 2
            ]
            assert any(message.json["value"] == pytest.approx(p, abs=1e-3) for p in possible), (
                how, message, ticks,
            )


def test_window_defaults_to_the_mean(iotd, client, value_file):
    iotd(sensors=[file_sensor(value_file, window="300ms")])
    message = client.wait("sensor/air", count=2)[1]
    assert message.json["value"] == pytest.approx(21.37)


def test_window_without_a_good_reading_publishes_nothing(iotd, client, value_file):
    iotd(sensors=[file_sensor(value_file, window="300ms"), file_sensor("/proc/uptime", "tick")])
    client.wait("sensor/air")
    value_file.unlink()
    client.wait("sensor/air/status", "offline")
    client.settle()  # else the ticks may be old ones that we had no time to read
    client.wait("sensor/tick", count=5, since=client.mark())  # the window that was begun ends
    client.settle()
    mark = client.mark()
    client.wait("sensor/tick", count=8, since=mark)
    assert not client.all("sensor/air", since=mark)
