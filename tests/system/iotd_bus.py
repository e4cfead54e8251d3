# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus like a host's system bus, its clients, and what stands in for polkit on it.

The bus is a dbus-daemon on a socket in a folder that everybody may enter; what may be done on it
says the policy that iotd installs. Clients are other users where the tests run as root.
"""

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from jeepney import DBusAddress, HeaderFields, MatchRule, MessageFlag, MessageType
from jeepney import new_error, new_method_call, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.threading import open_dbus_connection

from iotd_harness import PATIENCE, ROOT, SLOW, History, Process

NAME = "org.iotd1"
PATH = "/org/iotd1"
MANAGER = "org.iotd1.Manager"
NOBODY = 65534

CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <!-- as Debian's /usr/share/dbus-1/system.conf has it -->
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="{user}">
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  {policy}
</busconfig>
"""
# the one that is installed; and whoever runs the tests may do as root and iotd may
POLICY = f"""
  <include>{Path(os.environ.get("IOTD_SOURCE", ROOT)) / "conf/dbus/org.iotd1.conf"}</include>
  <policy user="{os.getuid()}"><allow own_prefix="org.iotd1"/></policy>
"""


class DBusError(Exception):
    """The error that a call was answered with."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text


class Gone(Exception):
    """The bus has ended the connection."""


class Peer:
    """A connection to the bus; whatever comes is kept."""

    def __init__(self, address, uid=None):
        with identity(uid):
            self.conn = open_dbus_connection(address, auth_timeout=PATIENCE)
        self.name = self.conn.unique_name
        self.messages = History(f"messages to {self.name}")
        self._sending = threading.Lock()
        self._is_closed = False
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()

    def _receive(self):
        while True:
            try:
                message = self.conn.receive()
            except Exception:  # pylint: disable=broad-exception-caught
                self.messages.add(None)  # closed, by us or by the bus
                return
            self.messages.add(message)
            self.received(message)

    def received(self, message):
        """For who answers."""

    def send(self, message):
        """Its serial."""
        with self._sending:
            serial = next(self.conn.outgoing_serial)
            self.conn.send(message, serial=serial)
        return serial

    def reply(self, serial, timeout=PATIENCE, since=0):
        """The answer to a call, waited for."""
        message = self.messages.wait(
            lambda m: m is None or m.header.fields.get(HeaderFields.reply_serial) == serial,
            since=since,
            timeout=timeout,
            hint=f"that answer call {serial}",
        )
        if message is None:
            raise Gone()
        if message.header.message_type == MessageType.error:
            raise DBusError(
                message.header.fields[HeaderFields.error_name],
                message.body[0] if message.body else "",
            )
        return message.body

    def begin(self, member, signature=None, *body, address=None, flags=0):
        """Send a call, to the Manager if nobody else is named."""
        address = address or DBusAddress(PATH, NAME, MANAGER)
        message = new_method_call(address, member, signature, body)
        message.header.flags |= MessageFlag(flags)
        return self.send(message)

    def call(self, member, signature=None, *body, timeout=PATIENCE, **more):
        since = self.messages.mark()
        got = self.reply(self.begin(member, signature, *body, **more), timeout, since)
        return got[0] if len(got) == 1 else got

    def refused(self, *args, **more):
        """The error of a call that must not succeed."""
        with pytest.raises(DBusError) as caught:
            self.call(*args, **more)
        return caught.value

    def errors(self):
        """The names of all that came."""
        fields = [message.header.fields for message in self.messages.all() if message]
        return [one[HeaderFields.error_name] for one in fields if HeaderFields.error_name in one]

    def properties(self, path=PATH, interface=MANAGER, name=NAME):
        address = DBusAddress(path, name, "org.freedesktop.DBus.Properties")
        return plain(self.call("GetAll", "s", interface, address=address))

    def listen(self, **rule):
        """Hear the signals that match."""
        rule = MatchRule(type="signal", **rule)
        self.ask_bus(message_bus.AddMatch(rule))

    def ask_bus(self, message):
        since = self.messages.mark()
        return self.reply(self.send(message), since=since)

    def signal(self, member, match=lambda body: True, **more):
        """The body of a signal, waited for."""
        return self.messages.wait(
            lambda m: m is not None
            and m.header.message_type == MessageType.signal
            and m.header.fields[HeaderFields.member] == member
            and match(plain(m.body)),
            hint=f"that are the signal {member}",
            **more,
        )

    def close(self):
        """Nothing of it is left open: jeepney forgets the pipe by which it wakes who receives."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            self.conn.close()
        if threading.current_thread() is not self._receiver:
            self._receiver.join(PATIENCE)
        for pipe in (self.conn._stop_r, self.conn._stop_w):  # pylint: disable=protected-access
            os.close(pipe)


