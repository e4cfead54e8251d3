# SPDX-License-Identifier: LGPL-2.1-or-later
"""iotctl: what its manual page promises, on a bus of our own."""

import base64
import json
import os
import re
import statistics
import subprocess
import time
from types import SimpleNamespace

import pytest
from jeepney import MessageFlag

from iotd_bus import NAME, NOBODY, wait_for_name
from iotd_ctl import Ctl, StrangeDaemon
from iotd_harness import (
    SLOW,
    configuration,
    file_sensor,
    output,
    replace_file,
    run_iotd,
    seconds_of,
)

PUMP, VALVE = output("pump", 22), output("valve", 23, interlock=["pump"])
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}
WATER = {"name": "water", "chip": "gpiochip0", "line": 4, "count": True, "unit": "l"}
NO_ROOT = "needs root to be another user"


@pytest.fixture
def ctl(bus):
    return Ctl(bus)


@pytest.fixture
def start(bus, simulated, value_file):
    """An iotd that is on the bus: sensors `air` and, offline, `gone`; `door`, `water`, `pump`, `valve`."""

    def begin(interval="1h", **more):
        parts = {
            "sensors": [
                file_sensor(value_file, interval=interval, unit="°C"),
                file_sensor(value_file.with_name("gone"), interval="1h"),
            ],
            "inputs": [DOOR, WATER],
            "outputs": [PUMP, VALVE],
        }
        daemon = simulated(env=bus.environment, **{**parts, **more})
        wait_for_name(bus.client())
        return daemon

    return begin


def acknowledge(client):
    """Until the broker has said that it has all: what we have heard of may still be under way."""
    while client.result("stats")["queued"]:
        client.wait("stats", since=client.mark())


@pytest.fixture
def running(start, client, ctl):
    """iotctl, and an iotd that has read everything once, and was told that it has arrived."""
    start()
    client.wait("sensor/gone/status", "offline")
    client.wait("sensor/air")
    client.wait("input/door")
    client.state("output/pump", "off")
    client.state("output/valve", "off")
    acknowledge(client)
    return ctl


@pytest.fixture
def acknowledged(start, client, ctl):
    """As `running`, and nothing is under way, nor will be: a counter tells its count each minute."""
    start(inputs=[DOOR])
    client.wait("sensor/gone/status", "offline")
    client.wait("sensor/air")
    acknowledge(client)
    return ctl


def only(devices, name):
    return next(device for device in devices if device["name"] == name)


# --- status ---------------------------------------------------------------------------------------


def test_status_shows_how_it_is(running, broker, tmp_path):
    text = running.text("status")
    lines = text.splitlines()
    version = run_iotd("--version").stdout.split()[1]
    assert lines[0] == f"● test - iotd {version}"
    assert re.fullmatch(r"   since: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, for \d+ s", lines[1])
    assert lines[2] == f"  config: {tmp_path}/iotd.conf"
    assert lines[3] == f"  broker: {broker.url}, connected"
    assert lines[4] == "   spool: nothing waits"
    assert re.search(r"^ counted: .*\d+ reads failed", text, re.M)
    assert re.search(r"^  ●  air +\d+ s ago +value 21.37 °C$", text, re.M)
    assert re.search(r"^  ●  gone +\d+ errors? +offline: .*No such file or directory$", text, re.M)
    assert re.search(r"^  ●  door +\d+ s ago +(on|off)$", text, re.M)
    assert re.search(r"^  ●  pump +\d+ s ago +off$", text, re.M)
    assert "\033" not in text


def test_status_is_the_verb_without_a_verb(running):
    with_verb, without = running.json("status"), running.json()
    assert with_verb.keys() == without.keys()
    assert with_verb["version"] == without["version"]


def test_status_as_json_is_what_mqtt_says(acknowledged, client, broker, tmp_path):
    said = acknowledged.json("status")
    assert said["version"] == client.result("ping")["version"]
    assert said["device"] == "test"
    assert said["config_file"] == str(tmp_path / "iotd.conf")
    assert (said["connected"], said["broker"]) == (True, broker.url)
    assert [one["name"] for one in said["devices"]] == [d["name"] for d in client.result("list")]
    assert said["stats"].keys() - {"signals_dropped"} <= client.result("stats").keys()
    assert "oldest" not in said and said["broker_fault"] == ""


