"""How long people wait for `kring --help` and `kring --version`, against an empty Python.

    python benchmarks/startup.py

Prints a row each for the table of results: command, date, CPU ratio of the medians, CPU seconds. CPU is user
plus system time of the process and its children; 0.25 seconds are allowed.
"""

from __future__ import annotations

import datetime
import resource
import statistics
import subprocess
import sys

ROUNDS = 9


def cpu_seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    cpu_seconds("-m", "kring", "--help")
    for argument in ("--help", "--version"):
        rounds = [(cpu_seconds("-m", "kring", argument), cpu_seconds("-c", "")) for _ in range(ROUNDS)]
        ours, empty = (statistics.median(one[side] for one in rounds) for side in (0, 1))
        print(
            f"| `python benchmarks/startup.py`, `kring {argument}` | {datetime.date.today()} "
            f"| {ours / empty:.1f}x an empty Python | {ours:.2f} CPU s |"
        )


if __name__ == "__main__":
    main()
