# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk under the spool fails, or somebody meddles with its file (issue 3).

Readings stay in memory meanwhile, the log says so once, and they go to the disk when it is back.
"""

import contextlib
import os
import random
import shlex
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from iotd_harness import (
    BEAT,
    PATIENCE,
    SLOW,
    configuration,
    die_with_parent,
    file_sensor,
    replace_file,
)
from iotd_spool import GAP, arrived, assert_balance, assert_none_missing, outage, recover

RETRY = 15 * SLOW  # iotd tries again every 5 s


class Disk:
    """A disk of 1 MiB in a mount namespace of its own, on `folder`; needs root."""

    def __init__(self, folder):
        mount = f"mount -t tmpfs -o size=1m,mode=700 tmpfs {shlex.quote(str(folder))}"
        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private"]
            + ["sh", "-c", f"{mount} && echo && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        assert self._holder.stdout.readline() == b"\n", "no disk of our own (not root?)"
        self._folder = folder
        self.prefix = ("nsenter", f"--target={self._holder.pid}", "--mount", "--")
        self._inside = Path(f"/proc/{self._holder.pid}/root") / str(folder).lstrip("/")

    def remount(self, how):
        command = [*self.prefix, "mount", "-o", f"remount,{how}", str(self._folder)]
        subprocess.run(command, check=True)

    def fill(self):
        with open(self._inside / "ballast", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def free(self):
        (self._inside / "ballast").unlink()

    def close(self):
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


@pytest.fixture
def disk(spool):
    if os.geteuid() != 0:
        pytest.skip("needs root for a mount namespace")
    one = Disk(spool.parent)
    yield one
    one.close()


def spool_lines(one):
    return [line.text for line in one.log.all() if "spool:" in line.text]


def told(one, words, spool):
    """Wait for the line that says that the file cannot be used, and why."""
    line = one.log.wait(lambda line: "cannot be used" in line.text).text
    assert str(spool) in line and words in line and "memory" in line, line


def works_again(one):
    one.log.wait(lambda line: "works again" in line.text, timeout=RETRY)
    assert len(spool_lines(one)) == 2, "once when it begins, once when it ends"


def begin_outage(one, client, link):
    """Return: the time of the first reading, and when the line was cut."""
    client.wait("sensor/air", count=3)
    begin = client.all("sensor/air")[0].time
    return begin, outage(client, link)


def kill(one):
    """Return: before when nothing may be lost."""
    killed = time.time()
    one.kill()
    return killed - 1


def wal_of(path):
    return path.with_name(path.name + "-wal")


def wait_written(one, spool):
    """Until there is something in the file, or in SQLite's log beside it."""
    deadline = time.monotonic() + PATIENCE
    while not wal_of(spool).exists() or wal_of(spool).stat().st_size == 0:
        assert time.monotonic() < deadline, os.listdir(spool.parent)
        one.supervisor.beats(1)


def test_disk_that_is_full_for_a_while(daemon, client, link, spool, disk):
    one = daemon(prefix=disk.prefix)
    begin, _ = begin_outage(one, client, link)
    one.supervisor.beats(10)
    disk.fill()
    told(one, "No space left on device", spool)
    one.supervisor.beats(10)
    disk.free()
    works_again(one)
    one.supervisor.beats(12)
    end = kill(one)
    daemon(prefix=disk.prefix)
    recover(client, link)
    assert_none_missing(arrived(client), [(begin, end)])
    assert client.result("stats")["discarded"] == 0


def test_disk_that_is_full_from_the_start(daemon, client, link, spool, disk):
    disk.fill()
    one = daemon(prefix=disk.prefix)
    begin, _ = begin_outage(one, client, link)
    told(one, "No space left on device", spool)
    one.supervisor.beats(10)
    end = recover(client, link)
    assert_none_missing(arrived(client), [(begin, end)])
    assert assert_balance(client)["discarded"] == 0
    disk.free()
    works_again(one)


def test_full_disk_gives_back_what_it_holds(daemon, client, link, spool, disk, value_file):
    """The rows can be read, though not removed; more than are loaded at one time."""
    sensors = [file_sensor(value_file, f"s{i}", interval="10ms") for i in range(20)]
    sensors.append(file_sensor(value_file))
    one = daemon(sensors, prefix=disk.prefix)
    begin, _ = begin_outage(one, client, link)
    one.supervisor.beats(20)
    end = time.time() - GAP
    one.stop()
    disk.fill()
    two = daemon(prefix=disk.prefix)
    told(two, "No space left on device", spool)
    recover(client, link)
    assert_none_missing(arrived(client), [(begin, end)])
    assert len(client.all("sensor/+")) > 1500  # 1,024 are loaded at one time
    disk.free()
    works_again(two)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_disk_that_is_read_only_for_a_while(daemon, client, link, spool, disk, end):
    one = daemon(prefix=disk.prefix)
    begin, _ = begin_outage(one, client, link)
    one.supervisor.beats(20)
    last = time.time() - (GAP if end == "stop" else 1)
    getattr(one, end)()
    disk.remount("ro")
    two = daemon(prefix=disk.prefix)
    again = time.time() + GAP
    told(two, "Read-only file system", spool)
    two.supervisor.beats(10)
    disk.remount("rw")
    works_again(two)
    now = recover(client, link)
    assert_none_missing(arrived(client), [(begin, last), (again, now)])


