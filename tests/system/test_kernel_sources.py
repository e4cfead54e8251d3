# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel drives already (iio, hwmon, w1, thermal), with a tree of files in place of /sys."""

import os
import re

import pytest

from iotd_harness import configuration, run_iotd

IIO = "bus/iio/devices/iio:device0"
HWMON = "class/hwmon/hwmon0"
W1 = "bus/w1/devices/28-000005e2fdc3"
ZONE = "class/thermal/thermal_zone0"
SCRATCHPAD = "91 01 4b 46 7f ff 0f 10 25"

LIGHT = {"name": "light", "driver": "iio", "device": "bh1750"}
FAN = {"name": "fan", "driver": "hwmon", "device": "nct6775"}
TANK = {"name": "tank", "driver": "w1", "device": "28-000005e2fdc3"}
CPU = {"name": "cpu", "driver": "thermal", "device": "x86_pkg_temp"}


class Tree:
    """Files below a folder; `environment` makes iotd take it for /sys."""

    def __init__(self, root):
        self.root = root
        self.environment = {"IOTD_SYSFS": str(root)}

    def put(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        # in place, as the kernel changes its own, and never empty for a moment
        with open(path, "r+b" if path.exists() else "wb", buffering=0) as file:
            file.write(f"{text}\n".encode())
            file.truncate()

    def once(self, config, *sensors, **more):
        return run_iotd("-c", config(sensors=list(sensors)), "--once",
                        env={**os.environ, **self.environment}, **more)  # fmt: skip


@pytest.fixture
def config(tmp_path):
    """Write a configuration that nobody connects with: config(sensors=[…]) → its path."""

    def write(**sections):
        path = tmp_path / "iotd.conf"
        path.write_text(configuration("mqtt://localhost:1", **sections), encoding="utf-8")
        return path

    return write


@pytest.fixture
def sysfs(tmp_path):
    tree = Tree(tmp_path / "sys")
    tree.put(f"{IIO}/name", "bh1750")
    tree.put(f"{IIO}/in_illuminance_raw", "500")
    tree.put(f"{IIO}/in_illuminance_scale", "0.833333")
    tree.put(f"{HWMON}/name", "nct6775")
    tree.put(f"{HWMON}/temp1_input", "42500")
    tree.put(f"{HWMON}/temp1_label", "CPU")
    tree.put(f"{HWMON}/temp2_input", "127500")
    tree.put(f"{HWMON}/temp2_fault", "1")
    tree.put(f"{HWMON}/fan2_input", "1187")
    tree.put(f"{W1}/w1_slave", f"{SCRATCHPAD} : crc=25 YES\n{SCRATCHPAD} t=25062")
    tree.put(f"{ZONE}/type", "x86_pkg_temp")
    tree.put(f"{ZONE}/temp", "51000")
    return tree


def test_once_reads_all_that_the_kernel_names(sysfs, config):
    done = sysfs.once(config, LIGHT, FAN, TANK, CPU)
    assert done.stdout.splitlines() == [
        "light.illuminance 416.667 lx",
        "fan.temp1 42.5 °C",
        "fan.fan2 1187 rpm",
        "tank.temperature 25.062 °C",
        "cpu.temperature 51 °C",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_wanted_channels_in_their_order_with_their_settings(sysfs, config):
    fan = {**FAN, "channels": ["fan2", "CPU"], "temp1": {"offset": -2.5, "digits": 0},
           "fan2": {"scale": 0.5, "unit": "rps"}}  # fmt: skip
    done = sysfs.once(config, fan)
    assert done.stdout.splitlines() == ["fan.fan2 594 rps", "fan.temp1 40 °C"]
    assert done.returncode == 0


def test_settings_of_a_channel_that_only_the_chip_could_know(sysfs, config):
    done = sysfs.once(config, {**FAN, "temp1": {"offset": 0.5}, "temp7": {"offset": 1.0}})
    assert "fan.temp1 43 °C" in done.stdout
    assert "sensor fan: has no channel temp7, whose settings do nothing" in done.stderr


@pytest.mark.parametrize("sensor, words", [
    ({**FAN, "device": "it87"}, "no hwmon chip is called it87; there are: nct6775"),
    ({**FAN, "channels": ["temp2"]}, "temp2_fault says that temp2 is faulty"),
    ({**FAN, "channels": ["temp9"]}, "has no channel temp9; it has: temp1 (CPU), temp2, fan2"),
    ({**LIGHT, "device": "bme280"}, "no iio device is called bme280; there are: bh1750"),
    ({**TANK, "device": "28-ff"}, "no 1-Wire device is called 28-ff; there are: 28-000005e2fdc3"),
    ({**CPU, "device": "acpitz"}, "no thermal zone is called acpitz; there are: x86_pkg_temp"),
])  # fmt: skip
def test_what_cannot_be_read_is_told_in_words(sysfs, config, sensor, words):
    done = sysfs.once(config, sensor, {**CPU, "name": "other"})
    assert done.returncode == 1
    assert done.stdout == "other.temperature 51 °C\n"
    assert f"sensor {sensor['name']}: offline: " in done.stderr and words in done.stderr


def test_the_value_of_power_on_is_a_failed_reading(sysfs, config):
    power_on = "50 05 4b 46 7f ff 0c 10 1c"
    sysfs.put(f"{W1}/w1_slave", f"{power_on} : crc=1c YES\n{power_on} t=85000")
    done = sysfs.once(config, TANK)
    assert (done.returncode, done.stdout) == (1, "")
    assert "28-000005e2fdc3: 85 °C is its value after power-on" in done.stderr


@pytest.mark.parametrize("sensor, fault", [
    ({**FAN, "channels": ["temp1"], "temp2": {"offset": 1.0}}, r'temp2: unknown key \(did you mean "temp1"\?\)'),
    ({"name": "x", "driver": "hwmon"}, "device: is missing"),
    ({**TANK, "channels": ["temp1"]}, r'channels\[0\]: "temp1" is not "temperature"'),
    ({**LIGHT, "bus": "i2c-1"}, 'bus: driver "iio" has no bus'),
])  # fmt: skip
def test_configurations_that_are_refused(config, sensor, fault):
    done = run_iotd("-c", config(sensors=[sensor]), "--check")
    assert done.returncode == 78
    assert re.search(fault, done.stderr), done.stderr


def test_simulation_needs_no_device(config, tmp_path):
    path = config(sensors=[LIGHT, {**FAN, "channels": ["fan2", "temp1"]}, TANK, CPU])
    done = run_iotd("-c", path, "--once", "--simulate",
                    env={**os.environ, "IOTD_SYSFS": str(tmp_path / "none")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "light.illuminance", "fan.fan2", "fan.temp1", "tank.temperature", "cpu.temperature"
    ]  # fmt: skip
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["lx", "rpm", "°C", "°C", "°C"]


def test_a_chip_comes_back_under_another_number(sysfs, iotd, client):
    iotd(sensors=[{**FAN, "interval": "100ms"}], env=sysfs.environment)
    client.wait("sensor/fan/status", "online")
    sysfs.put(f"{HWMON}/temp1_input", "")  # what an open file of a device that left says is ENODEV
    sysfs.put(f"{HWMON}/fan2_input", "gone")
    client.wait("sensor/fan/status", "offline")
    mark = client.mark()
    (sysfs.root / HWMON).rename(sysfs.root / "class/hwmon/hwmon5")
    sysfs.put("class/hwmon/hwmon0/name", "coretemp")  # who came first this time
    sysfs.put("class/hwmon/hwmon5/fan2_input", "900")
    client.wait("sensor/fan/status", "online", since=mark)
    client.wait("sensor/fan", match=lambda m: m.json["fan2"] == 900, since=mark)


def test_a_deadband_of_a_channel_that_the_chip_named(sysfs, iotd, client):
    fan = {**FAN, "interval": "100ms", "temp1": {"deadband": 5.0}}
    iotd(sensors=[fan], env=sysfs.environment)
    assert set(client.wait("sensor/fan").json) == {"time", "temp1", "fan2"}
    mark = client.mark()
    sysfs.put(f"{HWMON}/temp1_input", "44000")
    sysfs.put(f"{HWMON}/fan2_input", "1300")
    client.wait("sensor/fan", match=lambda m: m.json["fan2"] == 1300, since=mark)
    assert all("temp1" not in m.json for m in client.all("sensor/fan", since=mark))
    sysfs.put(f"{HWMON}/temp1_input", "50000")
    client.wait("sensor/fan", match=lambda m: m.json.get("temp1") == 50, since=mark)
