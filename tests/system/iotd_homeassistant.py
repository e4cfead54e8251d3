# SPDX-License-Identifier: LGPL-2.1-or-later
"""Home Assistant's side of MQTT discovery: reads the messages, and refuses what it would refuse.

The rules are those of home-assistant/core: components/mqtt/discovery.py (topics, device messages,
removal), abbreviations.py, schemas.py, sensor.py, binary_sensor.py and switch.py (keys), and
components/sensor/const.py (which units and state classes go with a device class; of these those
that 2025.2 has, the last version before such a fault became an error). What it would only warn of,
or ignore, is a fault here. Templates are rendered by Jinja, as there.
"""

import json
import re

import jinja2

PREFIX = "homeassistant"

TOPIC = re.compile(r"(\w+)/(?:([a-zA-Z0-9_-]+)/)?([a-zA-Z0-9_-]+)/config")

ABBREVIATIONS = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "cmd_t": "command_topic",
    "cmps": "components",
    "dev": "device",
    "dev_cla": "device_class",
    "ent_cat": "entity_category",
    "exp_aft": "expire_after",
    "o": "origin",
    "p": "platform",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
DEVICE_ABBREVIATIONS = {
    "ids": "identifiers",
    "mdl": "model",
    "mf": "manufacturer",
    "sw": "sw_version",
}
ORIGIN_ABBREVIATIONS = {"sw": "sw_version", "url": "support_url"}

# key: (type, is it required)
COMMON = {
    "availability": (list, True),
    "availability_mode": (str, False),
    "device": (dict, True),
    "entity_category": (str, False),
    "name": (str, True),
    "origin": (dict, True),
    "state_topic": (str, True),
    "unique_id": (str, True),
    "value_template": (str, False),
    "device_class": (str, False),
    "qos": (int, False),
}
STATES = {"payload_on": (str, True), "payload_off": (str, True)}
KEYS = {
    "sensor": {
        **COMMON,
        "expire_after": (int, False),
        "state_class": (str, False),
        "suggested_display_precision": (int, False),
        "unit_of_measurement": (str, False),
    },
    "binary_sensor": {**COMMON, **STATES},
    "switch": {**COMMON, **STATES, "command_topic": (str, True)},
}
DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "sw_version"}
ORIGIN_KEYS = {"name", "sw_version", "support_url"}

MICRO = "\N{MICRO SIGN}"
LENGTHS = "mm cm m km in ft yd mi nmi".split()
SPEEDS = "ft/s in/s m/s km/h kn mph mm/s Beaufort".split()
VOLUMES = ["ft³", "CCF", "m³", "L", "mL", "gal", "fl. oz."]
ENERGIES = "J kJ MJ GJ mWh Wh kWh MWh GWh TWh cal kcal Mcal Gcal".split()
PRESSURES = "Pa hPa kPa bar cbar mbar mmHg inHg psi".split()
CUBIC = [f"{MICRO}g/m³"]
NOW, TOTALS = {"measurement"}, {"total", "total_increasing"}
ANY = NOW | TOTALS

# device class: units (None: without one), state classes
SENSORS = {
    "apparent_power": (["VA"], NOW),
    "aqi": ([None], NOW),
    "atmospheric_pressure": (PRESSURES, NOW),
    "battery": (["%"], NOW),
    "carbon_dioxide": (["ppm"], NOW),
    "carbon_monoxide": (["ppm"], NOW),
    "conductivity": (["S/cm", "mS/cm", f"{MICRO}S/cm"], NOW),
    "current": (["A", "mA"], NOW),
    "data_rate": ("bit/s kbit/s Mbit/s Gbit/s B/s kB/s MB/s GB/s KiB/s MiB/s GiB/s".split(), NOW),
    "data_size": ("bit kbit Mbit Gbit B kB MB GB TB KiB MiB GiB TiB".split(), ANY),
    "distance": (LENGTHS, ANY),
    "duration": ("d h min s ms".split(), ANY),
    "energy": (ENERGIES, TOTALS),
    "energy_storage": (ENERGIES, NOW),
    "frequency": ("Hz kHz MHz GHz".split(), NOW),
    "gas": (["ft³", "CCF", "m³"], TOTALS),
    "humidity": (["%"], NOW),
    "illuminance": (["lx"], NOW),
    "irradiance": (["W/m²", "BTU/(h⋅ft²)"], NOW),
    "moisture": (["%"], NOW),
    "pm1": (CUBIC, NOW),
    "pm10": (CUBIC, NOW),
    "pm25": (CUBIC, NOW),
    "power": ("mW W kW MW GW TW BTU/h".split(), NOW),
    "precipitation": (["in", "mm", "cm"], ANY),
    "precipitation_intensity": ("in/d in/h mm/d mm/h".split(), NOW),
    "pressure": (PRESSURES, NOW),
    "reactive_power": (["var"], NOW),
    "signal_strength": (["dB", "dBm"], NOW),
    "speed": (SPEEDS + "in/d in/h mm/d mm/h".split(), NOW),
    "temperature": (["°C", "°F", "K"], NOW),
    "volatile_organic_compounds": (CUBIC, NOW),
    "volatile_organic_compounds_parts": (["ppm", "ppb"], NOW),
    "voltage": ([f"{MICRO}V", "mV", "V", "kV", "MV"], NOW),
    "volume": (VOLUMES, TOTALS),
    "volume_flow_rate": (["m³/h", "ft³/min", "L/min", "gal/min", "mL/s"], NOW),
    "volume_storage": (VOLUMES, NOW),
    "water": (["ft³", "CCF", "m³", "gal", "L"], TOTALS),
    "weight": ([f"{MICRO}g", "mg", "g", "kg", "oz", "lb", "st"], ANY),
}
BINARY_SENSORS = set(
    "battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light"
    " lock moisture motion moving occupancy opening plug power presence problem running safety"
    " smoke sound tamper update vibration window".split()
)
SWITCHES = {"outlet", "switch"}


