# SPDX-License-Identifier: LGPL-2.1-or-later
"""Formats senml, cbor and influx (SPEC 3, issue 7), by readers that know nothing of iotd (iotd_formats.py)."""

import signal

import pytest

from iotd_broker import assert_turns_each_second, retained
from iotd_formats import Point, Said, read_cbor, read_line, read_senml
from iotd_harness import (
    PREFIX,
    SLOW,
    configuration,
    file_sensor,
    output,
    replace_file,
    seconds_of,
)

FORMATS = ("senml", "cbor", "influx")
SENML = {"senml": read_senml, "cbor": read_cbor}
AIR = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "1d"}
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}
RAIN = {"name": "rain", "chip": "gpiochip0", "line": 27, "edge": "both", "count": True, "interval": "1s"}
PUMP = {"name": "pump", "chip": "gpiochip0", "line": 22, "on_time": True, "interval": "1s"}
ODD = 'my, "odd"=house \\ß°'  # a device with all that needs an escape somewhere

every_format = pytest.mark.parametrize("name", FORMATS)


def said(name, message):
    """What a message says: {channel: value}, a state as {"state": …}; and its time in seconds."""
    if name == "influx":
        point = read_line(message.payload)
        assert point.measurement == message.topic.removesuffix("/on_time").rpartition("/")[2]
        assert all(isinstance(value, (float, bool)) for value in point.fields.values())
        return point.fields, point.time / 1e9
    records = SENML[name](message.payload)
    values = {
        one.name.removeprefix(message.topic).removeprefix("/") or "state": one.value
        for one in records
    }
    assert len({one.time for one in records}) == 1
    return values, records[0].time


def values(name, message):
    return said(name, message)[0]


def test_the_readers_read_what_the_standards_show():
    """Examples of RFC 8428, 5.1.1 and 5.1.2, and of InfluxDB's reference."""
    single = b'[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]'
    assert read_senml(single) == [Said("urn:dev:ow:10e2073a01080063", "Cel", 23.1, None)]
    device = "urn:dev:ow:10e2073a01080063:"
    multiple = f'[{{"bn":"{device}","n":"voltage","u":"V","v":120.1}},{{"n":"current","u":"A","v":1.2}}]'
    assert read_senml(multiple) == [
        Said(f"{device}voltage", "V", 120.1, None),
        Said(f"{device}current", "A", 1.2, None),
    ]
    in_cbor = "82a421781c" + device.encode().hex() + "0067766f6c74616765016156" "02fb405e066666666666"
    in_cbor += "a3006763757272656e7401614102fb3ff3333333333333"
    assert read_cbor(bytes.fromhex(in_cbor)) == read_senml(multiple)
    line = rb"weather,location\ place=us\,midwest,a=\= temp=82,bug=t 1465839830100400200"
    tags = {"location place": "us,midwest", "a": "="}
    assert read_line(line) == Point("weather", tags, {"temp": 82.0, "bug": True}, 1465839830100400200)


@pytest.mark.parametrize(
    "bad",
    [b"weather temp=82", b"a,b= c=1 1", b"a,b=c\\ d=1 1", b"a c=1i2 1", b"a c=1,c=2 1", b"a c=x 1"],
)
def test_the_reader_of_lines_is_strict(bad):
    with pytest.raises(AssertionError):
        read_line(bad)


@every_format
def test_a_reading_says_what_it_says_in_json(simulated, client, name):
    simulated(sensors=[AIR], mqtt={"format": name})
    reading = client.result("read", name="air")
    time = seconds_of(reading.pop("time"))
    message = client.wait("sensor/air", match=lambda m: abs(said(name, m)[1] - time) < 0.001)
    got = values(name, message)
    assert list(got) == list(reading) == ["temperature", "humidity", "pressure"]
    if name != "influx":  # in the units of the registry
        reading["pressure"] *= 100
        units = {one.name.rpartition("/")[2]: one.unit for one in SENML[name](message.payload)}
        assert units == {"temperature": "Cel", "humidity": "%RH", "pressure": "Pa"}
    assert got == pytest.approx(reading, rel=1e-12)
    assert not message.retain and message.qos == 1


