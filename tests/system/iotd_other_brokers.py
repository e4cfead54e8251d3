# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brokers besides the mosquitto that is installed: an older one, and one that others wrote.

./dev puts them into the build folder (its function other_brokers), and IOTD_BROKERS says where. A
test that is marked any_broker runs with each of them; one that cannot be had is skipped.
"""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from iotd_broker import SPOKEN, Broker
from iotd_harness import PATIENCE, ROOT, Process

FOLDER = Path(os.environ.get("IOTD_BROKERS", ROOT / "build" / "brokers"))
OLD_MOSQUITTO = FOLDER / "mosquitto-2.0.11" / "usr" / "sbin" / "mosquitto"
AEDES = FOLDER / "aedes"


@cache
def why_not_old_mosquitto():
    """What keeps Debian 12's mosquitto from running here; None: nothing."""
    if not OLD_MOSQUITTO.exists():
        return f"{OLD_MOSQUITTO} is not there: only Debian 12 has it"
    said = subprocess.run(
        [OLD_MOSQUITTO, "-h"], capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    if "mosquitto version 2.0.11" not in said.stdout:
        return f"{OLD_MOSQUITTO} does not run here: {said.stderr.strip()[-200:]}"
    return None


@cache
def why_not_aedes(package):
    """What keeps a version of aedes from running here; None: nothing."""
    installed = AEDES / "node_modules" / package / "package.json"
    if not shutil.which("node"):
        return "no Node.js is installed"
    if not installed.exists():
        return f"{package} is not installed in {AEDES}: ./dev test system does it, if it has npm"
    wanted = json.loads(installed.read_text(encoding="utf-8"))["engines"]["node"]
    have = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    least, major = (int(re.search(r"\d+", text).group()) for text in (wanted, have))
    if major < least:
        return f"{package} wants Node.js {wanted}, and here is {have.strip()}"
    return None


class OldMosquitto(Broker):
    """The version that Debian 12 has without backports."""

    program = str(OLD_MOSQUITTO)
    why_not = staticmethod(why_not_old_mosquitto)


class Aedes(Broker):
    """A broker in JavaScript."""

    program = package = "aedes"

    @classmethod
    def why_not(cls):
        return why_not_aedes(cls.package)

    def start(self):
        SPOKEN[self.port] = self.protocol
        command = ["node", str(AEDES / "aedes.mjs"), self.package, str(self.port)]
        self.process = Process(command, self.package)
        self.process.log.wait(lambda line: line.text == "running", hint="that say it runs")


class Aedes311(Aedes):
    """The last one that spoke MQTT 3.1.1 only."""

    program = package = "aedes-of-mqtt-3.1.1"
    protocol = 4


KINDS = {
    "mosquitto": Broker,
    "mosquitto-2.0.11": OldMosquitto,
    "aedes": Aedes,
    "aedes-3.1.1": Aedes311,
}


def names(marker):
    """Of the brokers that a marked test is for: any_broker(protocol=5) needs one of MQTT 5."""
    wanted = marker.kwargs.get("only", KINDS)
    least = marker.kwargs.get("protocol", 4)
    return [name for name, kind in KINDS.items() if name in wanted and kind.protocol >= least]


def start_broker(name, folder):
    kind = KINDS[name]
    why = kind.why_not()
    if why:
        pytest.skip(f"no {name}: {why}")
    return kind(folder)
