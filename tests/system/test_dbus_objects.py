# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sensors, inputs and outputs as objects on D-Bus: org.iotd1(5), SPEC 8."""

import re
import signal
import time
from xml.etree import ElementTree

import pytest
from jeepney import DBusAddress, HeaderFields, MessageType

from iotd_bus import NAME, PATH, plain, wait_for_name
from iotd_harness import PATIENCE, SLOW, configuration, file_sensor, output, replace_file

ALLOW = {"allow": ["ping", "list", "stats", "read", "set", "toggle", "interval", "reload"]}
PUMP, VALVE = output("pump", 22), output("2nd-valve", 23)
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}
WATER = {
    "name": "water",
    "chip": "gpiochip0",
    "line": 4,
    "count": True,
    "interval": "200ms",
    "unit": "l",
}
FAN = {"name": "fan", "chip": "gpiochip0", "line": 5, "on_time": True, "interval": "200ms"}
EMITTING = {"Name", "Driver", "Interval", "Channels", "Status", "Fault", "State"}
MANAGED = DBusAddress(PATH, NAME, "org.freedesktop.DBus.ObjectManager")
SENSOR, INPUT, OUTPUT = "org.iotd1.Sensor", "org.iotd1.Input", "org.iotd1.Output"


def path_of(kind, name):
    """As sd_bus_path_encode(3) escapes it."""
    return f"{PATH}/{kind}/" + re.sub(
        "[^A-Za-z0-9]|^[0-9]", lambda match: f"_{ord(match[0]):02x}", name
    )


def member_of(message):
    return message.header.fields.get(HeaderFields.member)


def emitting(properties):
    return {key: value for key, value in properties.items() if key in EMITTING}


class Mirror:
    """What a client knows that asked for all objects once, and has listened since."""

    def __init__(self, peer):
        self.peer, self.known, self.at = peer, None, peer.messages.mark()
        self.serial = peer.begin("GetManagedObjects", address=MANAGED)

    def objects(self):
        """By what has come until now."""
        for message in self.peer.messages.all(since=self.at):
            self.at += 1
            if message.header.fields.get(HeaderFields.reply_serial) == self.serial:
                self.known = {path: self._of(all_) for path, all_ in plain(message.body[0]).items()}
            elif self.known is not None and message.header.message_type == MessageType.signal:
                self._apply(message)
        return self.known

    @staticmethod
    def _of(interfaces):
        assert len(interfaces) == 1
        return {name: emitting(properties) for name, properties in interfaces.items()}

    def _apply(self, message):
        member, body = member_of(message), plain(message.body)
        if member == "InterfacesAdded":
            self.known[body[0]] = self._of(body[1])
        elif member == "InterfacesRemoved":
            assert body[1] == list(self.known.pop(body[0], body[1]))
        elif member == "PropertiesChanged" and body[0] != "org.iotd1.Manager":
            assert body[2] == [], "each comes with its value"
            self.known[message.header.fields[HeaderFields.path]][body[0]].update(body[1])


def assert_all_know_the_truth(peer, *mirrors):
    """In the end, and soon."""
    deadline = time.monotonic() + PATIENCE * SLOW
    while True:
        now = Mirror(peer)
        peer.reply(now.serial)
        truth, known = now.objects(), [mirror.objects() for mirror in mirrors]
        if all(one == truth for one in known):
            return truth
        if time.monotonic() > deadline:
            for one in known:
                assert one == truth


@pytest.fixture
def on_bus(bus, simulated, value_file):
    """Start an iotd on the private bus; it, and a client that listens to its objects."""

    def start(**more):
        parts = {
            "sensors": [file_sensor(value_file, interval="1h", unit="°C")],
            "inputs": [DOOR],
            "outputs": [PUMP, VALVE],
            "commands": ALLOW,
        }
        peer = bus.client()
        peer.listen(sender=NAME, path_namespace=PATH)
        daemon = simulated(env=bus.environment, **{**parts, **more})
        wait_for_name(peer)
        while any(one["status"] == "unknown" for one in plain(peer.call("List"))):
            pass
        peer.call("GetManagedObjects", address=MANAGED)  # all that changed is told before it
        return daemon, peer

    return start


