# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configurations that are wrong, and hostile ones (SPEC 2).

Each fault is `FILE:LINE: PATH: what is wrong`, all of them are told, and the exit code is 78.
"""

import os
import re
import resource

import pytest

from iotd_harness import SLOW, configuration, file_sensor, run_iotd

LIMIT = 10 * SLOW  # seconds for whatever is in the file

# One sensor, input, output on one line each, so that a fault's line is beyond doubt.
AIR = 'name = "air"; driver = "bme280"; bus = "i2c-1"; address = 0x76;'
FILE = 'name = "cpu"; driver = "file"; path = "/proc/uptime"; channel = "value";'
DOOR = 'name = "door"; chip = "gpiochip0"; line = 17;'
PUMP = 'name = "pump"; chip = "gpiochip0"; line = 22;'


def sensors(*more):
    return "sensors = (\n" + ",\n".join(f"{{ {one} }}" for one in more) + "\n);\n"


def outputs(*more):
    return sensors(*more).replace("sensors", "outputs")


def inputs(*more):
    return sensors(*more).replace("sensors", "inputs")


@pytest.fixture
def check(tmp_path):
    """Check a text: (exit code, list of stderr lines without the file's name)."""

    def run(text, name="iotd.conf"):
        path = tmp_path / name
        if isinstance(text, bytes):
            path.write_bytes(text)
        elif text is not None:
            path.write_text(text, encoding="utf-8")
        done = run_iotd("-c", path, "--check", timeout=LIMIT)
        assert (done.returncode == 0) == bool(done.stdout), done
        lines = done.stderr.splitlines()
        return done.returncode, [line.removeprefix(f"{path}:") for line in lines]

    return run


# text, line of the fault, its path, a regular expression for what is wrong
FAULTS = {
    "unknown section": ("colour = 1;\n", 1, "colour", "unknown key"),
    "near section": ('\ndevise = "x";\n', 2, "devise", r'unknown key \(did you mean "device"\?\)'),
    "near key": (
        sensors(FILE, AIR + " adress = 0x77;"),
        3,
        r"sensors[1].adress",
        r'unknown key \(did you mean "address"\?\)',
    ),
    "key of no driver": (sensors(FILE + " zzzzzz = 1;"), 2, "sensors[0].zzzzzz", r"unknown key$"),
    "option of another driver": (
        sensors(FILE + " heater_duration = 1;"), 2, "sensors[0].heater_duration", "unknown key",
    ),
    "near mqtt key": (
        'mqtt = {\n  clientid = "x";\n};\n', 2, "mqtt.clientid", 'did you mean "client_id"',
    ),
    "near output key": (
        outputs(PUMP + ' interlok = [ "a" ];'),
        2, "outputs[0].interlok", 'did you mean "interlock"',
    ),
    "near channel key": (
        sensors(AIR + " temperature = { ofset = 1.0; };"),
        2, "sensors[0].temperature.ofset", 'did you mean "offset"',
    ),
    "channel of no driver": (
        sensors(AIR + " altitude = { offset = 1.0; };"), 2, "sensors[0].altitude", "unknown key",
    ),
    "unknown driver": (
        sensors(AIR.replace("bme280", "bme28O")),
        2, "sensors[0].driver", 'bme28O.*did you mean "bme280"',
    ),
    "section of the wrong type": ("mqtt = 5;\n", 1, "mqtt", "group"),
    "list of the wrong type": ('sensors = "air";\n', 1, "sensors", "list"),
    "text instead of number": ('mqtt = {\n qos = "one"; };\n', 2, "mqtt.qos", "number|integer"),
    "number instead of text": ("device = 7;\n", 1, "device", "string|text"),
    "boolean instead of text": ("device = true;\n", 1, "device", "string|text"),
    "text instead of boolean": (
        'mqtt = {\n retain = "yes"; };\n', 2, "mqtt.retain", "true|boolean",
    ),
    "qos out of range": ("mqtt = {\n qos = 3; };\n", 2, "mqtt.qos", "3"),
    "protocol out of range": ("mqtt = {\n protocol = 6; };\n", 2, "mqtt.protocol", "5.*4"),
    "word of no choice": ('mqtt = {\n format = "xml"; };\n', 2, "mqtt.format", '"xml".*json'),
    "log level": ('log_level = "loud";\n', 1, "log_level", '"loud"'),
    "broker without scheme": ('mqtt = {\n broker = "localhost"; };\n', 2, "mqtt.broker", "mqtt://"),
    "broker of another scheme": (
        'mqtt = {\n broker = "http://localhost"; };\n', 2, "mqtt.broker", "mqtt://",
    ),
    "broker port": (
        'mqtt = {\n broker = "mqtt://localhost:99999"; };\n', 2, "mqtt.broker", "99999|port",
    ),
    "topic with a wildcard": (
        'mqtt = {\n topic = "iotd/#"; };\n', 2, "mqtt.topic", r"#|\+|wildcard",
    ),
    "empty topic": ('mqtt = {\n topic = ""; };\n', 2, "mqtt.topic", "empty"),
    "two passwords": (
        'mqtt = {\n username = "u"; password = "a"; password_file = "/etc/hostname"; };\n',
        2, r"mqtt.password\w*", "password",
    ),
    "reconnect limits crossed": (
        'mqtt = {\n reconnect_min = "60s"; reconnect_max = "1s"; };\n',
        2, r"mqtt.reconnect_m\w+", "reconnect_m",
    ),
    "duration without a unit that exists": (
        sensors(FILE + ' interval = "10x";'), 2, "sensors[0].interval", '"10x"',
    ),
    "empty duration": (
        sensors(FILE + ' interval = "";'), 2, "sensors[0].interval", "duration|interval",
    ),
    "negative duration": (sensors(FILE + ' interval = "-1s";'), 2, "sensors[0].interval", "-1s"),
    "interval of nothing": (sensors(FILE + ' interval = "0s";'), 2, "sensors[0].interval", "1 ?ms"),
    "interval under a millisecond": (
        sensors(FILE + " interval = 0.0001;"), 2, "sensors[0].interval", "1 ?ms",
    ),
    "interval beyond all bounds": (
        sensors(FILE + ' interval = "99999999999999999999d";'),
        2, "sensors[0].interval", "interval|large|range|long",
    ),
    "window shorter than interval": (
        sensors(FILE + ' interval = "10s"; window = "1s";'), 2, "sensors[0].window", "interval",
    ),
    "aggregate": (
        sensors(FILE + ' window = "60s"; aggregate = "avg";'),
        2, "sensors[0].aggregate", '"avg".*mean',
    ),
    "size": ('spool = {\n max_size = "64X"; };\n', 2, "spool.max_size", '"64X"'),
    "name missing": (
        sensors('driver = "file"; path = "/x"; channel = "c";'), 2, "sensors[0].name", "missing",
    ),
    "driver missing": (sensors('name = "a";'), 2, "sensors[0].driver", "missing"),
    "path missing": (
        sensors('name = "a"; driver = "file"; channel = "c";'), 2, "sensors[0].path", "missing",
    ),
    "chip missing": (outputs('name = "a"; line = 1;'), 2, "outputs[0].chip", "missing"),
    "line missing": (inputs('name = "a"; chip = "gpiochip0";'), 2, "inputs[0].line", "missing"),
    "address out of range": (
        sensors(AIR.replace("0x76", "0x80")), 2, "sensors[0].address", "0x80|128",
    ),
    "address beyond 32 bits": (
        sensors(AIR.replace("0x76", "4294967414L")),
        2, "sensors[0].address", "address|range|between",
    ),
    "line negative": (outputs(PUMP.replace("22", "-1")), 2, "outputs[0].line", "-1"),
    "name with a blank": (sensors(FILE.replace("cpu", "c p")), 2, "sensors[0].name", "c p"),
    "name with a slash": (sensors(FILE.replace("cpu", "a/b")), 2, "sensors[0].name", "a/b"),
    "name with a wildcard": (outputs(PUMP.replace("pump", "#")), 2, "outputs[0].name", "#"),
    "empty name": (sensors(FILE.replace("cpu", "")), 2, "sensors[0].name", "name|A-Za-z|empty"),
    "name too long": (sensors(FILE.replace("cpu", "x" * 65)), 2, "sensors[0].name", "64"),
    "name twice": (sensors(FILE, FILE), 3, "sensors[1].name", '"cpu"'),
    "name of a sensor and an output": (
        sensors(FILE.replace("cpu", "pump")) + outputs(PUMP), 5, "outputs[0].name", '"pump"',
    ),
    "bias": (inputs(DOOR + ' bias = "up";'), 2, "inputs[0].bias", '"up".*pull-up'),
    "edge": (inputs(DOOR + ' edge = "each";'), 2, "inputs[0].edge", '"each".*both'),
    "initial": (outputs(PUMP + ' initial = "maybe";'), 2, "outputs[0].initial", '"maybe".*keep'),
    "interlock with nobody": (
        outputs(
            PUMP + ' interlock = [ "valv" ];', 'name = "valve"; chip = "gpiochip0"; line = 23;'
        ),
        2, r"outputs[0].interlock[0]", '"valv"',
    ),
    "interlock with itself": (
        outputs(PUMP + ' interlock = [ "pump" ];'), 2, "outputs[0].interlock[0]", "pump|itself",
    ),
    "line used twice": (
        outputs(PUMP, 'name = "other"; chip = "gpiochip0"; line = 22;'),
        3, r"outputs[1].line", "22",
    ),
    "digits out of range": (
        sensors(AIR + " temperature = { digits = 99; };"), 2, "sensors[0].temperature.digits", "99",
    ),
    "min above max": (
        sensors(AIR + " temperature = { min = 5.0; max = 1.0; };"),
        2, r"sensors[0].temperature.m\w\w", "min|max",
    ),
    "negative deadband": (
        sensors(AIR + " temperature = { deadband = -0.1; };"),
        2, "sensors[0].temperature.deadband", "-0.1|negative",
    ),
    "command nobody knows": (
        'commands = {\n allow = [ "ping", "dance" ]; };\n', 2, "commands.allow[1]", '"dance"',
    ),
}


def path_pattern(path):
    """A path is literal but for `\\w`, which stands in it for the end of a key."""
    return re.sub(r"\\\\w(?:\\([+*]))?", r"\\w\1", re.escape(path))


@pytest.mark.parametrize("case", FAULTS)
def test_fault_is_told_with_line_and_path(check, case):
    text, line, path, wrong = FAULTS[case]
    code, faults = check(text)
    assert code == 78
    assert len(faults) == 1, faults
    assert re.match(rf"{line}: {path_pattern(path)}: ", faults[0]), faults
    assert re.search(wrong, faults[0]), faults


def test_contract_example_to_the_letter(check):
    air = AIR.replace("address", "adress")
    code, faults = check("\n" * 12 + sensors(FILE, air).replace("(\n", "(", 1))
    assert code == 78
    assert '14: sensors[1].adress: unknown key (did you mean "address"?)' in faults, faults


def test_all_faults_are_told_at_once_in_the_order_of_the_file(check):
    text = (
        "device = 1;\n"
        'mqtt = {\n  qos = 9;\n  brokr = "x";\n};\n'
        + sensors(AIR.replace("0x76", "0x99") + ' intervall = "1s";', FILE + ' interval = "x";')
        + outputs(PUMP + ' initial = "x";')
    )
    code, faults = check(text)
    assert code == 78
    found = [tuple(fault.split(": ")[:2]) for fault in faults]
    assert sorted(found, key=lambda f: int(f[0])) == found
    assert set(found) == {
        ("1", "device"),
        ("3", "mqtt.qos"),
        ("4", "mqtt.brokr"),
        ("7", "sensors[0].address"),
        ("7", "sensors[0].intervall"),
        ("8", "sensors[1].interval"),
        ("11", "outputs[0].initial"),
    }


def test_a_wrong_driver_hides_no_other_fault(check):
    code, faults = check(sensors(AIR.replace("bme280", "nobody") + " colour = 1; intervall = 2;"))
    assert code == 78
    assert sorted(fault.split(": ")[1] for fault in faults) == [
        "sensors[0].colour", "sensors[0].driver", "sensors[0].intervall",
    ]


@pytest.mark.parametrize(
    "text, line",
    [
        ("device = ;\n", 1),
        ('device = "x\n', None),
        ("mqtt = { qos = 1;\n\n", None),
        ("device = \"a\";\ndevice = \"b\";\n", 2),
        ("\n\n}\n", 3),
        ("a = 99999999999999999999;\n", 1),
    ],
    ids=["no value", "open string", "open group", "key twice", "stray brace", "number too long"],
)
def test_syntax_error_has_its_line(check, text, line):
    code, faults = check(text)
    assert code == 78
    assert re.match(rf"{line or '[0-9]+'}: .*\S", faults[0]), faults


@pytest.mark.parametrize(
    "sensor",
    [
        FILE + ' interval = "250ms";',
        FILE + ' interval = "1d";',
        FILE + " interval = 5;",
        FILE + " interval = 0.5;",
        FILE + ' interval = "1ms";',
        FILE + ' interval = "1s"; window = "10s"; aggregate = "median"; retries = 3;',
        FILE + " scale = 1; offset = 2; min = 0; max = 100; digits = 0;",
        FILE + ' aggregate = "max"; max_age = "1m";',
        FILE + " enabled = false; retain = true; qos = 2;",
        FILE.replace("cpu", "x" * 64),
        FILE.replace("cpu", "A-z_0"),
        AIR + " temperature = { offset = -0.4; deadband = 0.1; max_age = \"1m\"; };",
        AIR.replace("address = 0x76", "address = 118"),
    ],
)
def test_good_sensor(check, sensor):
    assert check(sensors(sensor)) == (0, [])


def test_empty_file_is_a_configuration(check):
    assert check("") == (0, [])


def test_example_of_the_contract_is_good_where_it_is_served(check):
    text = """
device = "greenhouse-1"; log_level = "info";
mqtt = { broker = "mqtt://localhost:1883"; protocol = 5; client_id = "iotd-greenhouse-1";
  username = "greenhouse"; password = "secret"; topic = "iotd/greenhouse-1";
  format = "json"; qos = 1; retain = false; keepalive = "30s";
  reconnect_min = "1s"; reconnect_max = "60s"; };
commands = { enabled = true;
  allow = [ "ping", "list", "stats", "read", "set", "pulse", "toggle", "interval" ]; };
stats = { interval = "60s"; };
sensors = (
  { name = "air"; driver = "bme280"; bus = "i2c-1"; address = 0x76; interval = "10s";
    temperature = { offset = -0.4; deadband = 0.1; }; },
  { name = "cpu"; driver = "file"; path = "/sys/class/thermal/thermal_zone0/temp";
    channel = "temperature"; unit = "°C"; scale = 0.001; interval = "30s"; } );
inputs = ( { name = "door"; chip = "gpiochip0"; line = "GPIO17"; bias = "pull-up";
  active_low = true; edge = "both"; debounce = "20ms"; } );
outputs = ( { name = "pump"; chip = "gpiochip0"; line = 22; active_low = false; initial = "off";
    max_on = "10m"; on_exit = "keep"; on_disconnect = "off"; disconnect_after = "30s";
    interlock = [ "valve" ]; },
  { name = "valve"; chip = "gpiochip0"; line = 23; } );
"""
    assert check(text) == (0, [])


def test_broker_may_be_a_list(check):
    assert check('mqtt = { broker = ( "mqtt://a", "mqtt://[::1]:1884" ); };\n') == (0, [])


def test_include_is_relative_to_the_file_that_holds_it(check, tmp_path):
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    (tmp_path / "parts" / "all.conf").write_text('@include "deep/sensors.conf"\n', encoding="ascii")
    (tmp_path / "parts" / "deep" / "sensors.conf").write_text(sensors(FILE), encoding="ascii")
    code, faults = check('device = "x";\n@include "parts/all.conf"\n')
    assert (code, faults) == (0, [])


def test_faults_name_the_included_file(tmp_path):
    (tmp_path / "parts").mkdir()
    part = tmp_path / "parts" / "sensors.conf"
    part.write_text(sensors(FILE, FILE + " colour = 1;"), encoding="ascii")
    main = tmp_path / "main.conf"
    main.write_text('@include "parts/sensors.conf"\nsize = 1;\n', encoding="ascii")
    done = run_iotd("-c", main, "--check")
    assert done.returncode == 78
    assert f"{part}:3: sensors[1].colour: unknown key" in done.stderr
    assert f"{main}:2: size: unknown key" in done.stderr


def test_syntax_error_names_the_included_file(tmp_path):
    (tmp_path / "part.conf").write_text("\ndevice = ;\n", encoding="ascii")
    main = tmp_path / "main.conf"
    main.write_text('@include "part.conf"\n', encoding="ascii")
    done = run_iotd("-c", main, "--check")
    assert done.returncode == 78
    assert f"{tmp_path / 'part.conf'}:2: " in done.stderr


def test_include_of_a_missing_file(check):
    code, faults = check('\n@include "none.conf"\n')
    assert code == 78
    assert "none.conf" in faults[0], faults


def nested_lists(depth):
    return "a = " + "(" * depth


# name: content of the file; each must be refused in bounded time without a signal
HOSTILE = {
    "nested brackets": nested_lists(100_000),
    "nested brackets that close": nested_lists(100_000) + ")" * 100_000 + ";",
    "nested groups": "a = " + "{ a = " * 100_000 + "1; " + "}; " * 100_000,
    "NUL after the text": b'device = "x";\0\n',
    "NUL in a string": b'device = "x\0y";\n',
    "NUL only": b"\0" * 4096,
    "no text at all": bytes(range(256)) * 64,
    "string of 7 MiB": 'device = "' + "x" * (7 << 20) + '";\n',
    "string of 10 MB": 'device = "' + "x" * 10_000_000 + '";\n',
    "over 8 MiB of comments": "# nothing\n" * 900_000,
    "include of itself": '@include "iotd.conf"\n',
    "include of itself twice": '@include "iotd.conf"\n@include "iotd.conf"\n',
    "include of a directory": '@include "."\n',
    "include of the whole root": '@include "/"\n',
    "include of endless zeros": '@include "/dev/zero"\n',
    "include of endless zeros behind another": '@include "empty.conf" @include "/dev/zero"\n',
    "20,000 unknown keys": "".join(f"key{i} = {i};\n" for i in range(20_000)),
    "string with a line end": 'device = "a\\nb";\n',
    "20,000 sensors of one name": sensors(*[FILE] * 20_000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_is_refused(check, tmp_path, case):
    (tmp_path / "empty.conf").touch()
    code, faults = check(HOSTILE[case])
    assert code == 78
    assert faults and faults[0].strip()
    assert all(len(fault) < 2000 for fault in faults), "a fault does not repeat the file"


def test_directory_is_refused(check, tmp_path):
    (tmp_path / "dir").mkdir()
    code, faults = check(None, "dir")
    assert code == 78 and faults


def test_fifo_is_refused_and_not_waited_for(check, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    code, faults = check(None, "fifo")
    assert code == 78 and faults


def test_include_of_a_fifo_is_refused_and_not_waited_for(check, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    code, faults = check('@include "fifo"\n')
    assert code == 78 and faults


def test_included_file_over_8_mib_is_refused(check, tmp_path):
    (tmp_path / "big.conf").write_text("# nothing\n" * 900_000, encoding="ascii")
    code, faults = check('@include "big.conf"\n')
    assert code == 78 and faults


def test_unreadable_device_is_refused(check):
    for device in ("/dev/zero", "/dev/null"):
        done = run_iotd("-c", device, "--check", timeout=LIMIT)
        assert done.returncode == 78 and "regular file" in done.stderr


def test_8_mib_are_enough(check, tmp_path):
    assert check("#" * (8 << 20)) == (0, [])
    code, faults = check("#" * ((8 << 20) + 1))
    assert code == 78 and "8 MiB" in faults[0]


def test_daemon_with_a_bad_configuration_ends_before_it_touches_anything(broker, client, tmp_path):
    path = tmp_path / "iotd.conf"
    text = configuration(broker.url, sensors=[file_sensor(tmp_path / "x", colour=1)])
    path.write_text(text, encoding="utf-8")
    done = run_iotd("-c", path)
    assert done.returncode == 78
    assert f"{path}:" in done.stderr and "colour" in done.stderr
    assert client.all() == []


def cpu_of_children():
    """Seconds; what else the machine does meanwhile is not in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_thousands_of_sensors_load_quickly(check):
    before = cpu_of_children()
    assert check(sensors(*[FILE.replace("cpu", f"s{i}") for i in range(5000)])) == (0, [])
    assert cpu_of_children() - before < 3 * SLOW
