# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small MQTT server whose manners a test scripts, for all that a real broker would never do.

Peer(behave) calls behave(session) for each connection, in a thread of its own. The session reads
packets, answers them or does not; when behave() returns the connection is closed.
"""

import socket
import struct
import threading
from dataclasses import dataclass, field

from iotd_broker import Message
from iotd_harness import PATIENCE, PREFIX, History, Line, free_port

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    1, 2, 3, 4, 8, 9, 12, 13, 14,
)  # fmt: skip


def encode_length(number):
    """A variable byte integer (MQTT 5.0, section 1.5.5)."""
    result = bytearray()
    while True:
        number, low = divmod(number, 128)
        result.append(low | (0x80 if number else 0))
        if not number:
            return bytes(result)


def packet(kind, body=b"", flags=0, claims=None):
    """The bytes of a packet; `claims` is what its header says is its length, if that is a lie."""
    return bytes([kind << 4 | flags]) + encode_length(len(body) if claims is None else claims) + body


def text(string):
    raw = string.encode()
    return struct.pack(">H", len(raw)) + raw


@dataclass
class Packet:
    kind: int
    flags: int
    body: bytes

    @property
    def mid(self):
        """Of a PUBACK or SUBSCRIBE."""
        return struct.unpack(">H", self.body[:2])[0]


@dataclass
class Session:
    """One connection of iotd."""

    peer: object
    socket: socket.socket
    version: int = 5
    messages: History = field(default_factory=lambda: History("messages"))
    acknowledged: History = field(default_factory=lambda: History("PUBACKs"))

    def send(self, *chunks):
        for chunk in chunks:
            self.socket.sendall(chunk)

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def read(self):
        """The next packet; EOFError when iotd has closed the connection."""
        first, length, shift = self._exactly(1)[0], 0, 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return Packet(first >> 4, first & 0x0F, self._exactly(length))

    def greet(self, reason=0, properties=b""):
        """Wait for the CONNECT and answer it."""
        got = self.read()
        assert got.kind == CONNECT, got
        self.version = got.body[6]
        self.connack(reason, properties)

    def connack(self, reason=0, properties=b""):
        tail = encode_length(len(properties)) + properties if self.version == 5 else b""
        self.send(packet(CONNACK, bytes([0, reason]) + tail))

    def publish(self, topic, payload, qos=0, mid=1):
        """Send a message to iotd, relative to its prefix."""
        body = text(f"{PREFIX}/{topic}") + (struct.pack(">H", mid) if qos else b"")
        body += (b"\0" if self.version == 5 else b"") + payload
        self.send(packet(PUBLISH, body, flags=qos << 1))

    def puback(self, mid, reason=0):
        self.send(packet(PUBACK, struct.pack(">H", mid) + (bytes([reason]) if reason else b"")))

    def suback(self, mid, reason=1):
        tail = b"\0" if self.version == 5 else b""
        self.send(packet(SUBACK, struct.pack(">H", mid) + tail + bytes([reason])))

    def _message(self, got):
        qos = got.flags >> 1 & 3
        length = struct.unpack(">H", got.body[:2])[0]
        topic, rest = got.body[2 : 2 + length].decode(), got.body[2 + length :]
        mid = struct.unpack(">H", rest[:2])[0] if qos else None
        rest = rest[2:] if qos else rest
        if self.version == 5:
            rest = rest[1 + rest[0] :]  # properties of under 128 bytes
        self.messages.add(Message(topic, rest, bool(got.flags & 1), qos, None))
        self.peer.messages.add(self.messages.all()[-1])
        return mid

    def serve(self, puback=0, suback=1, also=None):
        """Answer until iotd closes: None is silence. also(packet, mid): before the answer."""
        while True:
            got = self.read()
            mid = self._message(got) if got.kind == PUBLISH else None
            if also:
                also(got, mid)
            if got.kind == PUBLISH and mid and puback is not None:
                self.puback(mid, puback)
            elif got.kind == PUBACK:
                self.acknowledged.add(got)
            elif got.kind == SUBSCRIBE and suback is not None:
                self.suback(got.mid, suback)
            elif got.kind == PINGREQ:
                self.send(packet(PINGRESP))
            elif got.kind == DISCONNECT:
                raise EOFError


class Peer:
    """Listens on 127.0.0.1."""

    def __init__(self, behave):
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.accepted = History("connections")
        self.sessions = History("sessions")
        self.messages = History("messages")
        self.failures = []
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()

    def _run(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted.add(Line("connection"))
            session = Session(self, near)
            self.sessions.add(session)
            thread = threading.Thread(target=self._talk, args=(session,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, session):
        with session.socket:
            try:
                self._behave(session)
            except (EOFError, OSError):  # iotd has closed it
                pass
            except BaseException as failure:  # pylint: disable=broad-except
                self.failures.append(failure)

    def close(self):
        """No more connections, and those that are end; what went wrong in a thread is raised."""
        if not self._threads:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)  # what it accepts at the last moment is a session, too
        for session in self.sessions.all():
            try:
                session.socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                pass
        for thread in self._threads:
            thread.join(PATIENCE)
        self._threads.clear()
        if self.failures:
            raise self.failures[0]