def test_status_tells_what_waits_for_a_broker_that_is_away(bus, ctl, start_iotd, value_file):
    began = time.time()
    nowhere = configuration("mqtt://127.0.0.1:1", sensors=[file_sensor(value_file)])
    caller = bus.client()
    daemon = start_iotd(nowhere, env=bus.environment)
    wait_for_name(caller)
    caller.listen(member="Reading")
    caller.signal("Reading", count=3)
    daemon.supervisor.status(lambda text: "refused" in text)  # it has tried
    said = ctl.json("status")
    assert said["connected"] is False and said["spooled"] >= 3
    text = ctl.text("status")
    assert re.search(r"^  broker: mqtt://127.0.0.1:1, not connected: .*refused", text, re.M)
    assert "refused" in said["broker_fault"]
    assert re.search(r"^   spool: \d+ readings wait for the broker", text, re.M)
    assert began - 1 < seconds_of(said["oldest"]) < time.time() + 1
    assert re.search(r", the oldest for \d+ s$", text, re.M)


def test_status_keeps_the_last_value_of_what_went_offline(start, ctl, client, value_file):
    start(interval="100ms")
    client.wait("sensor/air")
    value_file.unlink()
    client.wait("sensor/air/status", "offline")
    line = r"^  ●  air +\d+ s ago +\d+ errors? +offline: .*No such file.*; before: value 21.37 °C$"
    assert re.search(line, ctl.text(), re.M)


def test_colours_are_for_terminals(running):
    assert running.on_terminal("status").startswith("\033[33m●\033[0m")  # a sensor is offline
    assert "\033" not in running.on_terminal("status", env={"NO_COLOR": "1"})
    assert "\033" in running.on_terminal("status", env={"NO_COLOR": ""})
    assert "\033" not in running.on_terminal("--json", "status")


@pytest.mark.slow
def test_status_is_quick(running):
    took = []
    for _ in range(50):
        began = time.monotonic()
        running.text("status")
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.020 * SLOW, sorted(took)


# --- list and read --------------------------------------------------------------------------------


def test_list_is_a_table(running):
    lines = running.text("list").splitlines()
    assert lines[0].split() == ["NAME", "KIND", "DRIVER", "INTERVAL", "STATUS", "VALUE", "AGE"]
    assert [line.split()[0] for line in lines[1:]] == ["air", "gone", "door", "water", "pump", "valve"]
    assert re.fullmatch(r"air +sensor +file +1h +online +value 21.37 °C +\d+ s", lines[1])
    starts = {line[: lines[0].index("KIND")].rstrip() for line in lines}
    assert starts == {"NAME", "air", "gone", "door", "water", "pump", "valve"}


def test_list_as_json_is_what_mqtt_says_and_more(running, client):
    more = {"values", "readings", "errors", "late", "busy"}
    moves = {"state"}  # of emulated inputs, once a second
    listed = running.json("list")
    told = client.result("list")
    for ours, theirs in zip(listed, told, strict=True):
        skip = moves if theirs["kind"] == "input" else set()
        assert {k: v for k, v in ours.items() if k not in more | skip} == {
            k: v for k, v in theirs.items() if k not in skip
        }
    air = only(listed, "air")
    assert air["values"]["value"] == 21.37 and air["readings"] >= 1 and air["errors"] == 0
    assert only(listed, "gone")["errors"] >= 1
    assert only(listed, "pump")["values"]["state"] == "off"


def test_names_are_for_completions(running):
    assert running.text("list", "--names").split() == ["air", "gone", "door", "water", "pump", "valve"]
    assert running.text("list", "--names", "--kind", "output").split() == ["pump", "valve"]
    assert running.text("--kind=sensor", "list", "--names").split() == ["air", "gone"]
    assert running.json("list", "--names", "--kind", "input") == ["door", "water"]
    assert [one["name"] for one in running.json("list", "--kind", "input")] == ["door", "water"]


def test_read_takes_a_reading_that_is_published(running, client, value_file):
    replace_file(value_file, "-3.5\n")
    mark = client.mark()
    assert running.text("read", "air") == "air.value -3.5 °C\n"
    client.wait("sensor/air", since=mark)
    replace_file(value_file, "40\n")
    mark = client.mark()
    said = running.json("read", "air")
    published = client.wait("sensor/air", match=lambda m: m.json["value"] == 40, since=mark)
    assert said == {"air": published.json}
    replace_file(value_file, "21.37\n")
    assert '"value":21.37}' in running.text("read", "air", "--json")


