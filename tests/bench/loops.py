# SPDX-License-Identifier: LGPL-2.1-or-later
"""Event loops side by side, each as its manual recommends, under the same workloads (loops/)."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Table

PEERS = ["raw", "iotd", "libuv", "libev", "libevent", "sd-event", "glib", "asyncio"]
HERE = Path(__file__).parent
# functions of the workloads and of the peers' callbacks; the raw loop is written in some of them
HARNESS = re.compile(r"work_|peer_|main$|fire|ready$|deferred$|reset_all|defer_again|span_|read$|write$")


class Loops:
    """Runs them, and keeps what was measured."""

    def __init__(self, bench):
        self.tools, self.rounds = bench.build / "tests" / "bench", bench.rounds
        self.results = bench.results

    def command(self, peer, *words):
        if peer == "asyncio":
            return [sys.executable, str(HERE / "loops" / "peer_asyncio.py"), *words]
        return [str(self.tools / f"loop-{peer}"), *words]

    def run(self, peer, workload, count, amount):
        words = [workload, str(count), str(amount)]
        if workload in ("tasks", "gather") and peer == "iotd":
            command = [str(self.tools / "bench-tasks"), *words]
        else:
            command = self.command(peer, *words)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def compare(self, peers, workload, count, amounts):
        """`amounts` is one for all, or by peer (slow ones do less: figures are for each)."""
        for _ in range(self.rounds):
            for peer in peers:
                amount = amounts.get(peer, amounts[None]) if isinstance(amounts, dict) else amounts
                got = self.run(peer, workload, count, amount)
                self.results.add((workload, count, peer), got)

    def median(self, workload, count, peer, key):
        return self.results.median((workload, count, peer), key)

    def ratio(self, workload, count, peer, base, key):
        return self.results.ratio((workload, count, peer), (workload, count, base), key)

    def instructions(self, peer, workload, count, amount):
        """For one event more, so that start and end do not count: all, and those of no harness."""
        counted = []
        for events in (amount, 2 * amount):
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(
                    [
                        *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"),
                        *self.command(peer, workload, str(count), str(events)),
                    ],
                    check=True,
                    capture_output=True,
                )
                done = subprocess.run(
                    ["callgrind_annotate", "--threshold=100", f"{folder}/out"],
                    check=True,
                    capture_output=True,
                    text=True,
                )
            lines = re.findall(r"^\s*([\d,]+) \([^)]*\)\s+\S+?:(\w+)", done.stdout, re.M)
            costs = [(int(cost.replace(",", "")), function) for cost, function in lines]
            everything = sum(cost for cost, _ in costs)
            counted.append(
                (everything, sum(cost for cost, name in costs if not HARNESS.match(name)))
            )
        (few, own_few), (many, own_many) = counted
        return (many - few) / amount, (own_many - own_few) / amount


def run_timers(bench, full):
    loops = Loops(bench)
    print("\n## Timers of event loops")
    for count in (100, 1000, 10000, 100000):
        peers = [peer for peer in PEERS if full or count < 100000 or peer not in ("glib", "asyncio")]
        loops.compare(peers, "timers", count, 10 if full else 3)
        table = Table(
            f"{count:,} periodic timers of 10 to 1,000 ms",
            *("loop", "CPU a firing", "of raw's", "late p50", "p99", "max", "early"),
            *("drift", "missed"),
            meaning="Each timer is a sensor's schedule. CPU a firing is what a schedule costs, the "
            "wake-up shared by those that are due together; late is how long after its time a "
            "sensor would be read; early, drift and missed spoil a series of readings.",
        )
        for peer in peers:

            def of(key, peer=peer, count=count):
                return loops.median("timers", count, peer, key)

            table.add(
                peer,
                f"{of('cpu_ns'):,.0f} ns",
                f"{loops.ratio('timers', count, peer, 'raw', 'cpu_ns'):.2f}",
                f"{of('late_p50_us'):,.0f} µs",
                f"{of('late_p99_us'):,.0f} µs",
                f"{of('late_max_us'):,.0f} µs",
                f"{100 * of('early') / of('events'):.1f} %",
                f"{of('drift_ppm'):,.0f} ppm",
                f"{of('missed'):,.0f}",
            )
        table.show()


def costs(loops, title, meaning, work, words):
    """A table of ns and instructions for an event; the harness's are not counted."""
    workload, counts, amounts, instructions = work
    columns = [word for count in counts for word in (f"{count:,} {words}", "of raw's")]
    columns += [f"own instructions, {count:,}" for count in counts]
    table = Table(title, "loop", *columns, meaning=meaning)
    for count in counts:
        loops.compare(PEERS, workload, count, amounts)
    for peer in PEERS:
        cells = []
        for count in counts:
            cells.append(f"{loops.median(workload, count, peer, 'wall_ns'):,.1f} ns")
            cells.append(f"{loops.ratio(workload, count, peer, 'raw', 'wall_ns'):.2f}")
        for count in counts:
            # GLib walks through all that are pending: it would be at it for a day
            if peer == "asyncio" or (peer, workload) == ("glib", "reset"):
                cells.append("")
                continue
            events = max(instructions, 10 * count)
            cells.append(f"{loops.instructions(peer, workload, count, events)[1]:,.0f}")
        table.add(peer, *cells)
    table.show()