def introspect(peer, path):
    address = DBusAddress(path, NAME, "org.freedesktop.DBus.Introspectable")
    return ElementTree.fromstring(peer.call("Introspect", address=address))


def changed(peer, kind, name, since=0, **wanted):
    """The PropertiesChanged of a device that says this, waited for."""
    path = path_of(kind, name)
    return peer.messages.wait(
        lambda m: m is not None
        and member_of(m) == "PropertiesChanged"
        and m.header.fields.get(HeaderFields.path) == path
        and wanted.items() <= plain(m.body)[1].items(),
        since=since,
        hint=f"that say {wanted} of {path}",
    )


def changes(peer, since, *paths):
    """What was told of objects so far."""
    told = peer.messages.all(
        lambda m: m is not None and m.header.message_type == MessageType.signal, since=since
    )
    return [
        plain(m.body)[1]
        for m in told
        if member_of(m) == "PropertiesChanged"
        and m.header.fields[HeaderFields.path] in paths
    ]


# --- the tree -------------------------------------------------------------------------------------


def test_the_tree_is_that_of_the_devices(on_bus, value_file):
    names = ["9-lives", "a-b", "A_b", "-", "_", "x" * 64]
    _, peer = on_bus(sensors=[file_sensor(value_file, name, interval="1h") for name in names])
    tree = introspect(peer, PATH)
    assert {node.get("name") for node in tree.findall("node")} == {"sensor", "input", "output"}
    devices = {"sensor": names, "input": ["door"], "output": ["pump", "2nd-valve"]}
    for kind, expected in devices.items():
        nodes = introspect(peer, f"{PATH}/{kind}").findall("node")
        paths = {f"{PATH}/{kind}/{node.get('name')}" for node in nodes}
        assert paths == {path_of(kind, name) for name in expected}
        for name in expected:
            interface = f"org.iotd1.{kind.title()}"
            assert peer.properties(path_of(kind, name), interface)["Name"] == name


def test_interfaces_are_described(on_bus):
    _, peer = on_bus()
    for kind, name, own in (("sensor", "air", SENSOR), ("input", "door", INPUT)):
        tree = introspect(peer, path_of(kind, name))
        interfaces = {one.get("name"): one for one in tree.findall("interface")}
        assert {one for one in interfaces if "iotd1" in one} == {own}
        described = {}
        for one in interfaces[own].findall("property"):
            assert one.get("access") == "read"
            emits = one.find("annotation[@name='org.freedesktop.DBus.Property.EmitsChangedSignal']")
            described[one.get("name")] = emits.get("value") if emits is not None else "true"
        assert set(described) == set(peer.properties(path_of(kind, name), own))
        assert {one for one, emits in described.items() if emits == "true"} | {"Name"} == (
            EMITTING & set(described)
        )
        assert described["Name"] == "const"


@pytest.mark.parametrize(
    "path, interface",
    [
        (path_of("sensor", "nothing"), SENSOR),
        (path_of("input", "air"), INPUT),
        (path_of("sensor", "pump"), SENSOR),
        (f"{PATH}/sensor", SENSOR),
        (f"{PATH}/sensor/air/air", SENSOR),
        (f"{PATH}/sensor/_", SENSOR),
        (f"{PATH}/valve/pump", OUTPUT),
    ],
)
def test_there_is_no_other_object(on_bus, path, interface):
    _, peer = on_bus()
    address = DBusAddress(path, NAME, "org.freedesktop.DBus.Properties")
    error = peer.refused("Get", "ss", interface, "Name", address=address)
    assert error.name.startswith("org.freedesktop.DBus.Error.Unknown")


