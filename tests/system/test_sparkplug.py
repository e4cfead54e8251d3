# SPDX-License-Identifier: LGPL-2.1-or-later
"""mqtt.format = "sparkplug": an edge node of Sparkplug B 3.0, as a host sees it (iotd.conf(5), issue 7)."""

import re
import signal
import time

import pytest

from iotd_broker import retained
from iotd_harness import (
    BEAT,
    PATIENCE,
    SLOW,
    configuration,
    file_sensor,
    output,
    replace_file,
    run_iotd,
)
from iotd_metronome import longest_gap
from iotd_sparkplug import BOOLEAN, DOUBLE, REBIRTH, STRING, UINT64, Host, assert_spoken_well

SPARKPLUG = {"format": "sparkplug"}
PUMP = output("pump", 22)
NEXT_TRY = 2 * PATIENCE  # a sensor that fails is tried again within 10 s


@pytest.fixture
def hosts():
    """Start hosts: hosts(port, group, node)."""
    started = []

    def start(*args):
        started.append(Host(*args))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def host(broker, hosts):
    """One that hears everything from before iotd starts, and at the end finds nothing wrong in it."""
    one = hosts(broker.port)
    yield one
    assert_spoken_well(one.said())


def bd_seqs(host, verb):
    return [one.values["bdSeq"] for one in host.said(verb)]


def verbs(said):
    return [f"{one.verb}/{one.device}".rstrip("/") for one in said]


def test_session_begins_with_nbirth_and_dbirths(simulated, host, value_file):
    simulated(mqtt=SPARKPLUG, sensors=[file_sensor(value_file, "air", unit="V")], outputs=[PUMP])
    host.wait_said("DDATA", "air", count=3)
    host.wait_said("DBIRTH", "pump")
    node, device = host.said("NBIRTH")[0], host.said("DBIRTH", "air")[0]
    assert node == host.said()[0] and node.seq == 0
    kinds = {metric.name: metric.datatype for metric in node.payload.metrics}
    assert kinds == {"bdSeq": UINT64, REBIRTH: BOOLEAN, "Properties/Version": STRING}
    assert node.values["bdSeq"] == 0 and node.values[REBIRTH] is False
    assert node.values["Properties/Version"].startswith("iotd ")
    (metric,) = device.payload.metrics
    assert (metric.name, metric.datatype, metric.double_value) == ("value", DOUBLE, 21.37)
    assert list(metric.properties.keys) == ["engUnit"]
    assert metric.properties.values[0].string_value == "V"
    (state,) = host.said("DBIRTH", "pump")[0].payload.metrics
    assert (state.name, state.datatype, state.boolean_value) == ("state", BOOLEAN, False)


def test_reading_has_its_own_time(iotd, host, value_file):
    begin = int(time.time() * 1000)
    iotd(mqtt=SPARKPLUG, sensors=[file_sensor(value_file)])
    readings = host.wait_said("DDATA", "air", match=lambda one: not one.historical, count=5)
    times = [one.times.pop() for one in readings]
    # one that was late and the next may be of one millisecond
    assert times == sorted(times) and len(set(times)) >= 4
    assert begin <= times[0] and times[-1] <= time.time() * 1000
    for one, taken in zip(readings, times):
        assert taken <= one.payload.timestamp


def test_chip_is_one_message_a_reading(simulated, host):
    chip = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    simulated(mqtt=SPARKPLUG, sensors=[chip])
    one = host.wait_said("DDATA", "air")
    assert list(one.values) == ["temperature", "humidity", "pressure"]
    assert len(one.times) == 1
    assert list(host.said("DBIRTH", "air")[0].values) == list(one.values)


def test_numbers_wrap_round(iotd, host, value_file):
    iotd(mqtt=SPARKPLUG, sensors=[file_sensor(value_file, interval="2ms")])
    host.wait_said("DDATA", "air", match=lambda one: one.seq == 255)
    host.wait_said("DDATA", "air", match=lambda one: one.seq == 1, since=host.mark())


