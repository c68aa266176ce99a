"""What rings when public data is replayed through the whole product: as it came, and as a stationary resample.

    python benchmarks/drift/resampled.py                      all, with the seeds 1 to 6 (flights: 1 to 3)
    python benchmarks/drift/resampled.py --only hire --seeds 2

A resample holds the same rows in any order over the same moments: nothing in it changes any more, so that every alarm,
of whatever kind, is a false one. What is promised is at most one in 20 streams of 1,000 windows, of inputs and of
answers each. Electricity markets and the bicycle hire need the folder ../shared beside the checkout, the flights
`kring[demo]`.

Prints rows of the table of results.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from kring.record.drift import References
from kring.watch.drift import FILE

ROOT: Final = Path(__file__).parents[2]
SHARED: Final = ROOT.parent / "shared"
sys.path.insert(0, str(ROOT / "tests"))

from public_data import alarms, power_rows, write_bikes, write_flights, write_power  # noqa: E402  # lies in tests


class World(NamedTuple):
    """How a system is written, with a seed for a resample; from when to when it lives, the days of a window, and days
    without rows: what is decided at the start itself is history."""

    what: str
    write: Callable[[Path, int | None], Path]
    start: str
    end: str
    days: int
    after: int
    seeds: int


MONTHS: Final = 'season = "month"'
PROMISE: Final = 'mae = "<= 65"'
"""Promised of the order in which they came: shuffled, the rows of 2012 that are learned from make errors larger."""

WORLDS: Final = {
    "power": World(
        "two electricity markets",
        lambda folder, seed: write_power(folder, power_rows(SHARED), seed=seed),
        "1996-12-01",
        "1997-08-20",
        7,
        0,
        6,
    ),
    "hire": World(
        "a bicycle hire, months as seasons, mae <= 65 promised",
        lambda folder, seed: write_bikes(
            folder, SHARED, seed=seed, watch=MONTHS, promise=PROMISE if seed is None else ""
        ),
        "2012-01-01",
        "2013-01-01",
        1,
        1,
        6,
    ),
    "flights": World(
        "flights from New York",
        lambda folder, seed: write_flights(folder, seed=seed),
        "2013-03-31",
        "2014-01-01",
        1,
        0,
        3,
    ),
}


def row(what: str, told: str, beside: str) -> str:
    command = f"`python benchmarks/drift/resampled.py`, {what}"
    return f"| {command} | {datetime.datetime.now(datetime.UTC).date()} | {told} | {beside} |"


def columns(folder: Path) -> int:
    """So many inputs and answers are watched."""
    file = next((folder / "home" / "versions").glob(f"v_*/{FILE}"))
    found = msgspec.json.decode(file.read_bytes(), type=References)
    return len(found.inputs) + len(found.outputs)


def named(found: list[dict[str, Any]]) -> str:
    """Each alarm with the day of its first finding, in order."""
    order = sorted(found, key=lambda one: str(one["at"]))
    return "; ".join(f"{one['at'][:10]} {one['kind']} {one['feature'] or one['metric']}" for one in order)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--seeds", type=int, default=0)
    given = parser.parse_args()
    if {"power", "hire"} & {*given.only} and not SHARED.is_dir():
        sys.exit("the markets and the hire need the folder ../shared beside the checkout; without it: --only flights")
    for name in given.only:
        world = WORLDS[name]
        span = datetime.date.fromisoformat(world.end) - datetime.date.fromisoformat(world.start)
        windows, seeds, rung, watched = (span.days - world.after) // world.days, given.seeds or world.seeds, 0, 0
        for seed in [None, *range(1, seeds + 1)]:
            with tempfile.TemporaryDirectory() as place:
                folder = world.write(Path(place) / name, seed)
                found = alarms(folder, start=world.start, end=world.end)
                watched = columns(folder)
            print(f"{name}, seed {seed}: {named(found) or 'nothing'}", file=sys.stderr, flush=True)
            if seed is None:
                print(row(f"{world.what}, as they came", f"{len(found)} alarms in {windows} windows", named(found)))
            else:
                rung += len(found)
        told = f"{rung} alarms in {seeds * windows:,} windows"
        print(row(f"{world.what}, in any order", told, f"{watched} columns, seeds 1 to {seeds}"), flush=True)


if __name__ == "__main__":
    main()
