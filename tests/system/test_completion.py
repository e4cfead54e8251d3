# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion of iotctl's command line, as the real bash, zsh and fish do it."""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import termios
import time
from pathlib import Path

import pytest

from iotd_bus import wait_for_name
from iotd_ctl import ctl_program
from iotd_harness import PATIENCE, file_sensor, output

SOURCE = Path(os.environ.get("IOTD_SOURCE", Path(__file__).parents[2])) / "conf/completion"
VERBS = set("status list read set pulse toggle interval watch reload stats scan check spool top".split())
DURATIONS = "250ms 1s 5s 30s 1m 5m 1h".split()

# Knows what the running iotd would: the names of two instances.
IOTCTL = """#!/bin/sh
echo "$*" >>"$ASKED"
case $* in
"list --names --kind sensor") echo air; echo cpu ;;
"list --names --kind input") echo door ;;
"list --names --kind output") echo pump; echo valve ;;
"--instance evil list --names --kind output") echo 'p$(touch $HOME/run)'; echo '`touch $HOME/run`' ;;
"--instance attic list --names --kind output") echo hatch ;;
*) echo "no such thing: $*" >&2; exit 69 ;;
esac
"""

BASH = """
. /usr/share/bash-completion/bash_completion
bind 'set enable-bracketed-paste off'
bind '"\\C-t": insert-completions'
PS1='ready> '
"""

ZSH = """
fpath=($ZDOTDIR $fpath)
autoload -U compinit && compinit -u
unsetopt list_beep always_last_prompt prompt_cr prompt_sp
unset zle_bracketed_paste
zle -C all-matches complete-word _generic
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
bindkey -e
bindkey '^T' all-matches
PS1='ready> '
"""


class Terminal:
    """An interactive shell at the other end of a pseudo-terminal."""

    def __init__(self, command, env):
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            termios.tcsetwinsize(0, (50, 2000))  # each command on one line, from the first on
            os.execvpe(command[0], command, env)
        self._said = ""
        self.wait("ready> $")

    def wait(self, pattern):
        """Until that has been said since the last time."""
        deadline = time.monotonic() + PATIENCE
        while not (match := re.search(pattern, self._said)):
            left = max(0, deadline - time.monotonic())
            assert select.select([self._fd], [], [], left)[0], self._said
            self._said += os.read(self._fd, 65536).decode()
        self._said = ""
        return match

    def complete(self, line):
        """The words of the line when all completions are in it: ^T inserts them, and then it is run as printf's."""
        os.write(self._fd, f"{line}\x14\x01printf '<%s>' \x05; echo '='\n".encode())
        words = self.wait(r"\r\n((?:<[^>]*>)+)=\r\n(?:.|\n)*ready> $").group(1)
        return re.findall("<([^>]*)>", words)

    def close(self):
        os.close(self._fd)
        os.waitpid(self._pid, 0)


class Readline:
    """What bash and zsh offer."""

    def __init__(self, command, env):
        self._terminal = Terminal(command, env)
        self.close = self._terminal.close

    def offers(self, line):
        given = shlex.split(line)
        before = given if line.endswith(" ") else given[:-1]
        words = self._terminal.complete(line)
        assert words[: len(before)] == before, words
        offered = [word.rpartition("=")[2] for word in words[len(before) :]]
        return [] if not line.endswith(" ") and words == given else offered


class Fish:
    """What fish offers."""

    def __init__(self, env):
        self._env = env

    def offers(self, line):
        done = subprocess.run(
            ["fish", "--no-config", "-c", 'source $SCRIPT; complete -C "$LINE"'],
            env={**self._env, "SCRIPT": str(SOURCE / "iotctl.fish"), "LINE": line},
            capture_output=True,
            timeout=PATIENCE,
            check=True,
            text=True,
        )
        assert done.stderr == ""
        return [offer.partition("\t")[0].rpartition("=")[2] for offer in done.stdout.splitlines()]

    def close(self):
        pass


@pytest.fixture
def environment(tmp_path):
    program = tmp_path / "bin" / "iotctl"
    program.parent.mkdir()
    program.write_text(IOTCTL, encoding="ascii")
    program.chmod(0o755)
    folder = tmp_path / "data/bash-completion/completions"
    folder.mkdir(parents=True)
    shutil.copy(SOURCE / "iotctl.bash", folder / "iotctl")  # found there as the package has it
    shutil.copy(SOURCE / "_iotctl", tmp_path)
    (tmp_path / "bashrc").write_text(BASH, encoding="ascii")
    (tmp_path / ".zshrc").write_text(ZSH, encoding="ascii")
    return {
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "ASKED": str(tmp_path / "asked"),
    }


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, environment):
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param}")
    if request.param == "fish":
        one = Fish(environment)
    elif request.param == "zsh":
        one = Readline(["zsh", "-d", "-i"], environment)
    else:
        rc = f"{environment['HOME']}/bashrc"
        one = Readline(["bash", "--noprofile", "--rcfile", rc, "-i"], environment)
    yield one
    one.close()