def test_group_and_node_come_from_topic_and_device(iotd, broker, hosts, value_file):
    host = hosts(broker.port, "plant", "box 7")
    iotd(device="box 7", mqtt={**SPARKPLUG, "topic": "plant/hall"}, sensors=[file_sensor(value_file)])
    host.wait_said("NBIRTH")
    host.wait_said("DDATA", "air")


def test_killed_daemon_leaves_its_ndeath(iotd, host, value_file):
    daemon = iotd(mqtt=SPARKPLUG, sensors=[file_sensor(value_file)])
    host.wait_said("DDATA", "air")
    daemon.kill()
    death = host.wait_said("NDEATH")
    assert death.values == {"bdSeq": host.said("NBIRTH")[0].values["bdSeq"]}
    assert death.message.qos == 1


@pytest.mark.parametrize("protocol", [4, 5])
def test_stopped_daemon_says_ndeath(iotd, broker, host, value_file, protocol):
    daemon = iotd(mqtt={**SPARKPLUG, "protocol": protocol}, sensors=[file_sensor(value_file)])
    host.wait_said("DDATA", "air")
    assert daemon.stop()[0] == 0
    # in MQTT 5 the will as well: "Disconnect with Will Message" is what the specification wants
    deaths = {4: 1, 5: 2}[protocol]
    host.wait_said("NDEATH", count=deaths)
    host.publish("last", "", qos=1)
    host.wait("last")
    said = host.said()
    assert {one.verb for one in said[verbs(said).index("NDEATH") :]} == {"NDEATH"}
    assert bd_seqs(host, "NDEATH") == [0] * deaths
    assert not broker.log.all(lambda line: "iotd-test closed its connection" in line.text)
    assert not retained(broker.port, prefix="spBv1.0")


def test_each_connection_is_a_session(simulated, host, link, value_file):
    simulated(
        link.url, mqtt=SPARKPLUG, sensors=[file_sensor(value_file, "air")], outputs=[PUMP]
    )
    for number in range(4):
        mark = host.mark()
        host.wait_said("NBIRTH", match=lambda one, n=number: one.values["bdSeq"] == n)
        host.wait_said("DDATA", "air", match=lambda one: not one.historical, since=mark)
        mark = host.mark()
        link.cut()
        host.wait_said("NDEATH", match=lambda one, n=number: one.values["bdSeq"] == n, since=mark)
        link.forward()
    host.wait_said("NBIRTH", match=lambda one: one.values["bdSeq"] == 4)
    assert bd_seqs(host, "NBIRTH") == [0, 1, 2, 3, 4]
    assert bd_seqs(host, "NDEATH") == [0, 1, 2, 3]


def test_killed_broker(iotd, brokers, hosts, value_file):
    broker = brokers()
    daemon = iotd(broker.url, mqtt=SPARKPLUG, sensors=[file_sensor(value_file)], env=BEAT)
    first = hosts(broker.port)
    first.wait_said("DDATA", "air", match=lambda one: not one.historical)
    subscriptions = first.subscriptions()
    daemon.supervisor.status(lambda text: "; connected to" in text)
    events = daemon.supervisor.events.mark()
    broker.kill()
    daemon.supervisor.disconnected(since=events)
    daemon.supervisor.beats(10)
    broker.start()
    first.wait_subscribed(since=subscriptions)
    mark = first.mark()
    first.order("NCMD", REBIRTH, True)  # its births may have come before we listened
    first.wait_said("NBIRTH", since=mark, match=lambda one: one.values["bdSeq"] == 1)
    first.wait_said("DDATA", "air", match=lambda one: not one.historical, since=first.mark())
    after = first.said(since=mark)
    assert_spoken_well(after[verbs(after).index("NBIRTH") :])


def wait_spooled(daemon, count):
    """Until that many readings wait; with a line that is cut."""

    def holds(text):
        found = re.search(r"(\d+) spooled", text)
        return found and int(found[1]) >= count

    daemon.supervisor.status(holds, since=daemon.supervisor.events.mark())


