# SPDX-License-Identifier: LGPL-2.1-or-later
"""What MQTT 5 adds: what iotd tells, and what it does with what a broker tells (issue 7)."""

import math
import re
import signal
import struct
import time

import pytest

from iotd_broker import properties
from iotd_harness import BEAT, SLOW, History, configuration, file_sensor, output, replace_file
from iotd_peer import (
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    encode_length,
    packet,
    text,
)

CHIP = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
DEVICE = ("device", "test")


def of_type(identifier, value):
    """A property of MQTT 5.0, section 2.2.2.2."""
    return bytes([identifier]) + value


def reason_string(words):
    return of_type(0x1F, text(words))


def server_reference(words):
    return of_type(0x1C, text(words))


def packet_max(size):
    return of_type(0x27, struct.pack(">I", size))


# --- expiry ---------------------------------------------------------------------------------------


def test_readings_expire_and_states_do_not(simulated, client, value_file):
    simulated(
        mqtt={"expiry": "1h"},
        sensors=[file_sensor(value_file), {**CHIP, "name": "chip"}],
        outputs=[output("pump", 22)],
    )
    for name in ("air", "chip"):
        left = client.wait(f"sensor/{name}").properties.MessageExpiryInterval
        assert 3600 - 10 * SLOW <= left <= 3600
    for topic in ("status", "sensor/air/status", "output/pump", "stats"):
        assert not hasattr(client.wait(topic).properties, "MessageExpiryInterval")


@pytest.mark.parametrize("expiry", ["0s", None])
def test_readings_do_not_expire_by_default(iotd, client, value_file, expiry):
    iotd(mqtt={"expiry": expiry} if expiry else {}, sensors=[file_sensor(value_file)])
    assert not hasattr(client.wait("sensor/air").properties, "MessageExpiryInterval")


def test_what_waited_has_less_left(daemon, client, link):
    """It counts from when the sample was taken."""
    one = daemon(mqtt={"expiry": "1h"})
    client.wait("sensor/air", count=3)
    link.cut()
    client.wait("status", "offline")  # behind all that came through
    one.supervisor.beats(20)
    begin, mark = time.time(), client.mark()
    link.forward()
    waited = client.wait("sensor/air", since=mark, count=10)
    for message in waited:
        left = message.properties.MessageExpiryInterval
        assert left <= math.ceil(3600 - (begin - message.time)), message
        assert left >= 3600 - (time.time() - message.time) - 1, message
    assert waited[0].properties.MessageExpiryInterval < 3600


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("path", ["", None], ids=["memory", "disk"])
def test_what_is_over_is_dropped_counted_and_told(daemon, client, link, protocol, path):
    more = {} if path is None else {"path": path}
    one = daemon(mqtt={"expiry": "1s", "protocol": protocol}, **more)
    client.wait("sensor/air", count=3)
    link.cut()
    client.wait("status", "offline")  # behind all that came through
    one.log.wait(lambda line: "longer than mqtt.expiry" in line.text)
    one.supervisor.beats(10)
    begin, mark = time.time(), client.mark()
    link.forward()
    client.wait("sensor/air", since=mark, count=20)
    late = [m for m in client.all("sensor/air", since=mark) if m.time < begin - 1.01]
    assert not late, "only what was younger than a second was sent"
    stats = client.result("stats")
    assert stats["expired"] > 0 and stats["discarded"] == 0
    told = [line.text for line in one.log.all() if "mqtt.expiry" in line.text]
    assert len(told) == 1, told
    one.stop()
    ended = [line.text for line in one.log.all() if "no more readings are dropped" in line.text]
    assert len(ended) == 1 and int(re.search(r"(\d+) were", ended[0])[1]) >= stats["expired"]


def test_what_is_over_when_iotd_starts_again_is_dropped(daemon, client, link, value_file):
    """The spool's file knows it, by the wall clock."""
    one = daemon(mqtt={"expiry": "2s"})
    client.wait("sensor/air", count=3)
    link.cut()
    replace_file(value_file, "-1")
    one.supervisor.beats(10)
    assert one.stop()[0] == 0
    assert "readings wait in" in one.text()
    over = time.time() + 2
    replace_file(value_file, "1")
    daemon(mqtt={"expiry": "2s"})
    while time.time() < over:  # it is the clock that is waited for
        time.sleep(over - time.time())
    mark = client.mark()
    link.forward()
    client.wait("sensor/air", since=mark, count=5)
    assert not client.all("sensor/air", match=lambda m: m.json["value"] == -1, since=mark)
    assert client.result("stats")["expired"] > 0


# --- user properties ------------------------------------------------------------------------------


def user_properties(message):
    return getattr(message.properties, "UserProperty", [])