def test_what_is_only_told_cannot_be_set(on_bus):
    _, peer = on_bus()
    address = DBusAddress(path_of("output", "pump"), NAME, "org.freedesktop.DBus.Properties")
    error = peer.refused("Set", "ssv", OUTPUT, "State", ("s", "on"), address=address)
    assert error.name == "org.freedesktop.DBus.Error.PropertyReadOnly"
    assert peer.properties(path_of("output", "pump"), OUTPUT)["State"] == "off"


# --- what they say --------------------------------------------------------------------------------


def test_objects_say_what_the_list_over_mqtt_says(on_bus, client, value_file):
    sensors = [
        file_sensor(value_file, interval="1h", unit="°C"),
        file_sensor(value_file.with_name("gone"), interval="1m"),
    ]
    _, peer = on_bus(sensors=sensors, inputs=[DOOR, WATER, FAN])
    for _ in range(100):  # the door moves once a second: an answer of each between two moves
        listed = {one["name"]: one for one in client.result("list")}
        objects = plain(peer.call("GetManagedObjects", address=MANAGED))
        if states(objects) == [listed["door"]["state"], listed["fan"]["state"]]:
            break
    assert set(objects) == {path_of(one["kind"], one["name"]) for one in listed.values()}
    for one in listed.values():
        path, interface = path_of(one["kind"], one["name"]), f"org.iotd1.{one['kind'].title()}"
        own = objects[path][interface]
        assert own["Name"] == one["name"]
        assert own["Status"] == one["status"]
        assert own["Fault"] == one.get("fault", "")
        assert own.get("Driver") == one.get("driver")
        assert own.get("State", "") == one.get("state", "")
        channels = [(c["name"], c["unit"]) for c in one.get("channels", [])]
        assert own.get("Channels", []) == channels
        seconds = {"1h": 3600, "1m": 60, "200ms": 0.2, None: 0}[one.get("interval")]
        assert own.get("Interval", 0) == seconds * 1e6
        assert peer.properties(path, interface).keys() == own.keys()


def states(objects):
    return [objects[path_of("input", name)][INPUT]["State"] for name in ("door", "fan")]


def test_a_sensor_has_its_newest_reading(on_bus, client):
    _, peer = on_bus()
    own = peer.properties(path_of("sensor", "air"), SENSOR)
    reading = client.wait("sensor/air")
    assert own["Values"] == {"value": 21.37} == {"value": reading.json["value"]}
    assert abs(own["Time"] / 1e6 - reading.time) < 0.001
    assert own["Readings"] == 1 and own["Errors"] == 0


def test_a_sample_that_a_deadband_holds_back_is_there_too(on_bus, client, value_file):
    sensor = file_sensor(value_file, deadband=5, max_age="1h", scale=2, digits=1)
    _, peer = on_bus(sensors=[sensor])
    before = peer.properties(path_of("sensor", "air"), SENSOR)
    client.wait("sensor/air")
    replace_file(value_file, "22.04\n")
    client.result("ping")
    deadline = time.monotonic() + PATIENCE
    while (own := peer.properties(path_of("sensor", "air"), SENSOR))["Values"] != {"value": 44.1}:
        assert own["Values"] == {"value": 42.7}
        assert time.monotonic() < deadline
    assert own["Time"] > before["Time"] and own["Readings"] > before["Readings"]
    assert [message.json["value"] for message in client.all("sensor/air")] == [42.7]


def test_list_tells_newest_reading_lateness_and_work(on_bus, client, value_file):
    sensors = [
        file_sensor(value_file, deadband=5, max_age="1h"),
        file_sensor(value_file.with_name("gone"), interval="1h"),
    ]
    _, peer = on_bus(sensors=sensors, inputs=[WATER, DOOR])
    replace_file(value_file, "22.04\n")
    client.wait("input/water", since=client.mark())
    deadline = time.monotonic() + PATIENCE
    while (listed := by_name(peer))["air"]["values"] != {"value": 22.04}:
        assert time.monotonic() < deadline
    air, gone, water, pump = (listed[name] for name in ("air", "gone", "water", "pump"))
    assert 0 <= air["late"] < PATIENCE * SLOW * 1e6 and 0 < air["busy"] < PATIENCE * SLOW * 1e6
    assert "time" not in gone and "values" not in gone and gone["busy"] > 0
    assert set(water["values"]) == {"total", "rate"} and "late" not in water
    assert pump["values"] == {"state": "off"} == {"state": pump["state"]}
    assert pump["time"] == peer.properties(path_of("output", "pump"), OUTPUT)["Time"]
    busy = air["busy"]
    peer.call("Read", "s", "air")
    assert by_name(peer)["air"]["busy"] >= busy


