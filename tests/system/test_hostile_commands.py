# SPDX-License-Identifier: LGPL-2.1-or-later
"""20,000 hostile commands a minute: nothing changes, nothing grows, good ones are answered.

That the schedule was kept shows from the times of the readings. Beats of the watchdog are not judged:
this very process is too busy to hear them in time; and too busy to take the time of replies, which a
process of its own does, the good client beside the attacker.
"""

import itertools
import json
import signal
import sys
import time
from pathlib import Path

import pytest

from iotd_broker import properties
from iotd_harness import (
    PATIENCE,
    PREFIX,
    SLOW,
    Process,
    file_sensor,
    is_sanitized,
    output,
)

RATE = 20_000 / 60  # a second
AT_A_TIME = 50  # hostile ones before each good one

_numbers = itertools.count()

DEEP = "[" * 400 + "]" * 400  # as much as Python reads too

COMMANDS = [  # what comes on T/command
    *(b"", b" ", b"nonsense", b"{", b"}", b'"ping"', b"7", b"null", b"[]", b"[" * 4000),
    *(b"\x00", b'{"command":"ping"}\x00', b'{"command":"pi\x00ng"}', b"\xff\xfe\xfd", b"\xc0\xaf"),
    *(b'{"command":"p\xffng"}', b'{"command":"\\ud800"}', b"\xef\xbb\xbf" + b'{"command":"ping"}'),
    *(b'{"command":"ping"', b'{"command":"ping"}{"command":"ping"}', b"{'command':'ping'}"),
    *(b'{"command":"set","command":"ping"}', b'{"command":"read","name":"air","name":"air"}'),
    *(b"x" * 4097, b" " * 4097 + b'{"command":"toggle","name":"pump"}', b"{" * 65000, b"x" * 300000),
    '{"command":"dance","id":%s}' % DEEP,
    '{"command":"dance","id":%s' % ("[" * 4000),
    {"command": "p" * 3000},
    {"command": "%s%n%s%n", "id": "%n" * 100},
    {"command": "dance\n2026-01-01T00:00:00.000Z err: the house is on fire", "id": "\r\n"},
    *({"command": wrong} for wrong in (None, True, 7, -1.5, [], {}, ["ping"], {"command": "ping"})),
    {"command": "ping", "colour": "red"},
    {"command": "read", "name": "airr"},
    {"command": "read", "name": "../../etc/passwd"},
    {"command": "read", "name": "x" * 1000},
    {"command": "read", "name": "air\u0000"},
    {"command": "read", "name": ["air"]},
    {"command": "read"},
    {"command": "reload"},  # not allowed
    {"command": "count", "name": "air", "total": 0},
    {"command": "interval", "name": "air", "interval": "999us"},
    {"command": "interval", "name": "air", "interval": "-1s"},
    {"command": "interval", "name": "air", "interval": "10 parsecs"},
    {"command": "interval", "name": "air", "interval": "1e9999s"},
    {"command": "interval", "name": "air", "interval": "9" * 3000 + "d"},
    '{"command":"interval","name":"air","interval":1e400}',
    '{"command":"interval","name":"air","interval":NaN}',
    {"command": "interval", "name": "air", "interval": 1e300},
    {"command": "interval", "name": "air", "interval": -1},
    {"command": "interval", "name": "air", "interval": 0},
    {"command": "interval", "name": "air", "interval": True},
    {"command": "interval", "name": "pump", "interval": "1s"},
    {"command": "set", "name": "air", "state": "on"},
    {"command": "set", "name": "pump"},
    {"command": "set", "name": "pump", "state": "maybe"},
    {"command": "set", "name": "pump", "state": 2},
    {"command": "set", "name": "pump", "state": None},
    {"command": "set", "name": "pump", "state": "on", "for": "0s"},
    {"command": "set", "name": "pump", "state": "on", "for": -1},
    {"command": "set", "name": "pump", "state": "on", "for": "101y"},
    {"command": "set", "name": "pump", "state": "on", "force": True},
    {"command": "pulse", "name": "pump"},
    {"command": "pulse", "name": "pump", "for": "soon"},
    {"command": "toggle", "name": "pumpe"},
    {"command": "toggle", "name": "pump", "for": "1s"},
]