@every_format
def test_a_state_is_a_truth_and_retained(simulated, broker, client, name):
    simulated(inputs=[DOOR], outputs=[output("valve", 5)], mqtt={"format": name})
    message = client.wait("output/valve")
    assert values(name, message) == {"state": False} and message.retain
    client.publish("output/valve/set", "on")
    client.wait("output/valve", match=lambda m: values(name, m) == {"state": True})
    door = [said(name, m) for m in client.wait("input/door", count=4, timeout=12 * SLOW)]
    assert {found["state"] for found, _ in door} == {True, False}
    # the kernel's time of the edge
    assert_turns_each_second([(found["state"], time) for found, time in door[1:]])
    assert values(name, retained(broker.port)["output/valve"]) == {"state": True}


@every_format
def test_counters_and_windows_are_readings_too(simulated, client, value_file, name):
    window = file_sensor(value_file, "mean", window="500ms")
    simulated(sensors=[window], inputs=[RAIN, PUMP], mqtt={"format": name})
    last = client.wait("input/rain", match=lambda m: values(name, m)["total"] >= 2, timeout=12 * SLOW)
    assert list(values(name, last)) == ["total", "rate"] and last.retain
    # an edge that is late makes the rate a lower one, until the next
    client.wait(
        "input/rain",
        match=lambda m: values(name, m)["rate"] == pytest.approx(1, rel=0.05),
        timeout=12 * SLOW,
    )
    on_time = client.wait(
        "input/pump/on_time", match=lambda m: values(name, m)["total"] > 0, timeout=12 * SLOW
    )
    assert list(values(name, on_time)) == ["since_start", "total"]
    assert "state" in values(name, client.wait("input/pump"))
    assert values(name, client.wait("sensor/mean")) == {"value": 21.37}


@every_format
def test_status_statistics_and_replies_are_the_same_in_every_format(simulated, client, name):
    simulated(sensors=[AIR], outputs=[output("valve", 5)], mqtt={"format": name})
    client.wait("status", "online")
    client.wait("sensor/air/status", "online")
    client.wait("stats", match=lambda m: m.json["connected"] is True)  # the first may be older
    assert client.result("set", name="valve", state="on")["state"] == "on"
    assert set(client.result("read", name="air")) == {"time", "temperature", "humidity", "pressure"}
    assert [device["unit"] for device in client.result("list")[0]["channels"]] == ["°C", "%", "hPa"]


@every_format
@pytest.mark.parametrize(
    "text, digits",
    [("21.37", 2), ("21", 2), ("-3.5", 0), ("0", 6), ("1e300", 2), ("-1e300", 9), ("0.000000001", 9)],
)
def test_numbers_are_those_of_json(iotd, client, value_file, name, text, digits):
    value_file.write_text(text, encoding="ascii")
    iotd(sensors=[file_sensor(value_file, digits=digits)], mqtt={"format": name})
    number = client.result("read", name="air")["value"]
    got = values(name, client.wait("sensor/air"))["value"]
    assert got == number
    assert isinstance(got, float) or name != "influx"


@every_format
def test_names_may_have_any_character_that_they_can(iotd, client, value_file, name):
    odd = "-_" + "aZ09-_" * 10 + "-_"
    iotd(
        sensors=[file_sensor(value_file, odd, channel=odd, interval="1d")],
        device=ODD,
        mqtt={"format": name, "topic": PREFIX, "client_id": "odd"},
    )
    message = client.wait(f"sensor/{odd}")
    assert values(name, message) == {odd: 21.37}
    if name == "influx":
        assert read_line(message.payload).tags == {"device": ODD}


@pytest.mark.parametrize("name", SENML)
def test_a_topic_becomes_a_name_of_senml(iotd, client, value_file, name):
    iotd(
        sensors=[
            file_sensor(value_file, "one", interval="1d", topic=f"{PREFIX}/büro 1"),
            file_sensor(value_file, "two", interval="1d", topic=f"{PREFIX}/bäro 1"),
        ],
        mqtt={"format": name},
    )
    topics = ("büro 1", "bäro 1")
    names = [SENML[name](client.wait(topic).payload)[0].name for topic in topics]
    assert names == [f"{PREFIX}/b:c3:bcro:201/value", f"{PREFIX}/b:c3:a4ro:201/value"]


