# SPDX-License-Identifier: LGPL-2.1-or-later
"""Home Assistant's MQTT discovery, read as Home Assistant reads it (iotd_homeassistant.py)."""

import re
import signal
import time

import pytest

from iotd_broker import retained
from iotd_harness import SLOW, configuration, file_sensor, output, replace_file, run_iotd
from iotd_homeassistant import PREFIX, HomeAssistant

STYLES = ["device", "entity"]
NODE = "iotd-test"
DEVICE = f"device/{NODE}/config"
STATS = {"stats": {"interval": "1s"}}
DOOR = {"name": "door", "chip": "gpiochip0", "line": 3, "device_class": "door"}
COUNTS = {"count": True, "interval": "1s", "scale": 0.25, "unit": "mm", "frequency": True}
BARE_RAIN = {"name": "rain", "chip": "gpiochip0", "line": 27}
RAIN = {**BARE_RAIN, **COUNTS, "device_class": "precipitation"}
FLOAT = {"name": "float", "chip": "gpiochip0", "line": 5, "on_time": True, "interval": "1s"}
PUMP = output("pump", 22, device_class="outlet")
AIR = {"name": "air", "driver": "bme280", "bus": "i2c-1", "interval": "200ms"}
LINES = {"inputs": [DOOR, RAIN, FLOAT], "outputs": [PUMP]}


def discovery(style="device", **more):
    return {"discovery": {"enabled": True, "style": style, **more.pop("discovery", {})}, **more}


def ids(*names):
    return {f"{NODE}.{name}" for name in names}


class House:
    """A Home Assistant beside the broker."""

    def __init__(self, client):
        self.client = client

    def knows(self, prefix=PREFIX, since=0):
        """All that it knows now: it was there from the start."""
        assistant = HomeAssistant(prefix)
        for message in self.client.messages.all(since=since):
            assistant.receive(message.topic, message.payload)
        return assistant

    def wait(self, holds, prefix=PREFIX, **more):
        """Until holds(ids of its entities), but those of diagnostics."""

        def check(message):
            return message.topic.endswith("/config") and holds(self.ids(prefix))

        self.client.messages.wait(check, hint="of discovery", **more)
        return self.knows(prefix)

    def wait_for(self, name, holds):
        """Until holds(configuration of the entity with this name)."""
        self.client.messages.wait(
            lambda _: holds(self.knows().entities[f"{NODE}.{name}"].config), hint=f"of {name}"
        )

    def ids(self, prefix=PREFIX):
        return {
            name
            for name, entity in self.knows(prefix).entities.items()
            if "entity_category" not in entity.config
        }

    def born(self, prefix=PREFIX):
        self.client.paho.publish(f"{prefix}/status", "online")


@pytest.fixture
def house(broker, clients):
    return House(clients(broker.port, prefix=PREFIX))


@pytest.fixture
def reload(broker):
    """Give a running iotd another configuration and wait until it is taken up."""

    def run(daemon, **sections):
        replace_file(daemon.config, configuration(broker.url, **{**STATS, **sections}))
        since = daemon.supervisor.events.mark()
        daemon.signal(signal.SIGHUP)
        daemon.supervisor.wait("READY", "1", since=since)

    return run


def latest(client):
    return {message.topic: message.payload for message in client.messages.all()}


def await_availability(client, entity):
    client.messages.wait(lambda _: entity.is_available(latest(client)), hint=f"of {entity.id}")


AIR_IDS = ids("sensor_air_temperature", "sensor_air_humidity", "sensor_air_pressure")
LINE_IDS = ids(
    "binary_sensor_door",
    "sensor_rain_total",
    "sensor_rain_rate",
    "sensor_rain_frequency",
    "binary_sensor_float",
    "sensor_float_total",
    "sensor_float_since_start",
    "switch_pump",
)


@pytest.mark.parametrize("form", ["json", "value"])
@pytest.mark.parametrize("style", STYLES)
def test_every_entity_is_known_and_has_a_value(simulated, house, client, style, form):
    simulated(sensors=[AIR], **LINES, **STATS, mqtt=discovery(style, format=form))
    assistant = house.wait(lambda found: found == AIR_IDS | LINE_IDS)
    assert list(assistant.devices) == [NODE]
    assert assistant.devices[NODE]["name"] == "test" and assistant.devices[NODE]["sw_version"]
    assert f"{NODE}.stats_uptime" in assistant.entities
    for entity in assistant.entities.values():
        topic = entity.config["state_topic"]
        message = client.messages.wait(
            lambda m, topic=topic, entity=entity: m.topic == topic
            and entity.state(m.payload) is not None,
            hint=f"on {topic}",
        )
        assert isinstance(entity.state(message.payload), (float, bool))
        await_availability(client, entity)


