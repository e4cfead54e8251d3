# SPDX-License-Identifier: LGPL-2.1-or-later
"""mqtt.compat = "mqtt-io": what its users' automations hear and say, on a real broker."""

import signal
import time

import pytest

from iotd_broker import retained
from iotd_harness import SLOW, configuration, output

MQTT = {"topic": "home", "client_id": "mqtt-io-c0ffee", "compat": "mqtt-io"}
BME = {
    "name": "bme",
    "driver": "bme280",
    "bus": "i2c-1",
    "interval": "100ms",
    "temperature": {"alias": "attic_temperature", "digits": 1},
    "humidity": {"alias": "attic_humidity"},
}
PUMP = output("pump", 22, module="rpi")
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17, "module": "rpi"}


@pytest.fixture
def listener(broker, clients):
    return clients(broker.port, prefix="home")


@pytest.fixture
def compat(simulated, listener):
    """Start iotd with mqtt-io's topics, and wait until it listens."""

    def start(mqtt=None, **more):
        daemon = simulated(mqtt={**MQTT, **(mqtt or {})}, **more)
        listener.wait("status", "running")
        return daemon

    return start


def words(listener, topic, since=0):
    return [message.text for message in listener.all(topic, since=since)]


def test_status_says_running_and_stopped(compat, broker, listener):
    daemon = compat()
    assert retained(broker.port, "home")["status"].text == "running"
    assert daemon.stop()[0] == 0
    assert listener.wait("status", "stopped").retain
    assert words(listener, "status") == ["running", "stopped"]


def test_killed_daemon_is_dead(compat, broker, listener):
    compat().kill()
    listener.wait("status", "dead")
    assert retained(broker.port, "home")["status"].text == "dead"


def test_a_channel_is_a_sensor_input_with_a_bare_number(compat, listener):
    compat(sensors=[BME])
    text = listener.wait("sensor/attic_temperature").text
    assert text == f"{float(text):.1f}" and 0 < float(text) < 50
    text = listener.wait("sensor/attic_humidity").text
    assert text == f"{float(text):.2f}" and 0 < float(text) < 100
    listener.wait("sensor/attic_temperature", count=3)
    listener.wait("sensor/bme/status", "online")
    topics = {m.topic for m in listener.all(match=lambda m: m.topic.startswith("home/sensor/"))}
    assert topics == {
        "home/sensor/attic_temperature",
        "home/sensor/attic_humidity",
        "home/sensor/bme/status",
    }


def test_without_aliases_the_sensors_name_is_used(compat, listener):
    plain = {key: value for key, value in BME.items() if not isinstance(value, dict)}
    compat(sensors=[plain, {**plain, "name": "hall", "driver": "lm75", "address": 0x48}])
    for topic in ("bme_temperature", "bme_humidity", "bme_pressure", "hall"):
        assert float(listener.wait(f"sensor/{topic}").text) > 0


def test_an_input_says_on_and_off(compat, broker, listener):
    compat(inputs=[DOOR])
    listener.wait("input/door", "ON")
    listener.wait("input/door", "OFF")
    assert set(words(listener, "input/door")) == {"ON", "OFF"}
    assert retained(broker.port, "home")["input/door"].text in ("ON", "OFF")


def test_a_counter_is_a_sensor(compat, listener):
    rain = {**DOOR, "name": "rain", "count": True, "edge": "rising", "interval": "1s"}
    compat(inputs=[rain])
    match = lambda message: float(message.text) > 0  # noqa: E731
    listener.wait("sensor/rain", match=match, timeout=15 * SLOW)
    listener.wait("sensor/rain_total", match=match, timeout=15 * SLOW)
    assert not listener.all("input/rain")


def test_an_output_obeys_on_and_off(compat, listener):
    compat(outputs=[PUMP])
    listener.wait("output/pump", "OFF")
    listener.publish("output/pump/set", "ON")
    listener.wait("output/pump", "ON")
    mark = listener.mark()
    listener.publish("output/pump/set", "OFF")
    listener.wait("output/pump", "OFF", since=mark)


