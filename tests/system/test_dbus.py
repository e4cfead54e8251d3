# SPDX-License-Identifier: LGPL-2.1-or-later
"""iotd on D-Bus: what org.iotd1(5) promises, on a bus of our own (SPEC 8)."""

import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from jeepney import DBusAddress
from jeepney.bus_messages import message_bus

from iotd_bus import MANAGER, NAME, NOBODY, PATH, Bus, DBusError, plain, wait_for_name
from iotd_harness import PATIENCE, SLOW, configuration, file_sensor, output, replace_file, run_iotd

PUMP, VALVE = output("pump", 22), output("valve", 23, interlock=["pump"])
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}
WATER = {"name": "water", "chip": "gpiochip0", "line": 4, "count": True, "scale": 0.5, "unit": "l"}
LAST = 18446744073709551615
NO_REPLY, INTERACTIVE = 1, 4  # NO_REPLY_EXPECTED, ALLOW_INTERACTIVE_AUTHORIZATION


@pytest.fixture
def on_bus(bus, simulated, value_file):
    """Start an iotd on the bus: a sensor `air`, an input `door`, outputs `pump` and `valve`."""

    def start(where=bus, interval="1h", **more):
        parts = {
            "sensors": [file_sensor(value_file, interval=interval, unit="°C")],
            "inputs": [DOOR],
            "outputs": [PUMP, VALVE],
        }
        return simulated(env=where.environment, **{**parts, **more})

    return start


@pytest.fixture
def caller(bus, on_bus):
    """A client of an iotd that is on the bus."""
    one = bus.client()
    on_bus()
    wait_for_name(one)
    return one


def settled(caller):
    """Until all devices are online; their entries in the answer to List."""
    while True:
        devices = plain(caller.call("List"))
        if all(device["status"] != "unknown" for device in devices):
            return {device["name"]: device for device in devices}


@contextmanager
def held(daemon, caller):
    """What is sent within is all there when iotd goes on: it is stopped until the bus has it."""
    daemon.signal(signal.SIGSTOP)
    try:
        yield
        caller.ask_bus(message_bus.NameHasOwner(NAME))
    finally:
        daemon.signal(signal.SIGCONT)


def after(client, message):
    """Where in the history the next one is."""
    return client.messages.all().index(message) + 1


# --- properties -----------------------------------------------------------------------------------


def test_properties_say_who_and_where_it_is(bus, broker, on_bus, tmp_path):
    caller = bus.client()
    on_bus()
    wait_for_name(caller)
    caller.listen(path=PATH, member="PropertiesChanged")
    properties = caller.properties()
    if not properties["Connected"]:
        caller.signal("PropertiesChanged", lambda body: body[1].get("Connected") is True)
        properties = caller.properties()
    assert properties == {
        "Version": run_iotd("--version").stdout.split()[1],
        "Device": "test",
        "Connected": True,
        "Broker": broker.url,
        "BrokerFault": "",
        "Spooled": properties["Spooled"],
        "ConfigFile": str(tmp_path / "iotd.conf"),
    }


def test_connection_to_the_broker_is_told_when_it_changes(bus, broker, on_bus):
    caller = bus.client()
    caller.listen(path=PATH, member="PropertiesChanged")
    on_bus()
    caller.signal("PropertiesChanged", lambda body: body[1].get("Connected") is True)
    mark = caller.messages.mark()
    broker.close()
    caller.signal("PropertiesChanged", lambda body: body[1].get("Connected") is False, since=mark)
    assert caller.properties()["Connected"] is False
    assert caller.properties()["BrokerFault"] != ""


def test_readings_that_wait_are_counted(bus, start_iotd, value_file):
    caller = bus.client()
    nowhere = configuration("mqtt://127.0.0.1:1", sensors=[file_sensor(value_file)])
    start_iotd(nowhere, env=bus.environment)
    wait_for_name(caller)
    caller.listen(member="Reading")
    caller.signal("Reading", count=3)
    assert caller.properties()["Spooled"] >= 3


