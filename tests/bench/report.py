# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all benchmarks need: tables, and the figures of several rounds."""

import statistics
import sys
import textwrap


class Table:
    """Rows of a markdown table, and what they mean for a user."""

    def __init__(self, title, *columns, meaning=""):
        self.title, self.columns, self.meaning, self.rows = title, columns, meaning, []

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def show(self):
        print(f"\n### {self.title}\n")
        print("| " + " | ".join(self.columns) + " |")
        print("| --- |" + " ---: |" * (len(self.columns) - 1))
        for row in self.rows:
            print("| " + " | ".join(row) + " |")
        if self.meaning:
            print("\n" + textwrap.fill(self.meaning, 110))
        sys.stdout.flush()


class Results:
    """What was measured: a dictionary a round, by what was run."""

    def __init__(self):
        self.rounds = {}

    def add(self, where, got):
        self.rounds.setdefault(where, []).append(got)

    def values(self, where, key):
        return [one[key] for one in self.rounds.get(where, []) if one.get(key) is not None]

    def median(self, where, key):
        values = self.values(where, key)
        return statistics.median(values) if values else float("nan")

    def spread(self, where, key):
        values = self.values(where, key)
        return (min(values), max(values)) if values else (float("nan"), float("nan"))

    def ratio(self, where, base, key):
        """The median of the ratios of each round: what disturbed one disturbed the other."""
        pairs = zip(self.values(where, key), self.values(base, key))
        ratios = [a / b if b else float("nan") for a, b in pairs]
        return statistics.median(ratios) if ratios else float("nan")

    def rows(self):
        return [one for rounds in self.rounds.values() for one in rounds]
