"""How often drift is told that is not there, and how soon when it is: 50 columns, windows of 500 rows, seeded.

    python benchmarks/drift/simulate.py             10 x 1000 windows without drift, 100 streams for each shift
    python benchmarks/drift/simulate.py --short     a few seconds

Beside Kring's e-detector the same windows are judged by what people use: Kolmogorov-Smirnov with p < 0.05, the
Jensen-Shannon distance above 0.1 or above its mean and three standard deviations in ten windows of the reference, the
population stability index (PSI) above 0.1; each on ten bins of the same reference, and as soon as one column says so.
What is told of drift is the window in which it is noticed first, counted from 1. A shift is of the mean of one column,
in standard deviations.

Prints rows of the table of results.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from kring.record.drift import References
from kring.record.running import Watch
from kring.watch.binning import counter_of, part_of, reference_of
from kring.watch.drift import Detector, detector_of, looked

COLUMNS, ROWS, REFERENCE = 50, 500, 50_000
FEW_ROWS = 100
WITHIN = 0.04
"""A shift by which no share moves by more than 1.6 points."""

PATIENCE = 200
"""A shift that is not found in so many windows counts as found in the last of them."""

Floats = NDArray[np.float64]
Judge = Callable[[Floats], NDArray[np.bool_]]
"""A window, (columns, rows) → which columns drift, (columns,)."""


class Reference:
    """The rows that all are compared with, (columns, rows), and ten bins of each column."""

    def __init__(self, seed: int) -> None:
        self.values = np.sort(np.random.default_rng(seed).normal(size=(COLUMNS, REFERENCE)), axis=1)
        self.cuts = np.quantile(self.values, np.arange(1, 10) / 10, axis=1).T
        names = [f"x{number}" for number in range(COLUMNS)]
        references = tuple(
            reference_of(name, column, kind="number") for name, column in zip(names, self.values, strict=True)
        )
        eye = detector_of(References(inputs=references), version="v", family="drift", plan=Watch())
        assert eye is not None
        self.detector: Detector = eye
        self.count = counter_of(references)

    def shares(self, window: Floats) -> Floats:
        """How much of a window lies in each bin, (columns, 10)."""
        pairs = zip(self.cuts, window, strict=True)
        counts = [np.bincount(np.searchsorted(cuts, values), minlength=10) for cuts, values in pairs]
        return np.array(counts) / window.shape[1]


def windows(seed: int, *, rows: int = ROWS, shift: float = 0.0, of: int = 1) -> Iterator[Floats]:
    """Windows without end; the mean of the first `of` columns lies at `shift`."""
    random = np.random.default_rng(seed)
    while True:
        window = random.normal(size=(COLUMNS, rows))
        window[:of] += shift
        yield window


def alarms(reference: Reference, stream: Iterable[Floats]) -> Iterator[list[str]]:
    """What Kring names in each window."""
    state = None
    for number, window in enumerate(stream):
        columns = {f"x{place}": column for place, column in enumerate(window)}
        look = looked(reference.detector, state, part_of("v", number, reference.count(columns)), end=number + 1)
        state = look.state
        yield [breach.feature for breach in look.breaches]


def kolmogorov_smirnov(reference: Reference) -> Judge:
    def judge(window: Floats) -> NDArray[np.bool_]:
        rows = window.shape[1]
        apart = []
        for known, values in zip(reference.values, np.sort(window, axis=1), strict=True):
            below = np.searchsorted(known, values) / REFERENCE
            steps = np.arange(rows + 1) / rows
            apart.append(max(np.max(steps[1:] - below), np.max(below - steps[:-1])))
        return kolmogorov(np.array(apart) * np.sqrt(rows * REFERENCE / (rows + REFERENCE))) < 0.05

    return judge


def jensen_shannon(shares: Floats) -> Floats:
    """The distance (base 2) of each column from equal shares, (columns,)."""
    middle = (shares + 0.1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        mine = np.where(shares > 0, shares * np.log2(shares / middle), 0.0)
    return np.sqrt((mine + 0.1 * np.log2(0.1 / middle)).sum(axis=1) / 2)


def stability(shares: Floats) -> Floats:
    """The population stability index of each column against equal shares; an empty bin holds 0.01 %."""
    held = np.maximum(shares, 1e-4)
    return ((held - 0.1) * np.log(held / 0.1)).sum(axis=1)


def rules(reference: Reference, *, seed: int, learn: int = 10) -> dict[str, Judge]:
    """What people use; the usual distances are learned from windows of the reference."""
    stream = windows(seed)
    usual = np.array([jensen_shannon(reference.shares(next(stream))) for _ in range(learn)])
    most = usual.mean(axis=0) + 3 * usual.std(axis=0)
    return {
        "KS, p < 0.05": kolmogorov_smirnov(reference),
        "JS above mean + 3 sd": lambda window: jensen_shannon(reference.shares(window)) > most,
        "JS > 0.1": lambda window: jensen_shannon(reference.shares(window)) > 0.1,
        "PSI > 0.1": lambda window: stability(reference.shares(window)) > 0.1,
    }


def first(found: Iterable[bool]) -> int:
    """The number of the first window in which something was found, from 1."""
    return next((number for number, yes in enumerate(found, start=1) if yes or number == PATIENCE), PATIENCE)


def mean(values: Iterable[int]) -> float:
    return statistics.fmean(values)


def row(what: str, ratio: str, beside: str) -> str:
    return f"| `python benchmarks/drift/simulate.py`, {what} | {datetime.date.today()} | {ratio} | {beside} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    streams, length, runs, looks = (1, 150, 5, 60) if given.short else (10, 1000, 100, 1000)
    reference = Reference(given.seed)
    others = rules(reference, seed=given.seed + 1)

    for what, shift in (("no drift", 0.0), (f"all columns within the tolerance, {WITHIN} sd", WITHIN)):
        told = 0
        for stream in range(streams):
            flow = windows(given.seed + 10 + stream, shift=shift, of=COLUMNS)
            told += sum(bool(named) for named in alarms(reference, islice(flow, length)))
            print(f"{what}, stream {stream + 1}: {told} alarms so far", file=sys.stderr, flush=True)
        wrong = dict.fromkeys(others, 0)
        for window in islice(windows(given.seed + 100, shift=shift, of=COLUMNS), looks):
            for name, judge in others.items():
                wrong[name] += bool(judge(window).any())
        beside = ", ".join(f"{name} in {count / looks:.0%}" for name, count in wrong.items())
        print(row(what, f"{told} of {streams * length:,} windows raise an alarm", f"{beside}; seed {given.seed}"))

    small = windows(given.seed + 200, rows=FEW_ROWS)
    psi = np.mean([stability(reference.shares(next(small))) > 0.1 for _ in range(looks)])
    print(row(f"PSI > 0.1 at {FEW_ROWS} rows", f"{psi:.0%} of columns without drift", "Kring: as above, at any size"))

    for shift in (0.2, 0.5):
        seeds = [given.seed + 1000 + run for run in range(runs)]
        ours = [first("x0" in named for named in alarms(reference, windows(seed, shift=shift))) for seed in seeds]
        index = others["PSI > 0.1"]
        theirs = [first(bool(index(window)[0]) for window in windows(seed, shift=shift)) for seed in seeds]
        print(
            row(
                f"a shift of {shift} sd",
                f"found and named in {mean(ours):.1f} windows, median {statistics.median(ours):.0f}",
                f"PSI > 0.1 on this column in {mean(theirs):.1f}; {runs} streams, seed {given.seed}",
            )
        )


if __name__ == "__main__":
    main()
