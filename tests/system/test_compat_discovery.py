# SPDX-License-Identifier: LGPL-2.1-or-later
"""mqtt.compat and discovery: entities of mqtt-io become iotd's, and keep their ids in Home Assistant."""

import json
import signal

import jinja2
import pytest

from iotd_broker import retained
from iotd_harness import SLOW, configuration, output
from iotd_homeassistant import PREFIX, HomeAssistant

CLIENT = "mqtt-io-c0ffee"
MQTT = {
    "topic": "home",
    "client_id": CLIENT,
    "compat": "mqtt-io",
    "discovery": {"enabled": True},
}
BME = {
    "name": "bme",
    "driver": "bme280",
    "bus": "i2c-1",
    "interval": "100ms",
    "temperature": {"alias": "attic_temperature", "digits": 1},
}
PUMP = output("pump", 22, module="rpi")
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17, "module": "rpi", "device_class": "door"}
RAIN = {"name": "rain", "chip": "gpiochip0", "line": 27, "module": "flow", "edge": "rising"}
RAIN = {**RAIN, "count": True, "interval": "1s"}
ALL = {"sensors": [BME], "inputs": [DOOR, RAIN], "outputs": [PUMP]}

# by mqtt-io's rules: the topic of each, and its unique_id
IDS = {
    f"sensor/{CLIENT}/attic_temperature": f"{CLIENT}_bme_sensor_attic_temperature",
    f"sensor/{CLIENT}/rain": f"{CLIENT}_flow_sensor_rain",
    f"sensor/{CLIENT}/rain_total": f"{CLIENT}_flow_sensor_rain_total",
    f"binary_sensor/{CLIENT}/door": f"{CLIENT}_rpi_input_door",
    f"switch/{CLIENT}/pump": f"{CLIENT}_rpi_output_pump",
}


@pytest.fixture
def listener(broker, clients):
    return clients(broker.port, prefix="home")


@pytest.fixture
def house(broker, clients):
    return clients(broker.port, prefix=PREFIX)


def told(house, of):
    return house.wait(f"{of}/config", match=lambda message: message.payload, timeout=15 * SLOW)


def entities(house):
    assistant = HomeAssistant()
    for message in house.all():
        assistant.receive(message.topic, message.payload)
    return assistant.entities


@pytest.mark.parametrize("style", ["device", "entity"])
def test_topics_and_ids_are_those_of_mqtt_io(simulated, house, style):
    mqtt = {**MQTT, "discovery": {"enabled": True, "style": style}}
    simulated(mqtt=mqtt, **ALL)
    for of, unique_id in IDS.items():
        message = told(house, of)
        assert message.retain and message.json["uniq_id"] == unique_id
        assert message.json["dev"]["ids"] == [CLIENT]
    ours = {name for name in entities(house) if "_sensor_" in name or "put_" in name}
    assert ours == set(IDS.values())


def test_entities_understand_what_is_published(simulated, house, listener):
    simulated(mqtt=MQTT, **ALL)
    for of in IDS:
        told(house, of)
    known = entities(house)
    for entity, words in (("rpi_input_door", "ON OFF"), ("rpi_output_pump", "OFF")):
        entity = known[f"{CLIENT}_{entity}"]
        topic = entity.config["state_topic"].removeprefix("home/")
        for word in words.split():
            assert entity.state(listener.wait(topic, word).payload) is (word == "ON")
    attic = known[f"{CLIENT}_bme_sensor_attic_temperature"]
    assert attic.config["state_topic"] == "home/sensor/attic_temperature"
    assert 0 < attic.state(listener.wait("sensor/attic_temperature").payload) < 50
    pump = known[f"{CLIENT}_rpi_output_pump"].config
    listener.publish(pump["command_topic"].removeprefix("home/"), pump["payload_on"])
    listener.wait("output/pump", "ON")


def test_availability_follows_running_stopped_and_dead(simulated, house):
    simulated(mqtt=MQTT, outputs=[PUMP])
    told(house, f"switch/{CLIENT}/pump")
    (one,) = entities(house)[f"{CLIENT}_rpi_output_pump"].config["availability"]
    assert one["topic"] == "home/status"
    template = jinja2.Environment().from_string(one["value_template"])
    assert [template.render({"value": word}) for word in ("running", "stopped", "dead")] == [
        "online",
        "offline",
        "offline",
    ]


def test_what_mqtt_io_told_is_replaced(simulated, broker, house):
    old = {"name": "pump", "unique_id": IDS[f"switch/{CLIENT}/pump"], "state_topic": "home/x"}
    house.publish(f"switch/{CLIENT}/pump/config", json.dumps(old), retain=True)
    house.wait(f"switch/{CLIENT}/pump/config")
    simulated(mqtt=MQTT, outputs=[PUMP])
    house.wait(f"switch/{CLIENT}/pump/config", match=lambda m: "uniq_id" in m.json)
    found = [topic for topic in retained(broker.port, PREFIX) if topic.startswith("switch/")]
    assert found == [f"switch/{CLIENT}/pump/config"]


def test_a_reload_removes_what_is_gone(simulated, broker, house):
    daemon = simulated(mqtt=MQTT, **ALL)
    for of in IDS:
        told(house, of)
    daemon.config.write_text(
        configuration(broker.url, mqtt=MQTT, outputs=[PUMP]), encoding="utf-8"
    )
    daemon.signal(signal.SIGHUP)
    for of in list(IDS)[:-1]:
        house.wait(f"{of}/config", "")
    assert f"switch/{CLIENT}/pump/config" in retained(broker.port, PREFIX)
