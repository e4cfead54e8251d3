# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reload (SPEC 3 and 6): what differs is stopped and started, what does not is not touched."""

import os
import signal
import time

import pytest

from iotd_broker import retained
from iotd_figures import Tally, assert_schedule
from iotd_harness import (
    PATIENCE,
    PREFIX,
    SLOW,
    configuration,
    file_sensor,
    output,
    replace_file,
)

ALLOW = {"commands": {"allow": ["ping", "list", "stats", "set", "interval", "reload"]}}
PUMP = output("pump", 22)
DOOR = {"name": "door", "chip": "gpiochip0", "line": 3}
BAD = 'mqtt = { qos = 7; };\nsensors = ( { name = "x"; driver = "nothing"; } );\n'


class Reloader:
    """An iotd whose configuration is changed while it runs."""

    def __init__(self, daemon, url):
        self.daemon, self.url = daemon, url

    def write(self, url=None, **sections):
        replace_file(self.daemon.config, configuration(url or self.url, **{**ALLOW, **sections}))

    def hang_up(self):
        """SIGHUP; wait until the reload that it asked for is over."""
        asked = time.monotonic()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.supervisor.reloaded(asked)

    def __call__(self, url=None, **sections):
        self.write(url, **sections)
        self.hang_up()


@pytest.fixture
def reloader(iotd, broker):
    """Start an iotd that is then reloaded: reloader(sensors=[…])(sensors=[…])."""

    def start(*args, **more):
        return Reloader(iotd(*args, **{**ALLOW, **more}), broker.url)

    return start


def simulate(reloader, **more):
    return reloader(options=["--simulate"], **more)


def names(client):
    return [device["name"] for device in client.result("list")]


def test_what_is_the_same_keeps_its_schedule_and_the_connection(
    reloader, client, value_file, tmp_path
):
    other = tmp_path / "other"
    other.write_text("1\n", encoding="ascii")
    air = file_sensor(value_file)
    reload = reloader(sensors=[air])
    client.wait("sensor/air")
    for number in range(20):
        others = [file_sensor(other, f"n{number}", interval=f"{100 + number}ms")]
        reload(sensors=others + [air] if number % 2 else [air] + others)
        client.wait(f"sensor/n{number}")
    client.wait("sensor/air", since=client.mark(), count=3)
    assert_schedule(client.all("sensor/air"), 0.1)
    stats = client.result("stats")
    assert stats["connects"] == 1 and stats["disconnects"] == 0
    assert client.all("sensor/air/status", "offline") == []
    assert len(client.all("sensor/air/status")) == 1, "an untouched sensor has nothing to tell"


def test_sensors_come_change_and_go(reloader, client, clients, broker, value_file):
    reload = reloader(sensors=[file_sensor(value_file), file_sensor(value_file, "old")])
    client.wait("sensor/old/status", "online")
    reload(sensors=[file_sensor(value_file, digits=0), file_sensor(value_file, "new")])
    client.wait("sensor/new/status", "online")
    client.wait("sensor/old/status", b"")
    client.wait("sensor/air", match=lambda message: message.json["value"] == 21)
    assert names(client) == ["air", "new"]
    assert "old/status" not in str(retained(broker.port))


FORMATS = {"json": "", "value": "/value"}  # what is behind the topic of a file sensor
ONCE = {"interval": "1h", "retain": True}  # nothing comes behind


@pytest.mark.parametrize("form", FORMATS)
def test_a_retained_reading_goes_with_its_sensor(reloader, client, broker, value_file, form):
    leaf, mqtt = FORMATS[form], {"format": form}
    stays, gone, off, moved, live = (
        file_sensor(value_file, name, **ONCE) for name in ("stays", "gone", "off", "moved", "live")
    )
    own = file_sensor(value_file, "own", topic="iotd/test/house", **ONCE)
    reload = reloader(sensors=[stays, gone, off, moved, live, own], mqtt=mqtt)
    topics = [f"sensor/{name}{leaf}" for name in ("gone", "off", "moved", "live")]
    topics.append(f"house{leaf}")
    for topic in [f"sensor/stays{leaf}", *topics]:
        client.wait(topic)
    client.settle()
    moved, live = {**moved, "topic": "iotd/test/elsewhere"}, {**live, "retain": False}
    reload(sensors=[stays, {**off, "enabled": False}, moved, live], mqtt=mqtt)
    for topic in topics:
        client.wait(topic, b"")
    client.wait(f"elsewhere{leaf}")
    client.wait(f"sensor/live{leaf}", match=lambda m: not m.retain)
    left = retained(broker.port).keys()
    assert {f"sensor/stays{leaf}", f"elsewhere{leaf}"} <= left
    assert not left & set(topics)


