# SPDX-License-Identifier: LGPL-2.1-or-later
"""iotctl watch and top: what a person sees on a terminal, and what programs get without one."""

import itertools
import json
import re
import signal
import subprocess
import termios
import threading
import time

import pytest

from iotd_bus import wait_for_name
from iotd_ctl import Ctl, StrangeDaemon
from iotd_harness import PATIENCE, SLOW, TIME, file_sensor, output, replace_file, seconds_of
from iotd_terminal import ALTERNATE, RESTORE, Terminal

BLOCKS = "▁▂▃▄▅▆▇█"
GONE = "iotd is not running"
NO_BUS = "the system bus is not running"


@pytest.fixture
def ctl(bus):
    return Ctl(bus)


@pytest.fixture
def start(bus, simulated, client, value_file):
    """An iotd that is on the bus and at its broker: `air`, ten times a second, and an output `pump`."""

    def begin(**more):
        parts = {
            "sensors": [file_sensor(value_file, interval="100ms", unit="°C")],
            "outputs": [output("pump", 22)],
        }
        mark = client.mark()
        daemon = simulated(env=bus.environment, **{**parts, **more})
        wait_for_name(bus.client())
        client.state("pump", "off", since=mark)  # that is told now, and not while a test looks
        return daemon

    return begin


@pytest.fixture
def terminal(ctl):
    """Run iotctl on a terminal: terminal("watch", "air")."""
    started = []

    def start_one(*args, env=None, **more):
        environment = {**ctl.environment, **(env or {})}
        started.append(Terminal([ctl.program, *args], env=environment, **more))
        return started[-1]

    yield start_one
    for one in started:
        one.close()


@pytest.fixture
def strange(bus):
    """A daemon that says what a test wants: strange([{"name": …}, …])."""

    def begin(devices, **answers):
        return StrangeDaemon(bus.address, **{"List": listed(*devices), **answers})

    return begin