def expand(keys, abbreviations):
    found = {abbreviations.get(key, key): value for key, value in keys.items()}
    assert len(found) == len(keys), f"a key and its abbreviation: {keys}"
    return found


def check_keys(config, keys, what):
    for key, value in config.items():
        assert key in keys, f"{what}: unknown key {key}"
        assert isinstance(value, keys[key][0]), f"{what}: {key} is {value!r}"
    for key, (_, required) in keys.items():
        assert not required or key in config, f"{what}: {key} is missing"


def check_topic(topic):
    assert topic and not re.search(r"[+#\0]", topic), topic


def check_sensor(config, what):
    unit, state_class = config.get("unit_of_measurement"), config.get("state_class")
    assert unit is None or unit.strip(), f"{what}: an empty unit"
    assert "\N{GREEK SMALL LETTER MU}" not in (unit or ""), f"{what}: {unit} with a Greek mu"
    assert state_class in (None, "measurement", "total", "total_increasing"), what
    assert config.get("suggested_display_precision", 0) >= 0 and config.get("expire_after", 1) > 0
    if "device_class" in config:
        units, state_classes = SENSORS[config["device_class"]]
        assert unit in units, f"{what}: {config['device_class']} in {unit}"
        assert state_class in state_classes, f"{what}: {config['device_class']} as {state_class}"


def template_of(config):
    return jinja2.Environment().from_string(config.get("value_template", "{{ value }}"))


class Entity:
    """One entity as Home Assistant has it."""

    def __init__(self, platform, config):
        self.platform, self.config = platform, config
        what = f"{platform} {config.get('unique_id')}"
        check_keys(config, KEYS[platform], what)
        check_topic(config["state_topic"])
        for one in config["availability"]:
            assert "topic" in one and set(one) <= {"topic", "value_template"}, f"{what}: {one}"
            check_topic(one["topic"])
        assert config.get("availability_mode") in (None, "all", "any", "latest"), what
        assert len(config["availability"]) == 1 or config["availability_mode"] == "all", what
        assert config.get("entity_category") in (None, "diagnostic"), what
        classes = {"sensor": SENSORS, "binary_sensor": BINARY_SENSORS, "switch": SWITCHES}[platform]
        assert config.get("device_class") in (None, *classes), f"{what}: {config['device_class']}"
        if platform == "sensor":
            check_sensor(config, what)
        elif platform == "switch":
            check_topic(config["command_topic"])
        self._template = template_of(config)

    @property
    def id(self):
        return self.config["unique_id"]

    def is_available(self, latest):
        """With these payloads, by topic: all must be there."""
        states = [
            template_of(one).render(value=latest.get(one["topic"], b"").decode())
            for one in self.config["availability"]
        ]
        assert set(states) <= {"online", "offline", ""}, states
        return set(states) == {"online"}

    def state(self, payload):
        """What the entity shows after this payload; None: as before."""
        text = payload.decode()
        variables = {"value": text}
        try:
            variables["value_json"] = json.loads(text)
        except ValueError:
            pass
        text = self._template.render(variables)
        if self.platform == "sensor":
            return float(text) if text else None
        return {self.config["payload_on"]: True, self.config["payload_off"]: False}[text]


class HomeAssistant:
    """What it knows after some messages; entities by their unique ids."""

    def __init__(self, prefix=PREFIX):
        self._prefix = prefix + "/"
        self._found = {}  # (platform, discovery id): Entity
        self.devices = {}

    @property
    def entities(self):
        return {entity.id: entity for entity in self._found.values()}

    def receive(self, topic, payload):
        if not topic.startswith(self._prefix) or not topic.endswith("/config"):
            return
        match = TOPIC.fullmatch(topic[len(self._prefix) :])
        assert match, f"illegal discovery topic {topic}"
        platform, node, name = match.groups()
        if platform == "device":
            self._receive_device(node, name, json.loads(payload) if payload else None)
        else:
            self._take(platform, f"{node} {name}", json.loads(payload) if payload else {})

    def _receive_device(self, node, name, message):
        assert node is None
        if message is None:
            for key in [key for key in self._found if key[1].startswith(f"{name} ")]:
                del self._found[key]
            return
        message = expand(message, ABBREVIATIONS)
        assert set(message) == {"device", "origin", "availability", "components"}, list(message)
        for component_id, component in message["components"].items():
            component = expand(component, ABBREVIATIONS)
            platform = component.pop("platform")
            if component:
                for key in ("device", "origin", "availability"):
                    component.setdefault(key, message[key])
            self._take(platform, f"{name} {component_id}", component)

    def _take(self, platform, discovery_id, config):
        if not config:
            self._found.pop((platform, discovery_id), None)
            return
        config = expand(config, ABBREVIATIONS)
        config["availability"] = [expand(one, ABBREVIATIONS) for one in config["availability"]]
        config["device"] = expand(config["device"], DEVICE_ABBREVIATIONS)
        config["origin"] = expand(config["origin"], ORIGIN_ABBREVIATIONS)
        assert set(config["device"]) <= DEVICE_KEYS and config["device"]["identifiers"], config
        assert set(config["origin"]) <= ORIGIN_KEYS and config["origin"]["name"] == "iotd", config
        entity = Entity(platform, config)
        for key, other in self._found.items():
            assert key == (platform, discovery_id) or other.id != entity.id, f"{entity.id} twice"
        self._found[platform, discovery_id] = entity
        self.devices[config["device"]["identifiers"][0]] = config["device"]