def test_readings_of_an_outage_are_historical(daemon_of, host, link):
    daemon = daemon_of()
    host.wait_said("DDATA", "air", match=lambda one: not one.historical)
    mark = host.mark()
    link.cut()
    host.wait_said("NDEATH", since=mark)
    cut = host.said("DDATA")[-1].times.pop()
    wait_spooled(daemon, 15)
    mark = host.mark()
    link.forward()
    host.wait_said("DDATA", "air", match=lambda one: not one.historical, since=mark)
    said = host.said(since=mark)
    birth = said[verbs(said).index("NBIRTH")]
    late = [one for one in said if one.verb == "DDATA" and one.historical]
    times = [one.times.pop() for one in late]
    assert len(late) >= 10 and times == sorted(times) and times[-1] > cut
    gap = longest_gap([moment / 1000 for moment in (cut, *times)])
    assert gap < 0.35 * SLOW, "none is missing"
    assert all(taken <= birth.payload.timestamp for taken in times)
    now = [one for one in said if one.verb == "DDATA" and not one.historical]
    assert said.index(late[-1]) < said.index(now[0]), "oldest first"
    born = next(one for one in said if one.verb == "DBIRTH")
    assert born.times.pop() >= times[-1], "born with the latest"


@pytest.fixture
def daemon_of(start_iotd, value_file, link, spool):
    """An iotd with a file under its spool; again, and it is the next run."""

    def start(**more):
        text = configuration(
            link.url,
            mqtt=SPARKPLUG,
            spool={"path": str(spool)},
            **{"sensors": [file_sensor(value_file)], **more},
        )
        return start_iotd(text, env=BEAT)

    return start


def test_readings_of_an_earlier_run_are_historical(daemon_of, host, link, value_file):
    link.cut()
    daemon = daemon_of()
    wait_spooled(daemon, 12)
    assert daemon.stop()[0] == 0
    before = time.time() * 1000
    link.forward()
    daemon_of(sensors=[file_sensor(value_file, "other")])
    host.wait_said("DDEATH", "air")
    said = host.said(device="air")
    assert [one.verb for one in said[:2]] == ["DBIRTH", "DDATA"] and said[-1].verb == "DDEATH"
    late = [one for one in said if one.verb == "DDATA"]
    assert len(late) >= 10
    assert all(one.historical and one.times.pop() < before for one in late)
    host.wait_said("DDATA", "other", match=lambda one: not one.historical)


def test_host_asks_for_a_rebirth(simulated, host, value_file):
    simulated(mqtt=SPARKPLUG, sensors=[file_sensor(value_file)], outputs=[PUMP])
    host.wait_said("DBIRTH", "pump")
    host.wait_said("DDATA", "air", match=lambda one: not one.historical)
    mark = host.mark()
    host.order("NCMD", REBIRTH, True)
    birth = host.wait_said("NBIRTH", since=mark)
    assert birth.seq == 0 and birth.values["bdSeq"] == 0
    host.wait_said("DDATA", "air", match=lambda one: not one.historical, since=host.mark())
    said = host.said(since=mark)
    after = said[verbs(said).index("NBIRTH") :]
    assert set(verbs(after[1:3])) == {"DBIRTH/air", "DBIRTH/pump"}
    assert not host.said("NDEATH")


@pytest.mark.parametrize("value, retain", [(False, False), (True, True), (1.0, False)])
def test_what_is_no_rebirth_request_changes_nothing(iotd, host, value_file, value, retain):
    iotd(mqtt=SPARKPLUG, sensors=[file_sensor(value_file)])
    host.wait_said("DDATA", "air")
    host.order("NCMD", REBIRTH, value, retain=retain)
    host.publish("iotd/NCMD/test", b"\xff\xff\xff")
    mark = host.mark()
    host.wait_said("DDATA", "air", count=20, since=mark)
    assert len(host.said("NBIRTH")) == 1


