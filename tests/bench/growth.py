# SPDX-License-Identifier: LGPL-2.1-or-later
"""What changes when there is more of it, and what the program itself is."""

import json
import re
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import readings
from report import Table

RATE = 10_000  # readings a second in all, however many sensors there are


def with_descriptors(counts):
    """As many as a process may have a file open for each; root may raise its own limit."""
    want = counts[-1] + 1000
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < want:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, want))
            return counts
        except ValueError:
            print(f"Only {most:,} open files are allowed here.")
    fitting = [count for count in counts if count + 1000 <= most]
    return fitting if len(fitting) == len(counts) else [*fitting, most // 1000 * 1000 - 1000]


def sensors(bench, full):
    """CPU a message and memory a sensor, at the same rate in all."""
    counts = with_descriptors((10, 100, 1000, 10_000, 30_000))
    clients = ("C loop", "iotd")
    table = Table(
        f"{RATE:,} readings/s of more and more sensors, QoS 0",
        *("sensors", "iotd, CPU a message", "of that with 100", "of the C loop's", "RSS a sensor"),
        meaning="Whether a gateway with many slow sensors pays more for each than one with few fast ones.",
    )
    works = [readings.Work(count, max(1, count * 1000 // RATE), 0) for count in counts]
    for _ in range(bench.rounds):
        for work in works:
            for client in clients:
                seconds = max(4, 2 * work.interval_ms // 1000)
                with readings.Run(bench.build, client, work, seconds) as run:
                    bench.results.add(work.key(client), run.measure())
    base = next(work for work in works if work.count == 100).key("iotd")
    empty_kib = bench.results.median(works[0].key("iotd"), "rss_kib")
    for work in works:
        where = work.key("iotd")
        grown = bench.results.median(where, "rss_kib") - empty_kib
        more = work.count - works[0].count
        table.add(
            f"{work.count:,}",
            f"{bench.results.median(where, 'cpu_us_a_message'):,.1f} µs",
            f"{bench.results.ratio(where, base, 'cpu_us_a_message'):.2f}",
            f"{bench.results.ratio(where, work.key('C loop'), 'cpu_us_a_message'):.2f}",
            f"{grown * 1024 / more:,.0f} B" if more else "",
        )
    table.show()


def reload(bench):
    """10,000 sensors, and one more: from SIGHUP to the log line that it is done."""
    work = readings.Work(10_000, 10_000, 0)
    times = []
    for _ in range(bench.rounds):
        with readings.Run(bench.build, "iotd", work, 3600) as run:
            run.await_word("first")
            config = Path(run.folder) / "iotd.conf"
            text = config.read_text(encoding="ascii")
            one = text.split("(\n", 1)[1].split(",\n", 1)[0].replace('"s0"', '"more"')
            config.write_text(text.replace("(\n", f"(\n{one},\n", 1), encoding="ascii")
            began = time.monotonic()
            run.process.popen.send_signal(signal.SIGHUP)
            log = Path(run.folder) / "client.log"
            while "reloaded" not in log.read_text(encoding="utf-8"):
                time.sleep(0.001)
            times.append((time.monotonic() - began) * 1000)
    times.sort()
    table = Table(
        "A reload that adds one to 10,000 sensors",
        *("", "median", "most"),
        meaning="Parsing and comparing; the others are read on as if nothing happened.",
    )
    table.add("SIGHUP to done", f"{times[len(times) // 2]:,.0f} ms", f"{times[-1]:,.0f} ms")
    table.show()


def await_states(port, count):
    """A subscriber from before the first of them; its process ends with the last."""
    command = ["mosquitto_sub", "-p", str(port), "-t", "bench/sensor/+/status", "-C", str(count)]
    return subprocess.Popen([*command, "-F", "%l"], stdout=subprocess.DEVNULL)


def retained(bench, count):
    """So many retained topics, at the start and again when a broker comes back that has forgotten all."""
    for _ in range(bench.rounds):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            sensors = ",\n".join(  # 8 MiB of text are the most
                f'{{name="s{i}";driver="file";path="{folder}/v";interval="1h";}}'
                for i in range(count)
            )
            (Path(folder) / "v").write_text("1\n", encoding="ascii")
            broker = readings.Broker(folder)
            config = Path(folder) / "iotd.conf"
            config.write_text(
                f'mqtt = {{ broker = "mqtt://127.0.0.1:{broker.port}"; topic = "bench"; '
                'reconnect_min = "100ms"; reconnect_max = "100ms"; };\n'
                f'spool = {{ path = "{folder}/spool.db"; }};\nsensors = (\n{sensors} );\n',
                encoding="ascii",
            )
            subscriber = await_states(broker.port, count)
            program = str(bench.build / "src" / "iotd")
            iotd = readings.Process([program, "--config", str(config)], folder)
            subscriber.wait()
            first_s = time.monotonic() - iotd.began
            broker.stop()
            broker = readings.Broker(folder, broker.port)
            began = time.monotonic()
            await_states(broker.port, count).wait()
            got = {"first_s": first_s, "again_s": time.monotonic() - began}
            bench.results.add(("retained", count), got | iotd.memory())
            iotd.stop()
            broker.stop()
    table = Table(
        f"{count:,} retained states, at QoS 1",
        *("", "exec to the last one", "a new broker to the last one", "RSS a sensor"),
        meaning="After an outage a broker that has forgotten everything knows all states again so soon.",
    )
    where = ("retained", count)
    table.add(
        "iotd",
        f"{bench.results.median(where, 'first_s'):,.1f} s",
        f"{bench.results.median(where, 'again_s'):,.1f} s",
        f"{bench.results.median(where, 'rss_kib') * 1024 / count:,.0f} B",
    )
    table.show()


def spool(bench, count):
    for _ in range(bench.rounds):
        for peer in ("bare", "store"):
            with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
                tool = str(bench.build / "tests" / "bench" / "bench-spool")
                done = subprocess.run(
                    [tool, peer, f"{folder}/spool.db", str(count)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                bench.results.add(("spool", peer), json.loads(done.stdout))
    table = Table(
        f"{count:,} readings on disk, 100 a transaction (in memory: no disk is measured)",
        *("", "append", "of bare", "read and remove", "of bare", "file"),
        meaning="Bare is what SQLite itself takes for the same rows, without bounds, queue and order.",
    )
    for peer, name in (("bare", "bare SQLite"), ("store", "iotd's spool")):
        where, base = ("spool", peer), ("spool", "bare")
        table.add(
            name,
            f"{bench.results.median(where, 'append_ns') / 1000:,.2f} µs",
            f"{bench.results.ratio(where, base, 'append_ns'):.2f}",
            f"{bench.results.median(where, 'take_ns') / 1000:,.2f} µs",
            f"{bench.results.ratio(where, base, 'take_ns'):.2f}",
            f"{bench.results.median(where, 'bytes') / 1e6:,.0f} MB",
        )
    table.show()


def binary(bench):
    """Size on disk, libraries, private memory: what a small device has to give."""
    program = bench.build / "src" / "iotd"
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "iotd"
        subprocess.run(["strip", "-o", str(stripped), str(program)], check=True)
        size = stripped.stat().st_size
    listed = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True)
    libraries = re.findall(r"^\s*(\S+\.so\S*) =>", listed.stdout, re.M)
    work = readings.Work(100, 100, 0)
    readings.compare(bench, ("C loop", "iotd"), work, 4)
    table = Table(
        "The program", *("", "iotd", "C loop"), meaning="What it takes of a small device beside its work."
    )
    table.add("size, stripped", f"{size / 1024:,.0f} KiB", "")
    table.add("libraries", str(len(libraries)), "")
    for key, name, unit in (
        ("private_kib", "private memory, 100 sensors", "KiB"),
        ("rss_kib", "RSS, 100 sensors", "KiB"),
        ("threads", "threads", ""),
        ("first_ms", "exec to first message", "ms"),
    ):
        table.add(
            name,
            *(
                f"{bench.results.median(work.key(client), key):,.0f} {unit}".strip()
                for client in ("iotd", "C loop")
            ),
        )
    table.show()


def run(bench, full):
    print("\n## Growth")
    sensors(bench, full)
    reload(bench)
    spool(bench, 1_000_000 if full else 100_000)
    retained(bench, 100_000)
    binary(bench)
