# SPDX-License-Identifier: LGPL-2.1-or-later
"""What appears on the broker while all is well (SPEC 2 and 3)."""

import os
import re
import socket
import subprocess
import time

import pytest

from iotd_broker import assert_turns_each_second, retained
from iotd_harness import SLOW, TIME, configuration, file_sensor, output

CHIP = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}


@pytest.mark.any_broker(protocol=5)
def test_status_is_online_and_retained(iotd, broker, client):
    iotd()
    assert client.wait("status", "online").retain
    assert retained(broker.port, wanted=["status"])["status"].text == "online"


@pytest.mark.any_broker(protocol=5)
def test_killed_daemon_leaves_its_will(iotd, broker, client):
    daemon = iotd()
    client.wait("status", "online")
    daemon.kill()
    assert client.wait("status", "offline").retain
    assert retained(broker.port, wanted=["status"])["status"].text == "offline"


@pytest.mark.parametrize(
    "settings, why",
    [
        ("retain_available false\n", "retain not supported (0x9a)"),
        ("max_qos 0\n", "QoS not supported (0x9b)"),
        ("retain_available false\nmax_qos 0\n", "not supported (0x9"),
    ],
    ids=["no retained messages", "QoS 0", "neither"],
)
def test_broker_that_cannot_take_the_will_gets_another(
    brokers, clients, start_iotd, value_file, settings, why
):
    broker = brokers("allow_anonymous true\n" + settings)
    client = clients(broker.port, qos=0)
    daemon = start_iotd(configuration(broker.url, sensors=[file_sensor(value_file)]))
    client.wait("status", "online")
    client.wait("sensor/air", count=3)
    daemon.log.wait(lambda line: "connected to" in line.text)  # behind all that was refused
    told = [line.text for line in daemon.log.all() if "refuses us" in line.text]
    assert len(told) == 1 and why in told[0] and "the next try is with a will" in told[0], told
    daemon.kill()
    client.wait("status", "offline")


@pytest.mark.any_broker
def test_stopped_daemon_says_offline_itself(iotd, broker, client):
    daemon = iotd()
    client.wait("status", "online")
    assert daemon.stop()[0] == 0
    client.wait("status", "offline")
    assert retained(broker.port, wanted=["status"])["status"].text == "offline"
    assert [m.text for m in client.all("status")] == ["online", "offline"]


@pytest.mark.any_broker
def test_reading_is_exactly_the_documented_json(iotd, client, value_file):
    begin = time.time()
    iotd(sensors=[file_sensor(value_file, channel="temperature")])
    message = client.wait("sensor/air")
    assert re.fullmatch(rf'{{"time":"{TIME}","temperature":21\.37}}', message.text), message
    assert begin - 0.001 <= message.time <= time.time(), "it has whole milliseconds"
    assert not message.retain and message.qos == 1


@pytest.mark.parametrize(
    "text, number", [("42\n", 42), ("-3.5", -3.5), ("0", 0), ("  7\n", 7), ("1e3", 1000)]
)
def test_reading_carries_the_number(iotd, client, value_file, text, number):
    value_file.write_text(text, encoding="ascii")
    iotd(sensors=[file_sensor(value_file)])
    assert client.wait("sensor/air").json["value"] == number


def test_sensor_status_is_online_and_retained(iotd, broker, client, value_file):
    iotd(sensors=[file_sensor(value_file)])
    assert client.wait("sensor/air/status", "online").retain
    client.wait("sensor/air", count=3)
    assert len(client.all("sensor/air/status")) == 1, "told once, not with every reading"
    assert retained(broker.port)["sensor/air/status"].text == "online"


