#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run an example and compare all that it prints.

usage: check-output.py EXPECTED SECONDS COMMAND...

The command must print the file EXPECTED (or what the Python program EXPECTED prints) and nothing
else to stdout, nothing to stderr, exit 0, and take SECONDS at least; a virtual clock's 0 seconds must be over before
the shortest of the others could be.
"""

import difflib
import os
import subprocess
import sys
import time
from pathlib import Path

SLOW = float(os.environ.get("IOTD_TEST_SLOW", "1"))
SHORTEST = 3  # seconds, of the examples on the kernel's clock


def lines_of(expected):
    if expected.suffix != ".py":
        return expected.read_text(encoding="utf-8").splitlines()
    command = [sys.executable, expected]
    return subprocess.check_output(command, text=True, timeout=60 * SLOW).splitlines()


def main():
    expected, seconds, command = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOW)
    took = time.monotonic() - start
    faults = list(
        difflib.unified_diff(
            lines_of(expected),
            done.stdout.splitlines(),
            expected.name,
            "printed",
            lineterm="",
        )
    )
    faults += done.stderr.splitlines()
    if done.returncode != 0:
        faults.append(f"exit status {done.returncode}")
    if took < seconds:
        faults.append(f"it took {took:.3f} s, and {seconds} s should have passed")
    if seconds == 0 and took >= SHORTEST:
        faults.append(f"it took {took:.3f} s on a virtual clock")
    print("\n".join(faults) or f"as expected, in {took:.3f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
