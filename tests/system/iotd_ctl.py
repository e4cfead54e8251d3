# SPDX-License-Identifier: LGPL-2.1-or-later
"""iotctl, run as a user runs it, and a daemon that answers as no iotd does."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
from pathlib import Path

from jeepney import DBusAddress, HeaderFields, MessageType
from jeepney import new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus

from iotd_bus import MANAGER, NAME, PATH, Peer
from iotd_harness import PATIENCE, History, program, sanitizer_complaints


def ctl_program():
    return os.environ.get("IOTCTL") or str(Path(program()[-1]).parent / "ctl" / "iotctl")


class Ctl:
    """Runs iotctl on a bus; everybody may run it, whoever may enter the build's folder."""

    def __init__(self, bus):
        self.program = bus.folder / "iotctl"
        shutil.copy(ctl_program(), self.program)
        self.program.chmod(0o755)
        iotd = Path(program()[-1]).parent
        self.environment = {
            **os.environ,
            **bus.environment,
            "PATH": f"{iotd}:{os.environ['PATH']}",  # what check runs
            "TZ": "UTC",
        }
        self.environment.pop("NO_COLOR", None)

    def run(self, *args, uid=None, env=None, **more):
        """Run it to its end; never a signal, never a sanitizer's complaint."""
        more = {"stdout": subprocess.PIPE, **more}
        if uid is not None:
            more.update(user=uid, group=uid, extra_groups=[])
        more.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            [self.program, *map(str, args)],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**self.environment, **(env or {})},
            timeout=2 * PATIENCE,
            check=False,
            **more,
        )
        assert done.returncode >= 0, f"iotctl died of signal {-done.returncode}: {done.stderr}"
        assert not sanitizer_complaints(done.stderr), done.stderr[:4000]
        return done

    def text(self, *args, **more):
        """What it prints; it must succeed, and without a complaint."""
        done = self.run(*args, **more)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def json(self, *args, **more):
        """What it prints with --json, which must be one line."""
        text = self.text("--json", *args, **more)
        assert text.endswith("\n") and text.count("\n") == 1, text
        return json.loads(text)

    def fails(self, code, *args, **more):
        """The words of an error, which are the same with --json; nothing on stdout."""
        done = self.run(*args, **more)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert done.stderr.startswith("iotctl: ") and done.stderr.count("\n") == 1, done.stderr
        words = done.stderr.removeprefix("iotctl: ").rstrip("\n")
        as_json = self.run("--json", *args, **more)
        assert as_json.returncode == code, as_json
        assert json.loads(as_json.stderr) == {"error": words}
        return words

    def on_terminal(self, *args, env=None):
        """What a terminal is given."""
        ours, theirs = pty.openpty()
        try:
            assert self.run(*args, env=env, stdout=theirs).returncode == 0
            os.close(theirs)
            theirs = -1
            return read_all(ours)
        finally:
            os.close(ours)
            if theirs >= 0:
                os.close(theirs)


def read_all(terminal):
    text = b""
    while True:
        try:
            text += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return text.decode()


class StrangeDaemon(Peer):
    """Has iotd's name, and answers each method as it is told: (signature, body), or an error's (name, text).

    Or a function that says which of these it is now; or None: no answer at all.
    """

    EMPTY = {
        "GetAll": ("a{sv}", ({},)),
        "List": ("aa{sv}", ([],)),
        "Stats": ("a{sv}", ({},)),
        "Spool": ("a(ttsay)t", ([], 0)),
    }

    def __init__(self, address, name=NAME, **answers):
        self.answers = {**self.EMPTY, **answers}
        self._answered = History("methods that were answered")
        super().__init__(address)
        assert self.ask_bus(message_bus.RequestName(name)) == (1,)

    def received(self, message):
        if message.header.message_type != MessageType.method_call:
            return
        method = message.header.fields[HeaderFields.member]
        answer = self.answers[method]
        if callable(answer):
            answer = answer()
        if answer is not None:
            self._answer(message, *answer)
        self._answered.add(method)

    def _answer(self, message, kind, content):
        with contextlib.suppress(OSError):  # closed meanwhile
            if "." in kind:
                self.send(new_error(message, kind, "s", (content,)))
            else:
                self.send(new_method_return(message, kind, content))

    def emit(self, member, signature, *body, interface=MANAGER, path=PATH):
        """A signal."""
        emitter = DBusAddress(path, NAME, interface)
        self.send(new_signal(emitter, member, signature, body))

    def asked(self, method):
        """Wait until it was called, and answered: what is emitted from now on comes after that."""
        self._answered.wait(lambda answered: answered == method)

    def calls(self):
        """All that have come."""
        return self.messages.all(
            lambda m: m is not None and m.header.message_type == MessageType.method_call
        )