@pytest.fixture
def real(environment, bus, simulated, value_file):
    """The real iotctl is the one that is asked, and a real iotd answers it."""
    simulated(
        env=bus.environment,
        sensors=[file_sensor(value_file, "boiler")],
        outputs=[output("pump", 22), output("valve", 23)],
    )
    wait_for_name(bus.client())
    shutil.copy(ctl_program(), environment["PATH"].partition(":")[0])
    environment.update(bus.environment)


def asked(environment):
    path = Path(environment["ASKED"])
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []


def test_verbs(shell):
    assert set(shell.offers("iotctl ")) == VERBS
    assert set(shell.offers("iotctl s")) == {"status", "set", "stats", "scan", "spool"}
    assert set(shell.offers("iotctl --json se")) == {"set"}


def test_names_come_from_the_running_daemon(shell, environment):
    assert set(shell.offers("iotctl set ")) == {"pump", "valve"}
    assert asked(environment) == ["list --names --kind output"]
    assert set(shell.offers("iotctl toggle v")) == {"valve"}
    assert set(shell.offers("iotctl read ")) == {"air", "cpu", "door", "pump", "valve"}
    assert set(shell.offers("iotctl read air d")) == {"door"}
    assert set(shell.offers("iotctl watch ")) == {"air", "cpu", "door", "pump", "valve"}
    assert set(shell.offers("iotctl interval ")) == {"air", "cpu", "door"}
    assert set(shell.offers("iotctl watch --plot c")) == {"cpu"}


def test_names_come_from_the_real_one(real, shell):
    assert set(shell.offers("iotctl set ")) == {"pump", "valve"}
    assert set(shell.offers("iotctl read b")) == {"boiler"}


def test_of_the_instance_that_is_named(shell, environment):
    for line in ("iotctl --instance attic set h", "iotctl --instance=attic set h"):
        Path(environment["ASKED"]).unlink(missing_ok=True)
        assert set(shell.offers(line)) == {"hatch"}
        assert asked(environment) == ["--instance attic list --names --kind output"]


def test_without_a_daemon_there_are_no_names(shell):
    assert shell.offers("iotctl --instance cellar set h") == []


def test_nothing_that_a_daemon_says_is_run(shell, tmp_path):
    shell.offers("iotctl --instance evil set ")
    shell.offers("iotctl --instance '$(touch $HOME/run)' set p")
    shell.offers("iotctl --instance evil set p")
    assert not (tmp_path / "run").exists()


def test_what_follows_a_name(shell):
    assert set(shell.offers("iotctl set pump o")) == {"on", "off"}
    assert shell.offers("iotctl pulse pump ") == DURATIONS
    assert set(shell.offers("iotctl interval air 3")) == {"30s"}
    assert set(shell.offers("iotctl set pump on --for 5")) == {"5s", "5m"}
    assert set(shell.offers("iotctl set --for 5s pump t")) == {"toggle"}
    assert set(shell.offers("iotctl spool e")) == {"export"}


def test_options(shell):
    assert set(shell.offers("iotctl --j")) == {"--json"}
    assert set(shell.offers("iotctl list --n")) == {"--names"}
    assert set(shell.offers("iotctl list --kind ")) == {"sensor", "input", "output"}
    assert set(shell.offers("iotctl watch --s")) == {"--seconds", "--size"}


def test_options_are_those_of_the_real_iotctl(shell):
    help_ = subprocess.run(
        [ctl_program(), "--help"], capture_output=True, timeout=PATIENCE, check=True, text=True
    ).stdout
    assert set(re.findall(r"^  ([a-z]+) ", help_, re.M)) == VERBS
    options = re.findall(r"^ +(?:-\w, )?(--[a-z]+)(?: \S+)? +([a-z, ]+:)?", help_, re.M)
    assert len(options) > 10
    for verb in sorted(VERBS):
        known = {option for option, verbs in options if not verbs or verb in re.findall("[a-z]+", verbs)}
        # "--count: watch: so many readings; top: so many tables"
        known |= {"--count"} if verb == "top" else set()
        offered = set(shell.offers(f"iotctl {verb} --"))
        general = {"--json", "--instance", "--help", "--version"}
        assert known - general <= offered <= known, verb


def test_check_takes_a_file(shell, tmp_path):
    path = tmp_path / "the-only-one.conf"
    path.touch()
    assert set(shell.offers(f"iotctl check {tmp_path}/the-")) == {str(path)}


def test_the_shells_find_no_fault():
    for command in (
        ["bash", "-n", SOURCE / "iotctl.bash"],
        ["zsh", "-n", SOURCE / "_iotctl"],
        ["fish", "--no-execute", SOURCE / "iotctl.fish"],
    ):
        if not shutil.which(command[0]):
            continue
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), command
