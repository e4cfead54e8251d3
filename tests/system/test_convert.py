# SPDX-License-Identifier: LGPL-2.1-or-later
"""iotd-convert: mqtt-io's users move. The examples are written after mqtt-io's documentation."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from iotd_harness import PATIENCE, program, run_iotd, sanitizer_complaints

EXAMPLES = Path(__file__).parent / "mqtt-io"


def converter():
    """iotd-convert is built beside iotd; what runs iotd (valgrind) runs it, too."""
    *wrapper, iotd = program()
    return [*wrapper, str(Path(iotd).parent / "convert" / "iotd-convert")]


def convert(*args, folder=EXAMPLES):
    done = subprocess.run(
        [*converter(), *args],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode >= 0 and not sanitizer_complaints(done.stderr), done.stderr
    return done


def checked(done, folder):
    """What `iotd --check` says of the configuration, where the files that it names are: all is well."""
    path = folder / "iotd.conf"
    path.write_text(done.stdout, encoding="utf-8")
    for name in re.findall(r'(?:ca|cert|key)_file = "([^"]+)"', done.stdout):
        (folder / name).touch()  # they must be there
    result = run_iotd("--check", "--config", path, cwd=folder)
    assert not result.stderr, result.stderr
    return result.stdout


@pytest.fixture
def converted(tmp_path):
    """Convert this text; the result."""

    def run(text):
        (tmp_path / "c.yml").write_text(text, encoding="utf-8")
        return convert("c.yml", folder=tmp_path)

    return run


def test_what_can_be_mapped_is_mapped_without_a_word(tmp_path):
    done = convert("kitchen.yml")
    assert (done.returncode, done.stderr) == (0, "")
    assert checked(done, tmp_path).endswith("ok (0 sensors, 2 inputs, 2 outputs)\n")
    assert done.stdout == (
        "# Made by iotd-convert from a configuration of mqtt-io; see iotd.conf(5).\n"
        """
mqtt = {
  broker = "mqtt://localhost:1883";
  username = "pi";
  password = "rasp\\"berry\\\\";
  client_id = "kitchen";
  topic = "home/kitchen";
  compat = "mqtt-io";
  protocol = 4;
};

inputs = (
  { name = "doorbell"; chip = "gpiochip0"; line = 22; bias = "pull-up"; active_low = true;"""
        """ edge = "rising"; debounce = "50ms"; module = "pi_gpio"; },
  { name = "window"; chip = "gpiochip0"; line = 23; bias = "pull-down"; module = "pi_gpio"; }
);

outputs = (
  { name = "lights"; chip = "gpiochip0"; line = 21; active_low = true; initial = "off";"""
        """ module = "pi_gpio"; },
  { name = "fan"; chip = "gpiochip0"; line = 24; initial = "on"; module = "pi_gpio"; }
);
"""
    )


TOLD = {
    "minimal.yml": "",
    "sensors.yml": """\
sensors.yml:15: sensor_modules[1].module: "dht22": load the kernel's driver (dtoverlay=dht11), and read it with driver = "iio"
sensors.yml:30: sensor_modules[4].module: "hcsr04": load the kernel's driver (srf04), and read it with driver = "iio"
sensors.yml:52: sensor_modules[7].low_power: iotd's driver lets the chip measure all the time
sensors.yml:76: sensor_inputs[1].module: "dht22_sensor" is not mapped: left out
sensors.yml:93: sensor_inputs[4].module: "hcsr04_sensor" is not mapped: left out
sensors.yml:107: sensor_inputs[7].name: "room temperature" is no name in iotd (A-Z a-z 0-9 _ -, at most 64): it is "room_temperature", and its topic changes
sensors.yml:115: sensor_inputs[8].interval: is 10 s now, as the shortest of this chip: iotd reads all its values at once
sensors.yml:120: sensor_inputs[9].name: this value is "room_temperature" already, and iotd has one topic for each: left out
sensors.yml:129: sensor_inputs[11].type: "shunt_voltage": iotd has the current, which is this by the shunt: left out
sensors.yml:134: sensor_inputs[12].digits: iotd tells the rate with all its digits
sensors.yml:147: sensor_inputs[15].type: "lux": iotd corrects above 1000 lx, as lux_corrected does
sensors.yml:150: sensor_inputs[16].module: sensor_modules has no "nowhere": left out
""",
    "discovery.yml": """\
