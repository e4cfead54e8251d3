# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brokers, the lines to them with all their ways to fail, and clients beside iotd."""

import itertools
import json
import re
import selectors
import signal
import socket
import threading
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from iotd_harness import PATIENCE, PREFIX, SLOW, History, Line, Process, free_port, seconds_of


SPOKEN = {}  # by port: the protocol of brokers that speak another one than MQTT 5


class Broker:
    """A mosquitto of our own that can be killed, frozen and started again on its port."""

    program = "mosquitto"
    protocol = 5  # the newest that it speaks

    @staticmethod
    def why_not():
        """What keeps it from running here; None: nothing."""

    def __init__(self, folder, settings="allow_anonymous true\n"):
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.process = None
        self._config = Path(folder) / f"mosquitto-{self.port}.conf"
        self._config.write_text(
            f"user root\npersistence false\nlog_dest stderr\nlog_timestamp false\n"
            f"set_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
            f"listener {self.port} 127.0.0.1\n{settings}",
            encoding="utf-8",
        )
        self.start()

    def start(self):
        self.process = Process([self.program, "-c", str(self._config)], "mosquitto")
        # the whole word: it also logs the path of its file, which has the test's name in it
        self.process.log.wait(
            lambda line: re.fullmatch(r"mosquitto version \S+ running", line.text),
            hint="that say it runs",
        )

    @property
    def log(self):
        return self.process.log

    def connection(self, client_id, since=0):
        """The broker's words on a client that connected: `… as ID (p5, c1, k30, u'name').`"""
        return self.log.wait(
            lambda line: "New client connected" in line.text and f" as {client_id} (" in line.text,
            since=since,
            hint=f"about {client_id}",
        ).text

    def kill(self):
        self.process.kill()

    def restart(self):
        self.kill()
        self.start()

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def close(self):
        if self.process:
            self.process.kill()


class Proxy:
    """A relay before the broker, for the ways in which a network can fail.

    forward: as if it were not there. cut: no connection, and new ones are refused. mute:
    connections stay and new ones are accepted, but not a byte passes. slam: new ones are
    accepted and closed at once. delay: each byte comes so many seconds later. drip: what comes from
    the broker comes byte by byte, one every so many seconds.
    """

    def __init__(self, target, network=None, host="127.0.0.1"):
        self._target = target
        self._network = network
        self._host = host
        self._delay = self._drip = 0
        self._late = []  # (when, from, to, bytes), in order
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.accepted = History("connections")
        self._mode = "forward"
        self._lock = threading.RLock()
        self._peers = {}
        self._near = weakref.WeakSet()  # iotd's sides
        self._listener = None
        self._selector = selectors.DefaultSelector()
        self._wake, wake = socket.socketpair()
        self._selector.register(wake, selectors.EVENT_READ, self._on_wake)
        self._stopping = False
        self._listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def forward(self):
        self._set("forward", drop=self._mode != "forward")

    def cut(self):
        self._set("cut", drop=True)

    def mute(self):
        self._set("mute", drop=False)

    def slam(self):
        self._set("slam", drop=True)

    def lead_to(self, port):
        """To another broker from now on."""
        with self._lock:  # nobody gets there, to be dropped again
            self._target = port
            self._set("forward", drop=True)

    def delay(self, seconds):
        self._delay = seconds

    def drip(self, seconds):
        self._drip = seconds

    def close(self):
        self._stopping = True
        self._wake.send(b".")
        self._thread.join(PATIENCE)
        self._set("cut", drop=True)
        self._selector.close()
        self._wake.close()

    def _listen(self):
        inside = self._network.enter() if self._network else None
        try:
            self._listener = socket.socket()
        finally:
            if inside:
                self._network.leave(inside)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self._host, self.port))
        self._listener.listen(16)
        self._selector.register(self._listener, selectors.EVENT_READ, self._on_accept)

    def _set(self, mode, drop):
        with self._lock:
            self._mode = mode
            if mode == "cut" and self._listener:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
            if drop:
                for side in list(self._peers):
                    self._drop(side)
            if mode != "cut" and not self._listener:
                self._listen()
        self._wake.send(b".")

    def _run(self):
        while not self._stopping:
            due = self._late[0][0] - time.monotonic() if self._late else 1
            events = self._selector.select(max(0, min(due, 1)))
            with self._lock:
                for key, _ in events:
                    if key.fileobj.fileno() >= 0:  # not closed by an earlier event
                        key.data(key.fileobj)
                while self._late and self._late[0][0] <= time.monotonic():  # most at once
                    self._pass(*self._late.pop(0)[1:])

    def _on_wake(self, wake):
        wake.recv(4096)

    def _on_accept(self, listener):
        near, _ = listener.accept()
        self.accepted.add(Line(self._mode))
        if self._mode == "slam":
            near.close()
            return
        far = None
        if self._mode == "forward":
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                return
        for side, other in ((near, far), (far, near)):
            if side:
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._peers[side] = other
                if side is near:
                    self._near.add(side)
                self._selector.register(side, selectors.EVENT_READ, self._on_bytes)

    def _on_bytes(self, side):
        if self._mode == "mute":
            self._selector.unregister(side)  # what is sent stays in the kernel, as with a dead peer
            return
        other = self._peers[side]
        try:
            data = side.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(side)
        drips = self._drip and side not in self._near
        pieces = [data[i : i + 1] for i in range(len(data))] if drips and data else [data]
        when = time.monotonic() + self._delay
        when = max([when, *(late[0] for late in self._late if late[1] is side)])  # in order
        for number, piece in enumerate(pieces):
            self._late.append((when + number * self._drip, side, other, piece))
        self._late.sort(key=lambda late: late[0])

    def _pass(self, side, other, data):
        if side not in self._peers:  # dropped since
            return
        try:
            if data and other:
                other.sendall(data)
        except OSError:  # what it said before it closed is still to be read, and then its end
            self._ignore(side)
        if not data:
            self._drop(side)

    def _ignore(self, side):
        try:
            self._selector.unregister(side)
        except KeyError:  # a mute one, or at its end
            pass

    def _drop(self, side):
        other = self._peers.get(side)
        for one in (side, other):
            if one in self._peers:
                del self._peers[one]
                self._ignore(one)
                one.close()