SETS = [  # what comes on T/output/NAME/set
    *(b"", b" ", b"maybe", b"onn", b"o", b"2", b"01", b"on off", b"on\x00", b"\x00on", b"\xff\xfe"),
    *(b"null", b"[]", b'["on"]', b"{}", b"{", b'{"state":"on"', b'{"state":"on"}x', b"on" * 40000),
    *(b'{"state":"on","state":"on"}', b'{"state":"on","colour":1}', b'{"for":"1s"}'),
    *(b'{"state":"on","for":"0s"}', b'{"state":"on","for":1e400}', b'{"state":"on","for":-1}'),
    *(b'{"state":"maybe"}', b'{"state":[true]}', b'{"state":"toggle","for":"1s"}'),
    *(b'{"command":"set","state":"on"}', b'{"id":1,"ok":true,"result":{}}'),
]

WISHES = [  # MQTT 5 properties of a command
    {},
    {"ResponseTopic": f"{PREFIX}/command"},
    {"ResponseTopic": f"{PREFIX}/output/pump/set"},
    {"ResponseTopic": "$SYS/broker"},
    {"ResponseTopic": "a" * 60000},
    {"ResponseTopic": "/", "CorrelationData": b"\x00" * 4000},
    {"CorrelationData": b"c" * 65000},
    {"CorrelationData": b""},
]


def hostile():
    """(topic, payload, qos, retain, properties) without an end; no two rounds the same."""
    commands = [c if isinstance(c, (bytes, str)) else json.dumps(c) for c in COMMANDS]
    wishes = itertools.cycle(WISHES)
    topics = itertools.cycle(
        [f"output/{name}/set" for name in ("pump", "pumpe", "air", "a" * 65, "ü", " ", "$x")]
    )
    everything = [("command", c) for c in commands] + [(None, s) for s in SETS]
    for number, (topic, payload) in enumerate(itertools.cycle(everything)):
        if topic is None:
            topic = next(topics) if number % 3 else "output/pump/set"
        yield topic, payload, number % 3, number % 11 == 0, properties(**next(wishes))


@pytest.fixture
def attacked(simulated, client, value_file):
    """A daemon with something to break: a sensor, an output that is off."""
    one = simulated(
        sensors=[file_sensor(value_file)],
        outputs=[output("pump", 22)],
    )
    client.wait("sensor/air", count=3)
    client.state("pump", "off")
    one.log.wait(lambda line: "connected to" in line.text)  # the last line of a start
    return one


class GoodClient(Process):
    """iotd_ask.py as a process."""

    def __init__(self, port):
        program = str(Path(__file__).with_name("iotd_ask.py"))
        super().__init__([sys.executable, program, str(port)], "good client")

    def times(self):
        """It ends. Return: the ms until each of its commands was answered."""
        self.signal(signal.SIGTERM)
        self.wait()
        assert self.child.returncode == 0, self.text()
        return json.loads(self.text())


@pytest.fixture
def good_client(attacked, broker):
    one = GoodClient(broker.port)
    broker.connection("light-asker")
    yield one
    one.kill()


def ask(attacker, **more):
    """Until a good command is answered; its id."""
    number = f"good-{next(_numbers)}"
    wish = properties(ResponseTopic=f"{PREFIX}/answer")
    attacker.publish("command", {"command": "ping", "id": number}, properties=wish)
    answer = attacker.wait("answer", match=lambda m: m.json["id"] == number, **more)
    assert answer.json["ok"] is True
    return number


def ask_until_answered(attacker):
    """While iotd is flooded, a good command may be dropped with the others; its id."""
    deadline = time.monotonic() + 12 * PATIENCE
    while True:
        try:
            return ask(attacker, timeout=SLOW)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def attack(attacker, seconds, count):
    """Until both are reached: (sent, seconds, the last good command's id)."""
    sent, source = 0, hostile()
    begin = time.monotonic()
    while time.monotonic() - begin < seconds or sent < count:
        for topic, payload, qos, retain, wish in itertools.islice(source, AT_A_TIME):
            attacker.publish(topic, payload, qos, retain, wish)
        sent += AT_A_TIME
        number = ask(attacker)
        if seconds:  # twice the rate, so that the client that hears everything can follow
            time.sleep(max(0, begin + sent / (2 * RATE) - time.monotonic()))
    return sent, time.monotonic() - begin, number


