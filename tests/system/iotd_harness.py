# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tested iotd: how it is configured, started, supervised, watched and stopped.

Everything here watches iotd from outside, as systemd, a broker or a user would. Whatever
arrives (messages, log lines, notifications) goes into a History, and a test waits there for
what it expects: nothing sleeps and nothing polls. A time limit is for the day on which the
awaited thing does not come; IOTD_TEST_SLOW stretches all of them (sanitizers, a busy machine).

IOTD names the program, with arguments in front of its own if wanted ("valgrind -q build/src/iotd").
"""

import ctypes
import itertools
import os
import re
import resource
import select
import shlex
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from iotd_metronome import METRONOME, own_seconds, stolen, waited

SLOW = float(os.environ.get("IOTD_TEST_SLOW", "1"))
PATIENCE = 10 * SLOW  # how long to wait for what must come

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "iotd/test"  # the topic prefix that configuration() leads to

SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:"
    r"|ERROR: libFuzzer|Assertion .* failed"
)
BEAT = {"WATCHDOG_USEC": "200000"}  # as environment: iotd must live at least every 200 ms
NO_BUS = "unix:path=/nonexistent/iotd-test-bus"  # no test is to meet the host's
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def program():
    """The command that runs iotd, as a list."""
    if os.environ.get("IOTD"):
        return shlex.split(os.environ["IOTD"])
    for build in ("build/gcc", "build", "build/clang"):
        path = ROOT / build / "src" / "iotd"
        if path.is_file():
            return [str(path)]
    raise AssertionError("no iotd to test: build it, or name it with IOTD=/path/to/iotd")


def is_sanitized():
    """Is the program built with a sanitizer, or run by valgrind? Both want memory of their own."""
    command = program()
    return len(command) > 1 or any(
        name in Path(command[0]).read_bytes() for name in (b"__asan_init", b"__tsan_init")
    )


def sanitizer_complaints(text):
    return [line for line in text.splitlines() if SANITIZER.search(line)]


def run_iotd(*args, timeout=PATIENCE, **more):
    """Run iotd to its end; never a signal, never a sanitizer's complaint."""
    done = subprocess.run(
        program() + [str(arg) for arg in args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
        **more,
    )
    assert done.returncode >= 0, f"iotd died of signal {-done.returncode}: {done.stderr[-2000:]}"
    assert not sanitizer_complaints(done.stderr), done.stderr[:4000]
    return done


def seconds_of(stamp):
    """A payload's time in seconds since the epoch."""
    assert re.fullmatch(TIME, stamp), f"not a time with milliseconds in UTC: {stamp!r}"
    when = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ")
    return when.replace(tzinfo=timezone.utc).timestamp()


class History:
    """A list that threads add to and tests wait on."""

    def __init__(self, what):
        self.what = what
        self._items = []
        self._changed = threading.Condition()

    def add(self, item):
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def mark(self):
        """A position: what is added from now on has `since=mark`."""
        with self._changed:
            return len(self._items)

    def all(self, match=lambda item: True, since=0):
        with self._changed:
            return [item for item in self._items[since:] if match(item)]

    def wait(self, match, since=0, timeout=PATIENCE, count=1, hint=""):
        """The first item that matches, or the first `count` of them as a list."""
        found, position, deadline = [], since, time.monotonic() + timeout
        with self._changed:
            while True:
                for item in itertools.islice(self._items, position, None):
                    if len(found) < count and match(item):
                        found.append(item)
                position = max(position, len(self._items))
                if len(found) >= count:
                    return found[0] if count == 1 else found
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            tail = "\n  ".join(str(item) for item in self._items[-20:])
        raise AssertionError(
            f"{len(found)} of {count} {self.what} {hint} in {timeout:g} s; the last ones:\n  {tail}"
        )


@dataclass
class Line:
    text: str
    at: float = field(default_factory=time.monotonic)

    def __str__(self):
        return self.text


def collect_lines(stream, history):
    """A thread that keeps each line of a pipe until the pipe is closed."""

    def run():
        with stream:
            for raw in stream:
                history.add(Line(raw.decode("utf-8", "replace").rstrip("\n")))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child whose stderr is kept and whose end is timed to the millisecond."""

    def __init__(self, command, name, env=None, collect=True, **more):
        self.log = History(f"lines of {name}")
        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            preexec_fn=die_with_parent,
            **more,
        )
        self.started = time.monotonic()  # Popen returns when exec() has happened
        self.pid = self.child.pid
        self._reader = collect_lines(self.child.stderr, self.log) if collect else None

    @property
    def running(self):
        return self.child.returncode is None and self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, timeout=PATIENCE):
        """Seconds until the process ended; the exit code is in child.returncode."""
        begin = time.monotonic()
        if self.child.returncode is None:
            handle = os.pidfd_open(self.pid)
            try:
                if not select.select([handle], [], [], timeout)[0]:
                    raise AssertionError(f"process {self.pid} still runs after {timeout:g} s")
            finally:
                os.close(handle)
        seconds = time.monotonic() - begin
        self.child.wait()
        if self._reader:
            self._reader.join(PATIENCE)
        return seconds

    def kill(self):
        if self.running:
            self.signal(signal.SIGKILL)
        self.wait()

    def text(self):
        return "\n".join(line.text for line in self.log.all())


# Ports are handed out below the kernel's own range for outgoing connections (32768 and up), and
# none twice, so that a broker that is down for a while finds its port free again. Other test runs
# on this host see by a socket with an abstract name, which dies with us, that a port is taken.
_ports = itertools.count(20000 + os.getpid() * 61 % 6000)
_taken = []


def free_port():
    for port in itertools.takewhile(lambda number: number < 32768, _ports):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0iotd-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _taken.append(claim)
        return port
    raise AssertionError("no free port")


@dataclass
class Event:
    key: str
    value: str
    waited: float = None  # by iotd, and by us who look on, up to now
    at: float = field(default_factory=time.monotonic)


class Supervisor:
    """systemd's end of NOTIFY_SOCKET; a deaf one lets the queue run full."""

    def __init__(self, path, deaf=False):
        self.path = str(path)
        self.pid = None  # iotd's, as soon as it is known
        self.events = History("notifications")
        self._marks = itertools.count()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        if not deaf:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if data == b"harness-close":
                self._socket.close()
                return
            lines = data.decode().splitlines()
            spent = None
            if self.pid and "WATCHDOG=1" in lines:
                spent = waited(self.pid) + waited("self") + stolen()
            for line in lines:
                self.events.add(Event(*line.split("=", 1), spent))

    def wait(self, key, value=None, match=None, **more):
        return self.events.wait(
            lambda event: event.key == key
            and value in (None, event.value)
            and (match is None or match(event.value)),
            hint=f"{key}={value or '…'}",
            **more,
        )

    def reloaded(self, asked):
        """Wait for the end of a reload that began after `asked`, on the clock of time.monotonic().

        What comes may be late, and of the reload before: it tells on that clock when it began.
        """
        begun = self.wait("MONOTONIC_USEC", match=lambda value: int(value) >= asked * 1e6 - 1)
        self.events.wait(lambda event: event.key == "READY" and event.at >= begun.at)

    def status(self, match, **more):
        return self.wait("STATUS", match=match, **more).value

    def disconnected(self, **more):
        return self.status(lambda text: "; connected to" not in text, **more)

    def mark(self):
        """A position behind all that was sent before, also what nobody had the time to read yet."""
        number, since = str(next(self._marks)), self.events.mark()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(f"HARNESS={number}".encode(), self.path)
        self.wait("HARNESS", number, since=since)
        return self.events.mark()

    def beats(self, count, **more):
        """Wait for that many WATCHDOG=1 from now on: a clock that only a live iotd turns.

        Those that a busy machine left in the socket were sent before, and are no time that passed.
        """
        return self.wait("WATCHDOG", "1", since=self.mark(), count=count, **more)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.setblocking(False)
            try:
                last.sendto(b"harness-close", self.path)
            except OSError:  # a deaf one
                self._socket.close()


_numbers = itertools.count()


class Iotd(Process):
    """A running iotd with its configuration, its supervisor and its log."""

    def __init__(self, folder, text, options=(), env=None, prefix=(), deaf=False, collect=True):
        self.config = Path(folder) / "iotd.conf"
        self.config.write_text(text, encoding="utf-8")
        notify = Path(folder) / f"notify-{next(_numbers)}"
        self.supervisor = Supervisor(notify, deaf)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(notify),
            "STATE_DIRECTORY": str(folder),
            "DBUS_SYSTEM_BUS_ADDRESS": NO_BUS,
            **(env or {}),
        }
        environment.pop("JOURNAL_STREAM", None)
        command = [*prefix, *program(), "-c", str(self.config), *options]
        super().__init__(command, "iotd", environment, collect)
        self.supervisor.pid = self.pid
        self._killed = False
        METRONOME.watch(self.pid)

    def ready(self):
        """Seconds from start to READY=1, without those in which the machine held everybody up."""
        return own_seconds(self.started, self.supervisor.wait("READY", "1").at)

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE):
        """Ask it to end: (exit code, seconds without those in which the machine held all up)."""
        self.signal(number)
        asked = time.monotonic()
        seconds = self.wait(timeout)
        return self.child.returncode, own_seconds(asked, asked + seconds)

    def kill(self):
        self._killed = True
        super().kill()

    def kib(self, key="VmRSS"):
        """A line of /proc/PID/status in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        """Their ids; the first is the process's own."""
        return sorted(int(name) for name in os.listdir(f"/proc/{self.pid}/task"))

    def cpu(self):
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def limit(self, what, soft):
        """Set a limit of the running process, resource.RLIMIT_…; what it was before."""
        before, hard = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (soft, hard))
        return before

    def finish(self):
        """Teardown: it must still be alive, end cleanly, and no sanitizer may have complained."""
        try:
            if self.running:
                try:
                    self.stop()
                except AssertionError:
                    self.kill()
                    raise
            if not self._killed:
                assert self.child.returncode == 0, (
                    f"iotd ended with {self.child.returncode}:\n{self.text()[-4000:]}"
                )
            assert not sanitizer_complaints(self.text()), self.text()[:8000]
        finally:
            METRONOME.forget(self.pid)
            self.supervisor.close()


