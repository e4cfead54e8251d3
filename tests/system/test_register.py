# SPDX-License-Identifier: LGPL-2.1-or-later
"""A chip by a table in the configuration (driver register)."""

import re
import signal

import pytest

from iotd_harness import configuration, replace_file, run_iotd

NOWHERE = "mqtt://127.0.0.1:1"
TEMPERATURE = {
    "channel": "temperature", "register": 0x00, "type": "s16be", "mask": 0xFFE0, "shift": 5,
    "scale": 0.125, "unit": "°C",
}  # fmt: skip
LM75 = {
    "name": "rack",
    "driver": "register",
    "bus": "i2c-1",
    "address": 0x48,
    "interval": "100ms",
    "init": [{"register": 0x01, "value": 0x60, "wait": "1ms"}],
    "start": [{"register": 0x04, "bytes": [1, 2]}],
    "wait": "5ms",
    "registers": [TEMPERATURE, {"channel": "config", "register": 0x01}],
}


@pytest.fixture
def config(tmp_path):
    def write(**changes):
        path = tmp_path / "iotd.conf"
        text = configuration(NOWHERE, sensors=[{**LM75, **changes}])
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_once_simulated_reads_the_table(config):
    done = run_iotd("-c", config(), "--once", "--simulate")
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"rack\.temperature (\d+(?:\.\d+)?) °C\nrack\.config 96\n", done.stdout)
    assert found, done.stdout
    assert 18 <= float(found[1]) <= 24


def test_keys_of_a_channel_come_after_the_table(config):
    done = run_iotd("-c", config(config={"offset": 4, "scale": 10, "unit": "x"}), "-1", "-s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("rack.config 964 x\n")
    done = run_iotd("-c", config(config={"max": 95}), "-1", "-s")
    assert done.returncode == 1
    assert "rack" in done.stderr and "config" in done.stderr


def row(**changes):
    return {"registers": [TEMPERATURE, {"channel": "flags", "register": 0x01, **changes}]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (row(mask=0), r"registers\[1\]\.mask: must not be 0"),
        (row(shift=8), r"registers\[1\]\.shift: 8 shifts all bits out"),
        (row(type="u16"), r'registers\[1\]\.type: "u16" is not .*did you mean "u16be"\?'),
        (row(channel="temperature"), r"registers\[1\]\.channel: .*of registers\[0\] already"),
        ({"registers": []}, r"registers: must not be empty"),
        ({"init": [{"register": 1}]}, r"init\[0\]: has no value"),
        ({"intervall": 5}, r'intervall: unknown key \(did you mean "interval"'),
    ],
)
def test_check_refuses_nonsense(config, changes, words):
    path = config(**changes)
    done = run_iotd("-c", path, "--check")
    assert (done.returncode, done.stdout) == (78, "")
    assert re.search(rf"^{re.escape(str(path))}:\d+: sensors\[0\]\.{words}", done.stderr, re.M)
    assert len(done.stderr.splitlines()) == 1, "nothing else is wrong"


def test_reload_takes_another_table(simulated, broker, client):
    daemon = simulated(sensors=[LM75])
    client.wait("sensor/rack", match=lambda message: "temperature" in message.json)
    mark = client.mark()
    level = {"channel": "level", "register": 0x00, "type": "u16be", "unit": "mm"}
    other = {**LM75, "registers": [level], "init": [], "start": [], "wait": 0}
    replace_file(daemon.config, configuration(broker.url, sensors=[other]))
    daemon.signal(signal.SIGHUP)
    reading = client.wait("sensor/rack", match=lambda message: "level" in message.json, since=mark)
    assert set(reading.json) == {"time", "level"}
    assert not client.all("sensor/rack/status", "offline", since=mark)
