# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus clients that mean no good, or ask too often: the readings go on, and memory is bounded."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from jeepney import DBusAddress, new_method_call

from iotd_bus import MANAGER, NAME, NOBODY, PATH, plain, wait_for_name
from iotd_harness import PATIENCE, SLOW, file_sensor, is_sanitized, output

PROPERTIES = DBusAddress(PATH, NAME, "org.freedesktop.DBus.Properties")
MIB = 1024
POLLERS = Path(__file__).with_name("iotd_pollers.py")
ENOUGH = 5000  # readings, whose signals do not fit in a socket


@pytest.fixture
def daemon(bus, simulated, value_file, client):
    """On the bus and online: a sensor `air` ten times a second, an output `pump`."""
    watcher = bus.client()
    one = simulated(
        sensors=[file_sensor(value_file)], outputs=[output("pump", 22)], env=bus.environment
    )
    wait_for_name(watcher)
    while plain(watcher.call("List"))[1]["status"] != "online":
        pass
    client.wait("sensor/air", count=3)  # it has what it needs
    return one


def assert_unmoved(bus, daemon, client, kib_before):
    """As if nothing had been: it reads, answers, has not moved anything, and has not grown."""
    client.wait("sensor/air", count=5, since=client.mark())
    watcher = bus.client()
    devices = plain(watcher.call("List"))
    assert [device["name"] for device in devices] == ["air", "pump"]
    assert devices[1]["state"] == "off" and devices[0]["interval"] == 100_000
    if not is_sanitized():
        assert daemon.kib() < kib_before + 4 * MIB


def flood(peer, calls):
    """Send them all without waiting; then hear the last one's end."""
    for args in calls[:-1]:
        peer.begin(*args[0], **args[1])
    serial = peer.begin(*calls[-1][0], **calls[-1][1])
    try:
        peer.reply(serial, timeout=6 * PATIENCE)
    except Exception as error:  # pylint: disable=broad-exception-caught
        assert "Error" in str(error), error


@pytest.mark.parametrize(
    "args",
    [("List",), ("Read", "s", "air"), ("Set", "sst", "pump", "on", 0), ("Explode",)],
    ids=lambda args: args[0],
)
def test_a_burst_of_10000_calls_changes_nothing(bus, daemon, client, args):
    before = daemon.kib()
    flood(bus.client(NOBODY), [(args, {})] * 10_000)
    assert_unmoved(bus, daemon, client, before)


def test_a_burst_of_what_every_object_answers_changes_nothing(bus, daemon, client):
    before = daemon.kib()
    calls = [
        (("Introspect",), "org.freedesktop.DBus.Introspectable"),
        (("GetManagedObjects",), "org.freedesktop.DBus.ObjectManager"),
        (("GetAll", "s", MANAGER), "org.freedesktop.DBus.Properties"),
        (("GetMachineId",), "org.freedesktop.DBus.Peer"),
    ]
    flood(
        bus.client(NOBODY),
        [(args, {"address": DBusAddress(PATH, NAME, one)}) for args, one in calls] * 1000,
    )
    assert_unmoved(bus, daemon, client, before)


def test_calls_to_what_is_not_there_change_nothing(bus, daemon, client):
    before = daemon.kib()
    addresses = [
        DBusAddress("/org/iotd1/output/pump", NAME, "org.iotd1.Nothing"),
        DBusAddress("/org/iotd1/" + "x" * 5000, NAME, MANAGER),
        DBusAddress("/", NAME, "org.freedesktop.DBus.Introspectable"),
        DBusAddress(PATH, NAME, "org.freedesktop.DBus.ObjectManager"),
    ]
    calls = [(("Explode", "s", "x"), {"address": one}) for one in addresses] * 500
    flood(bus.client(NOBODY), calls)
    assert_unmoved(bus, daemon, client, before)


def test_huge_strings_are_refused_and_forgotten(bus, daemon, client):
    before = daemon.kib()
    peer = bus.client(NOBODY)
    huge = "x" * (16 << 20)
    for args in (("Read", "s", huge), ("Set", "sst", "pump", huge, 0), ("Scan", "s", huge)):
        error = peer.refused(*args, timeout=3 * PATIENCE)
        assert error.name == "org.freedesktop.DBus.Error.InvalidArgs" and len(error.text) < 200
    assert_unmoved(bus, daemon, client, before)


def test_wrong_signatures_are_refused(bus, daemon, client):
    before = daemon.kib()
    peer = bus.client(NOBODY)
    for signature, body in (
        ("", ()),
        ("ss", ("pump", "on")),
        ("sss", ("pump", "on", "0")),
        ("a(sst)", ([("pump", "on", 0)],)),
        ("sstv", ("pump", "on", 0, ("s", "x"))),
        ("aay", ([b"x"] * 1000,)),
    ):
        error = peer.refused("Set", signature or None, *body)
        assert error.name == "org.freedesktop.DBus.Error.InvalidArgs"
    assert_unmoved(bus, daemon, client, before)