def by_name(peer):
    return {one["name"]: one for one in plain(peer.call("List"))}


def test_counters_have_their_readings(on_bus, client):
    _, peer = on_bus(inputs=[WATER, FAN])
    client.wait("input/water", match=lambda m: m.json["total"] > 0)
    water = peer.properties(path_of("input", "water"), INPUT)
    assert water["Channels"] == [("total", "l"), ("rate", "l/s")]
    assert water["Interval"] == 200_000 and water["State"] == ""
    client.wait("input/water", match=lambda m: m.json["total"] == water["Values"]["total"])
    assert set(water["Values"]) == {"total", "rate"}
    client.wait("input/fan/on_time")
    fan = peer.properties(path_of("input", "fan"), INPUT)
    assert fan["State"] in ("on", "off")
    assert fan["Channels"] == [("since_start", "s"), ("total", "s")]
    assert fan["Values"]["total"] >= fan["Values"]["since_start"] >= 0
    assert water["Time"] / 1e6 - time.time() < PATIENCE * SLOW


def test_a_line_has_the_time_of_its_state(on_bus, client):
    _, peer = on_bus()
    client.result("set", name="pump", state="on")
    own = peer.properties(path_of("output", "pump"), OUTPUT)
    assert own["State"] == "on"
    assert abs(own["Time"] / 1e6 - client.state("pump", "on").time) < 0.001
    door = peer.properties(path_of("input", "door"), INPUT)
    assert door["Interval"] == 0 and door["Channels"] == [] and door["Values"] == {}


# --- changes --------------------------------------------------------------------------------------


def test_a_sensor_that_goes_and_comes_back_is_told(on_bus, client, value_file):
    _, peer = on_bus(sensors=[file_sensor(value_file)])
    before = peer.properties(path_of("sensor", "air"), SENSOR)
    mark = peer.messages.mark()
    value_file.unlink()
    body = plain(changed(peer, "sensor", "air", Status="offline").body)
    assert set(body[1]) == {"Status", "Fault"} and "No such file" in body[1]["Fault"]
    own = peer.properties(path_of("sensor", "air"), SENSOR)
    assert own["Fault"] == body[1]["Fault"] == client.result("list")[0]["fault"]
    assert own["Values"] == before["Values"] and own["Errors"] >= 1
    replace_file(value_file, "20.00\n")
    changed(peer, "sensor", "air", since=mark, Status="online", Fault="")
    assert [set(one) for one in changes(peer, mark, path_of("sensor", "air"))] == (
        [{"Status", "Fault"}] * 2
    )


def test_another_fault_is_told_though_the_status_stays(on_bus, value_file):
    _, peer = on_bus(sensors=[file_sensor(value_file)])
    value_file.unlink()
    changed(peer, "sensor", "air", Status="offline")
    mark = peer.messages.mark()
    replace_file(value_file, "no number\n")
    body = plain(changed(peer, "sensor", "air", since=mark).body)
    assert set(body[1]) == {"Fault"} and "No such file" not in body[1]["Fault"]


def test_readings_alone_change_no_property(on_bus, client, value_file):
    _, peer = on_bus(sensors=[file_sensor(value_file)], inputs=[WATER])
    mark = peer.messages.mark()
    peer.signal("Reading", count=5, since=mark)
    client.wait("input/water", count=3, since=client.mark())
    assert changes(peer, mark, path_of("sensor", "air"), path_of("input", "water")) == []