discovery.yml:6: mqtt.protocol: iotd speaks MQTT 3.1.1 (protocol = 4) and 5; it is 4
discovery.yml:8: mqtt.reconnect_count: iotd never gives up
discovery.yml:9: mqtt.clean_session: iotd's sessions are clean ones: what was sent to outputs while it was away is not obeyed later
discovery.yml:10: mqtt.status_topic: iotd's is "status": change who listens
discovery.yml:11: mqtt.status_payload_dead: iotd says "dead": change who listens
discovery.yml:21: mqtt.tls.tls_version: iotd takes TLS 1.2 and later, and the best that both know
discovery.yml:22: mqtt.tls.insecure: iotd checks the certificate and the host's name, or neither: it is neither now (verify = false)
discovery.yml:24: logging: iotd logs to the journal; how much is told by log_level
discovery.yml:37: digital_inputs[0].retain: iotd's states are always retained
discovery.yml:40: digital_inputs[0].ha_discovery.name: is set in Home Assistant: the entity keeps its id and its history
discovery.yml:44: digital_outputs[0].name: "garage door" is no name in iotd (A-Z a-z 0-9 _ -, at most 64): it is "garage_door", and its topic changes
discovery.yml:47: digital_outputs[0].on_payload: iotd says "ON", and obeys ON and OFF, 1 and 0, true and false: change who listens
discovery.yml:48: digital_outputs[0].timed_set_ms: iotd switches off after this time (max_on), but not on again after OFF
discovery.yml:50: digital_outputs[0].ha_discovery.component: iotd announces a switch
discovery.yml:52: digital_outputs[0].ha_discovery.icon: iotd-convert does not know this key
""",
    "expanders.yml": """\
