# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brokers that refuse, are silent, lie or send rubbish (SPEC 5, issue 3).

Each test has a server of its own with bad manners (iotd_peer.py), then a real broker in its place:
all readings must come there, the schedule and the watchdog were kept all along, iotd's memory did
not grow, and the log holds a handful of lines.
"""

import os
import random
import re
import struct
import threading

import pytest

from iotd_harness import BEAT, PATIENCE, SLOW, History, assert_beats, configuration, file_sensor
from iotd_peer import CONNACK, DISCONNECT, PUBACK, PUBLISH, encode_length, packet, text

INTERVAL = 0.1
MEGABYTE = 1 << 20
SUM = re.compile(r": \d+ more (commands|messages) were |: the connection to \S+ holds again")
LEAN = SLOW < 3  # no sanitizer, whose memory says nothing

# MQTT 5.0, section 3.2.2.2; MQTT 3.1.1, section 3.2.2.3
REASONS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "does not speak this version (see mqtt.protocol)",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8C: "bad authentication method",
    0x90: "topic name invalid",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
}
RETURN_CODES = {
    1: "does not speak this version (see mqtt.protocol)",
    2: "identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
}


class Trial:
    """An iotd that meets a server with bad manners first, and a real broker then."""

    def __init__(self, peer, daemon, sensors, link, broker, client, figures):
        self.peer = peer
        self.daemon = daemon
        self._link = link
        self._broker = broker
        self._client = client
        self._figures = figures
        self._sensors = sensors
        self._begin = daemon.supervisor.events.mark()
        self._memory = daemon.kib("VmHWM")

    def beats(self, count):
        self.daemon.supervisor.beats(count)

    def session(self):
        """The first connection, when it is there."""
        return self.peer.sessions.wait(lambda _: True)

    def told(self, word=""):
        """What the log says, besides that iotd has started."""
        return [line.text for line in self.daemon.log.all() if word in line.text][not word :]

    def wait_told(self, word):
        """The log comes by another way than packets: what one follows from may be here before it."""
        return self.daemon.log.wait(lambda line: word in line.text, hint=f"with {word}").text

    def recover(self):
        """Put the broker in its place."""
        mark = self._client.mark()
        self._link.lead_to(self._broker.port)
        self.peer.close()
        self._client.wait("status", "online", since=mark, timeout=20 * SLOW)
        for name in self._sensors:
            self._client.wait(f"sensor/{name}", since=mark)

    def end(self, fault, lines=4, growth=2 * MEGABYTE, **more):
        """Recover, and judge. growth: how much more memory it may have had."""
        self.recover()
        self.beats(4)
        cost = self._figures(fault, self.daemon, INTERVAL, **more)
        assert_beats(self.daemon.supervisor, self._begin)
        # 5 s after the last, and each minute, comes how often it was; 10 s after it, that all is well
        sums = [line for line in self.told() if SUM.search(line)]
        assert len(self.told()) - len(sums) <= lines and len(sums) <= lines, self.daemon.text()
        grown = (self.daemon.kib("VmHWM") - self._memory) * 1024
        assert not LEAN or grown < growth, f"{grown / MEGABYTE:.1f} MiB more memory"
        return cost


@pytest.fixture
def trial(peers, start_iotd, link, broker, client, figures, value_file):
    """Start an iotd in front of a server that behaves as behave(session) says."""

    def start(behave, mqtt=None, sensors=3, direct=False, **sections):
        peer = peers(behave)
        link.lead_to(peer.port)
        url = [peer.url, link.url] if direct else link.url
        names = [f"s{number}" for number in range(sensors)]
        files = [file_sensor(value_file, name) for name in names]
        daemon = start_iotd(
            configuration(url, mqtt=mqtt, sensors=files, **sections), env=BEAT
        )
        return Trial(peer, daemon, names, link, broker, client, figures)

    return start


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "protocol, code, words",
    [(5, code, words) for code, words in REASONS.items()]
    + [(4, code, words) for code, words in RETURN_CODES.items()],
    ids=lambda value: f"{value:#04x}" if isinstance(value, int) and value > 5 else str(value)[:9],
)
def test_refused_connection(trial, protocol, code, words):
    one = trial(lambda session: session.greet(code), mqtt={"protocol": protocol})
    tries = [line.at for line in one.peer.accepted.wait(lambda _: True, count=6)]
    gaps = [b - a for a, b in zip(tries, tries[1:])]
    # each was noted before it was refused, so no gap can look shorter than it was; not later than
    # reconnect_max: tests/unit/test-backoff.c
    assert min(gaps) > 0.1, "never sooner than reconnect_min, 100 ms"
    line = one.wait_told("cannot connect to")
    assert one.told() == [line] and f"{words} ({code:#04x})" in line, one.told()
    one.end(f"CONNACK refuses with {code:#04x}", lines=2)


def test_waits_between_attempts_are_random(trial):
    one = trial(
        lambda session: session.greet(0x97),
        mqtt={"reconnect_max": "500ms"}
    )
    accepted = one.peer.accepted.wait(lambda _: True, count=14, timeout=2 * PATIENCE)
    tries = [line.at for line in accepted]
    gaps = sorted(b - a for a, b in zip(tries, tries[1:]))
    assert gaps[-3] - gaps[2] > 0.04, gaps
    one.end("14 refused attempts", lines=2)


@pytest.mark.parametrize("when", ["at once", "after the CONNECT", "after the CONNACK"])
def test_closed_early(trial, when):
    def behave(session):
        if when == "after the CONNECT":
            session.read()
        elif when == "after the CONNACK":
            session.greet()

    one = trial(behave)
    one.peer.accepted.wait(lambda _: True, count=8)
    one.end(f"closed {when}")


def test_broker_that_throws_us_out_again_and_again(trial):
    """Connections that do not last are one failure, and the log says when it is over."""

    def behave(session):
        session.greet()
        session.read()
        session.send(b"\xe0\x02\x97\x00")  # DISCONNECT: quota exceeded

    one = trial(behave)
    one.peer.accepted.wait(lambda _: True, count=15, timeout=2 * PATIENCE)
    line = one.wait_told("do not last")
    assert len(one.told()) <= 4 and one.told()[-1] == line, one.told()
    assert "quota exceeded (0x97)" in line
    one.end("thrown out 15 times")
    one.daemon.log.wait(lambda line: "holds again" in line.text, timeout=15 * SLOW)


# --- acknowledgements -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "spool.db"], ids=["memory", "disk"])
def test_nothing_is_ever_acknowledged(trial, tmp_path, path):
    spool = {"path": str(tmp_path / path) if path else ""}

    def behave(session):
        session.greet(properties=b"")
        session.serve(puback=None)

    one = trial(behave, sensors=20, spool=spool)
    session = one.session()
    session.messages.wait(lambda m: "/sensor/" in m.topic, count=30)
    one.beats(30)
    for number in range(3):
        session.publish("command", b'{"command":"ping","id":%d}' % number)
    session.messages.wait(lambda m: m.topic.endswith("/reply") and m.json["id"] == 0)
    one.beats(5)
    assert len([m for m in session.messages.all() if m.qos]) <= 64
    one.end(f"no PUBACK for 3.5 s, spool in {path or 'memory'}")


@pytest.mark.parametrize("states", [False, True], ids=["nothing", "states only"])
def test_stop_when_not_all_is_acknowledged(peers, start_iotd, value_file, states):
    """T/status does not stay `online`: iotd says `offline`, or leaves it to its will."""
    kinds, ended = History("kinds of packets"), History("sessions")

    def is_answered(message):
        return states and message.retain

    def behave(session):
        def answer(got, mid):
            kinds.add(got.kind)
            if mid and is_answered(session.messages.all()[-1]):
                session.puback(mid)

        session.greet(properties=b"\x21\0\5")  # Receive Maximum
        try:
            session.serve(puback=None, also=answer)
        finally:
            ended.add(session)

    peer = peers(behave)
    # statistics fill the last place, or a late answer to them would be in the way of `offline`
    stats = {"interval": "1h" if states else "1s"}
    text = configuration(peer.url, sensors=[file_sensor(value_file)], stats=stats)
    daemon = start_iotd(text, env=BEAT)
    session = peer.sessions.wait(lambda _: True)
    unanswered = 4 if states else 5  # a place is kept for states
    session.messages.wait(lambda m: not is_answered(m), count=unanswered)
    if states:
        session.messages.wait(lambda m: m.topic.endswith("/sensor/air/status"))
    daemon.supervisor.beats(5)
    daemon.stop()
    ended.wait(lambda _: True)
    said = session.messages.all(lambda m: m.payload == b"offline")
    assert bool(said) is states
    assert (DISCONNECT in kinds.all()) is states


def test_replies_that_nobody_acknowledges(trial, client):
    """256 wait; what is more is dropped, counted, and logged once."""

    def behave(session):
        session.greet()
        session.serve(puback=None)

    one = trial(behave)
    session = one.session()
    session.messages.wait(lambda m: "/sensor/" in m.topic, count=30)
    for number in range(400):
        session.publish("command", b'{"command":"ping","id":%d}' % number)
        if number % 50 == 49:  # fewer than the commands that may wait
            one.beats(2)
    one.daemon.log.wait(lambda line: "too many replies wait" in line.text)
    one.recover()
    assert 400 - 64 - 256 <= client.result("stats")["refused"] < 400 - 256
    assert len(one.told("too many replies wait")) == 1, one.told()
    one.end("400 replies that nobody acknowledges", lines=5)


@pytest.mark.parametrize("reason", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
def test_refused_readings_are_counted(trial, client, reason):
    """A refused message would be refused again: it is given up, and that is said."""

    def behave(session):
        session.greet()
        session.serve(puback=reason)

    one = trial(behave)
    session = one.session()
    session.messages.wait(lambda m: "/sensor/" in m.topic, count=60)
    line = one.wait_told("does not take")
    assert one.told("does not take") == [line] and f"({reason:#04x})" in line
    one.recover()
    sent = len([m for m in session.messages.all() if m.qos])
    assert abs(client.result("stats")["refused"] - sent) <= 64, "the last answers may be lost"


def test_acknowledgements_of_what_was_never_sent(trial):
    """iotd ignores them; so many in one turn of its that they cannot be true end the connection."""
    through = threading.Event()

    def behave(session):
        session.greet()
        try:
            for mid in range(1, 65536, 13):
                session.puback(mid)
            for mid in range(1, 200):
                session.suback(mid)
        finally:
            through.set()
        session.serve(puback=None)

    one = trial(behave)
    assert through.wait(PATIENCE)
    one.end("PUBACKs and SUBACKs for nothing", lines=5)


def test_wrong_acknowledgements(trial):
    """PUBREC, PUBREL, PUBCOMP, UNSUBACK, AUTH for what was a PUBLISH at QoS 1."""

    def behave(session):
        session.greet()

        def wrong(_packet, mid):
            if mid:
                for kind in (5, 6, 7, 11):
                    session.send(packet(kind, struct.pack(">H", mid), flags=2 if kind == 6 else 0))

        session.serve(puback=None, also=wrong)

    one = trial(behave)
    one.session()
    one.beats(10)
    one.end("every answer but a PUBACK", lines=6)


def test_refused_subscriptions(trial):
    def behave(session):
        session.greet()
        session.serve(puback=None, suback=0x87)

    one = trial(behave)
    one.daemon.log.wait(lambda line: "refuses the subscription" in line.text, count=2)
    assert all("not authorized (0x87)" in line for line in one.told("refuses"))
    session = one.session()
    session.messages.wait(lambda m: "/sensor/" in m.topic, count=30)
    one.end("subscriptions refused", lines=6)


# --- rubbish --------------------------------------------------------------------------------------


@pytest.mark.parametrize("greets", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("round_", range(3))
def test_garbage(trial, greets, round_):
    seed = int(os.environ.get("IOTD_TEST_SEED", random.randrange(1 << 32))) + round_
    print(f"IOTD_TEST_SEED={seed - round_}")
    chance = random.Random(seed)

    def behave(session):
        if greets:
            session.greet()
        session.send(chance.randbytes(chance.choice([1, 2, 10, 1000, 100_000])))
        session.socket.settimeout(0.3)
        session.serve(puback=None)

    one = trial(behave)
    one.peer.accepted.wait(lambda _: True, count=6, timeout=2 * PATIENCE)
    one.end(f"garbage {'after' if greets else 'before'} the CONNACK", lines=6)


def header_only(kind, flags=0):
    return packet(kind, b"\0\x05hello", flags=flags, claims=200 * MEGABYTE) + b"x" * 1024


LIES = {
    "PUBLISH": header_only(PUBLISH),
    "PUBLISH at QoS 2": header_only(PUBLISH, flags=4),
    "CONNACK": header_only(CONNACK),
    "PUBACK": header_only(PUBACK),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("greets", [False, True], ids=["first", "later"])
def test_header_that_says_200_megabytes(trial, lie, greets):
    """Its memory is not even reserved."""

    def behave(session):
        if greets:
            session.greet()
        session.send(LIES[lie])
        session.serve(puback=None)

    one = trial(behave)
    one.session()
    one.beats(10)
    assert not LEAN or one.daemon.kib("VmData") < 150 * 1024, "most of it stacks of threads"
    one.end(f"200 MB header of a {lie}{'' if greets else ', no CONNACK'}")


def test_200_megabytes_are_really_sent(trial):
    """As a PUBLISH to T/command: refused as too large, and the connection lives on."""

    def behave(session):
        session.greet()
        size = 200 * MEGABYTE
        session.send(bytes([PUBLISH << 4]) + encode_length(size + len(HEAD)) + HEAD)
        block = b"x" * MEGABYTE
        for _ in range(size // MEGABYTE):
            session.send(block)
        session.serve(puback=None)

    one = trial(behave)
    replies = one.peer.messages
    reply = replies.wait(lambda m: m.topic.endswith("/reply"), timeout=30 * SLOW)
    assert reply.json["ok"] is False and "4096" in reply.json["error"]
    assert len(one.peer.accepted.all()) == 1, "not for that the line is cut"
    one.end("200 MB packet, sent to its end", lines=5)


HEAD = text("iotd/test/command") + b"\0"


@pytest.mark.parametrize("size", [4095, 4096, 4097, 100_000, 131_072, 5_000_000])
def test_large_message(trial, size):
    """At QoS 1: what is too large is acknowledged too, or it would come again and again."""
    ping = b'{"command":"ping","id":1}'

    def behave(session):
        session.greet()
        session.publish("command", ping.ljust(size), qos=1)
        session.publish("command", ping.replace(b"1", b"2"), qos=1, mid=2)
        session.serve(puback=None)

    one = trial(behave)
    session = one.session()
    first, second = session.messages.wait(lambda m: m.topic.endswith("/reply"), count=2)
    assert first.json["ok"] is (size <= 4096)
    assert second.json["ok"] is True and second.json["id"] == 2
    session.acknowledged.wait(lambda _: True, count=2)
    one.end(f"message of {size:,} bytes", lines=5)


def test_messages_of_qos_2_that_are_never_released(trial):
    """The library would keep all of them; nobody subscribed at QoS 2."""

    def behave(session):
        session.greet()
        for mid in range(1, 1000):
            session.publish("command", b"x" * 100_000, qos=2, mid=mid)
        session.serve(puback=None)

    one = trial(behave)
    one.peer.accepted.wait(lambda _: True, count=3)
    one.end("100 MB of QoS 2 that nobody asked for")


def test_broker_that_sends_and_never_reads(trial):
    """What it does not read is not kept without a limit: iotd stops reading too."""

    def behave(session):
        session.greet()
        session.socket.settimeout(0.5 * SLOW)
        try:
            while True:
                session.send(block)
        except TimeoutError:  # iotd reads no more
            stuck.add(session)
        session.socket.settimeout(None)
        session.serve(puback=None)

    stuck = History("sessions")
    block = 5000 * packet(PUBLISH, HEAD[:-1] + b"\0\7\0x", flags=2)
    one = trial(behave, direct=True)
    stuck.wait(lambda _: True, timeout=30 * SLOW)
    one.end("sends PUBLISHes and reads no PUBACKs", lines=6)
