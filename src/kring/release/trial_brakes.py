"""Since when a brake keeps everybody from concluding a trial, why, and what can be done about it."""

from __future__ import annotations

from math import log
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.arms import coverage_log, split_log
from kring.record.running import Trial
from kring.record.trial import Brake, BrakeOn, OutcomeSeen, Split

BRAKE: Final = log(1000)
"""A brake is on when its e-value has reached this: with correct assignment one trial in a thousand."""

LOOKS: Final = 64
"""So many moments of the past are looked at to find the one from which on a brake is on."""

REMEDIES: Final[dict[Brake, str]] = {
    "split": "find out what assigns, loses or counts one arm differently. Nothing can be made of this trial any more: "
    "stop it, mend that, start it again",
    "coverage": "find out why outcomes of one arm are reported less often, and report those that are missing (kring "
    "trial outcomes): then it goes on by itself. If they can't be had, stop it",
    "no_data": "look whether outcomes are sent (kring trial outcomes, or over HTTP): as soon as they come it goes on "
    "by itself",
}


AFTER: Final = "nothing by itself: see to the split first, and look that this one is mended before you start again"


class Units(NamedTuple):
    """Units in the order in which they were assigned, each (n,): when, to which of the arms by name, and whether
    their outcome is known by now."""

    at: NDArray[np.int64]
    arm: NDArray[np.int64]
    known: NDArray[np.bool_]


def brakes_on(
    brakes: tuple[Brake, ...], units: Units, split: Split, outcome: OutcomeSeen, *, terms: Trial, now: int
) -> tuple[BrakeOn, ...]:
    """What is to be said of each brake that is on. `outcome` is the one that decides."""
    return tuple(
        BrakeOn(
            brake=brake,
            since=_since(brake, units, terms, now=now),
            why=_why(brake, split, outcome),
            todo=REMEDIES[brake] if brake == "split" or "split" not in brakes else AFTER,
        )
        for brake in brakes
    )


def is_on(brake: Brake, units: Units, terms: Trial, *, at: int) -> bool:
    """Whether the brake was on at a moment, by what is known now of the units that counted then."""
    arms = sorted(terms.arms)
    if brake == "split":
        counts = np.bincount(units.arm[units.at <= at], minlength=len(arms))
        return split_log(counts, [terms.shares[arm] for arm in arms]) >= BRAKE
    due = units.at + terms.outcomes[0].within_us <= at
    arm, known = units.arm[due], units.known[due]
    if brake == "no_data":
        counted, told = (np.bincount(of, minlength=len(arms)) for of in (arm, arm[known]))
        return bool(counted.min() >= terms.least_units and not told.all())
    control = arms.index(terms.control)
    others = [number for number in range(len(arms)) if number != control]
    return max(coverage_of(arm, known, other, control) for other in others) >= BRAKE


def coverage_of(arm: NDArray[np.int64], known: NDArray[np.bool_], one: int, control: int) -> float:
    """log e against "outcomes are known as often in this arm as in the control"."""
    pair = np.isin(arm, (one, control))
    return coverage_log(arm[pair] == one, known[pair])


def _since(brake: Brake, units: Units, terms: Trial, *, now: int) -> int:
    """The first of a few moments from which on it has been on all the time."""
    moments = units.at if brake == "split" else units.at + terms.outcomes[0].within_us
    moments = np.unique(moments[moments <= now])
    places = np.unique(np.linspace(0, len(moments) - 1, min(LOOKS, len(moments))).round().astype(np.intp))
    since = now
    for at in reversed(moments[places].tolist()):
        if not is_on(brake, units, terms, at=at):
            break
        since = at
    return since


def _why(brake: Brake, split: Split, outcome: OutcomeSeen) -> str:
    """What is seen, in numbers."""
    if brake == "split":
        whole = sum(split.units.values())
        each = ", ".join(
            f"{arm} got {count:,} units where {whole * split.shares[arm]:,.0f} were planned"
            for arm, count in split.units.items()
        )
        return f"the arms did not get their shares: {each}. By chance that happens to one trial in 1,000 at the most"
    if brake == "coverage":
        each = ", ".join(f"{one.known / max(one.units, 1):.1%} of {one.units:,} in {one.arm}" for one in outcome.arms)
        return f"{outcome.name} is known of one arm more often than of the other: {each}. Who is missing may differ"
    silent = ", ".join(f"{one.units:,} units of {one.arm}" for one in outcome.arms if not one.known)
    return f"{outcome.name} was not reported of any of {silent}, though their time has passed: that is no result"