@dataclass
class Message:
    topic: str
    payload: bytes
    retain: bool
    qos: int
    properties: object
    at: float = field(default_factory=time.monotonic)

    @property
    def text(self):
        return self.payload.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.payload)

    @property
    def time(self):
        """The payload's own time, in seconds since the epoch."""
        return seconds_of(self.json["time"])

    def __str__(self):
        return f"{self.topic} {self.payload[:200]!r} retain={self.retain} qos={self.qos}"


def paho_client(**options):
    """A paho client; paho 2 wants to be told which kind of callbacks it is to call."""
    version = getattr(mqtt, "CallbackAPIVersion", None)
    return mqtt.Client(*([version.VERSION1] if version else []), **options)


class Client:
    """A client of MQTT 5, or of what the broker speaks, that keeps every message.

    Topics are relative to `prefix`. MQTT 3.1.1 does not tell which new message is retained.
    """

    def __init__(self, port, prefix=PREFIX, subscribe="#", qos=2, login=None):
        self.prefix = prefix
        self.messages = History("messages")
        self._subscribed = History("subscriptions")
        self._subscription = (subscribe, qos)
        self._ids = itertools.count(1)
        self._is_5 = SPOKEN.get(port, 5) == 5
        self.paho = paho_client(protocol=mqtt.MQTTv5 if self._is_5 else mqtt.MQTTv311)
        if login:
            self.paho.username_pw_set(*login)
        self.paho.on_connect = self._on_connect
        self.paho.on_subscribe = lambda *_: self._subscribed.add(Line("subscribed"))
        self.paho.on_message = self._on_message
        self.paho.on_socket_open = lambda _client, _data, line: line.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self.paho.max_inflight_messages_set(10000)
        self.paho.reconnect_delay_set(0.05, 0.05)
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        self.wait_subscribed()

    def _on_connect(self, *_):
        filter_, qos = self._subscription
        if self._is_5:
            options = SubscribeOptions(qos=qos, retainAsPublished=True)
            self.paho.subscribe(filter_, options=options)
        else:
            self.paho.subscribe(filter_, qos)

    def _on_message(self, _client, _data, got):
        self.messages.add(
            Message(got.topic, got.payload, got.retain, got.qos, getattr(got, "properties", None))
        )

    def wait_subscribed(self, since=0):
        self._subscribed.wait(lambda _: True, since=since)

    def subscriptions(self):
        return self._subscribed.mark()

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def mark(self):
        return self.messages.mark()

    def _matcher(self, topic, payload, match):
        full = f"{self.prefix}/{topic}" if topic else None
        payload = payload.encode() if isinstance(payload, str) else payload

        def matches(message):
            return (
                (full is None or mqtt.topic_matches_sub(full, message.topic))
                and (payload is None or message.payload == payload)
                and (match is None or match(message))
            )

        return matches

    def wait(self, topic=None, payload=None, match=None, **more):
        """The first message (or the first `count`) with this topic filter, payload, predicate."""
        return self.messages.wait(
            self._matcher(topic, payload, match), hint=f"on {topic} with {payload}", **more
        )

    def all(self, topic=None, payload=None, match=None, since=0):
        return self.messages.all(self._matcher(topic, payload, match), since)

    def state(self, name, state, **more):
        """Wait for an input's or output's state, "pump" or "input/door"."""
        topic = name if "/" in name else f"output/{name}"
        return self.wait(topic, match=lambda message: message.json["state"] == state, **more)

    def publish(self, topic, payload, qos=1, retain=False, properties=None):
        if isinstance(payload, (dict, list)):
            payload = json.dumps(payload)
        self.paho.publish(f"{self.prefix}/{topic}", payload, qos, retain, properties)

    def command(self, command, **fields):
        """Send a command, return its reply (without the id)."""
        self.wait("status", "online")  # from then on it listens
        number = f"harness-{next(self._ids)}"
        since = self.mark()
        self.publish("command", {"command": command, **fields, "id": number})
        reply = self.wait(
            "reply", match=lambda message: message.json.get("id") == number, since=since
        ).json
        del reply["id"]
        return reply

    def result(self, command, **fields):
        """The result of a command that must succeed."""
        reply = self.command(command, **fields)
        assert reply["ok"] is True, reply
        return reply["result"]

    def error(self, command, **fields):
        """The error of a command that must be refused."""
        reply = self.command(command, **fields)
        assert reply["ok"] is False, reply
        assert isinstance(reply["error"], str) and reply["error"], reply
        assert "result" not in reply, reply
        return reply["error"]

    def settle(self):
        """Return when iotd has done and told all that was sent before.

        Twice, because the first ping may be read together with what was sent before it.
        """
        self.result("ping")
        self.result("ping")


