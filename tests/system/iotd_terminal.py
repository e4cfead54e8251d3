# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on a terminal, and what a person sees there: pyte is the terminal."""

import codecs
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from typing import NamedTuple

import pyte

from iotd_harness import PATIENCE, die_with_parent

RESTORE = "\x1b[?25h\x1b[?1049l"  # the cursor, and the screen as it was before
ALTERNATE = "\x1b[?1049h"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # around a picture: shown as a whole


class Row(NamedTuple):
    """A line of one picture: what comes after it does not change it."""

    number: int
    text: str
    colors: list  # of its columns, as pyte calls them

    def color(self, text):
        """Of a text in it: the colour of its first letter."""
        return self.colors[self.text.index(text)]


class Terminal:
    """Runs a program on a terminal of its own; what it shows can be waited for."""

    def __init__(self, command, columns=100, rows=24, env=None):
        self._ours, self.theirs = pty.openpty()
        self._set_size(columns, rows)
        self.settings = termios.tcgetattr(self.theirs)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._changed = threading.Condition()
        self.raw = ""
        self._is_whole = True

        def begin():
            die_with_parent()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # ^C and a new size are signals then

        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})},
            start_new_session=True,
            preexec_fn=begin,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                return
            text = decoder.decode(data)
            with self._changed:
                self.raw += text
                self._stream.feed(text)
                self._is_whole = self.raw.rfind(BEGIN) <= self.raw.rfind(END)
                self._changed.notify_all()

    def _set_size(self, columns, rows):
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        with self._changed:
            self.screen.resize(rows, columns)
            self._set_size(columns, rows)

    def lines(self):
        """What is on the screen, without blanks at the ends of lines."""
        return [line.rstrip() for line in self.screen.display]

    def wait(self, match, timeout=PATIENCE):
        """Until match(lines) of a whole picture is true; what it returned."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = self._is_whole and match(self.lines())
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            seen = "\n".join(self.lines())
        raise AssertionError(f"not seen in {timeout:g} s; but:\n{seen}")

    def line(self, *words, match=lambda text: True, **more):
        """The first line that has all these words, and matches, waited for: a Row."""

        def find(lines):
            for number, text in enumerate(lines):
                if set(words) <= set(text.split()) and match(text):
                    cells = self.screen.buffer[number]
                    return Row(number, text, [cells[n].fg for n in range(self.screen.columns)])
            return None

        return self.wait(find, **more)

    def wait_raw(self, match, since=0, timeout=PATIENCE):
        """Until the bytes from a position on match."""
        with self._changed:
            came = self._changed.wait_for(lambda: match(self.raw[since:]), timeout)
            assert came, self.raw[since:]

    def press(self, keys):
        os.write(self._ours, keys.encode())

    def wait_stopped(self):
        """Until the program has stopped itself, as after ^Z."""
        _, status = os.waitpid(self.child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status

    def end(self, timeout=PATIENCE):
        """Wait for its end: (exit code, what it said on stderr)."""
        said = self.child.communicate(timeout=timeout)[1]
        self.child.wait(timeout)
        return self.child.returncode, said.decode("utf-8", "replace")

    def close(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        if self.child.stderr:
            self.child.stderr.close()
        os.close(self.theirs)
        self._reader.join(PATIENCE)  # who still read would read what the next one opens
        os.close(self._ours)
