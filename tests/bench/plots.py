# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plots of what was measured, as SVG files in the build folder; gnuplot draws them."""

import subprocess
from pathlib import Path

import loops
import readings


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def draw(path, settings, series, style):
    """`series` is {name: [row of numbers or words]}."""
    blocks, plots = [], []
    for number, (name, rows) in enumerate(series.items()):
        lines = "\n".join(" ".join(str(cell) for cell in row) for row in rows)
        blocks.append(f"$data{number} << END\n{lines}\nEND\n")
        plots.append(f"$data{number} {style} title {quoted(name)}")
    script = (
        f"set terminal svg size 800,500 dynamic background '#ffffff'\nset output {quoted(str(path))}\n"
        f"set key outside\nset grid\n{settings}\n{''.join(blocks)}plot {', '.join(plots)}\n"
    )
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    print(f"plot: {path}")


def timers(results, folder):
    for key, what, unit in (
        ("cpu_ns", "CPU a firing", "ns"),
        ("late_p50_us", "lateness, p50", "µs"),
        ("late_p99_us", "lateness, p99", "µs"),
    ):
        series = {}
        for peer in loops.PEERS:
            rows = [
                (count, max(results.median(("timers", count, peer), key), 1))
                for count in (100, 1000, 10_000, 100_000)
                if ("timers", count, peer) in results.rounds
            ]
            if rows:
                series[peer] = rows
        if series:
            draw(
                folder / f"timers-{key}.svg",
                f"set logscale xy\nset xlabel 'periodic timers'\nset ylabel {quoted(f'{what}, {unit}')}",
                series,
                "with linespoints linewidth 2",
            )


def messages(results, folder):
    for key, what in (("cpu_us_a_message", "CPU a message, µs"), ("rss_kib", "RSS, KiB")):
        works = [readings.Work(n, n, 0) for n in (100, 1000, 10_000)]
        series = {}
        for client in readings.CLIENTS:
            rows = [
                (place, results.median(work.key(client), key))
                for place, work in enumerate(works)
                if work.key(client) in results.rounds
            ]
            if rows:
                series[client] = rows
        if series:
            draw(
                folder / f"readings-{key}.svg",
                "set logscale y\nset xrange [-0.5:2.5]\nset xlabel 'sensors, 1,000 readings/s in all'\n"
                "set xtics ('100 at 100 ms' 0, '1,000 at 1 s' 1, '10,000 at 10 s' 2)\n"
                f"set ylabel {quoted(what)}",
                series,
                "with linespoints linewidth 2 pointsize 1.5",
            )


def run(bench, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print("\n## Plots\n")
    timers(bench.results, folder)
    messages(bench.results, folder)