@pytest.mark.parametrize("form", FORMATS)
def test_a_retained_reading_stays_for_who_has_its_topic_now(reloader, client, value_file, form):
    topic, mqtt = f"house{FORMATS[form]}", {"format": form}
    old = file_sensor(value_file, "old", topic="iotd/test/house", **ONCE)
    reload = reloader(sensors=[old], mqtt=mqtt)
    client.wait(topic)
    client.settle()
    reload(sensors=[{**old, "name": "new"}], mqtt=mqtt)
    client.wait("sensor/old/status", b"")
    client.wait(topic, count=2)
    client.settle()
    assert client.all(topic, b"") == []


def test_a_disabled_sensor_is_gone(reloader, client, value_file):
    reload = reloader(sensors=[file_sensor(value_file)])
    client.wait("sensor/air/status", "online")
    reload(sensors=[file_sensor(value_file, enabled=False)])
    client.wait("sensor/air/status", b"")
    assert names(client) == []
    mark = client.mark()
    reload(sensors=[file_sensor(value_file)])
    client.wait("sensor/air/status", "online", since=mark)


def test_the_interval_of_a_command_ends(reloader, client, value_file):
    reload = reloader(sensors=[file_sensor(value_file, interval="200ms")])
    client.result("interval", name="air", interval="1h")
    reload(sensors=[file_sensor(value_file, interval="200ms")])
    assert client.result("list")[0]["interval"] == "200ms"
    client.wait("sensor/air", since=client.mark(), count=3)


def test_emulated_chips_come_and_go(reloader, client):
    air = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    loft = {**air, "name": "loft", "address": 0x77}
    reload = simulate(reloader, sensors=[air])
    client.wait("sensor/air")
    reload(sensors=[loft])
    client.wait("sensor/loft")
    reload(sensors=[{**air, "name": "loft", "driver": "bmp280"}, {**loft, "name": "air"}])
    mark = client.mark()
    client.wait("sensor/air", since=mark)
    client.wait("sensor/loft", since=mark)
    reload(sensors=[air], i2c=[{"bus": "i2c-1", "timeout": "50ms"}])
    client.wait("sensor/air", since=client.mark())
    assert client.all("sensor/+/status", "offline") == []


def test_an_output_stays_on_when_only_max_on_changes(reloader, client):
    reload = simulate(reloader, outputs=[PUMP])
    client.result("set", name="pump", state="on")
    client.state("pump", "on")
    mark, begun = client.mark(), time.monotonic()
    reload(outputs=[{**PUMP, "max_on": "1s", "on_disconnect": "off"}])
    off = client.state("pump", "off", since=mark)
    assert len(client.all("output/pump", since=mark)) == 1, "nothing but the end of max_on"
    assert off.at - begun > 1
    reload.daemon.log.wait(lambda line: "forced off" in line.text)


def test_an_output_without_max_on_again_stays_on(reloader, client):
    limit = {"max_on": f"{4000 * SLOW:.0f}ms"}  # not over before the reload
    reload = simulate(reloader, outputs=[{**PUMP, **limit}, output("lamp", 5)])
    client.result("set", name="pump", state="on")
    reload(outputs=[PUMP, {**output("lamp", 5), **limit}])
    client.result("set", name="lamp", state="on")
    client.state("lamp", "off", since=client.mark())
    assert [m.json["state"] for m in client.all("output/pump")] == ["off", "on"]


def test_lines_come_move_and_go(reloader, client):
    reload = simulate(reloader, inputs=[DOOR], outputs=[PUMP])
    client.wait("input/door")
    client.result("set", name="pump", state="on")
    mark = client.mark()
    reload(inputs=[{**DOOR, "name": "gate", "line": 22}], outputs=[{**PUMP, "line": 3}])
    client.wait("input/door", b"", since=mark)
    client.wait("input/gate", match=lambda m: m.payload != b"", since=mark)
    client.state("pump", "off", since=mark)
    mark = client.mark()
    reload()
    client.wait("input/gate", b"", since=mark)
    client.wait("output/pump", b"", since=mark)
    assert names(client) == []


def test_what_was_away_in_all_this_run_is_cleared_too(reloader, client):
    """An earlier run has told its state."""
    topics = ("input/door", "output/pump")
    for topic in topics:
        client.publish(topic, "as it was", retain=True)
        client.wait(topic)
    away = {"chip": "gpiochip77"}
    reload = reloader(inputs=[{**DOOR, **away}], outputs=[{**PUMP, **away}])
    assert {device["status"] for device in client.result("list")} == {"offline"}
    reload()
    for topic in topics:
        client.wait(topic, b"")