def test_the_classes_are_those_of_the_settings_and_units(simulated, house):
    air = {**AIR, "humidity": {"device_class": "moisture"}, "pressure": {"digits": 0}}
    simulated(sensors=[air], **LINES, mqtt=discovery())
    found = house.wait(lambda known: known == AIR_IDS | LINE_IDS).entities
    configs = {name.removeprefix(f"{NODE}."): entity.config for name, entity in found.items()}
    classes = {name: config.get("device_class") for name, config in configs.items()}
    assert classes["sensor_air_temperature"] == "temperature"
    assert classes["sensor_air_humidity"] == "moisture"
    assert classes["sensor_air_pressure"] == "atmospheric_pressure"
    assert classes["sensor_rain_total"] == "precipitation"
    assert classes["binary_sensor_door"] == "door" and classes["switch_pump"] == "outlet"
    assert configs["sensor_rain_total"]["state_class"] == "total_increasing"
    assert configs["sensor_air_pressure"]["suggested_display_precision"] == 0


def test_every_emulated_chip_is_what_home_assistant_takes(simulated, house):
    row = r'\t\{ name = "([^"]+)"; driver = "([^"]+)"; bus = "(i2c-\d+)"; address = (0x..); \}'
    chips = re.findall(row, run_iotd("--simulate", "--scan").stdout)
    sensors = [
        {"name": name, "driver": driver, "bus": bus, "address": int(address, 0), "interval": "1s"}
        for name, driver, bus, address in chips
    ]
    assert len(sensors) > 10
    simulated(sensors=sensors, mqtt=discovery())
    names = [name.replace("-", "--").replace("_", "-_") for name, *_ in chips]
    house.wait(
        lambda found: all(
            any(one.startswith(f"{NODE}.sensor_{name}_") for one in found) for name in names
        )
    )


def test_a_switch_takes_what_home_assistant_sends(simulated, house, client):
    simulated(outputs=[PUMP], mqtt=discovery())
    switch = house.wait(lambda found: found == ids("switch_pump")).entities[f"{NODE}.switch_pump"]
    for on in (True, False):
        since = client.mark()
        payload = switch.config["payload_on" if on else "payload_off"]
        client.paho.publish(switch.config["command_topic"], payload)
        client.messages.wait(
            lambda m, on=on: m.topic == switch.config["state_topic"]
            and switch.state(m.payload) is on,
            since=since,
            hint="of the switch",
        )


def test_outputs_without_commands_are_only_shown(simulated, house):
    simulated(outputs=[PUMP], commands={"allow": ["ping"]}, mqtt=discovery())
    house.wait(lambda found: found == ids("binary_sensor_pump"))


# --- when it is told ---------------------------------------------------------------------------


def topics(style):
    """Of one message, and what tells that all was told: the last one of a start."""
    return DEVICE if style == "device" else f"sensor/{NODE}/sensor_air_value/config"


@pytest.mark.parametrize("style", STYLES)
def test_a_birth_is_answered_after_a_while(iotd, house, client, value_file, style):
    iotd(sensors=[file_sensor(value_file)], mqtt=discovery(style))
    house.wait(lambda found: found == ids("sensor_air_value"))
    client.settle()
    since, asked = house.client.mark(), time.monotonic()
    house.born()
    answer = house.client.wait(topics(style), since=since)
    assert answer.at - asked > 1
    assert answer.payload and f"{NODE}.stats_uptime" in house.knows(since=since).entities


@pytest.mark.parametrize("style", STYLES)
def test_each_connection_is_told_again(iotd, house, link, value_file, style):
    iotd(link.url, sensors=[file_sensor(value_file)], mqtt=discovery(style))
    house.wait(lambda found: found == ids("sensor_air_value"))
    since = house.client.mark()
    link.cut()
    link.forward()
    assert house.client.wait(topics(style), since=since).payload