@pytest.fixture
def running(ctl):
    """An iotctl that goes on, with pipes: running("watch"). If it hangs the test does not."""
    started = []

    def start_one(*args):
        child = subprocess.Popen(  # pylint: disable=consider-using-with
            [ctl.program, *args],
            env=ctl.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append((child, threading.Timer(3 * PATIENCE, child.kill)))
        started[-1][1].start()
        return child

    yield start_one
    for child, timer in started:
        timer.cancel()
        child.kill()
        child.communicate()


def sensor(name, at=0, status="online", unit="°C", value=21.5, **more):
    """An entry of List."""
    return {
        "name": ("s", name),
        "kind": ("s", "sensor"),
        "status": ("s", status),
        "interval": ("t", 10_000_000),
        "channels": ("a(ss)", [("temperature", unit)]),
        "time": ("t", int(at * 1e6)),
        "values": ("a{sv}", {"temperature": ("d", value)}),
        **more,
    }


def listed(*devices):
    """What List answers."""
    return "aa{sv}", (list(devices),)


def tell_reading(daemon, name, value, at=None):
    """The signal Reading."""
    values = {"temperature": ("d", value)}
    if isinstance(value, str):
        values = {"state": ("s", value)}
    daemon.emit("Reading", "sta{sv}", name, int((at or time.time()) * 1e6), values)


def row_shows(*words):
    """A line of the table has these words and a sparkline."""

    def match(lines):
        return [
            text
            for text in lines
            if set(words) <= set(text.split()) and any(block in text for block in BLOCKS)
        ]

    return match


# --- on a terminal --------------------------------------------------------------------------------


def test_table_shows_what_is_read_as_it_changes(start, terminal, value_file):
    start()
    screen = terminal("watch")
    screen.wait(row_shows("air", "value", "21.37", "°C", "online", "s"))
    replace_file(value_file, "-4.5\n")
    is_new = row_shows("air", "value", "-4.5", "°C", "online", "s")
    lines = screen.wait(lambda lines: is_new(lines) and lines)
    assert lines[0] == "iotd: 2 devices, 0 offline"
    assert lines[1].split() == "NAME CHANNEL VALUE UNIT AGE STATUS 5 MIN".split()


def test_an_output_that_mqtt_switches_turns_green(start, terminal, client):
    start()
    screen = terminal("watch", "pump")
    row = screen.line("pump", "off")
    assert row.color("off") != "green" and "air" not in screen.raw
    client.publish("output/pump/set", "on")
    row = screen.line("pump", "on")
    assert row.color(" on") == "default" and row.color("on ") == "green"
    assert any(block in row.text for block in BLOCKS)


def test_a_sensor_that_fails_turns_red_and_says_why(start, terminal, value_file):
    start()
    screen = terminal("watch", columns=250)
    row = screen.line("air", "online")
    assert row.color("air") == "default" and row.color("online") == "green"
    value_file.unlink()
    row = screen.line("air", "offline", match=lambda text: "No such file or directory" in text)
    for word in ("air", "value", "offline", "No such"):
        assert row.color(word) == "red", word
    screen.wait(lambda lines: lines[0] == "iotd: 2 devices, 1 offline")
    replace_file(value_file, "22\n")
    assert screen.line("air", "22", "online").color("air") == "default"


def test_a_sensor_that_is_silent_for_three_intervals_turns_yellow(strange, terminal):
    strange([sensor("old", time.time() - 31), sensor("new", time.time() + 3600)])
    screen = terminal("watch")
    row = screen.line("old", "stale")
    assert re.search(r" \d\d+ s ", row.text) and row.color("old") == "brown"  # 33
    assert screen.line("new", "online").color("new") == "default"


def test_what_a_deadband_holds_back_is_not_stale(bus, simulated, terminal, value_file):
    simulated(
        env=bus.environment,
        sensors=[file_sensor(value_file, interval="100ms", value={"deadband": 10})],
    )
    wait_for_name(bus.client())
    screen = terminal("watch")
    screen.line("air", "21.37", "online")
    replace_file(value_file, "21.5\n")
    screen.line("air", "21.5", "online")


def test_without_colours_there_is_none(start, terminal):
    start()
    screen = terminal("watch", env={"NO_COLOR": "1"})
    screen.wait(row_shows("air", "21.37"))
    assert set(re.findall(r"\x1b\[([0-9;]*)m", screen.raw)) == {"0"}
    coloured = terminal("watch")
    coloured.wait(row_shows("air", "21.37", "online"))
    assert "32" in re.findall(r"\x1b\[([0-9;]*)m", coloured.raw)


@pytest.mark.parametrize(
    "end",
    [
        lambda screen: screen.press("q"),
        lambda screen: screen.press("\x03"),
        lambda screen: screen.child.send_signal(signal.SIGTERM),
        lambda screen: screen.child.send_signal(signal.SIGHUP),
    ],
    ids=["q", "^C", "SIGTERM", "SIGHUP"],
)
def test_the_terminal_is_given_back_at_every_end(start, terminal, end):
    start()
    screen = terminal("watch")
    screen.line("air", "online")
    assert screen.raw.startswith(ALTERNATE) and screen.screen.cursor.hidden
    assert not termios.tcgetattr(screen.theirs)[3] & (termios.ECHO | termios.ICANON)
    end(screen)
    assert screen.end() == (0, "")
    screen.wait_raw(lambda raw: raw.endswith(RESTORE))
    assert not screen.screen.cursor.hidden
    assert termios.tcgetattr(screen.theirs) == screen.settings


def test_the_terminal_is_given_back_while_it_is_stopped(start, terminal):
    start()
    screen = terminal("watch")
    screen.line("air", "online")
    screen.press("\x1a")
    screen.wait_stopped()
    screen.wait_raw(lambda raw: raw.endswith(RESTORE))
    assert termios.tcgetattr(screen.theirs) == screen.settings
    since = len(screen.raw)
    screen.child.send_signal(signal.SIGCONT)
    screen.wait_raw(lambda raw: ALTERNATE in raw and "air" in raw, since)
    screen.press("q")
    assert screen.end() == (0, "")
    assert termios.tcgetattr(screen.theirs) == screen.settings


def test_another_size_is_drawn_anew(start, terminal):
    start()
    screen = terminal("watch", columns=80, rows=24)
    screen.wait(lambda lines: lines[23].startswith("1-2 of 2"))
    screen.resize(120, 10)
    screen.wait(lambda lines: lines[0].startswith("iotd: 2") and lines[9].startswith("1-2 of 2"))
    screen.resize(30, 5)  # no room for a line at the foot, nor for a sparkline
    lines = screen.wait(lambda lines: not any("1-2 of" in line for line in lines) and lines)
    assert len(lines) == 5 and lines[2].startswith("air")


def test_a_small_change_costs_few_bytes(strange, terminal):
    daemon = strange([sensor(f"s{i}", time.time()) for i in range(40)])
    screen = terminal("watch", rows=50)
    screen.line("s39", "21.5")
    since = len(screen.raw)
    tell_reading(daemon, "s20", 99.25)
    screen.line("s20", "99.25")
    drawn = re.findall(r"\x1b\[(\d+);1H", screen.raw[since : screen.raw.index("99.25")])
    assert "23" in drawn  # its line; others may have become a second older


def test_many_rows_are_scrolled(strange, terminal):
    strange([sensor(f"s{i}", time.time()) for i in range(300)])
    screen = terminal("watch", rows=23)

    def shows(first, last):
        screen.wait(
            lambda lines: lines[2].split()[:1] == [f"s{first}"]
            and lines[21].split()[:1] == [f"s{last}"]
            and lines[22].startswith(f"{first + 1}-{last + 1} of 300")
        )

    shows(0, 19)
    assert "s20 " not in screen.raw
    screen.press("j\x1b[B")
    shows(2, 21)
    screen.press("k")
    shows(1, 20)
    screen.press("\x1b[6~ ")
    shows(41, 60)
    screen.press("G")
    shows(280, 299)
    screen.press("j")
    shows(280, 299)
    screen.press("\x1b[5~")
    shows(260, 279)
    screen.press("gk")
    shows(0, 19)


def test_s_brings_trouble_to_the_top(strange, terminal):
    now = time.time()
    soon = now + 3600  # not late while a slow machine looks at it
    strange([sensor("well", soon), sensor("late", now - 100), sensor("bad", now, "offline")])
    screen = terminal("watch")

    def names(lines):
        return [line.split()[0] for line in lines[2:5] if line]

    screen.wait(lambda lines: names(lines) == ["well", "late", "bad"])
    screen.press("s")
    screen.wait(lambda lines: names(lines) == ["bad", "late", "well"])
    screen.press("s")
    screen.wait(lambda lines: names(lines) == ["well", "late", "bad"])


def test_nothing_that_a_daemon_says_steers_the_terminal(strange, terminal):
    evil = "\x1b[31mred\x07\x9b2J\n"
    strange([sensor("air", time.time(), "offline", unit=evil, fault=("s", evil))])
    screen = terminal("watch", columns=140, env={"NO_COLOR": "1"})
    row = screen.line("air", "offline")
    assert "?[31mred??2J?" in row.text and row.number == 2
    assert "\x07" not in screen.raw and "\x9b" not in screen.raw and "[31m" in screen.raw
    assert "\x1b[31m" not in screen.raw


def test_devices_of_a_new_configuration_appear(start, terminal, value_file):
    daemon = start()
    screen = terminal("watch")
    screen.wait(row_shows("air", "21.37"))
    text = daemon.config.read_text(encoding="utf-8")
    daemon.config.write_text(text.replace('"air"', '"wind"'), encoding="utf-8")
    daemon.signal(signal.SIGHUP)
    screen.wait(row_shows("wind", "21.37"))
    screen.wait(lambda lines: not any(line.startswith("air") for line in lines))


def test_the_table_outlives_the_daemon_and_the_bus(start, terminal, bus):
    daemon = start()
    screen = terminal("watch")
    screen.wait(row_shows("air", "21.37", "online"))
    daemon.stop()
    screen.wait(lambda lines: lines[0].startswith(GONE) and lines[2].startswith("air"))
    assert screen.line("iotd", "is", "not").color(GONE) == "red"
    start()
    screen.wait(lambda lines: lines[0] == "iotd: 2 devices, 0 offline")
    screen.wait(row_shows("air", "21.37", "online", "0"))
    bus.kill()
    screen.wait(lambda lines: lines[0].startswith(NO_BUS) and lines[2].startswith("air"))
    bus.start()
    screen.wait(lambda lines: lines[0] == "iotd: 2 devices, 0 offline", timeout=4 * PATIENCE)
    screen.wait(row_shows("air", "21.37", "online", "0"))


def test_a_plot_fills_the_terminal(start, terminal, value_file):
    start()
    screen = terminal("watch", "--plot", "air", "--minutes", "1", columns=70, rows=15)
    screen.wait(lambda lines: lines[0].startswith("air.value 21.37 °C"))
    replace_file(value_file, "25\n")
    title = "air.value 25 °C (21.37 .. 25 °C)"
    lines = screen.wait(
        lambda lines: lines[0] == title and any("⡇" in line for line in lines) and lines
    )
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line][0] in ("25", "26")
    # a tick may stand in any column, the first as well
    assert re.match(r" +└[─┬]*┬[─┬]*$", lines[13]) and re.search(r"\d\d:\d\d:\d\d", lines[14])
    assert max(map(len, lines)) == 70
    screen.resize(30, 10)
    screen.wait(lambda lines: "too small" in lines[1])
    screen.press("q")
    assert screen.end() == (0, "")


