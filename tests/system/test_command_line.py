# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options, exit codes and what the programs print (SPEC 1)."""

import os
import re

import pytest

from iotd_harness import SLOW, configuration, file_sensor, output, run_iotd

NOWHERE = "mqtt://127.0.0.1:1"


@pytest.fixture
def config(tmp_path):
    """Write a configuration file: config(sensors=…) or config(text="…")."""

    def write(text=None, **sections):
        path = tmp_path / "iotd.conf"
        path.write_text(text or configuration(NOWHERE, **sections), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option):
    done = run_iotd(option)
    assert done.returncode == 0
    assert re.match(r"iotd \d+\.\d+", done.stdout), done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option(option):
    done = run_iotd(option)
    assert done.returncode == 0
    for name in (
        "--config", "--check", "--once", "--simulate", "--list-drivers", "--log-level",
        "--version", "--help",
    ):
        assert name in done.stdout, name
    assert done.stderr == ""


@pytest.mark.parametrize("args", [["-V", "-t"], ["-h", "--bogus"], ["-s", "-V", "stray"]], ids=" ".join)
def test_who_asks_for_help_gets_it_whatever_follows(args):
    done = run_iotd(*args)
    assert done.returncode == 0 and "iotd" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    "args",
    [
        ["--no-such-option"],
        ["-Z"],
        ["--config"],
        ["-c"],
        ["--log-level"],
        ["--log-level", "loud"],
        ["stray"],
        ["--check=1"],
    ],
    ids=" ".join,
)
def test_bad_command_line_exits_64(args):
    done = run_iotd(*args)
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr.strip(), "says what is wrong"
    assert len(done.stderr.splitlines()) <= 5, "without the whole help"


def test_bad_command_line_names_the_culprit():
    assert "no-such-option" in run_iotd("--no-such-option").stderr
    assert "loud" in run_iotd("--log-level", "loud").stderr


@pytest.mark.parametrize("mode", [[], ["--check"], ["--once"]], ids=["run", "check", "once"])
def test_missing_configuration_exits_78(tmp_path, mode):
    path = tmp_path / "none.conf"
    done = run_iotd("-c", path, *mode)
    assert done.returncode == 78
    assert done.stdout == ""
    assert str(path) in done.stderr
    assert "No such file" in done.stderr


