# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each format costs for a reading with three channels (formats.c)."""

import json
import re
import subprocess
import tempfile

from report import Table

FORMATS = ("json", "value", "senml", "cbor", "influx", "sparkplug")
LIMIT_NS = 3000  # issue 7


def instructions(program, name, readings):
    """For one reading more, so that start and end do not count."""
    counted = []
    for amount in (readings, 2 * readings):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [
                    *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"),
                    *(program, name, str(amount)),
                ],
                check=True,
                capture_output=True,
                text=True,
            )
        counted.append(int(re.search(r"Collected : (\d+)", done.stderr)[1]))
    return (counted[1] - counted[0]) / readings


def run(bench, full):
    program = str(bench.build / "tests" / "bench" / "bench-formats")
    readings = 1_000_000 if full else 200_000
    print("\n## Formats")
    for _ in range(bench.rounds):
        for name in FORMATS:
            done = subprocess.run(
                [program, name, str(readings)], check=True, capture_output=True, text=True
            )
            bench.results.add(("formats", name), json.loads(done.stdout))
    table = Table(
        "A reading with three channels, from its numbers to its message",
        *("format", "CPU", f"under {LIMIT_NS / 1000:g} µs", "instructions", "bytes"),
        meaning="What mqtt.format costs. Format value makes three messages of it, the others one; bytes are those "
        "of the payloads. Sparkplug's is numbered once more when it is sent.",
    )
    for name in FORMATS:
        cpu_ns = bench.results.median(("formats", name), "cpu_ns")
        table.add(
            name,
            f"{cpu_ns:,.0f} ns",
            "yes" if cpu_ns < LIMIT_NS else "no",
            f"{instructions(program, name, 5000):,.0f}",
            f"{bench.results.median(('formats', name), 'bytes'):,.0f}",
        )
    table.show()