def test_command_of_an_output(simulated, host):
    simulated(mqtt=SPARKPLUG, outputs=[PUMP])
    host.wait_said("DBIRTH", "pump")
    for on in (True, False, True):
        mark = host.mark()
        host.order("DCMD", "state", on, "pump")
        one = host.wait_said(
            "DDATA", "pump", match=lambda one, on=on: one.values == {"state": on}, since=mark
        )
        assert not one.historical
    mark = host.mark()
    host.order("NCMD", REBIRTH, True)
    assert host.wait_said("DBIRTH", "pump", since=mark).values == {"state": True}


def test_commands_that_are_not_obeyed(simulated, broker, host, clients):
    client = clients(broker.port)
    daemon = simulated(mqtt=SPARKPLUG, outputs=[PUMP], commands={"allow": ["stats"]})
    host.wait_said("DBIRTH", "pump")
    host.order("DCMD", "state", True, "pump")
    daemon.log.wait(lambda line: "is refused" in line.text and "output/pump/set" in line.text)
    host.order("DCMD", "stat", True, "pump")
    host.order("DCMD", "state", 1.0, "pump")
    host.publish("iotd/DCMD/test/pump", b"on")
    client.wait("stats", match=lambda m: m.json["commands_refused"] == 4)
    assert not [one for one in host.said("DDATA", "pump") if one.values["state"]]


def test_without_commands_only_a_rebirth_is_obeyed(simulated, host):
    simulated(mqtt=SPARKPLUG, outputs=[PUMP], commands={"enabled": False})
    host.wait_said("DBIRTH", "pump")
    host.order("DCMD", "state", True, "pump")
    mark = host.mark()
    host.order("NCMD", REBIRTH, True)
    host.wait_said("NBIRTH", since=mark)
    born = host.wait_said("DBIRTH", "pump", since=mark)
    assert born.values == {"state": False}


def test_a_sensor_dies_and_is_born_again(iotd, host, value_file):
    iotd(mqtt=SPARKPLUG, sensors=[file_sensor(value_file, "air")])
    host.wait_said("DDATA", "air")
    value_file.rename(value_file.with_name("gone"))
    death = host.wait_said("DDEATH", "air")
    assert death.values == {}
    mark = host.mark()
    replace_file(value_file, "7\n")
    host.wait_said("DBIRTH", "air", since=mark, timeout=NEXT_TRY)
    assert host.wait_said("DDATA", "air", since=mark).values == {"value": 7}


def test_who_is_offline_is_not_born(iotd, host, link, value_file):
    iotd(link.url, mqtt=SPARKPLUG, sensors=[file_sensor(value_file, "air")])
    host.wait_said("DDATA", "air")
    value_file.rename(value_file.with_name("gone"))
    host.wait_said("DDEATH", "air")
    mark = host.mark()
    link.cut()
    host.wait_said("NDEATH", since=mark)
    link.forward()
    host.wait_said("NBIRTH", since=mark)
    replace_file(value_file, "7\n")
    host.wait_said("DBIRTH", "air", since=mark, timeout=NEXT_TRY)
    assert verbs(host.said(since=mark))[:3] == ["NDEATH", "NBIRTH", "DBIRTH/air"]


def test_input_and_counter(simulated, host):
    door = {"name": "door", "chip": "gpiochip0", "line": 17}
    rain = {**door, "name": "rain", "line": 27, "count": True, "interval": "200ms", "unit": "mm"}
    simulated(mqtt=SPARKPLUG, inputs=[door, rain])
    first, second = host.wait_said(
        "DDATA", "door", match=lambda one: not one.historical, count=2, timeout=12 * SLOW
    )
    assert {first.values["state"], second.values["state"]} == {True, False}
    assert set(host.wait_said("DBIRTH", "rain").values) == {"total", "rate"}
    assert host.wait_said("DDATA", "rain", match=lambda one: (one.values["total"] or 0) > 0)