def test_readings_carry_device_and_units(simulated, client, value_file):
    simulated(
        sensors=[
            CHIP,
            file_sensor(value_file, "cpu", unit="°C"),
            file_sensor(value_file, "bare"),
        ],
        outputs=[output("pump", 22)],
    )
    assert user_properties(client.wait("sensor/air")) == [
        DEVICE,
        ("unit.temperature", "°C"),
        ("unit.humidity", "%"),
        ("unit.pressure", "hPa"),
    ]
    assert user_properties(client.wait("sensor/cpu")) == [DEVICE, ("unit", "°C")]
    assert user_properties(client.wait("sensor/bare")) == [DEVICE]
    for topic in ("status", "sensor/air/status", "output/pump", "stats"):
        assert not user_properties(client.wait(topic))


def test_a_channel_with_a_topic_of_its_own_has_a_unit(simulated, client):
    simulated(mqtt={"format": "value"}, sensors=[CHIP])
    assert user_properties(client.wait("sensor/air/pressure")) == [DEVICE, ("unit", "hPa")]
    assert user_properties(client.wait("sensor/air/humidity")) == [DEVICE, ("unit", "%")]


def test_counters_carry_their_units(simulated, client):
    rain = {"name": "rain", "chip": "gpiochip0", "line": 27, "count": True, "interval": "200ms"}
    simulated(inputs=[{**rain, "scale": 0.5, "unit": "mm"}])
    message = client.wait("input/rain", match=lambda m: "rate" in m.json)
    assert user_properties(message)[:2] == [DEVICE, ("unit.total", "mm")], message


@pytest.mark.parametrize(
    "mqtt", [{"user_properties": False}, {"protocol": 4}], ids=["not wanted", "MQTT 3.1.1"]
)
def test_user_properties_can_be_left_out(iotd, client, value_file, mqtt):
    iotd(mqtt=mqtt, sensors=[file_sensor(value_file, unit="°C")])
    assert not user_properties(client.wait("sensor/air"))


def test_user_properties_follow_a_reload(iotd, broker, client, value_file):
    one = iotd(sensors=[file_sensor(value_file, unit="°C")])
    assert user_properties(client.wait("sensor/air")) == [DEVICE, ("unit", "°C")]
    sensors = [file_sensor(value_file, unit="K"), file_sensor(value_file, "more", unit="V")]
    one.config.write_text(configuration(broker.url, sensors=sensors), encoding="utf-8")
    one.supervisor.wait("READY", "1")
    mark, events = client.mark(), one.supervisor.events.mark()
    one.signal(signal.SIGHUP)
    one.supervisor.wait("READY", "1", since=events)
    client.wait("sensor/air", match=lambda m: ("unit", "K") in user_properties(m), since=mark)
    client.wait("sensor/more", match=lambda m: ("unit", "V") in user_properties(m), since=mark)


# --- replies --------------------------------------------------------------------------------------


def test_replies_say_that_they_are_json(iotd, client):
    iotd()
    client.settle()
    told = client.wait("reply").properties
    assert told.ContentType == "application/json" and told.PayloadFormatIndicator == 1
    wish = properties(ResponseTopic="answers", CorrelationData=b"\x01")
    client.publish("command", {"command": "ping"}, properties=wish)
    told = client.wait(match=lambda m: m.topic == "answers").properties
    assert told.ContentType == "application/json" and told.CorrelationData == b"\x01"


# --- what the broker tells ------------------------------------------------------------------------


@pytest.fixture
def meet(peers, start_iotd):
    """Start an iotd in front of a server that behaves as behave(session) says: (iotd, server)."""

    def start(behave, mqtt=None, **sections):
        peer = peers(behave)
        return start_iotd(configuration(peer.url, mqtt=mqtt, **sections), env=BEAT), peer

    return start


def read_connect(body):
    """What a CONNECT of MQTT 5 says: (flags, keepalive, identifiers of its properties)."""
    assert body[:7] == b"\0\4MQTT\5"
    sizes = {0x11: 4, 0x21: 2, 0x22: 2, 0x27: 4, 0x19: 1, 0x17: 1}
    left, found = body[11 : 11 + body[10]], []
    while left:
        found.append(left[0])
        left = left[1 + sizes[left[0]] :]
    return body[7], struct.unpack(">H", body[8:10])[0], found


def test_session_is_clean_and_ends_with_the_connection(meet):
    connects = History("CONNECTs")

    def behave(session):
        connects.add(session.read())
        session.connack()
        session.serve()

    meet(behave)
    flags, keepalive, told = read_connect(connects.wait(lambda _: True).body)
    assert flags & 2, "clean start"
    assert 0x11 not in told, "no session expiry interval: it ends at once"
    assert keepalive == 30


def test_keepalive_of_the_server_is_kept(meet):
    pings = History("pings")

    def behave(session):
        session.greet(properties=of_type(0x13, struct.pack(">H", 1)))
        session.serve(also=lambda got, _: pings.add(got) if got.kind == PINGREQ else None)

    meet(behave, mqtt={"keepalive": "1h"}, stats={"interval": "1h"})
    pings.wait(lambda _: True, count=2)


def size_of(got):
    return 1 + len(encode_length(len(got.body))) + len(got.body)


def is_reading(got):
    return got.kind == PUBLISH and got.body.startswith(text("iotd/test/sensor/air"))


