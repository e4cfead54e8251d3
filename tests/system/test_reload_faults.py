# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reload while something else fails, and files that cannot be a configuration (issue 3)."""

import os
import signal
import time

import pytest

from iotd_harness import BEAT, SLOW, assert_beats, configuration, file_sensor, replace_file
from iotd_metronome import own_seconds

ALLOW = {"commands": {"allow": ["ping", "list", "stats", "read", "set", "interval", "reload"]}}
TICK = file_sensor("/proc/uptime", "tick", interval="200ms")
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


class Reloader:
    """An iotd with the sensor `tick`, whose configuration is changed while it runs."""

    def __init__(self, daemon, url):
        self.daemon, self.url = daemon, url

    def text(self, *sensors, **more):
        return configuration(self.url, sensors=[TICK, *sensors], **{**ALLOW, **more})

    def write(self, *sensors, **more):
        replace_file(self.daemon.config, self.text(*sensors, **more))

    def hang_up(self):
        """SIGHUP; wait until the reload that it asked for is over."""
        asked = time.monotonic()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.supervisor.reloaded(asked)


@pytest.fixture
def reloader(iotd, link):
    """Start an iotd behind a line that can be cut."""

    def start(*sensors, **more):
        daemon = iotd(link.url, sensors=[TICK, *sensors], env=BEAT, **{**ALLOW, **more})
        return Reloader(daemon, link.url)

    return start


