# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the journal gets when standard error is the journal (SPEC 1 and 7).

The daemon lives in a mount namespace of its own, in which the journal's socket is ours.
"""

import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from iotd_harness import History, file_sensor

CHIP = {"name": "chip", "driver": "bme280", "bus": "i2c-77", "address": 0x76}
CATALOG = Path(__file__).resolve().parents[2] / "systemd" / "iotd.catalog"
INSIDE = """
mount -t tmpfs none /run && mkdir -p /run/systemd/journal &&
mount --bind "$1" /run/systemd/journal && shift &&
JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"
"""


class Journal:
    """journald's end of its socket; an entry is a dictionary of its fields."""

    def __init__(self, folder):
        self.folder = folder
        self.entries = History("journal entries")
        folder.mkdir()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "socket"))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while data := self._socket.recv(65536):
            lines = data.decode("utf-8").splitlines()
            self.entries.add(dict(line.split("=", 1) for line in lines))

    def wait(self, **fields):
        """The first entry whose fields contain these texts."""

        def matches(entry):
            return all(text in entry.get(key, "") for key, text in fields.items())

        return self.entries.wait(matches, hint=str(fields))

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.folder / "socket"))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def journal(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root for a mount namespace")
    one = Journal(tmp_path / "journal")
    yield one
    one.close()


@pytest.fixture
def daemon(iotd, journal):
    prefix = ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(journal.folder)]
    return lambda **more: iotd(prefix=prefix, **more)


def explained():
    """The ids that journalctl -x has words for."""
    return set(re.findall(r"^-- ([0-9a-f]{32})", CATALOG.read_text("utf-8"), re.M))


def test_messages_go_there_and_nowhere_else(daemon, journal):
    one = daemon()
    entry = journal.wait(MESSAGE="connected to")
    assert entry["PRIORITY"] == "6" and entry["SYSLOG_IDENTIFIER"] == "iotd"
    one.stop()
    assert one.text() == ""


def test_failures_have_their_fields(daemon, journal, client, value_file):
    one = daemon(sensors=[file_sensor(value_file), CHIP])
    chip = journal.wait(IOTD_NAME="chip")
    assert (chip["IOTD_BUS"], chip["ERRNO"], chip["PRIORITY"]) == ("i2c-77", "2", "4")
    client.wait("sensor/air")
    value_file.unlink()
    gone = journal.wait(IOTD_NAME="air", MESSAGE="offline")
    assert gone["ERRNO"] == "2" and "IOTD_BUS" not in gone
    assert gone["MESSAGE_ID"] == chip["MESSAGE_ID"]
    value_file.write_text("1", encoding="ascii")
    back = journal.wait(IOTD_NAME="air", MESSAGE="online again after")
    assert re.search(r"after [\d.]+ s, \d+ failed read", back["MESSAGE"])
    assert back["MESSAGE_ID"] != gone["MESSAGE_ID"] and "ERRNO" not in back
    one.stop()
    ids = {e["MESSAGE_ID"] for e in journal.entries.all(lambda e: "MESSAGE_ID" in e)}
    assert ids <= explained(), "journalctl -x has words for each"


def test_starts_and_refused_configurations_have_an_id(daemon, journal):
    one = daemon()
    started = journal.wait(MESSAGE="0 sensors, 0 inputs")
    one.config.write_text("nonsense", encoding="ascii")
    one.signal(signal.SIGHUP)
    refused = journal.wait(MESSAGE="reload refused")
    assert started["MESSAGE_ID"] in explained() and refused["MESSAGE_ID"] in explained()
    assert (started["PRIORITY"], refused["PRIORITY"]) == ("6", "3")


def test_text_from_outside_makes_no_fields(daemon, journal, client):
    daemon()
    client.wait("status", "online")
    client.publish("command", '{"command":"ping\\nPRIORITY=0"}')
    client.settle()
    entry = journal.wait(MESSAGE="is refused")
    assert entry["PRIORITY"] == "5"