def test_read_only_properties_stay_what_they_are(bus, daemon, client):
    before = daemon.kib()
    peer = bus.client()
    for name in ("Version", "Device", "Connected", "Nothing", "", "x" * 100_000):
        peer.refused("Set", "ssv", MANAGER, name, ("s", "x"), address=PROPERTIES)
    assert_unmoved(bus, daemon, client, before)


def test_clients_that_leave_in_the_middle_of_a_call_leave_nothing(bus, daemon, client):
    before = daemon.kib()
    descriptors = daemon.descriptors()
    for number in range(100):
        peer = bus.client(NOBODY)
        for args in (("List",), ("Read", "s", "air"), ("Set", "sst", "pump", "on", 0)):
            peer.begin(*args)
        if number % 2:
            message = new_method_call(DBusAddress(PATH, NAME, MANAGER), "List")
            peer.conn.sock.sendall(message.serialise(serial=9999)[:30])
        peer.close()
    assert_unmoved(bus, daemon, client, before)
    deadline = time.monotonic() + PATIENCE
    while (now := daemon.descriptors()) != descriptors:  # a worker may just have one more
        assert time.monotonic() < deadline, (now, descriptors)


def test_client_that_never_reads_does_not_fill_the_memory(bus, daemon, client):
    before = daemon.kib()
    peer = bus.client(NOBODY)
    peer.conn.interrupt()  # its replies stay where they are
    message = new_method_call(DBusAddress(PATH, NAME, MANAGER), "Stats")
    data = b"".join(message.serialise(serial=number) for number in range(10, 10_010))
    peer.conn.sock.setblocking(True)
    peer.conn.sock.sendall(data)
    assert_unmoved(bus, daemon, client, before)


def test_bus_that_stands_still_does_not_fill_the_memory(bus, daemon, client):
    """Signals that cannot be written are left out and counted, then it goes on."""
    watcher = bus.client()
    before = daemon.kib()
    bus.daemon.signal(signal.SIGSTOP)
    try:
        client.result("interval", name="air", interval="1ms")
        readings = client.result("stats")["readings"]
        while client.result("stats")["readings"] < readings + ENOUGH:
            client.wait("sensor/air", count=100, since=client.mark())
    finally:
        bus.daemon.signal(signal.SIGCONT)
    assert plain(watcher.call("Stats"))["signals_dropped"] > 0
    watcher.call("SetInterval", "st", "air", 100_000)
    assert_unmoved(bus, daemon, client, before)


@contextmanager
def pollers(bus, count):
    """They have a process of their own, for this one listens to the broker."""
    command = [sys.executable, POLLERS, bus.address, str(count), str(NOBODY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="ascii") as child:
        try:
            yield child
        finally:
            child.kill()


def late_p99(client, since):
    """Of the sensors' reads, in seconds, after some seconds of them."""
    told = client.wait("stats", count=10, since=since, timeout=6 * PATIENCE)
    return told[-1].json["late_p99"]


def calm_and_polled(bus, simulated, sensors, client):
    """Lateness at p99 without and with the pollers, and their calls a second."""
    alone = simulated(sensors=sensors)
    calm = late_p99(client, client.mark())
    alone.stop()
    watcher = bus.client()
    daemon = simulated(sensors=sensors, env=bus.environment)
    wait_for_name(watcher)
    with pollers(bus, 50) as child:
        first, begin = int(child.stdout.readline()), time.monotonic()
        polled = late_p99(client, client.mark())
        child.terminate()
        rate = (int(list(child.stdout)[-1]) - first) / (time.monotonic() - begin)
    daemon.stop()
    print(f"{rate:.0f} calls a second; lateness at p99 {calm * 1e6:.0f} us, {polled * 1e6:.0f} us")
    return calm, polled, rate


@pytest.mark.slow
@pytest.mark.skipif(SLOW > 1, reason="measures times")
def test_50_clients_that_poll_do_not_delay_a_sensor(bus, simulated, value_file, client):
    """What iotd does to its sensors it does each time; what else the machine has to do comes and goes."""
    sensors = [file_sensor(value_file, name=f"s{n}", interval="100ms") for n in range(20)]
    seen = []
    while not seen or (len(seen) < 4 and not seen[-1][1] < seen[-1][0] + 0.005):
        seen.append(calm_and_polled(bus, simulated, sensors, client))
    calm, polled, rate = seen[-1]
    assert rate > 100 and polled < calm + 0.005, seen