def test_a_thousand_hang_ups_in_a_second(reloader, client, value_file, figures):
    reload = reloader(file_sensor(value_file, retries=0))
    client.wait("sensor/tick")
    since = reload.daemon.supervisor.events.mark()
    begin = time.monotonic()
    for number in range(1000):
        if number % 100 == 0:
            reload.write(file_sensor(value_file, retries=number // 100 % 2))
        reload.daemon.signal(signal.SIGHUP)
        time.sleep(max(0, begin + number / 1000 - time.monotonic()))
    reload.write(file_sensor(value_file, retries=7), file_sensor(value_file, "last"))
    reload.daemon.signal(signal.SIGHUP)
    client.wait("sensor/last", count=3)
    client.settle()
    assert client.result("stats")["connects"] == 1
    reload.daemon.supervisor.beats(5)
    assert_beats(reload.daemon.supervisor, since)
    assert len(client.all("sensor/tick/status")) == 1, "an untouched sensor has nothing to tell"
    figures("1,000 SIGHUP in a second", reload.daemon, 0.2, breaks=0, healthy=["tick"])


def test_while_the_broker_is_away(reloader, client, link, value_file, figures):
    reload = reloader()
    client.wait("sensor/tick", count=3)
    mark = client.mark()
    link.cut()
    reload.daemon.supervisor.disconnected()
    added = []
    for number in range(10):
        added.append(file_sensor(value_file, f"n{number}"))
        reload.write(*added)
        reload.hang_up()
    reload.daemon.supervisor.beats(5)
    link.forward()
    client.wait("status", "online", since=mark)
    for number in range(10):
        client.wait(f"sensor/n{number}/status", "online", since=mark)
        client.wait(f"sensor/n{number}", since=mark, count=5)
    figures("10 reloads while the line is cut", reload.daemon, 0.2, healthy=["tick"])


def test_while_the_spool_replays(reloader, client, link, value_file, figures, tmp_path):
    many = [file_sensor(value_file, f"many{number}", interval="50ms") for number in range(25)]
    spool = {"spool": {"path": str(tmp_path / "spool.db")}}
    reload = reloader(*many, **spool)
    client.wait("sensor/many0", count=3)
    link.cut()
    reload.daemon.supervisor.disconnected()
    reload.daemon.supervisor.beats(30)
    mark = client.mark()
    link.forward()
    client.wait("sensor/many0", since=mark)  # and some 1,500 are behind it
    added = list(many)
    for number in range(10):
        added.append(file_sensor(value_file, f"n{number}"))
        reload.write(*added, **spool)
        reload.hang_up()
    client.wait("sensor/n9", since=mark, count=3)
    figures("10 reloads while the spool replays", reload.daemon, 0.2, healthy=["tick"])


def test_while_the_connection_is_made_anew(reloader, client, link, value_file, figures):
    """Each of them changes the connection, also while the one before has not come about."""
    reload = reloader()
    client.wait("sensor/tick", count=3)
    for number in range(20):
        reload.write(mqtt={"keepalive": f"{20 + number}s"})
        reload.daemon.signal(signal.SIGHUP)
        reload.daemon.supervisor.beats(1)
    reload.write(file_sensor(value_file), mqtt={"keepalive": "50s"})
    reload.hang_up()
    client.wait("sensor/air", count=3)
    figures("20 reloads with a new connection", reload.daemon, 0.2, breaks=21, healthy=["tick"])


def half(reload, path):
    text = reload.text()
    path.write_text(text[: len(text) // 2], encoding="utf-8")


def larger(_reload, path):
    with open(path, "wb") as file:
        file.truncate((8 << 20) + 1)


# What the file may be, and what is said about it.
FILES = {
    "fifo": (lambda _, path: os.mkfifo(path), ": is no regular file"),
    "folder": (lambda _, path: path.mkdir(), ": is no regular file"),
    "device": (lambda _, path: path.symlink_to("/dev/zero"), ": is no regular file"),
    "vanished": (lambda _, path: None, ": cannot be read: No such file or directory"),
    "loop": (lambda _, path: path.symlink_to(path), ": Too many levels of symbolic links"),
    "larger": (larger, ": is over 8 MiB"),
    "unreadable": (lambda _, path: (path.touch(), path.chmod(0)), ": Permission denied"),
    "memory": (lambda _, path: path.symlink_to("/proc/self/mem"), ": cannot be read: "),
    "half": (half, ": syntax error"),
    "binary": (lambda _, path: path.write_bytes(bytes(range(256)) * 100), ": holds a NUL byte"),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for setpriv")
@pytest.mark.parametrize("what", FILES)
def test_what_is_no_configuration_is_refused(iotd, link, client, what, figures):
    daemon = iotd(link.url, sensors=[TICK], env=BEAT, prefix=UNPRIVILEGED, **ALLOW)
    reload = Reloader(daemon, link.url)
    client.wait("sensor/tick", count=3)
    make, why = FILES[what]
    daemon.config.unlink()
    make(reload, daemon.config)
    error = client.error("reload")
    assert error.startswith(f"{daemon.config}") and why in error
    daemon.supervisor.status(lambda text: f"; reload refused: {error}" in text)
    daemon.log.wait(lambda line: "reload refused, the configuration stays as it was: " in line.text)
    reload.hang_up()  # READY=1 also then
    if daemon.config.is_dir():
        daemon.config.rmdir()
    reload.write()
    assert client.result("reload") == {}
    figures(f"reload refused: {what}", daemon, 0.2, breaks=0)


def test_a_file_that_hangs_is_refused_in_time(iotd, link, client, faulty, figures, value_file):
    hung = faulty.file("hung")
    daemon = iotd(link.url, sensors=[TICK], env=BEAT, prefix=faulty.prefix, **ALLOW)
    reload = Reloader(daemon, link.url)
    client.wait("sensor/tick", count=3)
    since = daemon.supervisor.events.mark()
    hung.hang("read")
    hung.write(reload.text(file_sensor(value_file, "late")).encode())
    daemon.config.unlink()
    daemon.config.symlink_to(hung.path)
    begin = time.monotonic()
    client.publish("command", {"command": "reload", "id": "slow"})
    reply = client.wait("reply", match=lambda m: m.json["id"] == "slow", timeout=15 * SLOW)
    assert "no answer within 10 s, its file system hangs" in reply.json["error"]
    assert own_seconds(begin, reply.at) < 10 + 1 * SLOW
    begin = time.monotonic()
    assert "hangs" in client.error("reload")
    assert own_seconds(begin) < 1 * SLOW
    hung.free()
    daemon.config.unlink()
    reload.write(file_sensor(value_file))
    client.wait("sensor/tick", since=client.mark(), count=2)
    assert client.result("reload") == {}
    client.wait("sensor/air", count=3)
    assert client.all("sensor/late") == [], "it was refused"
    assert_beats(daemon.supervisor, since)
    figures("a configuration that hangs", daemon, 0.2, breaks=0, healthy=["tick"])