def test_an_output_that_moves_is_told(on_bus, client):
    _, peer = on_bus()
    mark = peer.messages.mark()
    client.result("set", name="2nd-valve", state="on")
    assert plain(changed(peer, "output", "2nd-valve", since=mark).body)[1] == {"State": "on"}
    client.result("toggle", name="2nd-valve")
    changed(peer, "output", "2nd-valve", since=mark, State="off")
    assert changes(peer, mark, path_of("output", "pump")) == []


def test_an_input_that_moves_is_told(on_bus):
    _, peer = on_bus()
    mark = peer.messages.mark()
    changed(peer, "input", "door", since=mark, State="on")
    changed(peer, "input", "door", since=mark, State="off")


def test_another_interval_is_told(on_bus, client):
    _, peer = on_bus()
    client.result("interval", name="air", interval="250ms")
    assert plain(changed(peer, "sensor", "air", Interval=250_000).body)[1] == {"Interval": 250_000}
    assert peer.properties(path_of("sensor", "air"), SENSOR)["Interval"] == 250_000


def test_the_interval_of_a_command_that_a_reload_ends_is_told(on_bus, client, broker, value_file):
    daemon, peer = on_bus()
    mark = peer.messages.mark()
    client.result("interval", name="air", interval="30m")
    changed(peer, "sensor", "air", since=mark, Interval=1_800_000_000)
    reload(daemon, peer, broker, sensors=[file_sensor(value_file, interval="1h", unit="°C")])
    changed(peer, "sensor", "air", since=mark, Interval=3_600_000_000)


# --- devices come and go --------------------------------------------------------------------------


def reload(daemon, peer, broker, **sections):
    text = configuration(broker.url, commands=ALLOW, **sections)
    daemon.config.write_text(text, encoding="utf-8")
    peer.call("Reload")


def test_devices_of_a_reload_come_and_go(on_bus, broker, value_file):
    stays, goes = file_sensor(value_file, interval="1h"), file_sensor(value_file, "goes")
    daemon, peer = on_bus(sensors=[stays, goes])
    mirror, mark = Mirror(peer), peer.messages.mark()
    comes = file_sensor(value_file, "3-comes", interval="1h")
    reload(daemon, peer, broker, sensors=[comes, stays], inputs=[DOOR], outputs=[VALVE])
    added = peer.signal("InterfacesAdded", since=mark).body
    assert added[0] == path_of("sensor", "3-comes")
    own = plain(added)[1][SENSOR]
    assert own["Name"] == "3-comes" and own["Driver"] == "file" and "Values" in own
    gone = peer.signal("InterfacesRemoved", since=mark, count=2)
    assert {one.body[0] for one in gone} == {path_of("sensor", "goes"), path_of("output", "pump")}
    known = assert_all_know_the_truth(peer, mirror)
    assert set(known) == {
        path_of("sensor", "air"),
        path_of("sensor", "3-comes"),
        path_of("input", "door"),
        path_of("output", "2nd-valve"),
    }
    assert changes(peer, mark, path_of("sensor", "air"), path_of("output", "2nd-valve")) == []
    assert peer.properties(path_of("sensor", "air"), SENSOR)["Status"] == "online"


def test_a_device_that_is_another_now_has_its_object_still(on_bus, broker, value_file):
    daemon, peer = on_bus(inputs=[DOOR])
    mirror, mark = Mirror(peer), peer.messages.mark()
    air = {"name": "air", "driver": "lm75", "bus": "i2c-1", "address": 0x48, "interval": "1h"}
    reload(
        daemon,
        peer,
        broker,
        sensors=[air],
        inputs=[{**DOOR, "count": True, "interval": "1h"}],
        outputs=[PUMP, VALVE],
    )
    body = plain(changed(peer, "sensor", "air", since=mark, Driver="lm75").body)
    assert body[1]["Channels"] == [("temperature", "°C")]
    changed(peer, "input", "door", since=mark, Interval=3_600_000_000, State="")
    assert_all_know_the_truth(peer, mirror)
    members = {member_of(m) for m in peer.messages.all(since=mark)}
    assert not members & {"InterfacesAdded", "InterfacesRemoved"}