def test_a_new_interlock_is_obeyed(reloader, client):
    pump, valve = PUMP, output("valve", 23)
    reload = simulate(reloader, outputs=[pump, valve])
    for name in ("pump", "valve"):
        client.result("set", name=name, state="on")
        client.state(name, "on")
    mark = client.mark()
    reload(outputs=[{**pump, "interlock": ["valve"]}, valve])
    client.wait("output/+", since=mark)
    client.settle()
    assert len(client.all("output/+", since=mark)) == 1, "one goes off, the other stays"


def test_another_topic(reloader, client, clients, broker, value_file):
    new = clients(broker.port, prefix="elsewhere")
    reload = simulate(reloader, sensors=[file_sensor(value_file)], outputs=[PUMP], inputs=[DOOR])
    client.wait("sensor/air")
    client.wait("stats")
    client.result("set", name="pump", state="on")
    reload(sensors=[file_sensor(value_file)], outputs=[PUMP], inputs=[DOOR],
           mqtt={"topic": "elsewhere"})
    new.wait("status", "online")
    new.wait("sensor/air/status", "online")
    new.wait("sensor/air")
    new.wait("stats")
    new.state("input/door", "on")
    assert new.state("pump", "on").json["state"] == "on"
    assert {m.json["state"] for m in new.all("output/pump")} == {"on"}
    client.wait("status", "offline")
    for topic in ("sensor/air/status", "output/pump", "input/door", "stats"):
        client.wait(topic, b"")
    assert new.result("stats")["connects"] == 2


def test_another_broker(reloader, client, clients, brokers, value_file):
    second = brokers()
    new = clients(second.port)
    air = file_sensor(value_file)
    reload = reloader(sensors=[air])
    client.wait("sensor/air")
    reload(second.url, sensors=[air])
    new.wait("status", "online")
    new.wait("sensor/air/status", "online")
    client.wait("status", "offline")
    new.wait("sensor/air", count=3)
    new.result("interval", name="air", interval="1d")
    deadline = time.monotonic() + PATIENCE
    while (stats := new.result("stats"))["queued"] > 0:
        assert time.monotonic() < deadline, stats
    new.settle()
    tally = Tally(PREFIX)
    for message in client.all() + new.all():
        tally.add(message)
    assert tally.readings >= stats["readings"], "none is lost between them"


def test_a_broker_that_is_not_there_can_be_left(iotd, broker, client, value_file):
    daemon = iotd("mqtt://127.0.0.1:1", sensors=[file_sensor(value_file)], **ALLOW)
    daemon.supervisor.disconnected()
    Reloader(daemon, broker.url)(sensors=[file_sensor(value_file)])
    client.wait("sensor/air")


def test_commands_may_be_allowed_and_disabled(reloader, client):
    reload = reloader()
    assert "not allowed" in client.error("read", name="x")
    reload(commands={"allow": ["ping", "read", "reload"]})
    assert "no sensor" in client.error("read", name="x")
    reload(commands={"enabled": False})
    mark = client.mark()
    client.publish("command", {"command": "ping", "id": "deaf"})
    client.wait("command", match=lambda m: "deaf" in m.text, since=mark)  # the broker sent it
    client.wait("stats", since=client.mark(), count=2)  # and iotd has turned since
    reload(commands={"enabled": True})
    client.result("ping")
    assert client.all("reply", match=lambda m: m.json.get("id") == "deaf", since=mark) == []


def test_a_refused_file_changes_nothing_and_says_why(reloader, client, value_file):
    reload = reloader(sensors=[file_sensor(value_file)])
    client.wait("sensor/air")
    replace_file(reload.daemon.config, BAD)
    error = client.error("reload")
    file = reload.daemon.config
    assert error.startswith(f"{file}:1: mqtt.qos: ") and error.endswith(" (and 1 more)"), error
    status = reload.daemon.supervisor.status(lambda text: "reload refused" in text)
    assert f"; reload refused: {file}:1: mqtt.qos: " in status
    reload.daemon.log.wait(lambda line: f"{file}:1: mqtt.qos: " in line.text)
    reload.daemon.log.wait(lambda line: f"{file}:2: sensors[0].driver: " in line.text)
    assert names(client) == ["air"]
    mark = reload.daemon.supervisor.events.mark()
    reload(sensors=[file_sensor(value_file)])
    reload.daemon.supervisor.status(lambda text: "refused" not in text, since=mark)
    assert_schedule(client.all("sensor/air"), 0.1)


def test_a_file_that_is_gone_is_refused(reloader, client):
    reload = reloader()
    reload.daemon.config.unlink()
    assert "cannot be read" in client.error("reload")
    reload.hang_up()  # READY=1 also then
    assert client.result("ping")


