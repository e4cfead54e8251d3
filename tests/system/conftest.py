# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the system tests: the real iotd against a real mosquitto, seen from outside.

IOTD names the program under test, IOTD_TEST_SLOW stretches every time limit. `-m "not slow"`
leaves out what takes long or measures times; the rest may run in parallel (pytest-xdist).
IOTD_FIGURES names a file for the figures of the faults (iotd_figures.py).
"""

import os
import zlib

import pytest

from iotd_broker import Broker, Client, Proxy
from iotd_bus import Bus
from iotd_figures import Cost, Tally, judge
from iotd_formats import INFLUXD, Influx
from iotd_fuse import FaultyFiles
from iotd_harness import BEAT, Iotd, configuration, file_sensor
from iotd_network import Network
from iotd_other_brokers import names, start_broker
from iotd_peer import Peer


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, or measures: nothing may run beside it")
    config.addinivalue_line("markers", "nightly: takes ten minutes or more: ./dev test nightly")
    config.addinivalue_line("markers", "any_broker(protocol, only): runs with other brokers, too")


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("any_broker")
    if marker:
        metafunc.parametrize("broker", names(marker), indirect=True)


def pytest_collection_modifyitems(config, items):
    """Workers of pytest-xdist are given neighbours: what takes long is not to be among its like."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))


@pytest.fixture
def brokers(tmp_path):
    """Start brokers with settings of their own: brokers(settings)."""
    started = []

    def start(*args):
        started.append(Broker(tmp_path, *args))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def broker(request, brokers, tmp_path):
    """A broker on 127.0.0.1 that lets everybody in: mosquitto, or what any_broker names."""
    if not hasattr(request, "param"):
        yield brokers()
        return
    one = start_broker(request.param, tmp_path)
    yield one
    one.close()


@pytest.fixture
def proxies():
    """Start relays before a broker: proxies(port, network=None)."""
    started = []

    def start(*args, **more):
        started.append(Proxy(*args, **more))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def link(broker, proxies):
    """The line between iotd and the broker, which can be cut; clients keep theirs."""
    return proxies(broker.port)


@pytest.fixture
def peers():
    """Start MQTT servers with manners of their own: peers(behave)."""
    started = []

    def start(behave):
        started.append(Peer(behave))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def clients():
    """Start MQTT clients: clients(port, **options)."""
    started = []

    def start(*args, **options):
        started.append(Client(*args, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def client(broker, clients):
    """A client that hears everything from before iotd starts."""
    return clients(broker.port)


@pytest.fixture
def start_iotd(tmp_path):
    """Start an iotd with this configuration text; it is stopped and judged at the end."""
    started = []

    def start(text, wait=True, **more):
        daemon = Iotd(tmp_path, text, **more)
        started.append(daemon)
        if wait:
            daemon.ready()
        return daemon

    yield start
    complaints = []
    for daemon in started:
        try:
            daemon.finish()
        except AssertionError as complaint:
            complaints.append(str(complaint))
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def iotd(broker, start_iotd):
    """Start an iotd on the broker: iotd(sensors=[…], options=[…], mqtt={…}).

    What is not a parameter of the process is a section of the configuration.
    """
    ours = ("options", "env", "prefix", "deaf", "collect", "wait")

    def start(url=None, **more):
        process = {key: more.pop(key) for key in ours if key in more}
        if broker.protocol < 5:
            more["mqtt"] = {"protocol": broker.protocol, **more.get("mqtt", {})}
        return start_iotd(configuration(url or broker.url, **more), **process)

    return start


@pytest.fixture
def simulated(iotd):
    """As `iotd`, with emulated chips and lines."""
    return lambda *args, options=(), **more: iotd(
        *args, options=["--simulate", *options], **more
    )


@pytest.fixture
def value_file(tmp_path):
    """A file for a file sensor; it says 21.37."""
    path = tmp_path / "air"
    path.write_text("21.37\n", encoding="ascii")
    return path


@pytest.fixture
def bus():
    """A system bus of our own, with nobody on it."""
    one = Bus()
    yield one
    one.close()


@pytest.fixture
def spool(tmp_path):
    """Where the spool's file will be; its folder is there."""
    path = tmp_path / "spool" / "spool.db"
    path.parent.mkdir()
    return path


@pytest.fixture
def daemon(start_iotd, value_file, broker, link, spool):
    """Start an iotd with a file under its spool; again, and it is the next run."""

    def start(sensors=None, prefix=(), mqtt=None, **options):
        text = configuration(
            link.url,
            mqtt={"protocol": broker.protocol, **(mqtt or {})},
            sensors=sensors or [file_sensor(value_file)],
            spool={"path": str(spool), **options},
        )
        return start_iotd(text, env=BEAT, prefix=prefix)

    return start


@pytest.fixture
def network():
    """A network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    one = Network()
    yield one
    one.close()


@pytest.fixture
def faulty(tmp_path):
    """Files and buses that hang and fail; for an iotd with prefix=faulty.prefix."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs root and /dev/fuse")
    one = FaultyFiles(tmp_path / "faulty")
    yield one
    one.close()


def tally_of(client, taken):
    """All that has come, when `taken` readings are among it."""
    tally = Tally(client.prefix)
    try:
        client.wait(match=lambda message: tally.add(message) >= taken)
    except AssertionError as short:
        raise AssertionError(f"iotd took {taken} readings, the client is {tally} {short}") from None
    client.settle()
    tally = Tally(client.prefix)
    for message in client.all():
        tally.add(message)
    return tally


@pytest.fixture
def figures(client):
    """Judge a fault at its end: figures("broker killed", daemon, interval=0.1).

    All readings that the daemon took, by its own counter, must have come, in order and without a
    gap in the schedule. For a daemon that still lives and whose sensors all have `interval`; they
    are slowed to one a day by this, so that the counter stands still. `healthy` names the sensors
    whose gaps count, if the fault may keep others from being read. With breaks=0 the line to the
    broker held, so nothing comes twice. `pause`: the one gap that is the fault itself.
    """

    def end(fault, daemon, interval, breaks=1, healthy=None, pause=0.0):
        client.settle()
        for device in client.result("list"):
            if device["kind"] == "sensor":
                client.result("interval", name=device["name"], interval="1d")
                if device["driver"] != "file":
                    client.command("read", name=device["name"])  # behind one that still converts
        if daemon.supervisor.events.all(lambda event: event.key == "WATCHDOG"):
            daemon.supervisor.beats(3)  # the last reading of each may still be with a worker
        taken = tally = None
        while taken != client.result("stats")["readings"]:  # the last read may be under way
            taken = client.result("stats")["readings"]
            tally = tally_of(client, taken)
        cost = Cost.of(tally.messages, interval)
        cost.readings, cost.doubled = tally.readings, tally.doubled
        if healthy:
            topics = {f"{client.prefix}/sensor/{name}" for name in healthy}
            those = Cost.of([m for m in tally.messages if m.topic in topics], interval)
            cost.gap, cost.own_gap = those.gap, those.own_gap
        judge(fault, cost, taken, daemon.kib("VmHWM"), breaks, pause)
        return cost

    return end


@pytest.fixture
def influx(tmp_path):
    if not INFLUXD:
        pytest.skip("Debian's package influxdb is not installed")
    folder = tmp_path / "influx"
    folder.mkdir()
    one = Influx(folder)
    yield one
    one.close()