def test_what_else_is_said(simulated, broker, host, clients, value_file):
    """Statistics, commands and replies are as in every format; the topics that births replace are silent."""
    client = clients(broker.port)
    simulated(mqtt=SPARKPLUG, sensors=[file_sensor(value_file)], outputs=[PUMP])
    host.wait_said("DBIRTH", "pump")
    client.wait("stats")
    client.publish("output/pump/set", "on")
    host.wait_said("DDATA", "pump", match=lambda one: one.values == {"state": True})
    client.publish("command", {"command": "read", "name": "air", "id": 1})
    assert client.wait("reply").json["result"]["value"] == 21.37
    assert {m.topic.removeprefix("iotd/test/") for m in client.all("#")} <= {
        "status",
        "stats",
        "command",
        "reply",
        "output/pump/set",
    }


def test_reload_that_adds_and_removes(start_iotd, broker, host, value_file):
    def text(*names):
        sensors = [file_sensor(value_file, name) for name in names]
        return configuration(broker.url, mqtt=SPARKPLUG, sensors=sensors)

    daemon = start_iotd(text("a", "b"))
    host.wait_said("DDATA", "a")
    host.wait_said("DDATA", "b")
    replace_file(daemon.config, text("b", "c"))
    mark = host.mark()
    daemon.signal(signal.SIGHUP)
    host.wait_said("DDEATH", "a", since=mark)
    host.wait_said("DDATA", "c", since=mark)
    assert len(host.said("NBIRTH")) == 1


def test_reload_that_renames_the_node(start_iotd, broker, host, hosts, value_file):
    other = hosts(broker.port, "iotd", "next")
    text = configuration(
        broker.url,
        mqtt={**SPARKPLUG, "topic": "iotd/hall", "client_id": "me"},
        sensors=[file_sensor(value_file)],
    )
    daemon = start_iotd(text)
    host.wait_said("DDATA", "air")
    replace_file(daemon.config, text.replace('device = "test"', 'device = "next"'))
    mark = other.mark()
    daemon.signal(signal.SIGHUP)
    host.wait_said("NDEATH")
    other.wait_said("NBIRTH", since=mark)
    other.wait_said("DDATA", "air", match=lambda one: not one.historical, since=mark)


def test_reload_to_sparkplug_clears_what_was_retained(start_iotd, broker, clients, host, value_file):
    client = clients(broker.port)
    sensors = [file_sensor(value_file, "air")]
    daemon = start_iotd(configuration(broker.url, sensors=sensors))
    client.wait("sensor/air/status", "online")
    replace_file(daemon.config, configuration(broker.url, sensors=sensors, mqtt=SPARKPLUG))
    mark = client.mark()
    daemon.signal(signal.SIGHUP)
    host.wait_said("NBIRTH")
    host.wait_said("DDATA", "air", match=lambda one: not one.historical)
    client.wait("status", "online", since=mark)
    held = retained(broker.port)
    assert "sensor/air/status" not in held and held["status"].text == "online"


def test_status_is_said_as_in_every_format(iotd, broker, clients, host, value_file):
    client = clients(broker.port)
    daemon = iotd(mqtt=SPARKPLUG, sensors=[file_sensor(value_file, "air")])
    client.wait("status", "online")
    host.wait_said("DDATA", "air")
    assert daemon.stop()[0] == 0
    client.wait("status", "offline")
    assert retained(broker.port)["status"].text == "offline"


def test_keys_that_have_no_place_are_faults(tmp_path):
    path = tmp_path / "iotd.conf"
    sensor = file_sensor("/x", topic="a/b", qos=1, retain=True)
    path.write_text(
        configuration(
            "mqtt://localhost", mqtt={**SPARKPLUG, "qos": 1, "retain": True}, sensors=[sensor]
        ),
        encoding="utf-8",
    )
    done = run_iotd("--check", "--config", path)
    assert done.returncode == 78
    for key in ("mqtt.qos", "mqtt.retain", "sensors[0].qos", "sensors[0].retain", "sensors[0].topic"):
        assert f": {key}: Sparkplug " in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 5