expanders.yml:2: mqtt.topic_prefix: without it mqtt-io's topics begin with "/", which iotd's cannot: they begin with iotd/HOST, until mqtt.topic is given
expanders.yml:11: gpio_modules[0].cleanup: iotd leaves outputs as they are when it ends; see on_exit
expanders.yml:13: gpio_modules[1].module: "pcf8574": load the kernel's driver (dtoverlay=pcf857x,pcf8574), and use its GPIO chip (chip and line of inputs and outputs)
expanders.yml:16: gpio_modules[2].module: iotd-convert does not know "teleporter"
expanders.yml:18: .button: iotd-convert does not know this key
expanders.yml:32: digital_inputs[2].name: "up" is taken: it is "up_2", and its topic changes
expanders.yml:36: digital_inputs[3].pin: pin 5 is taken by another one: left out
expanders.yml:38: digital_inputs[4].module: "pcf" is not mapped: left out
expanders.yml:44: digital_inputs[5].interrupt_for: the kernel's driver of the other chip does this: give it the interrupt
expanders.yml:47: digital_outputs[0].name: "down" is taken: it is "down_2", and its topic changes
expanders.yml:50: digital_outputs[0].initial: "middle" is neither high nor low
expanders.yml:51: digital_outputs[0].colour: iotd-convert does not know this key
expanders.yml:52: digital_outputs[1].pin: is missing: left out
expanders.yml:55: digital_outputs[2].module: gpio_modules has no "rpi": left out
expanders.yml:58: stream_modules: iotd has no streams (serial ports, NFC readers): keep mqtt-io for them, with a client_id of its own
""",
}


@pytest.mark.parametrize("name", TOLD)
def test_what_cannot_be_mapped_is_told_line_by_line(name):
    done = convert(name)
    assert done.stderr.splitlines() == TOLD[name].splitlines()
    assert done.returncode == (1 if TOLD[name] else 0)


@pytest.mark.parametrize(
    "name, counts",
    [
        ("minimal.yml", "(0 sensors, 1 inputs, 0 outputs)"),
        ("sensors.yml", "(9 sensors, 1 inputs, 0 outputs)"),
        ("discovery.yml", "(0 sensors, 1 inputs, 1 outputs)"),
        ("expanders.yml", "(0 sensors, 4 inputs, 1 outputs)"),
    ],
)
def test_iotd_takes_what_was_made(name, counts, tmp_path):
    assert checked(convert(name), tmp_path).endswith(f"ok {counts}\n")


def test_sensors_become_channels(tmp_path):
    text = convert("sensors.yml").stdout
    for part in (
        'broker = "mqtt://192.0.2.7:1884";',
        'topic = "home";',
        'keepalive = "60s";',
        '{ name = "lm75_sensor"; driver = "lm75"; bus = "i2c-1"; address = 0x48; interval = "15s";'
        '\n    temperature = { alias = "lm75_temperature"; digits = 4; }; }',
        '{ name = "ds18b22_sensor"; driver = "w1"; interval = "60s"; retain = true;'
        ' device = "10-000803702e49";\n    temperature = { alias = "ds18b22_temperature"; digits = 2; }; }',
        'driver = "ads1115"; bus = "i2c-1"; address = 0x49; interval = "60s"; inputs = [ "a0", "a3" ];'
        ' range = 2.048;\n    a0 = { alias = "moisture"; digits = 3; };'
        '\n    a3 = { alias = "raw"; digits = 2; scale = 15999.5117188; unit = "counts"; }; }',
        'humidity = { alias = "room_humidity"; digits = 2; unit = "%"; device_class = "humidity"; };',
        'name = "battery"; driver = "ina219"; bus = "i2c-1"; address = 0x40; interval = "60s";'
        ' shunt = 0.1; max_current = 0.4;\n    current = { alias = "battery_current"; digits = 2; };',
        '{ name = "flow_rate1"; chip = "gpiochip0"; line = 5; bias = "pull-down"; edge = "rising";'
        ' count = true; interval = "10s"; scale = 0.142857142857; module = "yfs201"; }',
        'pressure = { alias = "pressure"; digits = 2; scale = 100.0; unit = "Pa"; };',
        'gain = 16; integration_time = "101ms";\n    illuminance = { alias = "daylight"; digits = 2; };',
        'driver = "veml7700"; bus = "i2c-1"; interval = "60s"; gain = 0.125; integration_time = "25ms";',
    ):
        assert part in text, part


def test_home_assistant_and_tls_go_over():
    text = convert("discovery.yml").stdout
    for part in (
        '\ndevice = "Greenhouse";\n',
        'broker = "mqtts://broker.example.org:8883";',
        'reconnect_min = "5s";\n  reconnect_max = "5s";',
        'tls = { ca_file = "mosquitto.org.crt"; cert_file = "client.crt"; key_file = "client.key";'
        " verify = false; };",
        'discovery = { enabled = true; style = "entity"; prefix = "ha"; };',
        'chip = "/dev/gpiochip4"; line = 3; bias = "disabled"; module = "gpiod"; device_class = "motion"; }',
        'initial = "keep"; max_on = "500ms"; module = "gpiod"; device_class = "garage_door"; }',
    ):
        assert part in text, part


def test_anchors_and_merge_keys_are_followed():
    text = convert("expanders.yml").stdout
    assert 'broker = "mqtt://[::1]:1883";' in text
    line = '{ name = "up"; chip = "gpiochip0"; line = 5; bias = "pull-up"; active_low = true; module = "pi"; }'
    assert line in text
    assert line.replace('"up"', '"down"').replace("5", "6").replace("pull-up", "disabled") in text


@pytest.mark.parametrize("prefix", ["home/kitchen", ""])
def test_the_client_id_is_the_one_that_mqtt_io_made(converted, prefix):
    text = f'mqtt: {{host: h, topic_prefix: "{prefix}/"}}\n'
    digest = hashlib.sha1(prefix.encode()).hexdigest()
    assert f'client_id = "mqtt-io-{digest}";' in converted(text).stdout


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("mqtt:\n  host: [a\nb: c\n", 3, "did not find expected"),
        ("mqtt:\n\thost: a\n", 2, "cannot start any token"),
        ("mqtt: *nobody\n", 1, "undefined alias"),
        ("a: b\n", 1, 'no section "mqtt"'),
        ("- mqtt\n", 1, 'no section "mqtt"'),
        ("", 1, 'no section "mqtt"'),
        ("mqtt: \xff\n".encode("latin-1"), 1, ""),
    ],
    ids=["bracket", "tab", "alias", "other keys", "list", "empty", "no UTF-8"],
)
def test_what_is_no_configuration_of_mqtt_io_is_refused_with_its_line(tmp_path, text, line, words):
    text = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "c.yml").write_bytes(text)
    done = convert("c.yml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert re.match(rf"c\.yml:{line}: .*{re.escape(words)}", done.stderr), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["missing.yml", "."])
def test_a_file_that_cannot_be_read_is_named(name):
    done = convert(name)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"{name}: cannot be read: ")


@pytest.mark.parametrize("args", [[], ["a.yml", "b.yml"], ["--frobnicate"]])
def test_a_bad_command_line_is_64(args):
    done = convert(*args)
    assert (done.returncode, done.stdout) == (64, "")
    assert "--help" in done.stderr


def test_help_and_version():
    assert convert("--help").stdout.startswith("Usage: iotd-convert FILE\n")
    version = run_iotd("--version").stdout.split()[1]
    assert convert("--version").stdout == f"iotd-convert {version}\n"


@pytest.mark.parametrize(
    "text, told",
    [
        ("mqtt: {host: h, topic_prefix: t, port: many}", 'mqtt.port: "many" is no integer'),
        ("mqtt: {host: h, topic_prefix: t, port: 0}", 'mqtt.port: "0" is no integer from 1'),
        ("mqtt: {host: h, topic_prefix: t, tls: yes}", "mqtt.tls: must be a mapping"),
        ("mqtt: {host: 'a b', topic_prefix: t}", "mqtt.host: names no host"),
        ("mqtt: {topic_prefix: t}", "mqtt.host: names no host"),
        ("mqtt: {host: h, topic_prefix: a+b}", "mqtt.topic_prefix: cannot begin"),
        ("mqtt: {host: h, topic_prefix: /a}", 'mqtt.topic_prefix: begins with "/"'),
        ("mqtt: {host: h, topic_prefix: t, password: p}", "mqtt.password: MQTT 3.1.1 has"),
        ('mqtt: {host: h, topic_prefix: t, user: "a\\nb"}', "mqtt.user: holds a control"),
        ("mqtt: {host: h, topic_prefix: t, keepalive: 1}", "mqtt.keepalive: is at least 5 s"),
        ("mqtt: {host: h, topic_prefix: t}\ndigital_inputs: {}", "digital_inputs: must be a list"),
        ("mqtt: {host: h, topic_prefix: t}\ndigital_inputs: [a]", "digital_inputs[0]: must be a"),
    ],
)
def test_odd_values_are_told_and_the_rest_is_good(converted, tmp_path, text, told):
    done = converted(text + "\n")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and f": {told}" in done.stderr, done.stderr
    assert checked(done, tmp_path).endswith("ok (0 sensors, 0 inputs, 0 outputs)\n")


def test_a_mapping_that_merges_itself_comes_to_an_end(converted):
    done = converted("mqtt: &m\n  host: h\n  topic_prefix: t\n  <<: *m\n  <<: [*m, *m]\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_converted_configuration_speaks_as_mqtt_io_did(converted, broker, clients, start_iotd):
    """From the YAML file to what Home Assistant hears."""
    listener = clients(broker.port, prefix="home")
    done = converted(
        f"""
mqtt: {{host: 127.0.0.1, port: {broker.port}, topic_prefix: home}}
gpio_modules: [{{name: rpi, module: raspberrypi}}]
digital_inputs: [{{name: door, module: rpi, pin: 17}}]
digital_outputs: [{{name: pump, module: rpi, pin: 22, initial: low}}]
sensor_modules: [{{name: bme, module: bme280, i2c_bus_num: 1, chip_addr: 0x76}}]
sensor_inputs:
  - {{name: attic, module: bme, type: temperature, interval: 1, digits: 1}}
  - {{name: moist, module: bme, type: humidity, interval: 1}}
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    start_iotd(done.stdout + 'spool = { path = ""; };\n', options=["--simulate"])
    assert listener.wait("status", "running").retain
    assert re.fullmatch(r"\d+\.\d", listener.wait("sensor/attic").text)
    assert re.fullmatch(r"\d+\.\d\d", listener.wait("sensor/moist").text)
    assert listener.wait("input/door").text in ("ON", "OFF")
    listener.publish("output/pump/set", "ON")
    listener.wait("output/pump", "ON")
