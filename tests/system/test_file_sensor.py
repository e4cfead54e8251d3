# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sources that go and come back; the sensor says `offline` and returns by itself (issue 2, 3)."""

import os
import re
import shutil

import pytest

from iotd_broker import retained
from iotd_harness import SLOW, file_sensor, replace_file
from iotd_metronome import longest_gap


@pytest.fixture
def sensor(iotd, client, value_file):
    """A running iotd whose sensor `air` is online."""
    daemon = iotd(sensors=[file_sensor(value_file), file_sensor("/proc/uptime", "tick")])
    client.wait("sensor/air/status", "online")
    return daemon


def comes_back(client, path, text="33.5"):
    mark = client.mark()
    replace_file(path, text)
    client.wait("sensor/air/status", "online", since=mark)
    client.wait("sensor/air", match=lambda m: m.json["value"] == float(text), since=mark)


def test_missing_at_start_is_offline_and_comes_when_it_is_there(iotd, broker, client, tmp_path):
    daemon = iotd(sensors=[file_sensor(tmp_path / "air"), file_sensor("/proc/uptime", "tick")])
    assert client.wait("sensor/air/status").text == "offline"
    assert retained(broker.port)["sensor/air/status"].text == "offline"
    client.wait("sensor/tick", count=3)
    assert daemon.running
    comes_back(client, tmp_path / "air")


def test_vanished_file_is_offline_and_comes_back(sensor, broker, client, value_file):
    value_file.unlink()
    assert client.wait("sensor/air/status", "offline").retain
    assert retained(broker.port)["sensor/air/status"].text == "offline"
    mark = client.mark()
    client.wait("sensor/tick", count=5, since=mark)
    assert not client.all("sensor/air", since=mark)
    comes_back(client, value_file)
    assert [m.text for m in client.all("sensor/air/status")] == ["online", "offline", "online"]
    assert sensor.running


def test_file_replaced_by_rename_is_read_anew(sensor, client, value_file):
    replace_file(value_file, "99.5")
    client.wait("sensor/air", match=lambda m: m.json["value"] == 99.5)
    assert not client.all("sensor/air/status", "offline")
    assert sensor.running


def test_file_written_in_place_is_read_anew(sensor, client, value_file):
    with open(value_file, "r+", encoding="ascii") as file:
        file.write("98.25\n")
    client.wait("sensor/air", match=lambda m: m.json["value"] == 98.25)
    assert sensor.running


def test_folder_that_goes_and_comes_back(iotd, client, tmp_path):
    folder = tmp_path / "device"
    folder.mkdir()
    (folder / "air").write_text("1", encoding="ascii")
    iotd(sensors=[file_sensor(folder / "air")])
    client.wait("sensor/air/status", "online")
    shutil.rmtree(folder)
    client.wait("sensor/air/status", "offline")
    folder.mkdir()
    comes_back(client, folder / "air")


def test_source_that_blocks_delays_nobody(iotd, client, tmp_path):
    fifo = tmp_path / "stuck"
    os.mkfifo(fifo)
    daemon = iotd(sensors=[file_sensor(fifo), file_sensor("/proc/uptime", "tick")])
    times = [m.time for m in client.wait("sensor/tick", count=30)]
    assert longest_gap(times) < 0.1 + 0.1 * SLOW
    client.wait("sensor/stuck/status", "offline")
    code, seconds = daemon.stop()
    assert code == 0 and seconds < 0.5 * SLOW


def test_failure_is_logged_when_it_begins_and_when_it_ends(sensor, client, value_file):
    mark = sensor.log.mark()
    value_file.unlink()
    client.wait("sensor/air/status", "offline")
    client.wait("sensor/tick", count=10, since=client.mark())
    comes_back(client, value_file)

    def about_air(line):
        return re.search(r"\bair\b", line.text)

    lines = sensor.log.wait(about_air, since=mark, count=2)
    assert "No such file" in lines[0].text
    sensor.stop()
    sensor.log.wait(about_air, since=mark, count=2)
    assert len(sensor.log.all(about_air, since=mark)) == 2


def test_rapid_coming_and_going_does_no_harm(sensor, client, value_file):
    for _ in range(200):
        value_file.unlink()
        replace_file(value_file, "5")
    client.wait("sensor/air", match=lambda m: m.json["value"] == 5, since=client.mark())
    assert sensor.running


def test_failing_sensor_keeps_no_descriptor(sensor, client, value_file):
    client.wait("sensor/tick")
    value_file.unlink()
    client.wait("sensor/air/status", "offline")
    before = sensor.descriptors()
    client.wait("sensor/tick", count=20, since=client.mark())
    assert sensor.descriptors() <= before