def test_one_name_may_change_its_kind(on_bus, broker):
    daemon, peer = on_bus(sensors=[])
    mirror = Mirror(peer)
    reload(daemon, peer, broker, inputs=[{**PUMP}], outputs=[{**DOOR}, VALVE])
    known = assert_all_know_the_truth(peer, mirror)
    assert {path_of("input", "pump"), path_of("output", "door")} < set(known)


def test_objects_are_there_again_when_the_bus_is_back(on_bus, bus, client):
    _, peer = on_bus()
    before = assert_all_know_the_truth(peer)
    bus.kill()
    client.result("set", name="pump", state="on")
    bus.start()
    peer = bus.client()
    wait_for_name(peer)
    peer.listen(sender=NAME, path_namespace=PATH)
    mirror = Mirror(peer)
    now = assert_all_know_the_truth(peer, mirror)
    assert set(now) == set(before)
    assert now[path_of("output", "pump")][OUTPUT]["State"] == "on"
    client.result("set", name="pump", state="off")
    changed(peer, "output", "pump", State="off")
    assert_all_know_the_truth(peer, mirror)


# --- many -----------------------------------------------------------------------------------------


def test_who_asks_while_all_changes_ends_up_with_the_truth(on_bus, value_file):
    many = [file_sensor(value_file, f"s{n}", interval="50ms") for n in range(200)]
    _, peer = on_bus(sensors=many, inputs=[])
    for _ in range(2):
        mirrors = [Mirror(peer)]
        value_file.unlink()
        mirrors += [Mirror(peer)]
        changed(peer, "sensor", "s7", since=mirrors[0].at, Status="offline")
        mirrors += [Mirror(peer)]
        mark = peer.messages.mark()
        replace_file(value_file, "1\n")
        mirrors += [Mirror(peer)]
        changed(peer, "sensor", "s7", since=mark, Status="online")
        known = assert_all_know_the_truth(peer, *mirrors)
        assert len(known) == 202


def test_no_answer_is_older_than_the_changes_that_were_told_before_it(on_bus, client, value_file):
    many = [file_sensor(value_file, f"s{n}", interval="1h") for n in range(500)]
    _, peer = on_bus(sensors=many, inputs=[])
    for minutes in range(1, 6):
        mirrors = [Mirror(peer) for _ in range(7)]  # milliseconds each, in which s0 changes
        client.result("interval", name="s0", interval=f"{minutes}m")
        known = assert_all_know_the_truth(peer, *mirrors)
        assert known[path_of("sensor", "s0")][SENSOR]["Interval"] == minutes * 60_000_000


def test_a_bus_that_stands_still_ends_up_with_the_truth_and_no_more(
    on_bus, bus, client, broker, value_file
):
    def sensors(letter):
        return [file_sensor(value_file, f"{letter}{n}", interval="1h") for n in range(400)]

    daemon, peer = on_bus(sensors=sensors("a"), inputs=[])
    mirror = Mirror(peer)
    peer.reply(mirror.serial)
    mark = peer.messages.mark()
    bus.daemon.signal(signal.SIGSTOP)
    for letter in "bcdefghijkla":
        text = configuration(
            broker.url, commands=ALLOW, sensors=sensors(letter), outputs=[PUMP, VALVE]
        )
        daemon.config.write_text(text, encoding="utf-8")
        client.result("reload")
        client.result("toggle", name="pump")
    bus.daemon.signal(signal.SIGCONT)
    known = assert_all_know_the_truth(peer, mirror)
    assert len(known) == 402 and path_of("sensor", "a399") in known
    added = peer.messages.all(lambda m: member_of(m) == "InterfacesAdded", since=mark)
    assert len(added) < 6 * 400, "what nobody was told of by then is not told at all"