@pytest.mark.parametrize("name", SENML)
def test_units_are_those_of_the_registry_or_none(iotd, client, value_file, name):
    value_file.write_text("50", encoding="ascii")
    units = {"mm": ("m", 0.05), "ppm": ("/", 5e-5), "%": ("/", 0.5), "furlong": (None, 50)}
    classed = {"unit": "%", "value": {"device_class": "humidity"}}
    iotd(
        sensors=[
            *(file_sensor(value_file, f"s{i}", unit=unit) for i, unit in enumerate(units)),
            file_sensor(value_file, "relative", **classed),
        ],
        mqtt={"format": name},
    )
    for i, (unit, number) in enumerate(units.values()):
        [record] = SENML[name](client.wait(f"sensor/s{i}").payload)
        assert (record.unit, record.value) == (unit, number)
    [record] = SENML[name](client.wait("sensor/relative").payload)
    assert (record.unit, record.value) == ("%RH", 50)


def hang_up(daemon, **sections):
    """Reload with another configuration; return when that is done."""
    replace_file(daemon.config, configuration(**sections))
    since = daemon.supervisor.events.mark()
    daemon.signal(signal.SIGHUP)
    daemon.supervisor.wait("RELOADING", "1", since=since)
    daemon.supervisor.wait("READY", "1", since=since)


def test_a_reload_changes_the_format_of_states_too(simulated, broker, client):
    valve = output("valve", 5)
    daemon = simulated(outputs=[valve])
    client.state("valve", "off")
    for name in FORMATS:
        mark = client.mark()
        hang_up(daemon, broker=broker.url, outputs=[valve], mqtt={"format": name})
        message = client.wait("output/valve", since=mark)
        assert values(name, message) == {"state": False} and message.retain


def test_a_reload_tells_states_with_the_new_device(simulated, broker, client):
    fixed = {"format": "influx", "topic": PREFIX, "client_id": "fixed"}
    daemon = simulated(outputs=[output("valve", 5)], mqtt=fixed)
    assert read_line(client.wait("output/valve").payload).tags == {"device": "test"}
    hang_up(daemon, broker=broker.url, device=ODD, outputs=[output("valve", 5)], mqtt=fixed)
    client.wait("output/valve", match=lambda m: read_line(m.payload).tags == {"device": ODD})
    client.wait("status", "online", count=2)
    said = [message.text for message in client.all("status")]
    assert said == ["online", "offline", "online"], "ids and properties of the connection name it, too"


def test_a_real_influxdb_takes_the_lines(simulated, client, influx):
    simulated(
        sensors=[AIR],
        inputs=[DOOR, RAIN, PUMP],
        device=ODD,
        mqtt={"format": "influx", "topic": PREFIX, "client_id": "odd"},
    )
    client.wait("input/rain", match=lambda m: read_line(m.payload).fields["total"] >= 2, timeout=12 * SLOW)
    client.wait("input/pump/on_time")
    client.wait("sensor/air")
    messages = [
        m for m in client.all() if m.topic.count("/") > 2 and not m.topic.endswith("/status")
    ]
    influx.write(*(message.payload for message in messages))
    for message in messages:
        point = read_line(message.payload)
        [row] = influx.ask(f'SELECT * FROM "{point.measurement}" WHERE time = {point.time}')
        assert row["device"] == ODD
        assert point.fields.items() <= row.items()


def test_a_field_of_influxdb_never_changes_its_type(iotd, client, value_file, influx):
    value_file.write_text("21", encoding="ascii")
    iotd(sensors=[file_sensor(value_file)], mqtt={"format": "influx"})
    client.wait("sensor/air")
    replace_file(value_file, "1e300")
    client.wait("sensor/air", match=lambda m: b"value=1e" in m.payload)
    replace_file(value_file, "-0.5")
    client.wait("sensor/air", match=lambda m: b"value=-0.5" in m.payload)
    for message in client.all("sensor/air"):
        influx.write(message.payload)  # a point of another type is refused
    assert influx.ask('SHOW FIELD KEYS FROM "air"') == [{"fieldKey": "value", "fieldType": "float"}]