def run(bench, full):
    loops = Loops(bench)
    print("\n## Events of event loops")
    many = 5 if full else 1
    costs(
        loops,
        "A token goes over 1,000 descriptors: an event",
        "What it costs to hear of a broker's packet or of a line that changed.",
        ("tokens", (1, 10, 100), {None: 200_000 * many, "asyncio": 20_000}, 20_000),
        "active",
    )
    costs(
        loops,
        "A time-out is set anew",
        "Each reading and each packet puts a time-out off.",
        ("reset", (1000, 100_000), {None: 500_000 * many, "asyncio": 100_000, "glib": 100_000}, 20_000),
        "pending",
    )
    costs(
        loops,
        "A deferred call",
        "How one part of the daemon lets another go on in the next turn.",
        ("defer", (100,), {None: 1_000_000 * many, "asyncio": 100_000}, 20_000),
        "a turn",
    )
    loops.compare(PEERS, "wake", 1, 2000 * many)
    table = Table(
        "Woken by another thread",
        *("loop", "p50", "of raw's", "p99", "CPU"),
        meaning="How soon a reading that a worker took is with the loop.",
    )
    for peer in PEERS:
        table.add(
            peer,
            f"{loops.median('wake', 1, peer, 'wait_p50_us'):,.1f} µs",
            f"{loops.ratio('wake', 1, peer, 'raw', 'wait_p50_us'):.2f}",
            f"{loops.median('wake', 1, peer, 'wait_p99_us'):,.1f} µs",
            f"{loops.median('wake', 1, peer, 'cpu_ns') / 1000:,.1f} µs",
        )
    table.show()
    table = Table(
        "Tasks",
        *("", "iotd", "asyncio", "ratio"),
        meaning="The text that iotd comes from has a task a sensor: so has iotd.",
    )
    for workload, count, what in (
        ("tasks", 1, "spawn and await one"),
        ("gather", 100, "gather of 100, for each"),
    ):
        loops.compare(
            ["iotd", "asyncio"], workload, count, {None: 200_000 * many, "asyncio": 20_000}
        )
        table.add(
            what,
            *(f"{loops.median(workload, count, p, 'wall_ns'):,.0f} ns" for p in ("iotd", "asyncio")),
            f"1/{loops.ratio(workload, count, 'asyncio', 'iotd', 'wall_ns'):.0f}",
        )
    table.show()
    loops.compare(PEERS, "idle", 0, 0)
    table = Table("A loop that has nothing to do", "loop", "RSS")
    for peer in PEERS:
        table.add(peer, f"{loops.median('idle', 0, peer, 'rss_kib'):,.0f} KiB")
    table.show()