def test_the_command_says_ok(reloader, client, value_file):
    reload = reloader()
    reload.write(sensors=[file_sensor(value_file)])
    assert client.result("reload") == {}
    client.wait("sensor/air")


def test_systemd_is_told(reloader):
    reload = reloader()
    before = reload.daemon.supervisor.events.mark()
    reload()
    keys = [
        event.key
        for event in reload.daemon.supervisor.events.all(
            lambda event: event.key in ("RELOADING", "MONOTONIC_USEC", "READY"), since=before
        )
    ]
    assert keys == ["RELOADING", "MONOTONIC_USEC", "READY"]


def test_a_storm_ends_in_the_last_one(reloader, client, value_file):
    air = file_sensor(value_file)
    reload = reloader(sensors=[air])
    client.wait("sensor/air")
    for number in range(200):
        reload.write(sensors=[air, file_sensor(value_file, f"n{number % 7}", retries=number % 10)])
        reload.daemon.signal(signal.SIGHUP)
    reload.write(sensors=[air, file_sensor(value_file, "last")])
    reload.daemon.signal(signal.SIGHUP)
    client.wait("sensor/last")
    client.settle()
    assert names(client) == ["air", "last"]
    assert client.result("stats")["connects"] == 1
    client.wait("sensor/air", count=5)  # the storm may be over before the second one
    assert_schedule(client.all("sensor/air"), 0.1)


def test_commands_in_a_storm_are_all_answered(reloader, client):
    reloader()
    client.wait("status", "online")
    for number in range(60):
        client.publish("command", {"command": "reload", "id": number})
    replies = client.wait("reply", count=60)
    assert sorted(reply.json["id"] for reply in replies) == list(range(60))
    assert all(reply.json["ok"] for reply in replies)


def test_a_sensor_that_hangs_does_not_delay_it(reloader, client, value_file, tmp_path):
    fifo = tmp_path / "stuck"
    os.mkfifo(fifo)
    stuck, air = file_sensor(fifo), file_sensor(value_file)
    reload = reloader(sensors=[stuck, air])
    client.wait("sensor/air")
    with_new = [stuck, air, file_sensor(value_file, "new")]
    reload(sensors=with_new)
    client.wait("sensor/new")
    reload(sensors=[file_sensor(value_file, "new")])  # the one that hangs is gone
    assert names(client) == ["new"]
    reload(sensors=with_new)
    client.wait("sensor/air", since=client.mark())
    handle = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # now it comes back
    os.write(handle, b"5\n")
    client.wait("sensor/new", since=client.mark(), count=3)
    os.close(handle)


def test_stopped_in_the_middle_of_it(reloader, client, clients, broker, value_file):
    reload = reloader(sensors=[file_sensor(value_file)])
    client.wait("sensor/air")
    reload.write(mqtt={"topic": "elsewhere"})
    reload.daemon.signal(signal.SIGHUP)
    code, _ = reload.daemon.stop()
    assert code == 0


def test_the_log_level_of_the_command_line_stays(iotd, broker):
    daemon = iotd(options=["--log-level", "notice"], **ALLOW)
    Reloader(daemon, broker.url)(log_level="err")
    Reloader(daemon, broker.url)(log_level="err")
    daemon.log.wait(lambda line: "reloaded" in line.text, count=2)


def test_the_log_level_of_the_file_is_taken_up(reloader):
    reload = reloader()
    reload(log_level="err")
    reload(log_level="err")
    assert "reloaded" not in reload.daemon.text()
    reload(log_level="info")
    reload.daemon.log.wait(lambda line: "reloaded" in line.text)


def test_memory_stays(reloader, client, value_file):
    reload = simulate(reloader)
    sensors = [file_sensor(value_file, f"s{i}") for i in range(20)]

    def back_and_forth(times):
        for _ in range(times):
            reload(sensors=sensors, outputs=[PUMP])
            reload(inputs=[DOOR])
        mark = client.mark()
        reload(inputs=[DOOR], sensors=[file_sensor(value_file, "end")])
        client.wait("sensor/end", since=mark)  # its worker has closed the others before
        return reload.daemon.kib(), reload.daemon.descriptors()

    memory, descriptors = back_and_forth(10)
    more_memory, _ = back_and_forth(40)
    deadline = time.monotonic() + PATIENCE
    while reload.daemon.descriptors() > descriptors + 2:  # one that seemed slow has its own worker
        assert time.monotonic() < deadline
        client.settle()
    if SLOW == 1:  # sanitizers keep what is freed for a while
        assert more_memory - memory < 1024