def assert_beats(supervisor, since):
    """The watchdog was fed in time all along; with BEAT. What iotd waits for a CPU does not count."""
    beats = supervisor.events.all(
        lambda e: e.key == "WATCHDOG" and e.waited is not None, since
    )
    assert len(beats) > 3
    gaps = [b.at - a.at - max(0, b.waited - a.waited) for a, b in zip(beats, beats[1:])]
    assert max(gaps) < 0.4 * SLOW, max(gaps)  # twice what was asked for


def libconfig(value):
    """A Python value in libconfig's words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{key} = {libconfig(item)};" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(libconfig(item) for item in value)
        return f"( {inside} )" if any(isinstance(item, dict) for item in value) else f"[ {inside} ]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def configuration(broker, mqtt=None, **sections):
    """The text of a configuration for `broker` (an URL), quick to reconnect, without a disk."""
    settings = {
        "device": "test",
        "mqtt": {
            "broker": broker,
            "reconnect_min": "100ms",
            "reconnect_max": "400ms",
            **(mqtt or {}),
        },
        "spool": {"path": ""},
        "stats": {"interval": "1s"},
        **sections,
    }
    return "".join(
        f"{key} = {libconfig(value)};\n" for key, value in settings.items() if value is not None
    )


def file_sensor(path, name=None, **options):
    """A sensor with one channel `value` that reads `path` ten times a second."""
    path = Path(path)
    return {
        "name": name or path.name,
        "driver": "file",
        "path": str(path),
        "channel": "value",
        "interval": "100ms",
        **options,
    }


def output(name, line, **options):
    return {"name": name, "chip": "gpiochip0", "line": line, **options}


def replace_file(path, text):
    """Give a file a new content at once, without a moment in which it is empty."""
    path = Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(str(text), encoding="utf-8")
    fresh.rename(path)
