# SPDX-License-Identifier: LGPL-2.1-or-later
"""For people: --scan, the words of --once, the list of drivers, the example configurations."""

import pathlib
import re

import pytest

from iotd_harness import PATIENCE, configuration, run_iotd

NOWHERE = "mqtt://127.0.0.1:1"
LONG = 3 * PATIENCE  # some chips measure for 5 s
EXAMPLES = pathlib.Path(__file__).parents[2] / "conf" / "examples"
SENSOR = re.compile(
    r'\t(#?)\{ name = "([^"]+)"; driver = "([^"]+)"; bus = "(i2c-\d+)"; address = (0x[0-9a-f]{2}); \}'
)


def drivers():
    """name: (kind, channels) of --list-drivers."""
    rows = [line.split(None, 2) for line in run_iotd("--list-drivers").stdout.splitlines()]
    return {name: (kind, channels) for name, kind, channels in rows}


def test_scan_finds_every_emulated_chip():
    done = run_iotd("--simulate", "--scan")
    assert (done.returncode, done.stderr) == (0, "")
    found = {row[2] for row in SENSOR.findall(done.stdout)}
    assert found == {name for name, (kind, _) in drivers().items() if kind == "i2c"} - {"register"}


def test_what_a_scan_prints_is_a_configuration(tmp_path):
    path = tmp_path / "iotd.conf"
    path.write_text(run_iotd("--simulate", "--scan").stdout, encoding="utf-8")
    sure = [row for row in SENSOR.findall(path.read_text(encoding="utf-8")) if not row[0]]
    done = run_iotd("-c", path, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"({len(sure)} sensors" in done.stdout and len(sure) > 10
    once = run_iotd("-c", path, "--simulate", "--once", timeout=LONG)
    assert (once.returncode, once.stderr) == (0, "")
    assert {line.split(".")[0] for line in once.stdout.splitlines()} == {row[1] for row in sure}


def test_a_comment_of_a_scan_can_be_taken_up(tmp_path):
    lines = run_iotd("--simulate", "--scan", "i2c-1").stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("\t#{"))
    lines[at] = lines[at].replace("#", "", 1)
    path = tmp_path / "iotd.conf"
    path.write_text("\n".join(lines), encoding="utf-8")
    done = run_iotd("-c", path, "--check")
    assert (done.returncode, done.stderr) == (0, ""), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("bus", ["i2c-2", "2", "/dev/i2c-2"])
def test_scan_of_one_bus(bus):
    whole, one = run_iotd("--simulate", "--scan"), run_iotd("--simulate", "--scan", bus)
    assert one.returncode == 0
    expected = {row[2:] for row in SENSOR.findall(whole.stdout) if row[3] == "i2c-2"}
    assert {row[2:] for row in SENSOR.findall(one.stdout)} == expected and expected
    assert run_iotd("--simulate", f"--scan={bus}").stdout == one.stdout


@pytest.mark.parametrize("bus", ["i2c-", "spi0.0", "/dev/null", "01", "i2c-1x", ""])
def test_scan_of_what_is_no_bus_exits_64(bus):
    done = run_iotd("--simulate", f"--scan={bus}")
    assert (done.returncode, done.stdout) == (64, "")
    assert "i2c-1" in done.stderr


def test_scan_of_a_missing_bus_says_what_to_do():
    done = run_iotd("--scan", "i2c-77")
    assert (done.returncode, done.stdout) == (1, ""), "what failed is no configuration"
    for word in ("/dev/i2c-77", "raspi-config", "dtparam=i2c_arm=on", "i2c-dev"):
        assert word in done.stderr, done.stderr


def test_scan_of_an_emulated_bus_that_is_not_there_prints_nothing():
    done = run_iotd("--simulate", "--scan", "i2c-77")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no emulated bus i2c-77" in done.stderr


def test_scan_needs_no_configuration(tmp_path):
    assert run_iotd("-s", "--scan", "-c", tmp_path / "none").returncode == 0


def test_once_says_what_to_do_about_a_missing_bus(tmp_path):
    path = tmp_path / "iotd.conf"
    sensor = {"name": "air", "driver": "bme280", "bus": "i2c-77", "address": 0x76}
    path.write_text(configuration(NOWHERE, sensors=[sensor]), encoding="utf-8")
    done = run_iotd("-c", path, "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert "sensor air" in done.stderr and len(done.stderr.splitlines()) == 1
    for word in ("there is no /dev/i2c-77", "raspi-config", "dtparam=i2c_arm=on", "i2c-dev"):
        assert word in done.stderr, done.stderr
    assert "trying again" not in done.stderr, "it does not"


def test_once_does_not_say_that_it_tries_a_line_again(tmp_path):
    path = tmp_path / "iotd.conf"
    door = {"name": "door", "chip": "gpiochip77", "line": 4}
    path.write_text(configuration(NOWHERE, inputs=[door]), encoding="utf-8")
    done = run_iotd("-c", path, "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert "input door: offline: " in done.stderr and "gpiochip77" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "trying again" not in done.stderr, "it does not"


def test_list_drivers_names_kind_channels_and_units():
    listed = drivers()
    assert listed["bme280"] == ("i2c", "temperature (°C), humidity (%), pressure (hPa)")
    assert listed["scd4x"] == ("i2c", "co2 (ppm), temperature (°C), humidity (%)")
    assert listed["w1"] == ("w1", "temperature (°C)")
    assert listed["ads1115"] == ("i2c", "as configured")
    assert listed["iio"] == ("iio", "as the kernel names them")
    assert listed["file"] == ("file", "as configured")
    assert all(kind and channels for kind, channels in listed.values())


@pytest.mark.parametrize("name", ["weather-station", "greenhouse", "power-meter", "cold-store"])
def test_an_example_runs_without_its_hardware(name):
    path = EXAMPLES / f"{name}.conf"
    done = run_iotd("-c", path, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    sensors = int(re.search(r"\((\d+) sensors", done.stdout).group(1))
    once = run_iotd("-c", path, "--simulate", "--once", timeout=LONG)
    assert (once.returncode, once.stderr) == (0, "")
    names = {line.split()[0].split(".")[0] for line in once.stdout.splitlines()}
    assert len(names) > sensors > 3, "sensors and inputs"
