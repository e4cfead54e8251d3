# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Manager's Scan: as --scan, but beside the sensors that use the buses (org.iotd1(5))."""

import time

import pytest

from iotd_bus import NOBODY, DBusError, wait_for_name
from iotd_figures import assert_schedule
from iotd_harness import BEAT, PATIENCE, SLOW, configuration, file_sensor, replace_file, run_iotd
from iotd_harness import assert_beats

AIR = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
ROOF = {"name": "roof", "driver": "sht3x", "bus": "i2c-2", "address": 0x44, "interval": "1h"}
REFUSED = "org.iotd1.Error.Refused"
FOUND = """sensors = (
	# i2c-1, 0x76: sensor "air" reads it
	# i2c-2, 0x44: sensor "roof" reads it
);
"""


@pytest.fixture
def caller(bus, simulated):
    """A client of an iotd with two emulated buses and a sensor on each."""
    one = bus.client()
    simulated(env={**bus.environment, **BEAT}, sensors=[AIR, ROOF])
    wait_for_name(one)
    return one


@pytest.fixture
def on_bus(bus, iotd, faulty, value_file):
    """Start an iotd with a configured adapter on which no sensor is; (adapter, process, client)."""

    def start(*sensors):
        adapter, one = faulty.bus("adapter"), bus.client()
        process = iotd(
            prefix=faulty.prefix,
            env={**bus.environment, **BEAT},
            sensors=[file_sensor(value_file), *sensors],
            i2c=[{"bus": "garden", "path": str(adapter.path)}],
        )
        wait_for_name(one)
        return adapter, process, one

    return start


def test_scan_names_who_reads_a_chip(caller):
    assert caller.call("Scan", "s", "") == FOUND
    for name in ("i2c-2", "2", "/dev/i2c-2"):
        found = caller.call("Scan", "s", name)
        assert found == 'sensors = (\n\t# i2c-2, 0x44: sensor "roof" reads it\n);\n'


def test_scan_does_not_disturb_the_sensors(bus, simulated, client):
    caller = bus.client()
    daemon = simulated(env={**bus.environment, **BEAT}, sensors=[AIR, ROOF])
    wait_for_name(caller)
    client.wait("sensor/air", count=3)
    mark, since = client.mark(), daemon.supervisor.events.mark()
    scans = 0
    while scans <= 3 or len(client.all("sensor/air", since=mark)) < 30:
        assert caller.call("Scan", "s", "") == FOUND
        scans += 1
    assert_schedule(client.all("sensor/air", since=mark), 0.1)
    daemon.supervisor.beats(3)
    assert_beats(daemon.supervisor, since)
    devices = {device["name"]: device for device in client.result("list")}
    assert {device["status"] for device in devices.values()} == {"online"}
    assert client.result("stats")["read_errors"] == 0


@pytest.mark.parametrize("bus_name", ["i2c-77", "/dev/i2c-77", "77"])
def test_scan_of_an_emulated_bus_that_is_not_there(caller, bus_name):
    error = caller.refused("Scan", "s", bus_name)
    assert error.name == REFUSED and "there is no emulated bus i2c-77" in error.text


@pytest.mark.parametrize("bus_name", ["i2c-", "spi0.0", "01", "../i2c-1"])
def test_scan_of_what_is_no_bus(caller, bus_name):
    error = caller.refused("Scan", "s", bus_name)
    assert error.name == "org.freedesktop.DBus.Error.InvalidArgs" and "i2c-1" in error.text


def test_scan_of_a_missing_bus_says_what_to_do(bus, iotd, value_file):
    caller = bus.client()
    iotd(env=bus.environment, sensors=[file_sensor(value_file)])
    wait_for_name(caller)
    error = caller.refused("Scan", "s", "i2c-77")
    assert error.name == REFUSED
    assert error.text in run_iotd("--scan", "i2c-77").stderr, "the same words"
    for word in ("/dev/i2c-77", "raspi-config", "dtparam=i2c_arm=on", "i2c-dev"):
        assert word in error.text