@contextlib.contextmanager
def identity(uid):
    """Be somebody else for a moment: the bus asks the kernel who connects."""
    if uid is None:
        yield
        return
    if os.getuid() != 0:
        pytest.skip("needs root to be another user")
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def plain(value):
    """Variants without their types: what a person would write down."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        is_variant = len(value) == 2 and isinstance(value[0], str) and _is_signature(value[0])
        return plain(value[1]) if is_variant else tuple(plain(item) for item in value)
    return value


def _is_signature(text):
    return text in ("s", "t", "x", "d", "b", "u", "a{sv}", "a(ss)")


class Authority(Peer):
    """org.freedesktop.PolicyKit1: judges as `verdict` says, a function of the question.

    (True, False): yes; (False, False): no; (False, True): it would ask for a password; None: it
    does not answer; "die": it leaves the bus without a word.
    """

    def __init__(self, address, verdict):
        self.questions = History("questions to polkit")
        self.verdict = verdict
        super().__init__(address)
        assert self.ask_bus(message_bus.RequestName("org.freedesktop.PolicyKit1")) == (1,)

    def received(self, message):
        if message.header.fields.get(HeaderFields.member) != "CheckAuthorization":
            return
        subject, action, details, flags, _ = message.body
        question = {
            "sender": subject[1]["name"][1],
            "action": action,
            "details": details,
            "interactive": bool(flags & 1),
            "message": message,
        }
        self.questions.add(question)
        verdict = self.verdict(question) if callable(self.verdict) else self.verdict
        if verdict == "die":
            self.close()
        elif verdict is not None:
            self.answer(question, *verdict)

    def answer(self, question, is_authorized, is_challenge):
        body = ((is_authorized, is_challenge, {}),)
        self.send(new_method_return(question["message"], "(bba{ss})", body))

    def fail(self, question, name):
        self.send(new_error(question["message"], name, "s", ("no",)))


class Bus:
    """A dbus-daemon that can be killed and started again."""

    _numbers = itertools.count()

    def __init__(self, start=True):
        self.folder = Path(tempfile.mkdtemp(prefix="iotd-bus-"))
        self.folder.chmod(0o755)  # other users are let in
        self.socket = self.folder / "socket"
        self.address = f"unix:path={self.socket}"
        self._config = self.folder / "bus.conf"
        self.daemon = None
        self._peers = []
        if start:
            self.start()

    @property
    def environment(self):
        """For an iotd that is to be on this bus."""
        return {"DBUS_SYSTEM_BUS_ADDRESS": self.address}

    def start(self, policy=POLICY):
        self._config.write_text(
            CONFIGURATION.format(socket=self.socket, policy=policy, user=os.getuid()),
            encoding="ascii",
        )
        file = self._config
        program = shutil.which("dbus-daemon") or "/usr/bin/dbus-daemon"
        self.daemon = Process(
            [program, "--nofork", "--nopidfile", "--print-address=2", f"--config-file={file}"],
            "dbus-daemon",
            start_new_session=True,  # who stops and continues the tests leaves it alone
        )
        self.daemon.log.wait(lambda line: line.text.startswith("unix:path="))

    def kill(self):
        """It leaves its socket behind, as after a crash."""
        self.daemon.kill()
        for peer in self._peers:
            peer.close()
        self._peers.clear()

    def client(self, uid=None):
        self._peers.append(Peer(self.address, uid))
        return self._peers[-1]

    def authority(self, verdict):
        """polkit, from now on."""
        self._peers.append(Authority(self.address, verdict))
        return self._peers[-1]

    def close(self):
        if self.daemon and self.daemon.running:
            self.kill()
        shutil.rmtree(self.folder)


def wait_for_name(peer, name=NAME, owned=True, timeout=PATIENCE):
    """Until iotd is on the bus, or has left it; `peer` hears of it from before it asks."""
    peer.listen(sender="org.freedesktop.DBus", member="NameOwnerChanged")
    since = peer.messages.mark()
    if peer.ask_bus(message_bus.NameHasOwner(name))[0] == owned:
        return
    peer.signal(
        "NameOwnerChanged",
        lambda body: body[0] == name and bool(body[2]) == owned,
        since=since,
        timeout=timeout * SLOW,
    )