@pytest.mark.slow
def test_readings_keep_their_interval(iotd, client, value_file):
    iotd(sensors=[file_sensor(value_file)])
    times = [m.time for m in client.wait("sensor/air", count=20)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(abs(gap - 0.1) < 0.03 * SLOW for gap in gaps), gaps
    assert abs(times[-1] - times[0] - 1.9) < 0.01 * SLOW


@pytest.mark.parametrize(
    "driver, channels",
    [("bme280", ["temperature", "humidity", "pressure"]), ("bmp280", ["temperature", "pressure"])],
)
def test_simulated_chip_is_plausible(simulated, client, driver, channels):
    simulated(sensors=[{**CHIP, "driver": driver}])
    readings = [m.json for m in client.wait("sensor/air", count=5)]
    limits = {"temperature": (0, 50, 1), "humidity": (0, 100, 3), "pressure": (900, 1100, 3)}
    for reading in readings:
        assert list(reading) == ["time", *channels]
    for channel in channels:
        low, high, step = limits[channel]
        values = [reading[channel] for reading in readings]
        assert all(low < value < high for value in values), (channel, values)
        assert max(values) - min(values) < step, (channel, values)


def test_simulated_chip_changes_slowly(simulated, client):
    def weather(message):  # each rests for seconds where its wave turns, but they turn apart
        return [message.json[key] for key in ("temperature", "humidity", "pressure")]

    simulated(sensors=[CHIP])
    first = weather(client.wait("sensor/air"))
    client.wait("sensor/air", match=lambda m: weather(m) != first)


def test_simulated_input_changes_once_a_second(simulated, client):
    simulated(inputs=[DOOR])
    messages = client.wait("input/door", count=5, timeout=12 * SLOW)
    assert {m.json["state"] for m in messages} == {"on", "off"}
    assert_turns_each_second([(m.json["state"] == "on", m.time) for m in messages[1:]])


@pytest.mark.any_broker(protocol=5)
def test_states_are_exact_and_retained(simulated, broker, client):
    simulated(inputs=[DOOR], outputs=[output("pump", 22)])
    for topic in ("input/door", "output/pump"):
        message = client.wait(topic)
        assert re.fullmatch(rf'{{"time":"{TIME}","state":"(on|off)"}}', message.text), message
        assert message.retain
    held = retained(broker.port, wanted=["input/door", "output/pump"])
    assert held["output/pump"].json["state"] == "off"
    assert held["input/door"].json["state"] in ("on", "off")


def test_format_value_has_a_topic_a_channel(simulated, broker, client, value_file):
    simulated(
        mqtt={"format": "value"},
        sensors=[
            CHIP,
            file_sensor(value_file, "cpu", channel="temperature"),
            file_sensor(value_file, "own", topic="attic/own", retain=True),
        ],
        inputs=[DOOR],
        outputs=[output("pump", 22)],
    )
    for channel in ("temperature", "humidity", "pressure"):
        reading = client.wait(f"sensor/air/{channel}")
        assert re.fullmatch(r"-?\d+(\.\d+)?", reading.text) and not reading.retain
    assert client.wait("sensor/cpu/temperature").text == "21.37"
    assert client.wait("sensor/air/status").text == "online"
    assert client.wait("output/pump", "off").retain
    client.publish("output/pump/set", "on")
    client.wait("output/pump", "on")
    assert client.wait("input/door").text in ("on", "off")
    reading = client.result("read", name="cpu")
    assert reading["temperature"] == 21.37, "replies are the same in every format"
    assert "readings" in client.wait("stats").json
    client.wait(match=lambda m: m.topic == "attic/own/value")
    assert not client.all("sensor/air") and not client.all("sensor/cpu")
    assert retained(broker.port, prefix="attic")["own/value"].text == "21.37"


def test_stats_are_retained_counters(iotd, broker, client, value_file):
    iotd(sensors=[file_sensor(value_file)])
    first, second = client.wait("stats", count=2)
    assert first.retain and isinstance(first.json, dict)
    numbers = {k: v for k, v in second.json.items() if isinstance(v, (int, float))}
    assert numbers, second
    assert all(second.json[key] >= 0 for key in numbers)
    assert any(second.json[k] > first.json[k] for k in numbers if k in first.json), "they count"
    assert "stats" in retained(broker.port)


@pytest.mark.parametrize("protocol, word", [(4, "p2"), (5, "p5")])
def test_protocol_versions(simulated, broker, client, protocol, word):
    simulated(mqtt={"protocol": protocol}, sensors=[CHIP], outputs=[output("pump", 22)])
    assert f"({word}, " in broker.connection("iotd-test")
    client.wait("sensor/air")
    client.publish("output/pump/set", "on")
    client.state("pump", "on")
    assert client.result("ping")["version"]


def test_protocol_5_is_the_default(iotd, broker):
    iotd()
    assert "(p5, " in broker.connection("iotd-test")


def test_retain_and_qos_of_mqtt_are_the_default_of_sensors(iotd, broker, client, value_file):
    sensors = [
        file_sensor(value_file, "plain"),
        file_sensor(value_file, "other", qos=0, retain=False),
    ]
    iotd(mqtt={"retain": True, "qos": 2}, sensors=sensors)
    plain, other = client.wait("sensor/plain"), client.wait("sensor/other")
    assert (plain.qos, plain.retain, other.qos, other.retain) == (2, True, 0, False)
    held = retained(broker.port)
    assert "sensor/plain" in held and "sensor/other" not in held


@pytest.mark.any_broker(protocol=5)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_qos_delivers_each_reading_once(iotd, client, value_file, qos):
    more = {"qos": qos, "retain": True, "interval": "1d"}  # one reading of each
    iotd(sensors=[file_sensor(value_file, f"s{number}", **more) for number in range(10)])
    client.wait("sensor/+", count=10)
    client.settle()
    messages = client.all("sensor/+")
    assert {(m.qos, m.retain) for m in messages} == {(qos, True)}
    assert len(messages) == len({m.topic for m in messages}) == 10


def test_sensor_topic_of_its_own(iotd, client, value_file):
    iotd(sensors=[file_sensor(value_file, topic="attic/warmth")])
    client.wait(match=lambda m: m.topic in ("attic/warmth", "iotd/test/attic/warmth"))
    assert not client.all("sensor/air")


def test_disabled_sensor_is_silent(iotd, client, value_file):
    iotd(sensors=[file_sensor(value_file, "off", enabled=False), file_sensor(value_file, "on")])
    client.wait("sensor/on", count=3)
    assert not client.all("sensor/off/#")


def test_topic_and_client_id_come_from_the_device(iotd, broker, clients):
    client = clients(broker.port, prefix="iotd/shed-2")
    iotd(device="shed-2")
    client.wait("status", "online")
    broker.connection("iotd-shed-2")


def test_device_defaults_to_the_name_of_the_host(iotd, broker, clients):
    host = socket.gethostname().split(".")[0]
    client = clients(broker.port, prefix="#")
    iotd(device=None)
    message = client.wait(match=lambda m: m.topic.endswith("/status") and m.text == "online")
    assert message.topic.split("/")[1].split(".")[0] == host


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a host name of its own")
@pytest.mark.parametrize("name, device", [("attic.example", "attic.example"), ("a+b#/c d", "a-b--c-d")])
def test_host_name_as_far_as_a_topic_can_hold_it(iotd, broker, clients, name, device):
    client = clients(broker.port, prefix="iotd")
    rename = 'echo "$1" > /proc/sys/kernel/hostname && shift && exec "$@"'
    iotd(device=None, prefix=["unshare", "--uts", "sh", "-c", rename, "sh", name])
    client.wait(f"{device}/status", "online")
    broker.connection(f"iotd-{device}")


def test_topic_and_client_id_can_be_named(iotd, broker, clients, value_file):
    client = clients(broker.port, prefix="home/attic")
    iotd(mqtt={"topic": "home/attic", "client_id": "me"}, sensors=[file_sensor(value_file)])
    client.wait("status", "online")
    client.wait("sensor/air")
    broker.connection("me")
    assert client.result("ping")["version"]
    assert all(m.topic.startswith("home/attic/") for m in client.all())


def test_keepalive_is_told_to_the_broker(iotd, broker):
    iotd(mqtt={"keepalive": "7s"})
    assert ", k7" in broker.connection("iotd-test")


def test_keepalive_is_kept_without_traffic(iotd, broker, client):
    iotd(mqtt={"keepalive": "10s"}, stats={"interval": "1h"})
    client.wait("status", "online")
    # The broker drops a silent client after 1.5 keepalives: 15 s. Nothing can be awaited here:
    # that nothing happens is the point. And on a busy machine a ping may be some seconds late.
    with pytest.raises(AssertionError):
        client.wait("status", "offline", timeout=17)
    client.settle()
    assert len(client.all("status", "online")) == 1


@pytest.fixture
def locked_broker(brokers, tmp_path):
    """A broker that wants greenhouse / secret."""
    path = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", path, "greenhouse", "secret"], check=True)
    return brokers(f"allow_anonymous false\npassword_file {path}\n")


@pytest.mark.parametrize("ending", ["", "\n"], ids=["bare", "with a line end"])
def test_password_from_a_file(locked_broker, clients, start_iotd, tmp_path, ending):
    client = clients(locked_broker.port, login=("greenhouse", "secret"))
    (tmp_path / "password").write_text("secret" + ending, encoding="ascii")
    access = {"username": "greenhouse", "password_file": str(tmp_path / "password")}
    start_iotd(configuration(locked_broker.url, mqtt=access))
    client.wait("status", "online")
    assert "u'greenhouse'" in locked_broker.connection("iotd-test")


def test_password_in_the_configuration(locked_broker, clients, start_iotd):
    client = clients(locked_broker.port, login=("greenhouse", "secret"))
    access = {"username": "greenhouse", "password": "secret"}
    start_iotd(configuration(locked_broker.url, mqtt=access))
    client.wait("status", "online")


def test_password_from_the_systemd_credential(locked_broker, clients, start_iotd, tmp_path):
    client = clients(locked_broker.port, login=("greenhouse", "secret"))
    (tmp_path / "mqtt-password").write_text("secret", encoding="ascii")
    start_iotd(
        configuration(locked_broker.url, mqtt={"username": "greenhouse"}),
        env={"CREDENTIALS_DIRECTORY": str(tmp_path)},
    )
    client.wait("status", "online")


def test_wrong_password_is_told_once_and_tried_again(locked_broker, start_iotd):
    access = {"username": "greenhouse", "password": "hunter2"}
    daemon = start_iotd(configuration(locked_broker.url, mqtt=access))
    locked_broker.log.wait(lambda line: "not authori" in line.text, count=3)
    daemon.log.wait(lambda line: str(locked_broker.port) in line.text)
    told = daemon.log.all(lambda line: str(locked_broker.port) in line.text)
    assert len(told) == 1, daemon.text()
    assert "hunter2" not in daemon.text(), "a password is never logged"


def test_password_file_that_is_not_there_is_told(locked_broker, start_iotd):
    access = {"username": "greenhouse", "password_file": "/none/password"}
    daemon = start_iotd(configuration(locked_broker.url, mqtt=access))
    daemon.log.wait(lambda line: "/none/password" in line.text and "No such file" in line.text)


def test_unix_socket(brokers, clients, start_iotd, tmp_path):
    broker = brokers(f"allow_anonymous true\nlistener 0 {tmp_path}/mqtt\nallow_anonymous true\n")
    client = clients(broker.port)
    daemon = start_iotd(configuration(f"unix:{tmp_path}/mqtt"))
    client.wait("status", "online")
    daemon.supervisor.status(lambda text: f"connected to unix:{tmp_path}/mqtt" in text)


def test_brokers_are_tried_in_order(broker, client, proxies, start_iotd):
    dead, live, spare = proxies(1), proxies(broker.port), proxies(broker.port)
    dead.cut()
    daemon = start_iotd(configuration([dead.url, live.url, spare.url]))
    client.wait("status", "online")
    daemon.supervisor.status(lambda text: live.url in text)
    assert not spare.accepted.all()