def test_read_takes_several_names(running):
    text = running.text("read", "door", "air", "water")
    door, air, total, rate = text.splitlines()
    assert re.fullmatch("door (on|off)", door) and air == "air.value 21.37 °C"
    assert re.fullmatch(r"water\.total \d+ l", total) and re.fullmatch(r"water\.rate .* l/.*", rate)
    said = running.json("read", "door", "air")
    assert list(said) == ["door", "air"] and said["door"].keys() == {"time", "state"}


def test_read_takes_more_names_than_the_daemon_takes_calls(start, ctl, value_file):
    names = [f"s{n}" for n in range(40)]
    start(sensors=[file_sensor(value_file, name=name, interval="1h") for name in names])
    assert list(ctl.json("read", *names)) == names


def test_what_cannot_be_read_does_not_hide_the_others(running):
    done = running.run("read", "gone", "air")
    assert (done.returncode, done.stdout) == (1, "air.value 21.37 °C\n")
    assert "No such file" in done.stderr
    done = running.run("--json", "read", "air", "gone")
    assert done.returncode == 1 and json.loads(done.stdout)["air"]["value"] == 21.37
    assert "No such file" in json.loads(done.stderr)["error"]


# --- what changes something -----------------------------------------------------------------------


def test_set_moves_an_output(running, client):
    mark = client.mark()
    assert running.text("set", "pump", "ON") == "pump on\n"
    client.state("output/pump", "on", since=mark)
    mark = client.mark()
    assert running.json("set", "pump", "0") == {"name": "pump", "state": "off"}
    client.state("output/pump", "off", since=mark)


def test_toggle_is_the_other_state(running, client):
    mark = client.mark()
    assert running.json("toggle", "pump") == {"name": "pump", "state": "on"}
    client.state("output/pump", "on", since=mark)
    assert running.text("set", "pump", "toggle") == "pump off\n"


@pytest.mark.parametrize("args", [("pulse", "pump", "200ms"), ("set", "pump", "on", "--for", "200ms")])
def test_an_output_goes_back_after_its_time(running, client, args):
    mark, began = client.mark(), time.time()
    assert running.text(*args) == "pump on for 200ms\n"
    client.state("output/pump", "on", since=mark)
    assert client.state("output/pump", "off", since=mark).time >= began + 0.199
    assert running.json(*args) == {"name": "pump", "state": "on", "for": "200ms"}


def test_an_interlock_is_told(running):
    running.text("set", "pump", "on")
    assert "pump" in running.fails(1, "set", "valve", "on")


def test_interval_changes_it(running, client):
    assert running.text("interval", "air", "2s") == "air every 2s, until the next reload\n"
    assert only(client.result("list"), "air")["interval"] == "2s"
    assert running.json("interval", "air", "1.5s") == {"name": "air", "interval": "1500ms"}
    assert only(running.json("list"), "air")["interval"] == "1500ms"


def test_reload_takes_up_the_file(ctl, start, broker, value_file):
    daemon = start()
    new = configuration(broker.url, sensors=[file_sensor(value_file, name="new")])
    daemon.config.write_text(new, encoding="utf-8")
    assert ctl.text("reload") == "reloaded\n"
    assert ctl.text("list", "--names") == "new\n"
    assert ctl.json("reload") == {}
    daemon.config.write_text("nonsense = 1;", encoding="utf-8")
    assert "nonsense" in ctl.fails(1, "reload")
    assert ctl.text("list", "--names") == "new\n"


# --- stats, scan, check ---------------------------------------------------------------------------


def test_stats_are_those_of_the_topic(running, client):
    said = running.json("stats")
    told = client.result("stats")
    nothing_yet = {key for key, value in told.items() if value is None}
    assert said.keys() - {"signals_dropped"} | nothing_yet >= told.keys() - nothing_yet
    assert said["readings"] <= told["readings"] and said["connects"] == told["connects"] == 1
    table = dict(line.split(None, 1) for line in running.text("stats").splitlines())
    assert table["connected"] == "yes" and table["connects"] == "1"