def test_scan_asks_for_permission(bus, caller):
    nobody = bus.client(NOBODY)
    assert nobody.refused("Scan", "s", "").name == "org.freedesktop.DBus.Error.AccessDenied"
    authority = bus.authority((True, False))
    assert nobody.call("Scan", "s", "i2c-1").startswith("sensors = (")
    asked = authority.questions.wait(lambda question: True)
    assert asked["action"] == "org.iotd1.write"
    assert asked["details"] == {"verb": "scan", "name": "i2c-1"}


# --- an adapter of the kernel, as far as iotd can tell ---------------------------------------------


def test_scan_finds_a_chip_that_is_not_configured(on_bus, tmp_path, client):
    adapter, _, caller = on_bus()
    found = caller.call("Scan", "s", "garden")
    line = '{ name = "bmp280"; driver = "bmp280"; bus = "garden"; address = 0x76; }'
    assert found == f"sensors = (\n\t{line}\n);\n"
    path = tmp_path / "found.conf"
    path.write_text(
        f'i2c = ( {{ bus = "garden"; path = "{adapter.path}"; }} );\n{found}', encoding="utf-8"
    )
    assert "(1 sensors" in run_iotd("-c", path, "--check").stdout
    assert client.result("list")[0]["name"] == "air"


def test_scan_does_not_give_a_name_twice(on_bus):
    _, _, caller = on_bus({"name": "bmp280", "driver": "iio", "device": "none", "interval": "1h"})
    assert '{ name = "bmp280-2"; driver = "bmp280"' in caller.call("Scan", "s", "garden")


def test_scan_after_a_reload_knows_the_new_sensors(on_bus, client, broker):
    adapter, process, caller = on_bus()
    assert "name" in caller.call("Scan", "s", "garden")
    sensor = {"name": "late", "driver": "bmp280", "bus": "garden", "address": 0x76}
    text = configuration(
        broker.url,
        sensors=[{**sensor, "interval": "100ms"}],
        i2c=[{"bus": "garden", "path": str(adapter.path)}],
    )
    replace_file(process.config, text)
    caller.call("Reload")
    found = caller.call("Scan", "s", "garden")
    assert found == 'sensors = (\n\t# garden, 0x76: sensor "late" reads it\n);\n'
    client.wait("sensor/late", count=3)


def test_an_adapter_that_hangs_ends_its_scan_and_nothing_else(on_bus, client):
    adapter, process, caller = on_bus()
    client.wait("sensor/air", count=1)
    mark = client.mark()
    adapter.hang("transfer")
    begun = caller.begin("Scan", "s", "garden")
    adapter.wait_hung()
    error = caller.refused("Scan", "s", "i2c-5")
    assert error.name == REFUSED and "another scan is under way" in error.text
    client.wait("sensor/air", count=10, since=mark)
    process.supervisor.beats(3)
    with pytest.raises(DBusError, match="hangs at address 0x08"):
        caller.reply(begun, timeout=30 * SLOW)
    error = caller.refused("Scan", "s", "garden")
    assert "still hangs since the last scan" in error.text
    adapter.free()
    deadline = time.monotonic() + PATIENCE * SLOW
    while scan_is_refused(caller):  # until the last one is back
        assert time.monotonic() < deadline


def scan_is_refused(caller):
    try:
        assert caller.call("Scan", "s", "garden").startswith("sensors = (")
        return False
    except DBusError as error:
        assert "still hangs" in error.text
        return True


def test_a_stop_while_an_adapter_hangs_is_in_time(on_bus, client):
    adapter, process, caller = on_bus()
    client.wait("sensor/air", count=1)
    adapter.hang("transfer")
    begun = caller.begin("Scan", "s", "garden")
    adapter.wait_hung()
    code, seconds = process.stop()
    assert code == 0 and seconds < 4 * SLOW
    with pytest.raises(DBusError, match="Error.Stopping"):
        caller.reply(begun)