@pytest.mark.parametrize("option", ["-t", "--check"])
def test_check_counts_what_it_found(config, value_file, option):
    path = config(
        sensors=[file_sensor(value_file, name) for name in ("a", "b", "c")],
        inputs=[{"name": "door", "chip": "gpiochip0", "line": 17}],
        outputs=[output("pump", 22), output("valve", 23)],
    )
    done = run_iotd("-c", path, option)
    assert done.stdout == f"{path}: ok (3 sensors, 1 inputs, 2 outputs)\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_the_file_as_it_was_given(config, tmp_path):
    config()
    done = run_iotd("--config=iotd.conf", "--check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "iotd.conf: ok (0 sensors, 0 inputs, 0 outputs)\n")


def test_check_of_a_bad_file_prints_faults_on_stderr_only(config):
    done = run_iotd("-c", config("colour = 1;\n"), "--check")
    assert (done.returncode, done.stdout) == (78, "")
    assert "colour" in done.stderr


def test_check_touches_neither_hardware_nor_broker(config, tmp_path):
    path = config(
        sensors=[
            file_sensor(tmp_path / "absent"),
            {"name": "air", "driver": "bme280", "bus": "i2c-77", "address": 0x76},
        ],
        outputs=[output("pump", 22, initial="on")],
    )
    assert run_iotd("-c", path, "--check").returncode == 0


@pytest.mark.parametrize("option", ["-l", "--list-drivers"])
def test_list_drivers_is_one_a_line(option):
    done = run_iotd(option)
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert len(lines) == len(done.stdout.splitlines()), "each driver once, none without a name"
    bme280 = lines["bme280"]
    for word in ("i2c", "temperature", "humidity", "pressure", "°C", "%", "hPa"):
        assert word in bme280, bme280
    assert "humidity" not in lines["bmp280"]
    assert "file" in lines["file"].split()[1]


def test_list_drivers_needs_no_configuration(tmp_path):
    assert run_iotd("--list-drivers", "-c", tmp_path / "none").returncode == 0


def test_once_prints_a_line_a_channel(config, value_file):
    path = config(
        sensors=[
            file_sensor(value_file, "air", channel="temperature", unit="°C"),
            file_sensor(value_file, "plain"),
        ]
    )
    done = run_iotd("-c", path, "--once")
    assert done.stdout == "air.temperature 21.37 °C\nplain.value 21.37\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_once_applies_the_channel(config, tmp_path):
    raw = tmp_path / "raw"
    raw.write_text("45123", encoding="ascii")
    sensor = file_sensor(raw, "cpu", scale=0.001, offset=-0.4, digits=2, unit="°C")
    assert run_iotd("-c", config(sensors=[sensor]), "-1").stdout == "cpu.value 44.72 °C\n"


def test_once_fails_when_one_cannot_be_read_and_still_reads_the_rest(config, tmp_path, value_file):
    path = config(
        sensors=[file_sensor(tmp_path / "absent", "gone"), file_sensor(value_file, "air")]
    )
    done = run_iotd("-c", path, "--once")
    assert done.returncode == 1
    assert done.stdout == "air.value 21.37\n"
    assert "gone" in done.stderr and "No such file" in done.stderr


def test_once_of_missing_hardware_fails(config):
    path = config(
        sensors=[{"name": "air", "driver": "bme280", "bus": "i2c-77", "address": 0x76}],
    )
    done = run_iotd("-c", path, "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert "air" in done.stderr


def test_once_simulated_reads_chip_and_input(config):
    path = config(
        sensors=[{"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76}],
        inputs=[{"name": "door", "chip": "gpiochip0", "line": 17}],
    )
    done = run_iotd("-c", path, "--once", "--simulate")
    assert done.returncode == 0, done.stderr
    number = r"(-?\d+(?:\.\d+)?)"
    found = re.fullmatch(
        rf"air\.temperature {number} °C\nair\.humidity {number} %\nair\.pressure {number} hPa\n"
        r"door\S* (on|off)\n",
        done.stdout,
    )
    assert found, done.stdout
    temperature, humidity, pressure = (float(found.group(i)) for i in (1, 2, 3))
    assert 0 < temperature < 50 and 0 <= humidity <= 100 and 900 < pressure < 1100


def test_once_leaves_a_slow_source_behind(config, tmp_path, value_file):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    path = config(sensors=[file_sensor(fifo, "stuck"), file_sensor(value_file, "air")])
    done = run_iotd("-c", path, "--once", timeout=20 * SLOW)
    assert done.returncode == 1
    assert "air.value 21.37\n" in done.stdout and "stuck" in done.stderr


def test_log_level_of_the_command_line_wins(start_iotd, value_file):
    text = configuration(NOWHERE, log_level="debug", sensors=[file_sensor(value_file)])
    daemon = start_iotd(text, options=["--log-level", "err"])
    assert daemon.stop()[0] == 0
    assert daemon.text() == "", "a clean run has no errors to tell"


def test_debug_tells_more_than_notice(start_iotd, value_file):
    text = configuration(NOWHERE, sensors=[file_sensor(value_file)])
    levels = {}
    for level, last in ("notice", "cannot connect"), ("debug", "debug: try 2: cannot connect"):
        daemon = start_iotd(text, options=["--log-level", level], env={"WATCHDOG_USEC": "400000"})
        daemon.log.wait(lambda line, last=last: last in line.text)
        daemon.supervisor.beats(2)
        daemon.stop()
        levels[level] = {line.text.split()[1] for line in daemon.log.all()}
    more = {"info:", "debug:"}
    assert more <= levels["debug"] and not more & levels["notice"], levels