def test_scan_prints_a_configuration(start, ctl, client, tmp_path):
    start(sensors=[{"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76}])
    client.wait("sensor/air")
    text = ctl.text("scan", "i2c-1")
    assert "i2c-1, 0x76" in text
    path = tmp_path / "found.conf"
    path.write_text(text, encoding="utf-8")
    assert run_iotd("-c", path, "--check").returncode == 0
    assert ctl.json("scan") == {"configuration": ctl.text("scan")}
    assert "no I2C bus" in ctl.fails(1, "scan", "nonsense")


def test_check_is_of_the_file_that_runs(running, tmp_path):
    path = tmp_path / "iotd.conf"
    assert running.text("check") == f"{path}: ok (2 sensors, 2 inputs, 2 outputs)\n"
    said = running.json("check")
    assert said == {"file": str(path), "ok": True, "lines": [f"{path}: ok (2 sensors, 2 inputs, 2 outputs)"]}


def test_check_finds_faults(running, tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("nonsense = 1;\nmore = 2;\n", encoding="utf-8")
    done = running.run("check", path)
    assert done.returncode == 78 and "nonsense" in done.stderr and done.stdout == ""
    done = running.run("--json", "check", path)
    said = json.loads(done.stdout)
    assert done.returncode == 78 and said["ok"] is False
    assert [line for line in said["lines"] if "nonsense" in line]


def test_check_needs_no_daemon(ctl, tmp_path):
    path = tmp_path / "good.conf"
    path.write_text(configuration("mqtt://127.0.0.1:1"), encoding="utf-8")
    assert ctl.json("check", path)["ok"] is True
    assert ctl.json("check", path, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"})["ok"]
    usual = ctl.run("--json", "--instance", "not-there", "check")
    assert json.loads(usual.stdout)["file"] == "/etc/iotd/not-there.conf"
    assert usual.stderr == ""


# --- spool ----------------------------------------------------------------------------------------


@pytest.fixture
def waiting(bus, ctl, start_iotd, value_file):
    """iotctl, and an iotd whose readings wait for a broker; spooled(count, **mqtt)."""

    def begin(count, sensors=None, **mqtt):
        nowhere = configuration(
            "mqtt://127.0.0.1:1", mqtt, sensors=sensors or [file_sensor(value_file, interval="20ms")]
        )
        caller = bus.client()
        start_iotd(nowhere, env=bus.environment)
        wait_for_name(caller)
        caller.listen(member="Reading")
        caller.signal("Reading", count=count)
        return ctl

    return begin


def test_spool_says_how_many_and_how_old(waiting):
    began = time.time()
    ctl = waiting(5)
    said = ctl.json("spool")
    assert said.keys() == {"count", "oldest", "bytes", "file_bytes"}
    assert said["count"] >= 5 and said["bytes"] > 0 and said["file_bytes"] == 0
    assert began - 1 < seconds_of(said["oldest"]) < time.time() + 1
    assert re.match(r"\d+ readings, .*\nthe oldest of .*Z, \d+ s ago\n", ctl.text("spool"))


def test_spool_is_empty_when_all_is_acknowledged(acknowledged):
    nothing = {"count": 0, "oldest": None, "bytes": 0, "file_bytes": 0}
    assert acknowledged.json("spool") == nothing
    assert acknowledged.text("spool").startswith("0 readings")
    assert acknowledged.text("spool", "export") == ""


def test_export_is_every_reading_as_a_line(waiting):
    ctl = waiting(5)
    lines = [json.loads(line) for line in ctl.text("spool", "export").splitlines()]
    assert len(lines) >= 5
    ids = [line["id"] for line in lines]
    assert ids == sorted(set(ids))
    for line in lines:
        assert line.keys() == {"id", "time", "topic", "payload"}
        assert line["topic"] == "iotd/test/sensor/air" and line["payload"]["value"] == 21.37
        assert abs(seconds_of(line["time"]) - seconds_of(line["payload"]["time"])) < 5 * SLOW
    assert ctl.json("spool")["count"] >= len(lines)  # they stay


def test_export_goes_on_after_a_page(waiting, value_file):
    sensors = [file_sensor(value_file, name=f"s{n}", interval="20ms") for n in range(20)]
    ctl = waiting(1200, sensors)
    ids = [json.loads(line)["id"] for line in ctl.text("spool", "export").splitlines()]
    assert len(ids) >= 1200 and ids == sorted(set(ids))


@pytest.mark.parametrize("form", ["value", "influx", "cbor"])
def test_export_writes_what_is_no_json(waiting, form):
    ctl = waiting(3, format=form)
    first = json.loads(ctl.text("spool", "export").splitlines()[0])
    if form == "value":
        assert first["payload"] == 21.37
    elif form == "influx":
        assert first["payload"].startswith("air,device=test value=21.37 ")
    else:
        assert base64.b64decode(first["payload_base64"], validate=True)[0] >> 5 in (4, 5)
        assert "payload" not in first


# --- rights, and who is not there -----------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason=NO_ROOT)
def test_who_has_no_rights_may_look(running):
    for args in (["status"], ["list"], ["read", "air"], ["stats"], ["spool"], ["spool", "export"]):
        assert running.run(*args, uid=NOBODY).returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason=NO_ROOT)
@pytest.mark.parametrize(
    "args",
    [
        ("set", "pump", "on"),
        ("toggle", "pump"),
        ("pulse", "pump", "1s"),
        ("interval", "air", "1s"),
        ("reload",),
        ("scan",),
    ],
)
def test_who_has_no_rights_changes_nothing(running, client, args):
    words = running.fails(77, *args, uid=NOBODY)
    assert words.endswith(": run it with sudo, or join the group iotd")
    assert only(client.result("list"), "pump")["state"] == "off"
    assert only(client.result("list"), "air")["interval"] == "1h"


# It can be ended from when it says that it is ready, by closing 3, and not only a moment later.
AGENT = """#!/bin/sh
echo "began $@" >>{trace}
sleep 60 3>&- &
trap 'echo ended >>{trace}; kill $!; exit' TERM
exec 3>&-
wait
"""


@pytest.fixture
def agent(bus):
    """What an agent of polkit, found first in the PATH of `environment`, has done."""
    folder = bus.folder / "bin"
    folder.mkdir()
    trace = bus.folder / "trace"
    trace.touch()
    trace.chmod(0o666)
    program = folder / "pkttyagent"
    program.write_text(AGENT.format(trace=trace), encoding="ascii")
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return SimpleNamespace(environment=environment, log=trace.read_text)


@pytest.mark.skipif(os.getuid() != 0, reason=NO_ROOT)
def test_a_person_at_a_terminal_can_be_asked_for_a_password(bus, running, agent):
    authority = bus.authority((True, False))
    ours, theirs = os.openpty()
    try:
        more = {"uid": NOBODY, "env": agent.environment}
        assert running.run("list", stdin=theirs, **more).returncode == 0
        assert agent.log() == ""
        assert running.run("set", "pump", "on", stdin=theirs, **more).stdout == "pump on\n"
        assert agent.log() == "began --fallback --notify-fd=3\nended\n"
        assert authority.questions.all()[-1]["interactive"] is True
        assert running.run("set", "pump", "off", **more).returncode == 0
        assert running.run("set", "pump", "on", stdin=theirs, env=agent.environment).returncode == 0
        assert agent.log().count("began") == 1  # no terminal; root
        away = {"uid": NOBODY, "env": {"PATH": "/nowhere"}}
        assert running.run("set", "pump", "off", stdin=theirs, **away).returncode == 0
    finally:
        os.close(ours)
        os.close(theirs)


VERBS = [
    ("status",),
    ("list",),
    ("read", "air"),
    ("set", "pump", "on"),
    ("toggle", "pump"),
    ("pulse", "pump", "1s"),
    ("interval", "air", "1s"),
    ("reload",),
    ("stats",),
    ("scan",),
    ("spool",),
    ("spool", "export"),
]


@pytest.mark.parametrize("args", VERBS)
def test_no_daemon_is_said(ctl, args):
    words = ctl.fails(69, *args)
    assert words == "iotd is not running, or another instance: systemctl status iotd"
    assert ctl.fails(69, "--instance", "two", *args).endswith("systemctl status iotd@two")


@pytest.mark.parametrize("args", VERBS)
def test_no_bus_is_said(ctl, args):
    words = ctl.fails(69, *args, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"})
    assert words.startswith("no D-Bus system bus: ")


def test_an_instance_is_another_daemon(bus, ctl, simulated, value_file):
    caller = bus.client()
    simulated(env=bus.environment, options=["--instance", "roof-1"], sensors=[file_sensor(value_file)])
    wait_for_name(caller, "org.iotd1.roof_2d1")
    assert ctl.text("--instance", "roof-1", "list", "--names") == "air\n"
    ctl.fails(69, "list")


# --- command lines --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("--nonsense",),
        ("read",),
        ("set", "pump"),
        ("set", "pump", "maybe"),
        ("set", "pump", "on", "--for", "long"),
        ("set", "pump", "on", "--for", "0"),
        ("set", "pump", "on", "5s"),
        ("pulse", "pump", "5 s"),
        ("pulse", "pump", "0s"),
        ("toggle",),
        ("interval", "air", "-1"),
        ("list", "--kind", "boat"),
        ("list", "air"),
        ("status", "--names"),
        ("read", "--for", "1s", "air"),
        ("read", "../air"),
        ("read", "\xff"),
        ("set", "a b", "on"),
        ("spool", "import"),
        ("--instance", "a/b", "status"),
        ("--instance", "", "status"),
        ("--instance",),
    ],
)
def test_bad_command_lines_are_refused(ctl, args):
    done = ctl.run(*args)
    assert (done.returncode, done.stdout) == (64, "")
    assert "iotctl: " in done.stderr
    done = ctl.run("--json", *args)
    assert (done.returncode, done.stdout) == (64, "")
    assert json.loads(done.stderr).keys() == {"error"}


def test_near_names_are_suggested(running):
    assert running.fails(1, "read", "iar").endswith('(did you mean "air"?)')
    assert running.fails(1, "set", "pmup", "on").endswith('(did you mean "pump"?)')
    assert "did you mean" not in running.fails(1, "set", "air", "on")
    assert "did you mean" not in running.fails(1, "read", "nothing-like-it")
    assert '(did you mean "status"?)' in running.fails(64, "stauts")


def test_help_and_version_need_no_bus(ctl):
    away = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
    text = ctl.text("--help", env=away)
    for args in [*VERBS, ("check",)]:
        assert re.search(rf"^  {args[0]}\b", text, re.M), args
    assert max(map(len, text.splitlines())) <= 80
    assert ctl.text("--version", env=away).split()[1] == run_iotd("--version").stdout.split()[1]


@pytest.mark.parametrize(
    "args", [("status",), ("list",), ("stats",), ("--json", "status"), ("--help",), ("--version",)]
)
def test_output_that_cannot_be_written_is_told(running, args):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = running.run(*args, stdout=full)
    assert done.returncode == 1 and "stdout: write failed" in done.stderr


def test_a_reader_that_has_enough_is_no_fault(waiting):
    ctl = waiting(200)
    reader, writer = os.pipe()
    os.close(reader)  # before it begins: all that it writes might find room in the pipe
    # pylint: disable-next=consider-using-with
    child = subprocess.Popen(
        [ctl.program, "spool", "export"],
        env=ctl.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() in (1, -13)  # SIGPIPE


# --- answers that no iotd gives -------------------------------------------------------------------


@pytest.fixture
def strange(bus, ctl):
    """iotctl, and a daemon with such answers: strange(List=("aa{sv}", ([…],)))."""
    started = []

    def begin(**answers):
        started.append(StrangeDaemon(bus.address, **answers))
        ctl.daemon = started[-1]
        return ctl

    yield begin
    for one in started:
        one.close()


CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x80-\x9f]")
EVIL = "\033[2J\x07\x9b5m\r\n"
EVIL_DEVICE = {
    "name": ("s", EVIL),
    "kind": ("s", "sensor"),
    "status": ("s", "offline"),
    "fault": ("s", EVIL),
    "driver": ("s", EVIL),
    "channels": ("a(ss)", [(EVIL, EVIL)]),
    "values": ("a{sv}", {EVIL: ("d", 1.5)}),
    "time": ("t", 1),
}


@pytest.mark.parametrize(
    "args", [("status",), ("list",), ("list", "--names"), ("stats",), ("scan",), ("reload",)]
)
def test_a_terminal_gets_no_control_characters(strange, args):
    texts = {key: ("s", EVIL) for key in ("Version", "Device", "Broker", "ConfigFile")}
    ctl = strange(
        GetAll=("a{sv}", (texts,)),
        List=("aa{sv}", ([EVIL_DEVICE],)),
        Stats=("a{sv}", ({EVIL: ("s", EVIL)},)),
        Scan=("s", (EVIL,)),
        Reload=("org.iotd1.Error.Refused", EVIL),
    )
    for options in ([], ["--json"]):
        done = ctl.run(*options, *args)
        assert not CONTROL.search(done.stdout + done.stderr)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0, 1e300])
def test_any_number_can_be_shown(strange, number):
    device = {"name": ("s", "air"), "values": ("a{sv}", {"t": ("d", number)}), "time": ("t", 1)}
    ctl = strange(List=("aa{sv}", ([device],)), Stats=("a{sv}", ({"uptime": ("d", number)},)))
    assert ctl.run("status").returncode == 0
    ctl.json("status")
    ctl.json("list")


def test_a_value_of_before_is_not_shown_as_new(strange):
    air = {"name": ("s", "air"), "values": ("a{sv}", {"a": ("d", 1.0), "b": ("d", 2.0)})}
    ctl = strange(List=("aa{sv}", ([air],)), Read=("ta{sv}", (1_000_000, {"a": ("d", 3.0)})))
    assert ctl.json("read", "air") == {"air": {"time": "1970-01-01T00:00:01.000Z", "a": 3}}
    assert ctl.text("read", "air") == "air.a 3\nair.b -\n"


def test_what_the_daemon_does_not_tell_is_left_out(strange):
    ctl = strange()
    assert ctl.run("status").returncode == 0
    assert ctl.json("status") == {"stats": {}, "devices": []}
    assert ctl.json("list") == []


@pytest.mark.parametrize(
    "method, args", [("GetAll", ["status"]), ("List", ["list"]), ("Stats", ["stats"]), ("Spool", ["spool"])]
)
def test_an_answer_of_another_type_is_told(strange, method, args):
    ctl = strange(**{method: ("s", ("hello",))})
    assert "cannot be read" in ctl.fails(1, *args)


@pytest.mark.parametrize(
    "args, flags",
    [
        (["status"], MessageFlag.no_auto_start),
        (["read", "air"], MessageFlag.no_auto_start),
        (["spool", "export"], MessageFlag.no_auto_start),
        (["reload"], MessageFlag.no_auto_start | MessageFlag.allow_interactive_authorization),
        (["scan"], MessageFlag.no_auto_start | MessageFlag.allow_interactive_authorization),
    ],
)
def test_no_call_starts_the_daemon_and_only_writing_asks_a_person(strange, args, flags):
    ctl = strange(Read=("ta{sv}", (1, {})), Reload=("", ()), Scan=("s", ("",)))
    ctl.run(*args)
    assert {message.header.flags for message in ctl.daemon.calls()} == {flags}


def test_an_export_that_would_not_end_ends(strange):
    ctl = strange(Spool=("a(ttsay)t", ([], 7)))
    done = ctl.run("spool", "export")
    assert done.returncode == 1 and "cannot be read" in done.stderr


@pytest.mark.parametrize(
    "name, code",
    [
        ("org.iotd1.Error.Refused", 1),
        ("org.iotd1.Error.Stopping", 1),
        ("org.freedesktop.DBus.Error.InvalidArgs", 1),
        ("org.freedesktop.DBus.Error.LimitsExceeded", 1),
        ("org.freedesktop.DBus.Error.UnknownMethod", 1),
        ("org.freedesktop.DBus.Error.AccessDenied", 77),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", 77),
        ("org.freedesktop.DBus.Error.NoReply", 69),
        ("org.freedesktop.DBus.Error.ServiceUnknown", 69),
    ],
)
def test_each_error_has_its_exit_code(strange, name, code):
    ctl = strange(Set=(name, "because"), Stats=(name, "because"))
    for args in (["set", "pump", "on"], ["stats"], ["status"]):
        words = ctl.fails(code, *args)
        assert code == 69 or words.startswith("because")


def test_a_daemon_that_goes_while_it_is_asked_is_told(bus, strange):
    ctl = strange(Reload=None)
    # pylint: disable-next=consider-using-with
    child = subprocess.Popen(
        [ctl.program, "reload"], env=ctl.environment, stderr=subprocess.PIPE, encoding="utf-8"
    )
    ctl.daemon.asked("Reload")
    bus.kill()
    words = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), words.count("\n")) == (69, 1), words