def retained(port, prefix=PREFIX, login=None, wanted=()):
    """All that the broker retains below `prefix`, as {topic below it: message}; `wanted` at least.

    What is said while it looks counts too, as it is retained then; what is cleared is not.
    """
    client = Client(port, prefix, qos=1, login=login)  # QoS 2 would let the last one overtake
    try:
        for topic in wanted:
            client.wait(topic, match=lambda message: message.retain)
        # mosquitto sends retained messages before the ones published after the subscription.
        client.publish("harness/last", "")
        last = client.wait("harness/last")
        found = [m for m in client.all() if m is not last and m.retain]
    finally:
        client.close()
    held = {m.topic.removeprefix(prefix + "/"): m for m in found if m.topic.startswith(prefix)}
    return {topic: message for topic, message in held.items() if message.payload}


def assert_turns_each_second(changes):
    """Of the emulated input: [(on, time)], without its state at the start.

    Of a state only the latest waits for a broker that is busy, so one message may stand for three
    changes; but the times are those of the edges, and tell how many there were.
    """
    all_turns = []
    for (was_on, before), (on, now) in zip(changes, changes[1:]):
        turns = round(now - before)
        assert turns >= 1 and abs(now - before - turns) < 0.1 * SLOW, changes
        assert (on != was_on) == (turns % 2 == 1), changes
        all_turns.append(turns)
    assert min(all_turns) == 1, changes


def properties(**fields):
    result = Properties(PacketTypes.PUBLISH)
    for key, value in fields.items():
        setattr(result, key, value)
    return result