@pytest.mark.parametrize(
    "name", ["Version", "Device", "Connected", "Broker", "Spooled", "ConfigFile"]
)
def test_properties_cannot_be_set(caller, client, name):
    client.result("ping")  # it is connected
    before = caller.properties()
    address = DBusAddress(PATH, NAME, "org.freedesktop.DBus.Properties")
    error = caller.refused("Set", "ssv", MANAGER, name, ("s", "x"), address=address)
    assert error.name in (
        "org.freedesktop.DBus.Error.PropertyReadOnly",
        "org.freedesktop.DBus.Error.InvalidArgs",
    )
    assert caller.properties()[name] == before[name] or name == "Spooled"


# --- methods --------------------------------------------------------------------------------------


def test_list_has_every_device_in_the_order_of_kinds(bus, on_bus, value_file):
    caller = bus.client()
    other = value_file.with_name("gone")
    on_bus(
        sensors=[
            file_sensor(value_file, interval="2s", unit="°C"),
            file_sensor(other, interval="1h"),
        ],
        inputs=[DOOR, WATER],
    )
    wait_for_name(caller)
    devices = settled(caller)
    assert list(devices) == ["air", "gone", "door", "water", "pump", "valve"]
    kinds = [device["kind"] for device in devices.values()]
    assert kinds == ["sensor", "sensor", "input", "input", "output", "output"]
    air, gone = devices["air"], devices["gone"]
    assert air["status"] == "online" and "fault" not in air
    assert air["driver"] == "file" and air["interval"] == 2_000_000
    assert air["channels"] == [("value", "°C")]
    assert air["readings"] >= 1 and air["errors"] == 0
    assert gone["status"] == "offline" and "No such file" in gone["fault"]
    assert gone["errors"] >= 1
    assert devices["pump"]["state"] == "off" and "driver" not in devices["pump"]
    assert ("total", "l") in devices["water"]["channels"]


def test_list_is_whole_when_it_is_long(bus, on_bus, value_file):
    sensors = [file_sensor(value_file, name=f"s{n}", interval="1h") for n in range(500)]
    caller = bus.client()
    on_bus(sensors=sensors)
    wait_for_name(caller)
    serials = [caller.begin("List") for _ in range(4)]
    expected = [one["name"] for one in sensors] + ["door", "pump", "valve"]
    for serial in serials:
        assert [device["name"] for device in plain(caller.reply(serial))[0]] == expected


def test_list_is_of_one_configuration(bus, on_bus, broker, value_file):
    caller, other = bus.client(), bus.client()
    sensors = [file_sensor(value_file, name=f"s{n}", interval="1h") for n in range(500)]
    daemon = on_bus(sensors=sensors, inputs=[], outputs=[])
    wait_for_name(caller)
    few = [file_sensor(value_file, name=f"t{n}", interval="1h") for n in range(3)]
    daemon.config.write_text(configuration(broker.url, sensors=few), encoding="utf-8")
    reload = other.begin("Reload")
    lists = []
    while not other.errors() and "s0" in (lists[-1] if lists else ["s0"]):
        serials = [caller.begin("List") for _ in range(4)]
        lists += [[one["name"] for one in plain(caller.reply(serial))[0]] for serial in serials]
    assert other.reply(reload) == ()
    for names in lists:
        assert names in ([one["name"] for one in sensors], [one["name"] for one in few])


def test_read_takes_a_reading_that_is_published_too(caller, client, value_file):
    settled(caller)
    replace_file(value_file, "22.5\n")
    before = time.time()
    when, values = caller.call("Read", "s", "air")
    assert plain(values) == {"value": 22.5}
    assert before - 1 <= when / 1e6 <= time.time() + 1
    client.wait("sensor/air", match=lambda message: message.json["value"] == 22.5)


def test_read_of_a_line_tells_its_state(caller):
    settled(caller)
    _, values = caller.call("Read", "s", "pump")
    assert plain(values) == {"state": "off"}