@pytest.mark.parametrize("style", STYLES)
def test_what_is_told_is_retained(iotd, house, broker, value_file, style):
    iotd(sensors=[file_sensor(value_file)], mqtt=discovery(style))
    house.wait(lambda found: found == ids("sensor_air_value"))
    assert topics(style) in retained(broker.port, prefix=PREFIX)


def fill(folder, *names):
    """A chip with these files, there when it has its name."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("42500\n", encoding="ascii")
    replace_file(folder / "name", "nct6775\n")


def test_channels_are_told_when_they_are_known_and_when_they_change(iotd, house, tmp_path):
    fan = tmp_path / "sys/class/hwmon/hwmon0"
    iotd(
        sensors=[{"name": "fan", "driver": "hwmon", "device": "nct6775", "interval": "100ms"}],
        mqtt=discovery(),
        env={"IOTD_SYSFS": str(tmp_path / "sys")},
    )
    house.client.wait(DEVICE)
    assert house.ids() == set()
    fill(fan, "temp1_input", "fan2_input")
    first = ids("sensor_fan_temp1", "sensor_fan_fan2")
    second = ids("sensor_fan_temp1", "sensor_fan_temp3")
    house.wait(lambda found: found == first, timeout=40 * SLOW)
    fan.rename(tmp_path / "gone")
    fill(fan, "temp1_input", "temp3_input")
    (tmp_path / "gone/temp1_input").write_text("no number\n", encoding="ascii")
    house.wait(lambda found: found == second, timeout=40 * SLOW)


def test_a_slower_sensor_expires_later(iotd, house, client, value_file):
    iotd(sensors=[file_sensor(value_file)], mqtt=discovery())
    entity = house.wait(lambda found: found == ids("sensor_air_value")).entities
    assert entity[f"{NODE}.sensor_air_value"].config["expire_after"] == 60
    client.result("interval", name="air", interval="100s")
    house.wait_for("sensor_air_value", lambda config: config["expire_after"] == 300)


# --- what stays and what goes ------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_unique_ids_come_from_names_alone(iotd, house, value_file, style):
    air, attic = file_sensor(value_file), file_sensor(value_file, "attic-2")
    wanted = ids("sensor_air_value", "sensor_attic--2_value")
    first = iotd(sensors=[air, attic], mqtt=discovery(style))
    house.wait(lambda found: found == wanted)
    first.stop()
    since = house.client.mark()
    iotd(sensors=[attic, air], mqtt=discovery(style, client_id="another"))
    house.client.wait(topics(style), since=since)
    house.wait(lambda found: found == wanted)


@pytest.mark.parametrize("style", STYLES)
def test_a_reload_removes_and_adds(simulated, house, reload, style):
    mqtt = discovery(style)
    daemon = simulated(sensors=[AIR], **LINES, **STATS, mqtt=mqtt)
    house.wait(lambda found: found == AIR_IDS | LINE_IDS)
    chip = {**AIR, "driver": "bmp280"}  # has no humidity
    light = {"name": "light", "driver": "bh1750", "bus": "i2c-1", "interval": "200ms"}
    rain, valve = {**BARE_RAIN, "device_class": "moisture"}, output("valve", 9)
    reload(daemon, sensors=[chip, light], inputs=[rain], outputs=[valve], mqtt=mqtt)
    house.wait(
        lambda found: found
        == ids(
            "sensor_air_temperature",
            "sensor_air_pressure",
            "sensor_light_illuminance",
            "binary_sensor_rain",
            "switch_valve",
        )
    )


@pytest.mark.parametrize("style", STYLES)
def test_what_is_disabled_is_removed_and_comes_back(iotd, house, reload, value_file, style):
    mqtt, air, attic = discovery(style), file_sensor(value_file), file_sensor(value_file, "attic")
    daemon = iotd(sensors=[air, attic], mqtt=mqtt)
    house.wait(lambda found: found == ids("sensor_air_value", "sensor_attic_value"))
    reload(daemon, sensors=[{**air, "enabled": False}, attic], mqtt=mqtt)
    house.wait(lambda found: found == ids("sensor_attic_value"))
    reload(daemon, sensors=[air, attic], mqtt=mqtt)
    house.wait(lambda found: found == ids("sensor_air_value", "sensor_attic_value"))


@pytest.mark.parametrize("style", STYLES)
def test_turned_off_by_a_reload_all_is_gone(iotd, house, reload, broker, value_file, style):
    air = file_sensor(value_file)
    daemon = iotd(sensors=[air], mqtt=discovery(style))
    house.wait(lambda found: found == ids("sensor_air_value"))
    reload(daemon, sensors=[air])
    house.client.messages.wait(lambda _: not house.knows().entities, hint="of discovery")
    assert retained(broker.port, prefix=PREFIX) == {}
    reload(daemon, sensors=[air], mqtt=discovery(style))
    house.wait(lambda found: found == ids("sensor_air_value"))


@pytest.mark.parametrize("before, after", [STYLES, STYLES[::-1]])
def test_a_style_takes_the_place_of_another(iotd, house, reload, broker, value_file, before, after):
    air, attic = file_sensor(value_file), file_sensor(value_file, "attic")
    daemon = iotd(sensors=[air, attic], mqtt=discovery(before))
    house.wait(lambda found: found == ids("sensor_air_value", "sensor_attic_value"))
    since = house.client.mark()
    reload(daemon, sensors=[air], mqtt=discovery(after))
    house.client.wait(topics(after), match=lambda m: m.payload, since=since)
    house.wait(lambda found: found == ids("sensor_air_value"))
    assert (DEVICE in retained(broker.port, prefix=PREFIX)) == (after == "device")
    assert (topics("entity") in retained(broker.port, prefix=PREFIX)) == (after == "entity")


@pytest.mark.parametrize("style", STYLES)
def test_another_prefix_leaves_nothing_behind(iotd, house, reload, broker, value_file, style):
    air = file_sensor(value_file)
    daemon = iotd(sensors=[air], mqtt=discovery(style))
    house.wait(lambda found: found == ids("sensor_air_value"))
    reload(daemon, sensors=[air], mqtt=discovery(style, discovery={"prefix": "ha/2"}))
    house.wait(lambda found: found == ids("sensor_air_value"), prefix="ha/2")
    assert retained(broker.port, prefix=PREFIX) == {}
    since = house.client.mark()
    house.born("ha/2")
    house.client.messages.wait(
        lambda m: m.topic == f"ha/2/{topics(style)}", since=since, hint="after a birth"
    )


@pytest.mark.parametrize("style", STYLES)
def test_another_device_name_leaves_nothing_behind(iotd, house, reload, broker, value_file, style):
    air, mqtt = file_sensor(value_file), discovery(style, topic="iotd/test", client_id="same")
    daemon = iotd(sensors=[air], mqtt=mqtt)
    house.wait(lambda found: found == ids("sensor_air_value"))
    reload(daemon, device="other", sensors=[air], mqtt=mqtt)
    house.wait(lambda found: found == {"iotd-other.sensor_air_value"})
    assert not [topic for topic in retained(broker.port, prefix=PREFIX) if f"/{NODE}/" in topic]


@pytest.mark.parametrize("style", STYLES)
def test_a_switch_whose_command_is_forbidden_becomes_a_binary_sensor(
    simulated, house, reload, style
):
    mqtt = discovery(style)
    daemon = simulated(outputs=[PUMP], mqtt=mqtt)
    house.wait(lambda found: found == ids("switch_pump"))
    reload(daemon, outputs=[PUMP], commands={"allow": ["ping"]}, mqtt=mqtt)
    house.wait(lambda found: found == ids("binary_sensor_pump"))


def test_home_assistant_takes_us_for_mqtt_io(simulated, house, client):
    air = {**AIR, "temperature": {"alias": "attic"}}
    compat = {"compat": "mqtt-io", "client_id": "mqtt-io-1"}
    daemon = simulated(
        sensors=[air], inputs=[DOOR, RAIN], outputs=[PUMP], mqtt=discovery(**compat)
    )
    wanted = {
        "mqtt-io-1_air_sensor_attic",
        "mqtt-io-1_gpiochip0_input_door",
        "mqtt-io-1_gpiochip0_sensor_rain",
        "mqtt-io-1_gpiochip0_sensor_rain_total",
        "mqtt-io-1_gpiochip0_sensor_rain_frequency",
        "mqtt-io-1_gpiochip0_output_pump",
    }
    assistant = house.wait(lambda found: found == wanted)
    assert list(assistant.devices) == ["mqtt-io-1"]
    assert house.client.all("sensor/mqtt-io-1/attic/config")
    for entity in assistant.entities.values():
        client.messages.wait(
            lambda m, entity=entity: m.topic == entity.config["state_topic"]
            and entity.state(m.payload) is not None,
            hint=f"on {entity.config['state_topic']}",
        )
        await_availability(client, entity)
    since = client.mark()
    daemon.stop()
    client.wait("status", "stopped", since=since)
    assert not any(one.is_available(latest(client)) for one in assistant.entities.values())


def test_another_format_keeps_the_entities(iotd, house, reload, value_file):
    air = file_sensor(value_file)
    daemon = iotd(sensors=[air], mqtt=discovery())
    house.wait(lambda found: found == ids("sensor_air_value"))
    reload(daemon, sensors=[air], mqtt=discovery(format="value"))
    wanted = "iotd/test/sensor/air/value"
    house.wait_for("sensor_air_value", lambda config: config["state_topic"] == wanted)
    assert all(m.payload for m in house.client.all(DEVICE)), "never removed"


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("style", STYLES)
def test_what_another_configuration_lacks_is_removed_at_a_restart(
    simulated, house, broker, style, protocol
):
    mqtt = discovery(style, protocol=protocol)
    first = simulated(sensors=[AIR], **LINES, mqtt=mqtt)
    house.wait(lambda found: found == AIR_IDS | LINE_IDS)
    first.stop()
    simulated(sensors=[{**AIR, "driver": "bmp280"}], outputs=[PUMP], mqtt=mqtt)
    left = ids("sensor_air_temperature", "sensor_air_pressure", "switch_pump")
    house.wait(lambda found: found == left)
    rest = HomeAssistant()
    for topic, message in retained(broker.port, prefix=PREFIX).items():
        rest.receive(f"{PREFIX}/{topic}", message.payload)
    assert {one for one in rest.entities if ".stats_" not in one} == left


@pytest.mark.parametrize("style", STYLES)
def test_a_sensor_that_is_not_there_at_a_restart_stays(iotd, house, tmp_path, style):
    path, air = tmp_path / "air", file_sensor(tmp_path / "air")
    path.write_text("1\n", encoding="ascii")
    fan = {"name": "fan", "driver": "hwmon", "device": "nct6775", "interval": "100ms"}
    fill(tmp_path / "sys/class/hwmon/hwmon0", "temp1_input")
    more = {"mqtt": discovery(style), "env": {"IOTD_SYSFS": str(tmp_path / "sys")}}
    both = ids("sensor_air_value", "sensor_fan_temp1")
    first = iotd(sensors=[air, fan], **more)
    house.wait(lambda found: found == both)
    first.stop()
    (tmp_path / "sys/class/hwmon/hwmon0").rename(tmp_path / "away")
    since = house.client.mark()
    iotd(sensors=[air, fan], **more)
    house.client.wait(topics(style), since=since)
    assert house.ids() == both


# --- limits ------------------------------------------------------------------------------------


def test_a_broker_that_takes_only_small_messages_is_told_of(brokers, clients, iotd, value_file):
    small = brokers("allow_anonymous true\nmax_packet_size 1500\n")
    client = clients(small.port)
    daemon = iotd(small.url, sensors=[file_sensor(value_file)], mqtt=discovery())
    daemon.log.wait(lambda line: DEVICE in line.text and "too large" in line.text)
    client.settle()
    assert client.result("stats")["connects"] == 1
    assert retained(small.port, prefix=PREFIX) == {}


@pytest.mark.parametrize("form", ["senml", "cbor", "influx", "sparkplug"])
def test_a_format_that_home_assistant_cannot_read_is_a_fault(tmp_path, form):
    path = tmp_path / "iotd.conf"
    text = configuration("mqtt://localhost:1", mqtt=discovery(format=form))
    path.write_text(text, encoding="utf-8")
    done = run_iotd("-c", path, "--check")
    assert done.returncode == 78
    fault = f'needs format = "json" or "value": Home Assistant reads no "{form}"'
    assert f"mqtt.discovery.enabled: {fault}\n" in done.stderr


def test_a_house_with_many_sensors_is_one_message(iotd, house, value_file):
    names = [f"s{number}" for number in range(400)]
    sensors = [file_sensor(value_file, name, interval="10s") for name in names]
    iotd(sensors=sensors, mqtt=discovery())
    house.client.wait(DEVICE, match=lambda m: all(f'"sensor_{name}_' in m.text for name in names))
    assert house.ids() == ids(*(f"sensor_{name}_value" for name in names))