def test_missing_folder(daemon, client, link, spool):
    spool.parent.rmdir()
    one = daemon()
    begin, _ = begin_outage(one, client, link)
    told(one, "No such file or directory", spool)
    one.supervisor.beats(10)
    spool.parent.mkdir()
    works_again(one)
    one.supervisor.beats(12)
    end = kill(one)
    daemon()
    recover(client, link)
    assert_none_missing(arrived(client), [(begin, end)])


def test_folder_that_vanishes(daemon, client, link, spool):
    one = daemon()
    begin, _ = begin_outage(one, client, link)
    one.supervisor.beats(15)
    wait_written(one, spool)
    shutil.rmtree(spool.parent)
    told(one, "No such file or directory", spool)
    one.supervisor.beats(10)
    spool.parent.mkdir()
    works_again(one)
    one.supervisor.beats(12)
    end = kill(one)
    daemon()
    recover(client, link)
    assert_none_missing(arrived(client), [(begin, end)])


def test_reload_that_names_another_file(daemon, client, link, spool, value_file):
    """It needs a restart: until then the log speaks of the file that is used, and of its size."""
    one = daemon()
    client.wait("sensor/air")
    other = {"path": str(spool.parent.parent / "other.db"), "max_size": "64K"}
    text = configuration(link.url, sensors=[file_sensor(value_file)], spool=other)
    for _ in range(2):
        replace_file(one.config, text)
        asked = time.monotonic()
        one.signal(signal.SIGHUP)
        one.supervisor.reloaded(asked)
    one.log.wait(lambda line: "a change of spool needs a restart" in line.text)
    spool.parent.rmdir()
    outage(client, link)
    told(one, "No such file or directory", spool)
    assert "(up to 16384 KiB)" in spool_lines(one)[0]
    spool.parent.mkdir()
    works_again(one)
    assert f"{spool} works again" in spool_lines(one)[1]
    one.stop()
    assert f"readings wait in {spool}" in one.text()


def garbage(path):
    path.write_bytes(random.Random(1).randbytes(max(5000, path.stat().st_size)))


MEDDLING = {
    "file deleted": Path.unlink,
    "all deleted": lambda path: (path.unlink(), wal_of(path).unlink()),
    "file moved": lambda path: path.rename(path.with_name("elsewhere")),
    "file cut off": lambda path: os.truncate(path, 0),
    "log cut off": lambda path: os.truncate(wal_of(path), 0),
    "file is garbage": garbage,
    "log is garbage": lambda path: garbage(wal_of(path)),
}


@pytest.mark.parametrize("how", MEDDLING)
def test_meddling_with_the_file_loses_nothing_that_is_in_memory(daemon, client, link, spool, how):
    one = daemon()
    begin, _ = begin_outage(one, client, link)
    one.supervisor.beats(15)
    wait_written(one, spool)
    MEDDLING[how](spool)
    one.supervisor.beats(25)
    end = recover(client, link)
    assert_none_missing(arrived(client), [(begin, end)])
    assert assert_balance(client)["discarded"] == 0
    assert len(spool_lines(one)) <= 3, spool_lines(one)
    one.stop()
    mark = client.mark()
    two = daemon()  # whatever was left, it starts, and has a sound file at the next outage
    client.wait("status", "online", since=mark)
    client.wait("sensor/air", since=mark, count=2)
    begin = outage(client, link)
    two.supervisor.beats(20)
    end = kill(two)
    with contextlib.closing(sqlite3.connect(spool)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    daemon()
    recover(client, link)
    assert_none_missing([t for t in arrived(client) if t > begin], [(begin, end)])


OTHERS = {
    "another program's database": "CREATE TABLE places (url); INSERT INTO places VALUES ('x')",
    "a newer version of iotd made it": "PRAGMA user_version = 2",
}


@pytest.mark.parametrize("why", OTHERS)
def test_file_of_somebody_else_is_left_alone(daemon, client, link, spool, why):
    if "iotd" in why:
        one = daemon()
        begin_outage(one, client, link)
        one.supervisor.beats(10)
        one.stop()
        link.forward()
    db = sqlite3.connect(spool)
    db.executescript(OTHERS[why])
    db.close()
    content = spool.read_bytes()
    one = daemon()
    again = time.time() + GAP
    told(one, why, spool)
    mark = client.mark()
    client.wait("sensor/air", match=lambda m: m.time > again, since=mark)
    cut = outage(client, link)
    one.supervisor.beats(15)
    deadline = time.monotonic() + PATIENCE
    while os.listdir(spool.parent) != [spool.name]:  # SQLite's own, while iotd has a look
        assert time.monotonic() < deadline, os.listdir(spool.parent)
        one.supervisor.beats(1)
    assert spool.read_bytes() == content
    spool.unlink()
    works_again(one)
    end = recover(client, link)
    assert_none_missing([t for t in arrived(client) if t > again], [(max(again, cut - 1), end)])


def test_two_on_one_file(daemon, client, clients, link, spool, start_iotd, value_file, broker):
    """The second one says so and keeps its readings in memory, until the first one is gone."""
    one = daemon()
    client.wait("sensor/air")
    outage(client, link)
    one.supervisor.beats(10)
    text = configuration(
        broker.url, device="two", sensors=[file_sensor(value_file)], spool={"path": str(spool)}
    )
    other = clients(broker.port, prefix="iotd/two")
    two = start_iotd(text, env=BEAT)
    told(two, "another process has it open", spool)
    other.wait("sensor/air", count=5)
    recover(client, link)
    assert not spool_lines(one)
    one.stop()
    works_again(two)