def test_set_moves_an_output(caller, client):
    settled(caller)
    assert caller.call("Set", "sst", "pump", "on", 0) == "on"
    since = after(client, client.state("pump", "on"))
    assert caller.call("Set", "sst", "pump", "toggle", 0) == "off"
    client.state("pump", "off", since=since)


def test_set_for_a_while_goes_back(caller, client):
    settled(caller)
    client.state("pump", "off")
    client.result("ping")  # behind the acknowledgement of that: until then a newer state would wait
    since = client.mark()
    assert caller.call("Set", "sst", "pump", "on", 200_000) == "on"
    since = after(client, client.state("pump", "on", since=since))
    client.state("pump", "off", since=since)
    assert settled(caller)["pump"]["state"] == "off"


def test_an_interlock_refuses_over_dbus_too(caller):
    settled(caller)
    assert caller.call("Set", "sst", "pump", "on", 0) == "on"
    error = caller.refused("Set", "sst", "valve", "on", 0)
    assert error.name == "org.iotd1.Error.Refused" and "pump" in error.text
    assert settled(caller)["valve"]["state"] == "off"


def test_interval_is_set(caller, client):
    settled(caller)
    caller.call("SetInterval", "st", "air", 50_000)
    client.wait("sensor/air", count=5)
    assert settled(caller)["air"]["interval"] == 50_000


def test_reload_takes_up_the_file(bus, on_bus, broker, value_file):
    caller = bus.client()
    daemon = on_bus()
    wait_for_name(caller)
    text = configuration(broker.url, sensors=[file_sensor(value_file, name="other")])
    daemon.config.write_text(text, encoding="utf-8")
    assert caller.call("Reload") == ()
    assert [device["name"] for device in plain(caller.call("List"))] == ["other"]


def test_reload_says_why_it_was_refused(bus, on_bus):
    caller = bus.client()
    daemon = on_bus()
    wait_for_name(caller)
    daemon.config.write_text("mqtt = { brocker = 1; };", encoding="ascii")
    error = caller.refused("Reload")
    assert error.name == "org.iotd1.Error.Refused" and "brocker" in error.text
    assert len(caller.call("List")) == 4


def test_device_that_a_reload_renames_is_told(bus, on_bus, broker):
    caller = bus.client()
    daemon = on_bus()
    wait_for_name(caller)
    caller.listen(path=PATH, member="PropertiesChanged")
    daemon.config.write_text(configuration(broker.url, device="renamed"), encoding="utf-8")
    caller.call("Reload")
    caller.signal("PropertiesChanged", lambda body: body[1].get("Device") == "renamed")


def test_stats_are_those_of_the_topic(caller, client):
    stats = plain(caller.call("Stats"))
    published = client.wait("stats").json
    numbers = {key for key, value in published.items() if value is not None}
    assert numbers - {"late_p50", "late_p99", "ack_p50", "ack_p99"} <= set(stats)
    assert stats["sensors"] == 1 and stats["signals_dropped"] == 0
    commands = stats["commands"]
    caller.call("List")
    assert plain(caller.call("Stats"))["commands"] == commands + 2


def test_refused_calls_are_counted(caller, client):
    before = plain(caller.call("Stats"))["commands_refused"]
    caller.refused("Read", "s", "nothing")
    caller.refused("Read", "s", "no/name")
    assert plain(caller.call("Stats"))["commands_refused"] == before + 2


# --- errors ---------------------------------------------------------------------------------------

INVALID = "org.freedesktop.DBus.Error.InvalidArgs"


