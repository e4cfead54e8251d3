# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outputs: what moves them, and what must not (SPEC 2, 3 and 5). All lines are emulated.

How long something was on is at least what was asked for, on any machine; how exactly, only
test_times_are_exact measures, with nothing beside it.
"""

import contextlib
import signal
import threading
import time

import pytest
from paho.mqtt.client import MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from iotd_broker import paho_client, retained
from iotd_harness import BEAT, SLOW, configuration, output, run_iotd

PUMP, VALVE, LAMP = output("pump", 22), output("valve", 23), output("lamp", 24)
SLACK = 0.1 * SLOW


@pytest.fixture
def outputs(simulated, client):
    """Start iotd with these outputs and wait until their states are known."""

    def start(*settings, **more):
        daemon = simulated(outputs=list(settings), **more)
        for one in settings:
            client.wait(f"output/{one['name']}")
        client.settle()
        return daemon

    return start


def states(client, name="pump", since=0):
    return [m.json["state"] for m in client.all(f"output/{name}", since=since)]


def last_state(client, name="pump"):
    return states(client, name)[-1]


def lasted(begin, end):
    return end.time - begin.time


@contextlib.contextmanager
def at_once(daemon, client):
    """What is published inside reaches iotd in one go, however slowly we are served."""
    mark = client.mark()
    daemon.signal(signal.SIGSTOP)
    try:
        yield
        client.publish("harness/behind", "")
        client.wait("harness/behind", since=mark)  # so the broker has passed on the others
    finally:
        daemon.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    "payload",
    ["on", "ON", "On", "oN", "1", "true", "TRUE", " on\n", '{"state":"on"}', ' {"state" : "ON"}\n'],
)
def test_set_on(outputs, client, payload):
    outputs(PUMP)
    client.publish("output/pump/set", payload)
    assert client.state("pump", "on").retain


@pytest.mark.parametrize("payload", ["off", "OFF", "Off", "0", "false", "False", '{"state":"off"}'])
def test_set_off(outputs, client, payload):
    outputs({**PUMP, "initial": "on"})
    client.publish("output/pump/set", payload)
    client.state("pump", "off")


@pytest.mark.parametrize("payload", ["toggle", "TOGGLE", '{"state":"toggle"}'])
def test_set_toggle(outputs, client, payload):
    outputs(PUMP)
    for state in ("on", "off", "on"):
        mark = client.mark()
        client.publish("output/pump/set", payload)
        client.wait("output/pump", since=mark)
        assert last_state(client) == state


@pytest.mark.parametrize(
    "payload",
    [
        *("", " ", "maybe", "onn", "2", "on off", b"\xff\xfe", b"on\0", "x" * 5000),
        *("null", "[]", '"', "{", "{}", '{"state":2}', '{"state":"maybe"}', '{"for":"1s"}'),
        *('{"state":"on","for":"x"}', '{"state":"on","for":"-1s"}', '{"state":"on","for":"0s"}'),
        *('{"state":"on","four":"1s"}', '{"state":"on","for":"9999999999999d"}'),
    ],
    ids=lambda payload: repr(payload[:24]),
)
def test_other_payloads_change_nothing(outputs, client, payload):
    daemon = outputs(PUMP)
    client.publish("output/pump/set", payload)
    client.settle()
    assert states(client) == ["off"]
    assert daemon.running


def test_set_of_nobody_changes_nothing(outputs, client):
    outputs(PUMP)
    for name in ("pumpe", "pum", "", "pump/set", "door"):
        client.publish(f"output/{name}/set", "on")
    client.settle()
    assert states(client) == ["off"]


def test_same_state_again_is_no_change(outputs, client):
    outputs(PUMP)
    for _ in range(5):
        client.publish("output/pump/set", "off")
    client.settle()
    assert set(states(client)) == {"off"}


@pytest.mark.parametrize("initial", ["off", "on"])
def test_initial_state_is_published_at_start(outputs, client, broker, initial):
    outputs({**PUMP, "initial": initial})
    assert states(client) == [initial]
    assert retained(broker.port)["output/pump"].json["state"] == initial


def test_initial_keep_takes_what_the_line_has(outputs, client):
    outputs({**PUMP, "initial": "keep"})
    assert last_state(client) in ("on", "off")


def test_active_low_is_the_lines_business_only(outputs, client):
    outputs({**PUMP, "active_low": True})
    assert states(client) == ["off"]
    client.publish("output/pump/set", "on")
    client.state("pump", "on")


def test_on_for_a_while(outputs, client):
    outputs(PUMP)
    client.publish("output/pump/set", {"state": "on", "for": "300ms"})
    begin = client.state("pump", "on")
    end = client.state("pump", "off", since=client.all().index(begin))
    assert lasted(begin, end) > 0.3 - SLACK


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, command",
    [
        ({}, {"state": "on", "for": "300ms"}),
        ({"max_on": "300ms"}, {"state": "on"}),
        ({"max_on": "300ms"}, {"state": "on", "for": "1h"}),
    ],
    ids=["for", "max_on", "for longer than max_on"],
)
def test_times_are_exact(outputs, client, options, command):
    outputs({**PUMP, **options})
    mark = client.mark()
    client.publish("output/pump/set", command)
    begin, end = client.state("pump", "on", since=mark), client.state("pump", "off", since=mark)
    assert abs(lasted(begin, end) - 0.3) < SLACK


def test_second_timed_command_replaces_the_first(outputs, client):
    daemon = outputs(PUMP)
    mark = client.mark()
    with at_once(daemon, client):
        client.publish("output/pump/set", {"state": "on", "for": "500ms"})
        client.publish("output/pump/set", {"state": "on", "for": "900ms"})
    begin = client.state("pump", "on", since=mark)
    end = client.state("pump", "off", since=mark)
    assert lasted(begin, end) > 0.9 - SLACK
    assert states(client, since=mark).count("off") == 1


def test_shorter_second_timed_command_counts_too(outputs, client):
    outputs(PUMP)
    mark = client.mark()
    client.publish("output/pump/set", {"state": "on", "for": "1h"})
    client.publish("output/pump/set", {"state": "on", "for": "300ms"})
    begin, end = client.state("pump", "on", since=mark), client.state("pump", "off", since=mark)
    assert lasted(begin, end) > 0.3 - SLACK


@pytest.mark.parametrize("then, stays", [("on", "on"), ("off", "off")])
def test_plain_command_ends_a_timed_one(outputs, client, then, stays):
    daemon = outputs(PUMP, LAMP)
    with at_once(daemon, client):
        client.publish("output/pump/set", {"state": "on", "for": "500ms"})
        client.publish("output/pump/set", then)
        client.publish("output/lamp/set", {"state": "on", "for": "900ms"})  # a clock
    client.state("lamp", "on")
    client.state("lamp", "off", count=2)
    assert last_state(client) == stays
    assert states(client).count("off") == (1 if stays == "on" else 2)


def test_max_on_switches_off(outputs, client):
    outputs({**PUMP, "max_on": "300ms"})
    mark = client.mark()
    client.publish("output/pump/set", "on")
    begin, end = client.state("pump", "on", since=mark), client.state("pump", "off", since=mark)
    assert lasted(begin, end) > 0.3 - SLACK


def test_max_on_limits_a_longer_time(outputs, client):
    outputs({**PUMP, "max_on": "300ms"})
    mark = client.mark()
    client.publish("output/pump/set", {"state": "on", "for": "1h"})
    begin, end = client.state("pump", "on", since=mark), client.state("pump", "off", since=mark)
    assert lasted(begin, end) > 0.3 - SLACK


def test_max_on_counts_from_the_first_on(outputs, client):
    """Whoever says `on` again and again must not keep the pump running for ever."""
    outputs({**PUMP, "max_on": "2s"}, LAMP)
    mark = client.mark()
    client.publish("output/pump/set", "on")
    begin = client.state("pump", "on", since=mark)
    client.result("pulse", name="lamp", **{"for": "1500ms"})
    dark = client.state("lamp", "off", count=2)[1]
    client.publish("output/pump/set", "on")
    end = client.state("pump", "off", since=mark)
    assert lasted(begin, end) > 2 - SLACK
    assert lasted(dark, end) < 2, "the second one came after the lamp went off"


def test_max_on_holds_for_an_output_that_starts_on(outputs, client):
    outputs({**PUMP, "initial": "on", "max_on": "300ms"})
    client.state("pump", "off")


@pytest.mark.parametrize("first, second", [("pump", "valve"), ("valve", "pump")])
def test_interlock_refuses_the_second(outputs, client, first, second):
    outputs({**PUMP, "interlock": ["valve"]}, VALVE)
    client.result("set", name=first, state="on")
    refusal = client.error("set", name=second, state="on")
    assert first in refusal, refusal
    client.error("pulse", name=second, **{"for": "1s"})
    client.error("toggle", name=second)
    client.publish(f"output/{second}/set", "on")
    client.settle()
    assert (last_state(client, first), last_state(client, second)) == ("on", "off")
    client.result("set", name=first, state="off")
    client.result("set", name=second, state="on")
    assert (last_state(client, first), last_state(client, second)) == ("off", "on")


def test_interlock_holds_at_start(simulated, client, tmp_path):
    """Both initially on: refused as a configuration, or started with one of them off."""
    both = [{**PUMP, "initial": "on", "interlock": ["valve"]}, {**VALVE, "initial": "on"}]
    path = tmp_path / "both.conf"
    path.write_text(configuration("mqtt://127.0.0.1:1", outputs=both), encoding="utf-8")
    done = run_iotd("-c", path, "--check")
    if done.returncode == 78:
        assert "interlock" in done.stderr
        return
    simulated(outputs=both)
    for name in ("pump", "valve"):
        client.wait(f"output/{name}")
    client.settle()
    assert {last_state(client, "pump"), last_state(client, "valve")} == {"on", "off"}


@pytest.mark.parametrize("on_exit, end", [("off", "off"), ("on", "on"), ("keep", "on")])
def test_on_exit(outputs, broker, client, on_exit, end):
    daemon = outputs({**PUMP, "on_exit": on_exit})
    client.result("set", name="pump", state="on")
    assert daemon.stop()[0] == 0
    assert retained(broker.port)["output/pump"].json["state"] == end


def test_on_exit_has_the_last_word(outputs, broker, client):
    """Somebody wants it on, again and again, while iotd stops."""
    daemon = outputs({**PUMP, "on_exit": "off"})
    for _ in range(200):
        client.publish("output/pump/set", "on")
    client.state("pump", "on")
    daemon.signal(signal.SIGTERM)
    for _ in range(500):
        client.publish("output/pump/set", "on")
    daemon.wait()
    assert daemon.child.returncode == 0
    assert retained(broker.port)["output/pump"].json["state"] == "off"


def test_on_exit_on(outputs, broker, client):
    daemon = outputs({**PUMP, "on_exit": "on"})
    assert daemon.stop()[0] == 0
    assert retained(broker.port)["output/pump"].json["state"] == "on"
    client.state("pump", "on")
    assert states(client) == ["off", "on"]


def test_on_exit_defaults_to_keep(outputs, broker, client):
    daemon = outputs(PUMP)
    client.result("set", name="pump", state="on")
    assert daemon.stop()[0] == 0
    assert retained(broker.port)["output/pump"].json["state"] == "on"


@pytest.fixture
def away(simulated, client, link):
    """Start iotd behind a line that can be cut, with the pump on and a watchdog as clock."""

    def start(**options):
        daemon = simulated(
            link.url, outputs=[{**PUMP, **options}, LAMP], env=BEAT
        )
        client.wait("status", "online")
        for name in ("pump", "lamp"):
            client.wait(f"output/{name}")
        client.result("set", name="pump", state="on")
        client.state("pump", "on")
        return daemon

    return start


def test_on_disconnect_moves_after_the_time(away, client, link):
    daemon = away(on_disconnect="off", disconnect_after="500ms")
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    cut = client.all("output/pump")[-1].time
    daemon.supervisor.beats(15)  # 1.5 s
    link.forward()
    assert client.state("pump", "off", since=mark).time > cut + 0.45


def test_short_outage_is_no_disconnect(away, client, link):
    away(on_disconnect="off", disconnect_after="30s")
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    link.forward()
    client.wait("status", "online", since=mark)
    client.settle()
    assert set(states(client, since=mark)) <= {"on"}


def test_disconnect_defaults_to_keep(away, client, link):
    daemon = away()
    mark = client.mark()
    link.cut()
    daemon.supervisor.beats(10)
    link.forward()
    client.wait("status", "online", since=mark)
    client.settle()
    assert set(states(client, since=mark)) <= {"on"}


def test_timed_command_ends_without_a_broker(away, client, link):
    daemon = away()
    mark = client.mark()
    client.result("set", name="lamp", state="on", **{"for": "500ms"})
    link.cut()
    daemon.supervisor.beats(10)
    back = time.time()
    link.forward()
    begin, end = client.state("lamp", "on", since=mark), client.state("lamp", "off", since=mark)
    assert lasted(begin, end) > 0.5 - SLACK
    assert end.time < back, "with the time of the move, not of the news"


def test_retained_set_is_ignored(simulated, broker, client):
    client.publish("output/pump/set", "on", retain=True)
    client.wait("output/pump/set")
    simulated(outputs=[PUMP])
    client.wait("output/pump")
    client.settle()
    assert states(client) == ["off"]
    client.publish("output/pump/set", "on")
    client.state("pump", "on")


@pytest.mark.parametrize("protocol, then, told", [(5, "on", 1), (4, "off", 0)])
def test_retained_set_that_is_sent_right_now(outputs, client, protocol, then, told):
    """MQTT 3.1.1 clears the flag for who is subscribed already, so there it is as any other."""
    daemon = outputs(PUMP, mqtt={"protocol": protocol})
    client.publish("output/pump/set", "toggle", retain=True)
    assert client.result("toggle", name="pump")["state"] == then
    daemon.stop()
    assert daemon.text().count("it is retained") == told, "a person may wonder why"


def test_set_from_while_iotd_was_away_is_ignored(simulated, client):
    first = simulated(outputs=[PUMP])
    client.wait("output/pump")
    first.stop()
    client.publish("output/pump/set", "on", qos=2)
    client.wait("output/pump/set", "on")  # all of its handshake is over: nobody is to get it later
    mark = client.mark()
    simulated(outputs=[PUMP])
    client.wait("output/pump", since=mark)
    client.settle()
    assert states(client, since=mark) == ["off"]


def test_set_in_a_session_that_another_left_is_ignored(simulated, broker, client):
    """Whoever had our client id before may have left a session that keeps commands."""
    wish = Properties(PacketTypes.CONNECT)
    wish.SessionExpiryInterval = 3600
    other = paho_client(client_id="iotd-test", protocol=MQTTv5)
    subscribed = threading.Event()
    other.on_connect = lambda *_: other.subscribe("iotd/test/output/+/set", qos=1)
    other.on_subscribe = lambda *_: subscribed.set()
    other.connect("127.0.0.1", broker.port, clean_start=False, properties=wish)
    other.loop_start()
    assert subscribed.wait(10 * SLOW)
    other.disconnect()
    other.loop_stop()
    client.publish("output/pump/set", "toggle", qos=2)
    client.wait("output/pump/set")
    simulated(outputs=[PUMP])
    client.wait("output/pump")
    assert client.result("toggle", name="pump")["state"] == "on"


@pytest.mark.parametrize("protocol", [4, 5])
def test_set_from_while_the_line_was_cut_is_ignored(simulated, client, link, protocol):
    simulated(link.url, outputs=[PUMP], mqtt={"protocol": protocol})
    client.wait("status", "online")
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    client.publish("output/pump/set", "on", qos=2)
    client.publish("command", {"command": "set", "name": "pump", "state": "on"}, qos=2)
    client.wait("command", since=mark)
    link.forward()
    client.wait("status", "online", since=mark)
    client.settle()
    assert "on" not in states(client)


def test_many_commands_end_in_the_last_state(outputs, client):
    outputs(PUMP)
    for number in range(500):
        client.publish("output/pump/set", "on" if number % 2 == 0 else "off")
    last = client.result("set", name="pump", state="on")  # answered when all of them are done
    client.wait("output/pump", match=lambda m: m.json["time"] == last["time"])
    client.settle()
    assert last_state(client) == last["state"] == "on"