def test_an_output_goes_on_and_back_after_milliseconds(compat, listener):
    compat(outputs=[PUMP])
    listener.wait("output/pump", "OFF")
    mark, asked = listener.mark(), time.monotonic()
    listener.publish("output/pump/set_on_ms", "200")
    listener.wait("output/pump", "ON", since=mark)
    off = listener.wait("output/pump", "OFF", since=mark)
    assert off.at - asked > 0.2


def test_an_output_goes_off_and_back_after_milliseconds(compat, listener):
    compat(outputs=[{**PUMP, "initial": "on"}])
    listener.wait("output/pump", "ON")
    mark = listener.mark()
    listener.publish("output/pump/set_off_ms", "200")
    listener.wait("output/pump", "OFF", since=mark)
    listener.wait("output/pump", "ON", since=mark)


def test_milliseconds_that_are_none_change_nothing(compat, listener):
    daemon = compat(outputs=[PUMP])
    listener.wait("output/pump", "OFF")
    listener.publish("output/pump/set_on_ms", "soon")
    daemon.log.wait(lambda line: "a number of milliseconds" in line.text)
    listener.publish("output/pump/set", "ON")
    listener.wait("output/pump", "ON")
    assert words(listener, "output/pump") == ["OFF", "ON"]


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_retained_command_is_not_obeyed(compat, listener, protocol):
    listener.publish("output/pump/set_on_ms", "60000", retain=True)
    listener.wait("output/pump/set_on_ms")
    compat(outputs=[PUMP], mqtt={"protocol": protocol})
    listener.wait("output/pump", "OFF")
    listener.publish("output/pump/set", "OFF")
    listener.publish("command", {"command": "ping"})
    listener.wait("reply")
    assert set(words(listener, "output/pump")) == {"OFF"}


def test_a_reload_takes_it_up_and_gives_it_up(simulated, broker, listener):
    plain = {"topic": "home", "client_id": "mqtt-io-c0ffee"}
    daemon = simulated(mqtt=plain, outputs=[PUMP], sensors=[BME])
    listener.wait("status", "online")

    def take_up(mqtt):
        mark = listener.mark()
        daemon.config.write_text(
            configuration(broker.url, mqtt=mqtt, outputs=[PUMP], sensors=[BME]), encoding="utf-8"
        )
        daemon.signal(signal.SIGHUP)
        return mark

    mark = take_up(MQTT)
    listener.wait("status", "running", since=mark)
    listener.wait("output/pump", "OFF", since=mark)
    listener.wait("sensor/attic_temperature", since=mark)
    mark = take_up(plain)
    listener.wait("status", "online", since=mark)
    listener.wait("output/pump", match=lambda m: '"state":"off"' in m.text, since=mark)
    listener.wait("sensor/bme", since=mark)


def test_the_readings_of_a_counter_go_with_it(compat, broker, listener):
    rain = {**DOOR, "name": "rain", "count": True, "edge": "rising", "interval": "1s"}
    daemon = compat(inputs=[rain])
    listener.wait("sensor/rain_total")
    daemon.config.write_text(configuration(broker.url, mqtt=MQTT), encoding="utf-8")
    daemon.signal(signal.SIGHUP)
    listener.wait("sensor/rain", "")
    listener.wait("sensor/rain_total", "")
    assert not [topic for topic in retained(broker.port, "home") if "rain" in topic]


def test_a_retained_reading_goes_with_its_alias(compat, broker, listener):
    daemon = compat(sensors=[{**BME, "retain": True}])
    listener.wait("sensor/attic_temperature")
    renamed = {**BME, "retain": True, "temperature": {"alias": "loft"}}
    daemon.config.write_text(
        configuration(broker.url, mqtt=MQTT, sensors=[renamed]), encoding="utf-8"
    )
    daemon.signal(signal.SIGHUP)
    listener.wait("sensor/loft")
    listener.wait("sensor/attic_temperature", "")
    left = retained(broker.port, "home")
    assert "sensor/attic_temperature" not in left and "sensor/loft" in left