@pytest.mark.parametrize(
    "name, args",
    [
        ("org.iotd1.Error.NoSuchDevice", ("Read", "s", "nothing")),
        ("org.iotd1.Error.NoSuchDevice", ("Set", "sst", "air", "on", 0)),
        ("org.iotd1.Error.NoSuchDevice", ("SetInterval", "st", "pump", 1_000_000)),
        (INVALID, ("Read", "s", "")),
        (INVALID, ("Read", "s", "a/b")),
        (INVALID, ("Read", "s", "x" * 65)),
        (INVALID, ("Set", "sst", "pump", "On", 0)),
        (INVALID, ("Set", "sst", "pump", "", 0)),
        (INVALID, ("Set", "sst", "pump", "on", LAST)),
        (INVALID, ("SetInterval", "st", "air", 0)),
        (INVALID, ("SetInterval", "st", "air", 999)),
        (INVALID, ("SetInterval", "st", "air", LAST)),
        (INVALID, ("Spool", "tu", 0, 0)),
        (INVALID, ("Spool", "tu", 0, 501)),
        (INVALID, ("Scan", "s", "x" * 64)),
        (INVALID, ("Scan", "s", "i2c-1\n")),
        (INVALID, ("Read", "u", 1)),
        (INVALID, ("Set", "ss", "pump", "on")),
        ("org.freedesktop.DBus.Error.UnknownMethod", ("Explode",)),
    ],
    ids=lambda value: "-".join(map(str, value))[:40] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_has_an_error_of_its_name(caller, name, args):
    error = caller.refused(*args)
    assert error.name == name and 0 < len(error.text) < 200


@pytest.mark.parametrize(
    "path, interface",
    [
        ("/", MANAGER),
        ("/org/iotd1/x", MANAGER),
        ("/org/iotd1/sensor/x", MANAGER),
        (PATH, "org.iotd1.Nothing"),
    ],
)
def test_unknown_objects_and_interfaces_are_refused(caller, path, interface):
    error = caller.refused("List", address=DBusAddress(path, NAME, interface))
    assert error.name.startswith("org.freedesktop.DBus.Error.Unknown")


def test_sensor_that_is_offline_refuses_to_be_read(bus, on_bus, value_file):
    caller = bus.client()
    on_bus(sensors=[file_sensor(value_file.with_name("gone"), interval="1h")])
    wait_for_name(caller)
    error = caller.refused("Read", "s", "gone")
    assert error.name == "org.iotd1.Error.Refused" and error.text


# --- signals --------------------------------------------------------------------------------------


def test_each_published_reading_is_a_signal(bus, on_bus, client):
    caller = bus.client()
    caller.listen(sender=NAME, member="Reading", path=PATH)
    on_bus(interval="100ms")
    heard = caller.signal("Reading", lambda body: body[0] == "air", count=5)
    bodies = [plain(message.body) for message in heard]
    assert all(body[2] == {"value": 21.37} for body in bodies)
    times = [body[1] for body in bodies]
    assert times == sorted(set(times)), "each is told once"
    for when in times:
        client.wait("sensor/air", match=lambda m, when=when: m.time == when // 1000 / 1000)


def test_change_of_a_line_is_a_signal(bus, on_bus):
    caller = bus.client()
    on_bus()
    wait_for_name(caller)
    settled(caller)
    caller.listen(sender=NAME, member="Reading")
    mark = caller.messages.mark()
    caller.call("Set", "sst", "pump", "on", 0)
    body = caller.signal("Reading", lambda body: body[0] == "pump", since=mark).body
    assert plain(body)[2] == {"state": "on"}
    assert abs(body[1] / 1e6 - time.time()) < 60 * SLOW


def test_another_connection_to_the_broker_is_no_change_of_a_line(bus, on_bus, broker, client):
    caller = bus.client()
    daemon = on_bus()
    wait_for_name(caller)
    settled(caller)
    client.state("pump", "off")
    client.state("valve", "off")
    caller.listen(sender=NAME)
    mark, since = caller.messages.mark(), client.mark()
    text = daemon.config.read_text(encoding="utf-8")
    daemon.config.write_text(text.replace("mqtt = {", 'mqtt = { client_id = "other";'))
    caller.call("Reload")
    client.wait("output/pump", since=since)  # the new connection is told
    caller.call("Set", "sst", "pump", "on", 0)
    told = caller.signal("Reading", lambda body: body[0] in ("pump", "valve"), since=mark).body
    assert plain(told)[2] == {"state": "on"}


# --- who may write --------------------------------------------------------------------------------

WRITES = [
    ("Set", "sst", "pump", "on", 0),
    ("SetInterval", "st", "air", 1_000_000),
    ("Reload",),
]
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


def test_who_has_no_rights_may_read(bus, on_bus):
    watcher = bus.client()
    on_bus()
    wait_for_name(watcher)
    nobody = bus.client(NOBODY)
    assert set(settled(nobody)) == {"air", "door", "pump", "valve"}
    assert plain(nobody.call("Read", "s", "air")[1]) == {"value": 21.37}
    assert "uptime" in plain(nobody.call("Stats"))
    assert nobody.properties()["Device"] == "test"
    nobody.listen(member="Reading")
    mark = nobody.messages.mark()
    nobody.call("Read", "s", "air")
    nobody.signal("Reading", since=mark)


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write[0])
def test_who_has_no_rights_may_not_write_without_polkit(bus, on_bus, write):
    watcher = bus.client()
    daemon = on_bus()
    wait_for_name(watcher)
    before = settled(watcher)
    daemon.config.write_text("broken", encoding="ascii")
    error = bus.client(NOBODY).refused(*write)
    assert error.name == DENIED and "root" in error.text
    after = settled(watcher)
    assert after["pump"]["state"] == "off" and after["air"]["interval"] == before["air"]["interval"]
    assert plain(watcher.call("Stats"))["reloads_refused"] == 0


def test_bus_policy_lets_nobody_else_have_the_name(bus):
    nobody = bus.client(NOBODY)
    for name in (NAME, f"{NAME}.attic"):
        with pytest.raises(Exception, match="AccessDenied"):
            nobody.ask_bus(message_bus.RequestName(name))


def test_polkit_is_told_who_wants_what(bus, on_bus):
    authority = bus.authority((True, False))
    caller = bus.client()
    on_bus()
    wait_for_name(caller)
    settled(caller)
    assert caller.call("Set", "sst", "pump", "on", 0) == "on"
    asked = authority.questions.wait(lambda question: True)
    assert asked["sender"] == caller.name and asked["action"] == "org.iotd1.write"
    assert asked["details"] == {"verb": "set", "name": "pump"} and not asked["interactive"]
    caller.call("Set", "sst", "pump", "off", 0, flags=INTERACTIVE)
    assert authority.questions.wait(lambda question: question["interactive"])


def test_polkit_lets_a_user_write(bus, on_bus, client):
    bus.authority((True, False))
    watcher = bus.client()
    on_bus()
    wait_for_name(watcher)
    settled(watcher)
    assert bus.client(NOBODY).call("Set", "sst", "pump", "on", 0) == "on"
    client.state("pump", "on")


@pytest.mark.parametrize(
    "verdict, flags, name",
    [
        ((False, False), 0, DENIED),
        ((False, False), INTERACTIVE, DENIED),
        ((False, True), 0, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"),
        ((False, True), INTERACTIVE, DENIED),
    ],
)
def test_polkit_says_no(bus, on_bus, verdict, flags, name):
    bus.authority(verdict)
    caller = bus.client()
    on_bus()
    wait_for_name(caller)
    settled(caller)
    assert caller.refused("Set", "sst", "pump", "on", 0, flags=flags).name == name
    assert settled(caller)["pump"]["state"] == "off"


@pytest.mark.parametrize("uid, may", [(None, True), (NOBODY, False)], ids=["root", "nobody"])
def test_polkit_that_dies_leaves_it_to_root(bus, on_bus, uid, may):
    bus.authority("die")
    watcher, caller = bus.client(), bus.client(uid)
    on_bus()
    wait_for_name(watcher)
    settled(watcher)
    if may:
        assert caller.call("Set", "sst", "pump", "on", 0) == "on"
    else:
        assert caller.refused("Set", "sst", "pump", "on", 0).name == DENIED
    assert settled(watcher)["pump"]["state"] == ("on" if may else "off")


def test_polkit_that_never_answers_is_not_waited_for(bus, on_bus):
    authority = bus.authority(None)
    watcher, caller = bus.client(), bus.client(NOBODY)
    on_bus()
    wait_for_name(watcher)
    settled(watcher)
    asked = time.monotonic()
    error = caller.refused("Set", "sst", "pump", "on", 0, timeout=3 * PATIENCE)
    assert error.name == DENIED and time.monotonic() - asked >= 4.9
    assert authority.questions.mark() == 1
    assert settled(watcher)["pump"]["state"] == "off"


def test_who_has_left_when_polkit_answers_is_not_obeyed(bus, on_bus):
    authority = bus.authority(None)
    watcher, caller = bus.client(), bus.client()
    on_bus()
    wait_for_name(watcher)
    settled(watcher)
    caller.begin("Set", "sst", "pump", "on", 0)
    question = authority.questions.wait(lambda question: True)
    watcher.listen(sender="org.freedesktop.DBus", member="NameOwnerChanged")
    mark = watcher.messages.mark()
    name = caller.name
    caller.close()
    watcher.signal("NameOwnerChanged", lambda body: body[0] == name, since=mark)
    before = plain(watcher.call("Stats"))["commands_refused"]
    authority.answer(question, True, False)
    while plain(watcher.call("Stats"))["commands_refused"] == before:
        assert settled(watcher)["pump"]["state"] == "off"
    assert settled(watcher)["pump"]["state"] == "off"


# --- limits ---------------------------------------------------------------------------------------


def test_one_sender_has_eight_calls_under_way(bus, on_bus):
    authority = bus.authority(None)
    caller, other = bus.client(), bus.client()
    on_bus()
    wait_for_name(caller)
    # interactive: these wait for two minutes, others for 5 s
    waiting = [caller.begin("Set", "sst", "pump", "on", 0, flags=INTERACTIVE) for _ in range(8)]
    authority.questions.wait(lambda question: True, count=8)
    for args in (("Set", "sst", "pump", "on", 0), ("List",), ("Read", "s", "air")):
        assert caller.refused(*args).name == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert len(other.call("List")) == 4
    for question in authority.questions.all():
        authority.answer(question, False, False)
    for serial in waiting:
        with pytest.raises(Exception, match="AccessDenied"):
            caller.reply(serial)
    assert len(caller.call("List")) == 4


def test_those_who_let_polkit_wait_keep_nobody_out(bus, on_bus):
    authority = bus.authority(lambda question: None if question["interactive"] else (True, False))
    caller = bus.client()
    on_bus()
    wait_for_name(caller)
    settled(caller)
    idlers = [bus.client(NOBODY) for _ in range(8)]
    for one in idlers * 8:
        one.begin("Set", "sst", "valve", "on", 0, flags=INTERACTIVE)
    authority.questions.wait(lambda question: True, count=64)
    assert caller.call("Set", "sst", "pump", "on", 0) == "on"
    assert settled(caller)["pump"]["state"] == "on"
    for one in idlers:
        one.ask_bus(message_bus.NameHasOwner(NAME))  # its answer is behind what came before
    errors = [error for one in idlers for error in one.errors()]
    assert errors == ["org.freedesktop.DBus.Error.LimitsExceeded"]


# --- the bus --------------------------------------------------------------------------------------


def test_bus_that_comes_later_is_taken_up(on_bus):
    bus = Bus(start=False)
    try:
        on_bus(where=bus)
        bus.start()
        caller = bus.client()
        wait_for_name(caller)
        assert len(caller.call("List")) == 4
    finally:
        bus.close()


def test_bus_that_goes_and_comes_back_is_taken_up_again(bus, on_bus, client):
    caller = bus.client()
    daemon = on_bus(interval="100ms")
    wait_for_name(caller)
    for _ in range(2):
        mark = daemon.log.mark()
        bus.kill()
        daemon.log.wait(lambda line: "D-Bus is gone" in line.text, since=mark)
        client.wait("sensor/air", count=5, since=client.mark())
        bus.start()
        caller = bus.client()
        wait_for_name(caller, timeout=3 * PATIENCE)
        assert len(caller.call("List")) == 4
        daemon.log.wait(lambda line: "D-Bus is back" in line.text, since=mark)
    lines = [line.text for line in daemon.log.all(lambda line: "D-Bus" in line.text)]
    assert len(lines) == 5, lines  # on it, gone, back, gone, back


def test_bus_that_stands_still_is_not_waited_for(bus, on_bus, client):
    bus.daemon.signal(signal.SIGSTOP)  # it lets iotd connect, and says nothing
    try:
        daemon = on_bus(interval="100ms")
        client.wait("sensor/air", count=5)
        assert "D-Bus" not in daemon.text()
    finally:
        bus.daemon.signal(signal.SIGCONT)
    caller = bus.client()
    wait_for_name(caller)
    assert len(caller.call("List")) == 4


def test_name_of_somebody_else_is_waited_for(bus, on_bus):
    other, caller = bus.client(), bus.client()
    assert other.ask_bus(message_bus.RequestName(NAME)) == (1,)
    daemon = on_bus()
    daemon.log.wait(lambda line: "somebody else has the name org.iotd1" in line.text)
    caller.listen(sender="org.freedesktop.DBus", member="NameOwnerChanged")
    other.close()
    caller.signal("NameOwnerChanged", lambda body: body[0] == NAME and body[1] and body[2])
    assert len(caller.call("List")) == 4


def test_name_that_iotd_may_not_have_is_said_once(bus, on_bus, client):
    bus.kill()
    bus.start(policy="")
    daemon = on_bus(interval="100ms")
    daemon.log.wait(lambda line: "iotd may not have the name org.iotd1" in line.text)
    client.wait("sensor/air", count=5)


def test_no_bus_is_not_spoken_of(iotd, client, value_file):
    daemon = iotd(sensors=[file_sensor(value_file)])
    client.wait("sensor/air", count=3)
    assert "D-Bus" not in daemon.text()


def test_instance_has_a_name_of_its_own(bus, on_bus):
    caller = bus.client()
    on_bus(options=["--instance", "my-attic"])
    wait_for_name(caller, "org.iotd1.my_2dattic")
    address = DBusAddress(PATH, "org.iotd1.my_2dattic", MANAGER)
    assert len(caller.call("List", address=address)) == 4


def test_instance_says_which_file_is_read():
    done = run_iotd("--check", "--instance", "no-such-attic")
    assert done.returncode == 78 and "/etc/iotd/no-such-attic.conf" in done.stderr


@pytest.mark.parametrize("name", ["", "a/b", "..", ".x", "x" * 65])
def test_instance_that_is_no_name_is_refused(name):
    assert run_iotd("--check", "--instance", name).returncode == 64


# --- what is under way when something ends --------------------------------------------------------

CO2 = {  # it measures for 5 s
    "name": "co2",
    "driver": "scd4x",
    "bus": "i2c-1",
    "address": 0x62,
    "interval": "1h",
}


@pytest.fixture
def slow(bus, on_bus, value_file, client):
    """An iotd with a sensor that takes seconds: (iotd, a client of it)."""
    caller = bus.client()
    daemon = on_bus(sensors=[file_sensor(value_file), CO2])
    wait_for_name(caller)
    client.wait("sensor/co2", timeout=2 * PATIENCE)  # the first of them has been taken
    return daemon, caller


def test_bus_that_goes_while_a_command_is_carried_out_is_survived(bus, slow, client):
    daemon, caller = slow
    mark = client.mark()
    caller.begin("Read", "s", "co2")
    caller.call("List")  # it has been read by now
    bus.kill()
    client.wait("sensor/co2", since=mark, timeout=2 * PATIENCE)
    daemon.log.wait(lambda line: "D-Bus is gone" in line.text)
    bus.start()
    caller = bus.client()
    wait_for_name(caller, timeout=3 * PATIENCE)
    assert caller.call("Set", "sst", "pump", "on", 0) == "on"


def test_iotd_that_is_stopped_while_a_command_is_carried_out_answers(slow):
    daemon, caller = slow
    caller.begin("Read", "s", "co2")
    caller.call("List")  # the chip measures
    with held(daemon, caller):
        serial = caller.begin("Read", "s", "co2")  # whatever has become of the first one by now
        daemon.signal(signal.SIGTERM)
    daemon.wait()
    assert daemon.child.returncode == 0
    with pytest.raises(DBusError) as caught:
        caller.reply(serial)
    assert caught.value.name == "org.iotd1.Error.Stopping"


def test_reload_that_removes_what_is_being_read_answers(slow, broker):
    daemon, caller = slow
    daemon.config.write_text(configuration(broker.url), encoding="utf-8")
    with held(daemon, caller):  # not that it has been read before the reload
        serial = caller.begin("Read", "s", "co2")
        reload = caller.begin("Reload")
    assert caller.reply(reload) == ()
    with pytest.raises(DBusError) as caught:
        caller.reply(serial)
    assert caught.value.name == "org.iotd1.Error.Refused"
    assert caller.call("List") == []


def test_bus_that_goes_while_polkit_is_asked_carries_nothing_out(bus, on_bus, client):
    authority = bus.authority(None)
    caller = bus.client()
    daemon = on_bus(interval="100ms")
    wait_for_name(caller)
    settled(caller)
    for _ in range(8):
        caller.begin("Set", "sst", "pump", "on", 0)
    authority.questions.wait(lambda question: True, count=8)
    bus.kill()
    daemon.log.wait(lambda line: "D-Bus is gone" in line.text)
    bus.start()
    caller = bus.client()
    wait_for_name(caller, timeout=3 * PATIENCE)
    assert settled(caller)["pump"]["state"] == "off"
    assert not client.all("output/pump", match=lambda message: message.json["state"] == "on")


def test_iotd_that_is_stopped_while_polkit_is_asked_ends_at_once(bus, on_bus, client):
    authority = bus.authority(None)
    caller = bus.client()
    daemon = on_bus()
    wait_for_name(caller)
    settled(caller)
    serial = caller.begin("Set", "sst", "pump", "on", 0, flags=INTERACTIVE)
    authority.questions.wait(lambda question: True)
    assert daemon.stop()[0] == 0
    with pytest.raises(DBusError, match="org.iotd1.Error.Stopping"):
        caller.reply(serial)
    assert not client.all("output/pump", match=lambda message: message.json["state"] == "on")


def test_calls_while_iotd_is_being_stopped_say_so(bus, on_bus, peers, start_iotd, value_file):
    """The broker keeps it waiting for the acknowledgement of what is in flight."""
    caller = bus.client()
    silent = peers(lambda session: (session.greet(), session.serve(puback=None)))
    text = configuration(silent.url, sensors=[file_sensor(value_file)])
    daemon = start_iotd(text, env=bus.environment)
    wait_for_name(caller)
    silent.messages.wait(lambda message: message.topic.endswith("sensor/air"))
    calls = [("List",), ("Read", "s", "air"), ("Reload",)]
    # It waits for under two seconds, and this test may be late: so the calls are there before it
    # stops, behind more of them than it carries out in the turn in which it hears of the signal.
    with held(daemon, caller):
        daemon.signal(signal.SIGTERM)
        for _ in range(500):
            caller.begin("List", flags=NO_REPLY)
        serials = [caller.begin(*args) for args in calls]
    for serial in serials:
        with pytest.raises(DBusError, match="org.iotd1.Error.Stopping"):
            caller.reply(serial)


def test_no_bus_costs_no_wake_up(iotd, client):
    daemon = iotd(stats={"interval": "1h"})
    client.settle()
    status = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/status")

    def sleeps():
        text = status.read_text(encoding="ascii")
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M).group(1))

    deadline = time.monotonic() + 3 * PATIENCE
    while True:  # at first STATUS= is told once more
        before = sleeps()
        time.sleep(3)  # a try a second would be seen each time
        if sleeps() - before <= 1:
            break
        assert time.monotonic() < deadline
