"""What repairing costs, on a feed of a million rows and 20 columns.

    python benchmarks/clean.py            three rounds

Prints two rows for the table of results: looking for proposals against reading the feed and counting the values of
every column, and copying CSV to Parquet with the repairs against the same copy without; each in a fresh process. CPU
is user plus system time.
"""

from __future__ import annotations

import datetime
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from kring.data.propose import propose
from kring.data.repairs import apply
from kring.record.contract import Contract
from kring.sources import file as source

ROWS = 1_000_000
ROUNDS = 3
NOTHING = Contract(id="", name="", version="", table="", fields=())


def write(path: Path) -> None:
    """A feed with units in four spellings, three spellings of yes and no, and a hundredth of the cities misspelt."""
    chance = np.random.default_rng(1)
    zips = chance.integers(0, 3000, ROWS)
    cities = np.array([f"city{number % 900}" for number in range(3000)])[zips]
    wrong = chance.random(ROWS) < 0.01
    columns: dict[str, object] = {
        "id": np.arange(ROWS),
        "zip": 10_000 + 29 * zips,
        "city": np.where(wrong, np.char.replace(cities, "i", "x"), cities),
        "size": chance.choice(["12 oz", "16 oz.", "12 ounce", "24.0 OZ"], ROWS),
        "paid": chance.choice(["yes", "no", "Y"], ROWS),
        "name": np.char.add("person ", chance.integers(0, 400_000, ROWS).astype(str)),
        "amount": chance.normal(100, 10, ROWS).round(2),
    }
    columns |= {f"number{each}": chance.normal(0, 1, ROWS).round(3) for each in range(8)}
    columns |= {f"group{each}": chance.choice([f"value {one}" for one in range(30)], ROWS) for each in range(5)}
    pl.DataFrame(columns).write_csv(path)


def work(what: str, path: Path) -> None:
    """One of the four things that are measured."""
    feed = source.scan(path)
    if what == "count":
        frame = feed.collect(engine="streaming")
        for name in frame.columns:
            frame[name].alias("text").value_counts(name="rows")
    elif what == "propose":
        print(len(propose(feed, NOTHING).proposals))
    else:
        repairs = [one.repair for one in propose(feed.head(100_000), NOTHING).proposals if one.repair.trust != "ask"]
        begun = sum(os.times()[:2])
        (apply(feed, repairs) if what == "repair" else feed).sink_parquet(path.with_suffix(".parquet"))
        print(sum(os.times()[:2]) - begun)


def measured(what: str, path: Path) -> tuple[float, float, float]:
    """Median CPU seconds, of copies without the proposals; median wall seconds; peak megabytes."""
    cpu, wall, peak = [], [], 0.0
    for _ in range(ROUNDS):
        begun = datetime.datetime.now(tz=datetime.UTC)
        with subprocess.Popen([sys.executable, __file__, what, str(path)], stdout=subprocess.PIPE, text=True) as child:
            said = child.stdout.read() if child.stdout else ""
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{what} ended with {child.returncode}")
        wall.append((datetime.datetime.now(tz=datetime.UTC) - begun).total_seconds())
        cpu.append(float(said) if what in ("copy", "repair") else usage.ru_utime + usage.ru_stime)
        peak = max(peak, usage.ru_maxrss / 1024)
    return statistics.median(cpu), statistics.median(wall), peak


def main() -> None:
    day = datetime.datetime.now(tz=datetime.UTC).date()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.csv"
        write(path)
        for what, beside, told in (
            ("propose", "count", "reading the feed and counting the values of each column"),
            ("repair", "copy", "the same copy without repairs"),
        ):
            (cpu, wall, peak), (least, _, _) = measured(what, path), measured(beside, path)
            more = f"{wall:.0f} s, {cpu:.1f} CPU s, peak {peak:.0f} MB" if what == "propose" else f"{cpu:.1f} CPU s"
            print(
                f"| `python benchmarks/clean.py`, {what}, 1M rows x 20 columns | {day} "
                f"| {cpu / least:.1f}x {told} | {more} |"
            )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
