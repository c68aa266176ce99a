"""How long `kring demo` takes and how much memory, after installation.

    python benchmarks/demo.py [--rounds 1]

Prints a row of the table of results: command, date, seconds on the wall (180 are allowed), CPU seconds and the
largest memory of a single process (2 GB are allowed).
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def once() -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak megabytes of one demo."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "kring", "demo", "--json", "--out", str(Path(place) / "demo")]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        if status:
            sys.exit(f"kring demo ended with {os.waitstatus_to_exitcode(status)}")
        return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    rounds = [once() for _ in range(parser.parse_args().rounds)]
    wall, cpu, peak = (statistics.median(one[place] for one in rounds) for place in range(3))
    print(
        f"| `python benchmarks/demo.py` | {datetime.date.today()} | {wall / 180:.2f}x the 3 minutes allowed "
        f"| {wall:.0f} s, {cpu:.0f} CPU s, peak {peak:,.0f} MB |"
    )


if __name__ == "__main__":
    main()