# --- without a terminal ---------------------------------------------------------------------------


def test_readings_are_lines_when_piped(start, ctl):
    start()
    before = time.time()
    lines = ctl.text("watch", "--count", "5").splitlines()
    assert len(lines) == 5
    for line in lines:
        when, rest = re.fullmatch(rf"({TIME}) (.*)", line).groups()
        assert rest == "air.value 21.37 °C" and seconds_of(when) > before - PATIENCE


def test_each_line_is_written_at_once(start, running):
    start()
    child = running("watch")
    assert re.fullmatch(rf"{TIME} air\.value 21\.37 °C\n", child.stdout.readline())


def test_json_is_an_object_a_reading(start, ctl, client):
    start()
    text = ctl.text("watch", "--json", "--count", "3", "air")
    for line in text.splitlines():
        reading = json.loads(line)
        assert list(reading) == ["name", "values"] and reading["name"] == "air"
        assert reading["values"]["value"] == 21.37
        seconds_of(reading["values"]["time"])
    assert text.count("\n") == 3


def test_states_are_told_as_they_change(strange, running):
    daemon = strange([{"name": ("s", "door"), "kind": ("s", "input"), "status": ("s", "online")}])
    child = running("watch", "--count", "2")
    daemon.asked("List")
    tell_reading(daemon, "other", "on")
    tell_reading(daemon, "door", "on", 1764000000.25)
    tell_reading(daemon, "door", "off", 1764000001.5)
    assert child.stdout.read().splitlines() == [
        "2025-11-24T16:00:00.250Z door on",
        "2025-11-24T16:00:01.500Z door off",
    ]
    assert child.wait() == 0


