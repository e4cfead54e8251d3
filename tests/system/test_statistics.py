# SPDX-License-Identifier: LGPL-2.1-or-later
"""T/stats and the file for Prometheus: what they count, and how the file comes and goes (issue 7).

promtool, which judges the file, and node_exporter, which reads it, are those of Debian's packages
prometheus and prometheus-node-exporter: in PATH, or in the folder that IOTD_PEERS names, where
./dev test puts them.
"""

import os
import re
import signal
import stat
import subprocess
import threading
import time

import pytest

from iotd_harness import (
    BEAT,
    PATIENCE,
    PREFIX,
    SLOW,
    configuration,
    file_sensor,
    is_sanitized,
    output,
    replace_file,
    run_iotd,
)
from iotd_prometheus import NodeExporter, peer
from iotd_spool import outage, recover

LABEL = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"(iotd_[a-z_]+)\{{({LABEL}(?:,{LABEL})*)\}} (NaN|[0-9.]+)")
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
LAST = "iotd_reloads_total"  # the last family


def unescape(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)


def parse(text):
    """The samples of a whole file: {(name, {label, …} without the device): value}."""
    assert text.endswith("\n"), text[-100:]
    samples, family = {}, None
    for line in text.splitlines():
        if line.startswith("#"):
            _, word, family, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE") and rest
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert name.removesuffix("_sum").removesuffix("_count") == family, line
        found = {k: unescape(v) for k, v in re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', labels)}
        device = found.pop("device")
        key = (name, *sorted(found.items()))
        assert key not in samples, line
        samples[key] = float(value)
    assert text.count(f"# TYPE {LAST}") == 1
    samples["device"] = device
    return samples


class Watcher:
    """Reads a file again and again until it is told to stop; each time it must be a whole one."""

    def __init__(self, path, pause):
        self.seen, self.faults = set(), []
        self._path, self._pause = path, pause
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(self._pause):
            try:
                text = self._path.read_text(encoding="utf-8")
                parse(text)
            except FileNotFoundError:
                continue
            except (AssertionError, AttributeError, ValueError) as fault:
                self.faults.append(fault)
                continue
            with self._changed:
                self.seen.add(text)
                self._changed.notify_all()

    def wait(self, match=lambda samples: True, hint=""):
        """The samples of the first file that matches, from now on."""
        found = []

        def matches():
            texts, self.seen = self.seen, set()
            found.extend(s for s in map(parse, texts) if match(s))
            return found or self.faults

        with self._changed:
            self.seen = set()
            came = self._changed.wait_for(matches, PATIENCE)
        assert came and not self.faults, self.faults or f"nothing like that came: {hint}"
        return found[0]

    def close(self):
        self._over.set()
        self._thread.join(PATIENCE)
        assert not self.faults, self.faults


@pytest.fixture
def textfile(tmp_path):
    folder = tmp_path / "collector"
    folder.mkdir()
    return folder / "iotd.prom"


@pytest.fixture
def watch():
    """Watch a file: watch(path)."""
    started = []

    def start(path, pause=0.02):
        started.append(Watcher(path, pause))
        return started[-1]

    yield start
    for one in started:
        one.close()


def stats(textfile, interval="100ms"):
    return {"interval": interval, "textfile": str(textfile)}


@pytest.fixture
def node_exporter(textfile):
    one = NodeExporter(textfile.parent)
    yield one
    one.close()


def test_promtool_has_nothing_to_say(simulated, client, textfile, watch, value_file):
    air = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    simulated(
        sensors=[air, file_sensor(value_file, "file"), file_sensor("/no/such", "tank")],
        inputs=[{"name": "door", "chip": "gpiochip0", "line": 3}],
        outputs=[output("pump", 22)],
        stats=stats(textfile),
        device='a "b" \\ c',
        mqtt={"topic": "iotd/test"},
    )
    client.wait("stats", match=lambda m: m.json["ack_p50"] is not None)
    client.error("read", name="nobody")
    samples = watch(textfile).wait(lambda s: s[("iotd_commands_total", ("result", "unknown"))] == 1)
    assert samples[("iotd_acknowledgement_latency_seconds", ("quantile", "0.5"))] >= 0
    done = subprocess.run(
        [peer("promtool"), "check", "metrics"],
        input=textfile.read_bytes(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_reader_never_sees_a_part(simulated, broker, clients, textfile, watch, value_file):
    client = clients(broker.port, subscribe=f"{PREFIX}/stats")  # 3,000 readings a second are for none
    sensors = [file_sensor(value_file, f"n{number}") for number in range(300)]
    simulated(sensors=sensors, stats=stats(textfile))
    watcher = watch(textfile, pause=0)
    first = watcher.wait()
    last = watcher.wait(
        lambda s: s[("iotd_readings_total", ("sensor", "n299"))]
        >= first[("iotd_readings_total", ("sensor", "n299"))] + 10
    )
    assert len([key for key in last if key[0] == "iotd_readings_total"]) == 300
    start = ("iotd_start_time_seconds",)
    assert first[start] == last[start], "who looks for restarts looks for changes of it"
    assert first[start] == pytest.approx(time.time(), abs=60 * SLOW)
    client.wait("stats", count=3)


def test_what_is_counted(simulated, client, textfile, watch, value_file):
    air = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    daemon = simulated(
        sensors=[air, file_sensor(value_file, "file"), file_sensor("/no/such", "tank")],
        outputs=[output("pump", 22)],
        stats=stats(textfile),
        commands={"allow": ["ping", "stats", "set"]},
    )
    client.state("pump", "off")
    client.result("set", name="pump", state="on")
    client.error("set", name="nothing", state="on")
    client.error("list")
    client.error("set", name="pump")
    client.publish("command", {"command": "ping"}, retain=True)
    refused = ("unknown", "not_allowed", "malformed", "retained")
    samples = watch(textfile).wait(
        lambda s: all(s[("iotd_commands_total", ("result", why))] == 1 for why in refused)
        and s[("iotd_readings_total", ("sensor", "air"))] > 5
        and s[("iotd_read_errors_total", ("sensor", "tank"))] > 1
        and s[("iotd_acknowledgement_latency_seconds_count",)] > 5
        and s[("iotd_schedule_lateness_seconds_count",)] >= 10
    )
    assert samples[("iotd_commands_total", ("result", "ok"))] >= 1
    assert samples[("iotd_readings_total", ("sensor", "tank"))] == 0
    assert samples[("iotd_sensor_online", ("sensor", "tank"))] == 0
    assert samples[("iotd_sensor_online", ("sensor", "air"))] == 1
    assert samples[("iotd_output_online", ("output", "pump"))] == 1
    assert samples[("iotd_connected",)] == 1
    # an emulated bus takes the chip's own conversion time, and the emulation's
    assert 0 < samples[("iotd_bus_busy_seconds_total", ("bus", "i2c-1"))]
    lateness = [
        samples[("iotd_schedule_lateness_seconds", ("quantile", q))] for q in ("0.5", "0.9", "0.99")
    ]
    assert lateness == sorted(lateness)
    assert lateness[-1] <= samples[("iotd_schedule_lateness_max_seconds",)]
    assert 0 < samples[("iotd_cpu_seconds_total",)] <= daemon.cpu() + 0.1
    if not is_sanitized():
        assert samples[("iotd_resident_memory_bytes",)] == pytest.approx(
            daemon.kib() * 1024, rel=0.5
        )


def test_the_topic_the_command_and_the_file_agree(simulated, client, textfile, watch, value_file):
    simulated(sensors=[file_sensor(value_file)], stats=stats(textfile))
    client.wait("stats", match=lambda m: m.json["late_p50"] is not None and m.json["ack_p99"])
    client.result("interval", name="air", interval="1d")
    client.result("read", name="air")  # behind one that was under way
    while (told := client.result("stats"))["queued"]:
        client.wait("stats", since=client.mark())
    figures = (
        ("readings", ("iotd_readings_total", ("sensor", "air"))),
        ("read_errors", ("iotd_read_errors_total", ("sensor", "air"))),
        ("connects", ("iotd_connects_total",)),
        ("edges", ("iotd_edges_total",)),
        ("reloads", ("iotd_reloads_total", ("result", "ok"))),
        ("late_p50", ("iotd_schedule_lateness_seconds", ("quantile", "0.5"))),
        ("late_p99", ("iotd_schedule_lateness_seconds", ("quantile", "0.99"))),
        ("late_max", ("iotd_schedule_lateness_max_seconds",)),
        ("spool_bytes", ("iotd_spool_bytes",)),
    )
    # an older file may still be there: it is a worker that writes the next
    watch(textfile).wait(lambda s: all(s[name] == told[key] for key, name in figures), told)
    assert told["sensors"] == 1 and told["sensors_offline"] == 0
    assert told["rss"] > 1e6 and told["cpu"] > 0


def test_the_spool_tells_what_it_holds(daemon, client, link, spool):
    one = daemon()
    client.wait("sensor/air")
    outage(client, link)
    one.supervisor.beats(round(10 * SLOW))
    while not (spool.exists() and spool.stat().st_size):
        one.supervisor.beats(1)
    mark = client.mark()
    recover(client, link)
    client.wait("stats", match=lambda m: m.json["spool_file_bytes"] >= 4096, since=mark)
    client.result("interval", name="air", interval="1d")
    mark = client.mark()
    client.wait(
        "stats",
        match=lambda m: m.json["queued"] == 0 and m.json["spool_bytes"] == 0,
        since=mark,
    )


def test_the_log_tells_the_same(simulated, client, value_file):
    daemon = simulated(sensors=[file_sensor(value_file)])
    client.wait("stats", match=lambda m: m.json["ack_p50"] is not None)
    daemon.signal(signal.SIGUSR1)
    line = daemon.log.wait(lambda line: "statistics: up" in line.text).text
    for words in (
        r"; lateness median \d+ us, worst hundredth \d+ us;",
        r"; acknowledgements median \d+ us, worst hundredth \d+ us;",
        r"; sensors 1, offline 0; spool \d+ bytes, file 0 bytes;",
        r"; reloads 0, refused 0; memory \d+ bytes; CPU \d+ ms$",
    ):
        assert re.search(words, line), line


def test_it_is_there_at_once_and_for_everybody(simulated, client, textfile, watch):
    simulated(stats=stats(textfile, "1h"), env=BEAT)
    samples = watch(textfile).wait()
    assert samples["device"] == "test"
    assert stat.S_IMODE(textfile.stat().st_mode) == 0o644
    assert [path.name for path in textfile.parent.iterdir()] == ["iotd.prom"]


def test_it_goes_with_a_clean_stop_and_stays_after_a_crash(simulated, textfile, watch, start_iotd):
    daemon = simulated(stats=stats(textfile))
    watch(textfile).wait()
    daemon.kill()
    assert parse(textfile.read_text(encoding="utf-8"))
    again = start_iotd(daemon.config.read_text(encoding="utf-8"), options=["--simulate"])
    again.supervisor.wait("READY", "1")
    assert again.stop()[0] == 0
    assert list(textfile.parent.iterdir()) == []


def test_a_reload_takes_it_elsewhere(simulated, broker, client, textfile, watch):
    daemon = simulated(stats=stats(textfile, "1h"))
    watch(textfile).wait()
    other = textfile.with_name("other.prom")
    watcher = watch(other)
    replace_file(daemon.config, configuration(broker.url, stats=stats(other, "1h")))
    daemon.signal(signal.SIGHUP)
    watcher.wait(lambda s: s[("iotd_reloads_total", ("result", "ok"))] == 1)
    assert [path.name for path in textfile.parent.iterdir()] == ["other.prom"]
    replace_file(daemon.config, "nonsense")
    daemon.signal(signal.SIGHUP)
    daemon.log.wait(lambda line: "reload refused" in line.text)
    replace_file(daemon.config, configuration(broker.url, stats=stats("", "100ms")))
    daemon.signal(signal.SIGHUP)
    told = client.wait("stats", match=lambda m: m.json["reloads"] == 2).json
    assert told["reloads_refused"] == 1
    while other.exists():
        client.wait("stats", since=client.mark())
    assert list(other.parent.iterdir()) == []


def test_a_folder_that_goes_and_comes_back_is_told_once_each(simulated, client, textfile, watch):
    daemon = simulated(stats=stats(textfile))
    watch(textfile).wait()
    away = textfile.parent.with_name("away")
    textfile.parent.rename(away)
    line = daemon.log.wait(lambda line: "cannot be written" in line.text).text
    assert f"{textfile} cannot be written: No such file or directory; trying again" in line
    client.wait("stats", since=client.mark(), count=5)
    away.rename(textfile.parent)
    textfile.unlink(missing_ok=True)
    daemon.log.wait(lambda line: f"{textfile} is written again after" in line.text)
    watch(textfile).wait()
    daemon.log.wait(lambda line: "statistics:" in line.text, count=2)
    assert len(daemon.log.all(lambda line: "statistics:" in line.text)) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take rights away")
def test_a_folder_of_somebody_else_is_told_with_what_to_do(simulated, client, textfile):
    os.chown(textfile.parent, 1, 1)
    daemon = simulated(stats=stats(textfile), prefix=UNPRIVILEGED)
    words = "cannot be written: Permission denied; iotd's user must be able to make files"
    daemon.log.wait(lambda line: words in line.text)
    client.wait("stats", count=2)


def test_a_disk_that_hangs_keeps_nothing_but_its_worker(simulated, client, faulty, value_file):
    hung = faulty.file("iotd.prom")
    hung.hang("stat")
    daemon = simulated(
        sensors=[file_sensor(value_file)],
        stats=stats(hung.path),
        env=BEAT,
        prefix=faulty.prefix,
    )
    hung.wait_hung()
    since = daemon.supervisor.events.mark()
    client.wait("sensor/air", since=client.mark(), count=10)
    client.wait("stats", since=client.mark(), count=5)
    daemon.supervisor.wait("WATCHDOG", "1", since=since)
    assert daemon.stop()[0] == 0
    assert "a file hangs: left behind" in daemon.text()


def test_check_asks_for_the_folder_and_a_start_does_not(tmp_path, textfile, start_iotd, broker):
    text = configuration(broker.url, stats=stats(textfile)).replace("stats =", "\n\nstats =")
    path = tmp_path / "check.conf"
    path.write_text(text, encoding="utf-8")
    line = 1 + text[: text.index("stats =")].count("\n")
    assert run_iotd("-c", path, "--check").returncode == 0
    textfile.parent.rmdir()
    done = run_iotd("-c", path, "--check")
    assert done.returncode == 78
    fault = f'{path}:{line}: stats.textfile: there must be a folder "{textfile.parent}'[:120]
    assert done.stderr.startswith(fault) and done.stderr.count("\n") == 1
    assert done.stderr.endswith(": No such file or directory\n")
    daemon = start_iotd(text)
    daemon.log.wait(lambda line: "cannot be written" in line.text)
    textfile.parent.mkdir()
    daemon.log.wait(lambda line: "is written again" in line.text)


def test_a_device_of_any_name_is_one_label(simulated, textfile, watch):
    device = 'the "big" \\ house é {a="b"}, 1'
    simulated(device=device, stats=stats(textfile), mqtt={"topic": "iotd/test"})
    assert watch(textfile).wait()["device"] == device


def test_node_exporter_takes_the_files_of_several(
    start_iotd, broker, node_exporter, textfile, value_file
):
    """Each is told apart by its device; who is stopped is not told of any more."""
    devices = {}
    for name in ("attic", "cellar"):
        text = configuration(
            broker.url,
            device=name,
            sensors=[file_sensor(value_file)],
            stats=stats(textfile.with_name(f"{name}.prom")),
        )
        devices[name] = start_iotd(text)
    for name in devices:
        node_exporter.wait(
            "node_textfile_scrape_error 0",
            rf'node_textfile_mtime_seconds{{file="[^"]*{name}.prom"}} [0-9.e+]+',
            rf'iotd_build_info{{device="{name}",version="[0-9.]+"}} 1',
            rf'iotd_readings_total{{device="{name}",sensor="air"}} [1-9][0-9]*',
            rf'iotd_schedule_lateness_seconds{{device="{name}",quantile="0.99"}} [0-9.e-]+',
        )
    devices["attic"].stop()
    told = node_exporter.scrape()
    assert 'device="cellar"' in told and 'device="attic"' not in told