def wait_behind(client, last):
    """The client that hears everything may be far behind: until it has heard this answer, too."""
    client.wait("answer", match=lambda m: last.encode() in m.payload, timeout=12 * PATIENCE)


def assert_untouched(one, client):
    """What the attack wanted to change."""
    devices = {device["name"]: device for device in client.result("list")}
    assert set(devices) == {"air", "pump"}
    assert devices["air"]["interval"] in ("100ms", 0.1)
    assert [m.json["state"] for m in client.all("output/pump")] == ["off"], "it never moved"
    assert client.result("stats")["connects"] == 1
    assert one.running


@pytest.mark.parametrize(
    "seconds, count",
    [
        pytest.param(0, 5_000, marks=pytest.mark.slow),  # it measures times
        pytest.param(60, 20_000, marks=pytest.mark.nightly),
    ],
    ids=["5,000", "a minute"],
)
def test_hostile_commands_change_nothing(
    attacked, client, clients, broker, good_client, figures, seconds, count
):
    attacker = clients(broker.port, subscribe=f"{PREFIX}/answer")
    log = attacked.log.mark()
    attack(attacker, 0, 500)  # what is allocated once
    before = client.result("stats")
    memory = attacked.kib("VmHWM")
    threads, descriptors = len(attacked.threads()), attacked.descriptors()

    sent, took, last = attack(attacker, seconds, count)
    times = good_client.times()

    wait_behind(client, last)
    client.settle()
    after = client.result("stats")
    print(f"{sent} in {took:.1f} s, {sent / took * 60:,.0f} a minute; {len(times)} good ones "
          f"at most {max(times):.1f} ms; memory +{attacked.kib('VmHWM') - memory} KiB; "
          f"log {[line.text[:150] for line in attacked.log.all(since=log)]}")
    assert sent / took > RATE / SLOW
    assert max(times) < 250 * SLOW
    # a reply to T/command or T/output/pump/set comes back as one more
    assert after["commands_refused"] - before["commands_refused"] >= sent
    assert_untouched(attacked, client)
    assert len(attacked.log.all(since=log)) <= 10
    assert len(attacked.threads()) <= threads + 1 and attacked.descriptors() <= descriptors + 1
    if not is_sanitized():
        assert attacked.kib("VmHWM") - memory < 1024
    figures(f"{sent:,} hostile commands at {sent / took * 60:,.0f} a minute", attacked, 0.1)


def test_flood_that_is_faster_than_iotd(attacked, client, clients, broker, figures):
    """Nobody waits for an answer: what does not fit is dropped, counted, and logged once."""
    attacker = clients(broker.port, subscribe=f"{PREFIX}/answer")
    log = attacked.log.mark()
    attacker.paho.max_queued_messages_set(0)
    for topic, payload, _, retain, wish in itertools.islice(hostile(), 4_000):
        attacker.publish(topic, payload, 0, retain, wish)
    wait_behind(client, ask_until_answered(attacker))
    client.settle()
    assert_untouched(attacked, client)
    assert len(attacked.log.all(since=log)) <= 10
    figures("4,000 hostile commands at once", attacked, 0.1)


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize(
    "topic, payload",
    [("command", '{"command":"ping"}'), ("output/pump/set", "on")],
    ids=["command", "set"],
)
def test_properties_that_are_larger_than_a_message_may_be(
    attacked, client, clients, broker, topic, payload, qos
):
    """The library would take a property that is cut for the end of MQTT."""
    attacker = clients(broker.port, subscribe=f"{PREFIX}/answer")
    log = attacked.log.mark()
    wish = properties(UserProperty=("n" * 65535, "v" * 65535), ResponseTopic=f"{PREFIX}/answer")
    refused = client.result("stats")["commands_refused"]
    for _ in range(3):
        attacker.publish(topic, payload, qos, properties=wish)
        ask(attacker)
    assert client.result("stats")["commands_refused"] == refused + 3
    if topic == "command":
        assert len(client.all("reply", match=lambda m: "4096" in m.json.get("error", ""))) == 3
    assert_untouched(attacked, client)
    attacked.log.wait(lambda _: True, since=log, count=1)
    # the sum of the others comes when there was none for 5 s, which may be now
    lines = [line for line in attacked.log.all(since=log) if " more commands " not in line.text]
    assert len(lines) == 1, attacked.log.all(since=log)
