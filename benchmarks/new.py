"""What a new system costs: `kring new` on 1 million rows and 50 columns of CSV.

    python benchmarks/new.py              three rounds, each in a fresh process
    python benchmarks/new.py --rounds 1

Prints a row for the table of results: command, date, the time as a share of the 10 seconds allowed, and beside it
seconds, CPU seconds and peak memory. The table holds numbers, categories, moments, ids, gaps and a target that
depends on some of them.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROWS, PART, ALLOWED = 1_000_000, 100_000, 10.0
NUMBERS, WHOLE, CATEGORIES = 24, 10, 10


def generate(path: Path) -> None:
    """Write the table, in parts, from a fixed seed."""
    import numpy as np
    import polars as pl

    chance = np.random.default_rng(20_260_501)
    with path.open("wb") as file:
        for part in range(ROWS // PART):
            columns: dict[str, object] = {"id": np.arange(PART) + part * PART}
            columns["at"] = (np.arange(PART) + part * PART) * 30_000_000 + 1_600_000_000_000_000
            columns |= {f"number_{n}": chance.normal(100, 20, PART).round(3) for n in range(NUMBERS)}
            columns |= {f"count_{n}": chance.integers(0, 10 ** (n % 6 + 1), PART) for n in range(WHOLE)}
            columns |= {f"kind_{n}": chance.integers(0, 4 * (n + 1), PART).astype(str) for n in range(CATEGORIES)}
            columns |= {"member": chance.random(PART) < 0.4, "code": chance.integers(0, 10**8, PART)}
            score = columns["number_0"] - 100 + 10 * (columns["kind_0"] == "1")  # type: ignore[operator]
            columns["bought"] = np.where(chance.normal(score, 15) > 10, "yes", "no")
            frame = pl.DataFrame(columns).with_columns(
                pl.col("at").cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S"),
                pl.format("k{}", pl.col("kind_1")).alias("kind_1"),
                pl.when(pl.col("count_0") > 0).then("number_1").alias("number_1"),
            )
            gone = frame.select(pl.col("number_2").alias("copy"))
            frame.with_columns(gone["copy"]).write_csv(file, include_header=part == 0)


def measured(folder: Path, round: int) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak megabytes of one fresh process."""
    kring = str(Path(sys.executable).with_name("kring"))
    command = [kring, "new", str(folder / f"system-{round}"), "--from", str(folder / "data.csv"), "--target", "bought"]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    began = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_DUP2, nowhere, 1), (os.POSIX_SPAWN_DUP2, nowhere, 2)]
    child = os.posix_spawn(kring, command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"kring new ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of kring new")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not os.fork():  # its memory does not count as the children's
            generate(folder / "data.csv")
            os._exit(0)
        os.wait()
        size = (folder / "data.csv").stat().st_size / 1e6
        rounds = [measured(folder, number) for number in range(given.rounds)]
    seconds, cpu, peak = (statistics.median(one[side] for one in rounds) for side in range(3))
    print(f"{seconds:.1f} s, {cpu:.1f} CPU s, {peak:.0f} MB for {size:.0f} MB of CSV", file=sys.stderr)
    command = f"python benchmarks/new.py --rounds {given.rounds}"
    beside = f"{seconds:.1f} s, {cpu:.1f} CPU s, peak {peak:.0f} MB"
    print(f"| `{command}` | {datetime.date.today()} | {seconds / ALLOWED:.2f}x the 10 seconds allowed | {beside} |")


if __name__ == "__main__":
    main()