def test_a_channel_can_be_named(bus, client, simulated, ctl):
    chip = {"driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    simulated(env=bus.environment, sensors=[{"name": "air", **chip}])
    wait_for_name(bus.client())
    client.wait("sensor/air")  # a chip has channels when it was found
    lines = ctl.text("watch", "--count", "2", "air.humidity", "air.pressure").splitlines()
    names = [line.split()[1] for line in lines]
    assert names == ["air.humidity", "air.pressure"] * 2


def test_it_ends_after_some_seconds(start, ctl):
    start()
    began = time.monotonic()
    assert ctl.text("watch", "--seconds", "1", "pump") == ""
    assert time.monotonic() - began >= 1


def test_what_happens_meanwhile_is_told_on_stderr(start, running, value_file):
    daemon = start()
    child = running("watch", "--json")
    child.stdout.readline()
    value_file.unlink()
    said = child.stderr.readline()
    assert said.startswith("iotctl: air is offline: ") and "No such file" in said
    replace_file(value_file, "22\n")  # never empty: that would be another fault
    assert child.stderr.readline() == "iotctl: air is online again\n"
    daemon.stop()
    assert child.stderr.readline() == f"iotctl: {GONE}; waiting for it\n"
    start()
    assert child.stderr.readline() == "iotctl: iotd is back\n"
    while json.loads(child.stdout.readline())["values"].get("value") != 22:  # the pump's has none
        pass


def test_a_plot_is_printed_at_the_end(start, ctl):
    start()
    options = ["--plot", "air.value", "--count", "10", "--size", "60x12"]
    text = ctl.text("watch", *options, env={"LC_ALL": "C.UTF-8"})
    lines = text.splitlines()
    assert len(lines) == 12 and lines[0].startswith("air.value 21.37 °C")
    assert lines[10].strip().startswith("└") and max(map(len, lines)) == 60
    assert re.search("[\u2801-\u28ff]", text)


def test_in_ascii_there_is_nothing_else(start, ctl, terminal):
    start()
    ascii_locale = {"LC_ALL": "C"}
    text = ctl.text("watch", "--plot", "pump", "--seconds", "1", env=ascii_locale)
    assert text.isascii() and text.splitlines()[0] == "pump off" and len(text.splitlines()) == 20
    screen = terminal("watch", "pump", env=ascii_locale)
    screen.line("pump", "off")
    assert screen.raw.isascii() and screen.wait(lambda lines: "_" in lines[2])


@pytest.mark.parametrize(
    "code, args, words",
    [
        (1, ["watch", "nothing"], 'there is no "nothing"'),
        (1, ["watch", "air.nothing"], 'there is no "air.nothing"'),
        (64, ["watch", "a b"], "nothing can be named"),
        (64, ["watch", "--count", "0"], "no such number: 0"),
        (64, ["watch", "--count", "-1"], "no such number: -1"),
        (64, ["watch", "--minutes", "99999"], "no such number: 99999"),
        (64, ["watch", "--size", "80"], "no size like 80x20: 80"),
        (64, ["watch", "--size", "80x20x"], "no size like 80x20: 80x20x"),
        (64, ["watch", "--seconds", "soon"], "no duration"),
        (64, ["watch", "--interval", "1s"], "an option that is not for watch"),
        (64, ["top", "air"], "unexpected argument: air"),
        (64, ["top", "--plot", "air"], "an option that is not for top"),
    ],
)
def test_what_is_wrong_is_said(start, ctl, code, args, words):
    start()
    assert words in ctl.fails(code, *args)


def test_a_plot_without_a_terminal_must_have_an_end(start, ctl):
    start()
    done = ctl.run("watch", "--plot", "air")
    assert done.returncode == 64 and "add --seconds or --count" in done.stderr


@pytest.mark.parametrize("verb", ["watch", "top"])
def test_without_a_daemon_it_says_so(ctl, verb):
    assert GONE in ctl.fails(69, verb)


def test_without_a_bus_it_says_so(ctl, bus):
    bus.kill()
    assert "no D-Bus system bus" in ctl.fails(69, "watch")


# --- top ------------------------------------------------------------------------------------------


def figures(name, readings, errors=0, late_ms=0, busy_ms=0):
    """An entry of List with what top shows."""
    return sensor(
        name,
        time.time(),
        readings=("t", readings),
        errors=("t", errors),
        late=("t", late_ms * 1000),
        busy=("t", busy_ms * 1000),
    )


STATS = ("a{sv}", ({"cpu": ("d", 1.0), "rss": ("x", 5 << 20), "queued": ("x", 7)},))
MANAGER = ("a{sv}", ({"Connected": ("b", True), "Broker": ("s", "mqtt://b:1883")},))


def test_top_prints_one_table_when_piped(start, ctl):
    start()
    head, headings, *rows = ctl.text("top", "--interval", f"{2 * SLOW:g}s").splitlines()
    assert re.fullmatch(r"iotd: [\d.]+ % CPU, \S+ MiB, \d+ queued; connected to mqtt://\S+", head)
    assert headings.split() == "NAME READS/S ERRORS LATE BUSY* MS/READ AGE".split()
    name, rate, errors = rows[0].split()[:3]
    assert (name, errors, len(rows)) == ("air", "0", 1) and 0 < float(rate) < 20


def test_top_tells_the_differences_of_two_moments(strange, running):
    moments = [figures("a", 100, 4, 3, 1000), figures("a", 108, 6, 3, 1100)]

    def answer():
        if len(moments) == 1:
            time.sleep(1)  # it is between the two moments, at the least
        return listed(moments.pop(0))

    strange([], List=answer, Stats=STATS, GetAll=MANAGER)
    began = time.monotonic()
    told = json.loads(running("--json", "top", "--interval", "10ms").stdout.read())
    most = time.monotonic() - began
    (one,) = told["sensors"]
    assert (told["rss"], told["queued"], told["connected"]) == (5 << 20, 7, True)
    assert told["broker"] == "mqtt://b:1883" and told["cpu"] == 0
    assert (one["name"], one["status"], one["errors"], one["late"]) == ("a", "online", 6, 0.003)
    assert one["read"] == 0.01  # 100 ms of 8 readings and 2 failures
    assert 7.9 / most < one["rate"] < 8.1 and one["busy"] == pytest.approx(one["rate"] / 80, rel=0.01)


def test_top_is_sorted_by_busy_and_by_lateness(strange, terminal):
    first = [figures("idle", 5, late_ms=1), figures("late", 5, late_ms=9), figures("busy", 5)]
    daemon = strange(first, Stats=STATS, GetAll=MANAGER)
    screen = terminal("top", "--interval", "200ms")
    screen.wait(
        lambda lines: [line.split()[:1] for line in lines[2:5]] == [["idle"], ["late"], ["busy"]]
    )
    busy_ms = itertools.count(50, 50)  # it is busy from now on, and not only in one picture
    daemon.answers["List"] = lambda: listed(*first[:2], figures("busy", 9, busy_ms=next(busy_ms)))
    screen.wait(lambda lines: [line.split()[:1] for line in lines[2:5]][0] == ["busy"])
    screen.press("s")
    screen.wait(
        lambda lines: [line.split()[:1] for line in lines[2:5]] == [["late"], ["idle"], ["busy"]]
    )
    daemon.close()
    screen.wait(lambda lines: lines[0].startswith(GONE))
    screen.press("q")
    assert screen.end() == (0, "")


def test_top_prints_as_many_tables_as_asked_for(start, ctl):
    start()
    text = ctl.text("--json", "top", "--count", "3", "--interval", "100ms")
    assert [json.loads(line)["sensors"][0]["name"] for line in text.splitlines()] == ["air"] * 3