@pytest.mark.parametrize(
    "keys, fault",
    [
        ({"discovery": {"enabled": True}}, 'mqtt.discovery.enabled: needs format = "json" or'),
        ({"compat": "mqtt-io"}, 'mqtt.format: compat = "mqtt-io" has its own format'),
    ],
)
def test_what_speaks_no_sparkplug_is_a_fault(tmp_path, keys, fault):
    path = tmp_path / "iotd.conf"
    path.write_text(
        configuration("mqtt://localhost", mqtt={**SPARKPLUG, **keys}, sensors=[file_sensor("/x")]),
        encoding="utf-8",
    )
    done = run_iotd("--check", "--config", path)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert f": {fault}" in line


@pytest.mark.parametrize("protocol", [4, 5])
def test_over_to_another_broker_and_home_again(
    start_iotd, brokers, proxies, hosts, value_file, protocol
):
    """Each connection has the bdSeq of its own will, on whichever broker."""
    near, far = brokers(), brokers()
    line = proxies(near.port)
    home, away = hosts(near.port), hosts(far.port)
    mqtt = {**SPARKPLUG, "protocol": protocol}
    daemon = start_iotd(
        configuration([line.url, far.url], mqtt=mqtt, sensors=[file_sensor(value_file)])
    )
    home.wait_said("NBIRTH")
    line.cut()
    home.wait_said("NDEATH")
    away.wait_said("DDATA", "air")
    line.forward()
    home.wait_said("NBIRTH", match=lambda one: one.values["bdSeq"] != 0)
    away.wait_said("NDEATH")
    home.wait_said("DDATA", "air", since=home.mark())
    line.cut()
    home.wait_said("NDEATH", count=2)
    away.wait_said("NBIRTH", count=2)
    daemon.kill()
    away.wait_said("NDEATH", match=lambda one: one.values["bdSeq"] == bd_seqs(away, "NBIRTH")[-1])
    assert bd_seqs(home, "NDEATH") == bd_seqs(home, "NBIRTH")
    assert bd_seqs(away, "NDEATH") == bd_seqs(away, "NBIRTH")
    numbers = [one for pair in zip(bd_seqs(home, "NBIRTH"), bd_seqs(away, "NBIRTH")) for one in pair]
    assert len(numbers) == 4 and numbers == sorted(set(numbers)) and numbers[0] == 0
    assert_spoken_well(home.said())
    assert_spoken_well(away.said())


def test_a_look_for_home_changes_nothing_of_the_session(
    start_iotd, brokers, proxies, hosts, value_file
):
    """A home that takes our CONNECT, and the next bdSeq with it, and does not answer."""
    near, far = brokers(), brokers()
    line = proxies(near.port)
    away = hosts(far.port)
    line.cut()
    daemon = start_iotd(
        configuration([line.url, far.url], mqtt=SPARKPLUG, sensors=[file_sensor(value_file)])
    )
    born = away.wait_said("NBIRTH").values["bdSeq"]
    line.mute()
    line.accepted.wait(lambda _: True)
    away.wait_said("DDATA", "air", since=away.mark(), count=5)
    mark = away.mark()
    away.order("NCMD", REBIRTH, True)
    again = away.wait_said("NBIRTH", since=mark)
    assert again.values["bdSeq"] == born
    daemon.kill()
    assert away.wait_said("NDEATH").values["bdSeq"] == born
    assert_spoken_well(away.said())


def test_each_connect_has_a_bdseq_of_its_own(start_iotd, brokers, proxies, hosts, value_file):
    """Also those to an earlier broker that refuses us."""
    locked, far = brokers("allow_anonymous false\n"), brokers()
    line = proxies(far.port)
    away = hosts(far.port)
    start_iotd(
        configuration([locked.url, line.url], mqtt=SPARKPLUG, sensors=[file_sensor(value_file)])
    )
    assert away.wait_said("NBIRTH").values["bdSeq"] == 1
    refused = locked.log.wait(lambda line: "not authori" in line.text, count=4)
    line.cut()
    line.forward()
    again = away.wait_said("NBIRTH", count=2)[1]
    assert again.values["bdSeq"] > len(refused)
    assert bd_seqs(away, "NDEATH") == [1]
    assert_spoken_well(away.said())