def test_maximum_packet_size_is_kept_to_the_byte(meet, value_file):
    """A reading goes without its user properties before it does not go at all."""
    wanted, seen = [], History("sizes of readings")

    def behave(session):
        limit = wanted[-1] if wanted else None
        session.greet(properties=packet_max(limit) if limit else b"")
        count = 0

        def look(got, _):
            nonlocal count
            if got.kind == PUBLISH and limit:
                assert size_of(got) <= limit
            if is_reading(got):
                seen.add((limit, size_of(got)))
                count += 1
                if count == 3:
                    raise EOFError

        session.serve(also=look)

    sensors = [file_sensor(value_file, unit="°C")]
    one, peer = meet(behave, sensors=sensors, stats={"interval": "1h"})
    whole = seen.wait(lambda s: s[0] is None)[1]
    extra = 1 + 4 + len("device" "test") + 1 + 4 + len("unit" "°C".encode())
    bare = whole - extra
    for limit, expected in ((whole, whole), (whole - 1, bare), (bare, bare)):
        wanted.append(limit)
        assert seen.wait(lambda s, limit=limit: s[0] == limit)[1] == expected
    assert not one.log.all(lambda line: "sensor/air" in line.text), "none was given up"
    wanted.append(bare - 1)
    line = one.log.wait(lambda line: "sensor/air" in line.text).text
    assert "too large" in line
    accepted = len(peer.accepted.all())
    one.supervisor.beats(10)
    assert len(peer.accepted.all()) == accepted, "nor does it break the connection"


@pytest.mark.parametrize(
    "code, told, words",
    [
        (0x87, reason_string("no such greenhouse"), 'not authorized (0x87): "no such greenhouse"'),
        (0x89, reason_string("naïve °C"), 'server busy (0x89): "naïve °C"'),
        (0x97, reason_string("x" * 1000), f'(0x97): "{"x" * 60}"'),
        (
            0x9D,
            server_reference("b.example:1884"),
            'server moved (0x9d); it names "b.example:1884" (see mqtt.broker)',
        ),
        (
            0x9C,
            server_reference("b") + reason_string("full"),
            'use another server (0x9c): "full"; it names "b" (see mqtt.broker)',
        ),
    ],
    ids=["reason", "UTF-8", "a long one", "server moved", "another server"],
)
@pytest.mark.parametrize("when", ["CONNACK", "DISCONNECT"])
def test_what_a_broker_says_beside_a_reason_is_in_the_log(meet, code, told, words, when):
    def behave(session):
        if when == "CONNACK":
            session.greet(code, told)
        else:
            session.greet()
            session.read()
            session.send(packet(DISCONNECT, bytes([code]) + encode_length(len(told)) + told))
            session.serve(puback=None, suback=None)  # until iotd closes: else it may see a reset

    one, peer = meet(behave)
    line = one.log.wait(lambda line: peer.url in line.text and "onnect" in line.text).text
    if "connected to" in line:
        line = one.log.wait(lambda line: "lost the connection" in line.text).text
    assert words in line, line


def test_refused_message_says_why(meet, value_file):
    told = reason_string("this hour's quota is used up")

    def behave(session):
        session.greet()

        def refuse(_got, mid):
            if mid:
                tail = b"\x97" + encode_length(len(told)) + told
                session.send(packet(PUBACK, struct.pack(">H", mid) + tail))

        session.serve(puback=None, also=refuse)

    one, _ = meet(behave, sensors=[file_sensor(value_file)])
    line = one.log.wait(lambda line: "does not take" in line.text).text
    assert "quota exceeded (0x97): \"this hour's quota is used up\"" in line, line


@pytest.mark.parametrize("late", [False, True], ids=["first", "after many others"])
def test_refused_subscription_says_why(meet, value_file, late):
    told = reason_string("read only")

    def behave(session):
        session.greet()
        asked, refused = [], 0

        def refuse(got, mid):
            nonlocal refused
            if got.kind == SUBSCRIBE:
                asked.append(got.mid)
            elif mid:
                refused += 1
                tail = b"\x97" + encode_length(len(told)) + told
                session.send(packet(PUBACK, struct.pack(">H", mid) + tail))
            while asked and (refused > 10 or not late):
                tail = encode_length(len(told)) + told + b"\x87"
                session.send(packet(SUBACK, struct.pack(">H", asked.pop(0)) + tail))

        session.serve(puback=None, suback=None, also=refuse)

    one, _ = meet(behave, sensors=[file_sensor(value_file)])
    lines = one.log.wait(lambda line: "refuses the subscription" in line.text, count=2)
    assert all('not authorized (0x87): "read only"' in line.text for line in lines), lines


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"\x20\x02\x00\x01", "does not speak this version (see mqtt.protocol)"),
        (b"", "does it speak MQTT 5? (see mqtt.protocol)"),
    ],
    ids=["says so as MQTT 3.1.1 does", "hangs up"],
)
def test_broker_that_speaks_mqtt_3_1_1_only_is_told(meet, answer, words):
    def behave(session):
        session.read()
        session.send(answer)

    one, peer = meet(behave)
    line = one.log.wait(lambda line: "cannot connect" in line.text).text
    assert peer.url in line and words in line, line
