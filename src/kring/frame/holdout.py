"""Which rows are held out: by time, by their order, by group, or at random, and why."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.frame.aim import Aim
from kring.frame.inspect import Looked, Seen

TEST: Final = 0.25
FOLLOWS: Final = 0.15
"""From this correlation of neighbouring outcomes on, rows follow each other."""

LEAST_MOMENTS: Final = 8
LEAST_GROUPS: Final = 20
PER_GROUP: Final = 1.5

WHEN: Final = re.compile(r"(?i)date|day$|time|_at$|_on$|^at$|^on$|^ts$|stamp|datum|when|month$|period|created|moment")
LATER: Final = re.compile(
    r"(?i)birth|born|dob|end|due|clos|settl|expir|return|deliver|arriv|finish|complet|resol|updat|modif|until|paid"
)
WHOSE: Final = re.compile(
    r"(?i)^(customer|client|user|patient|person|member|household|account|subject|student|employee|driver|donor|"
    r"visitor|device|machine|engine|battery|kunde|kunden|klant|pat)[ _-]?(id|no|nr|number|key|uuid|code)?$"
)


@dataclass(frozen=True, slots=True)
class Holdout:
    """How rows are held out. `no_change` is the share of rows with the outcome of the row before; 0: not looked at."""

    by: Literal["time", "order", "random", "group"]
    why: str
    time: str = ""
    group: str = ""
    no_change: float = 0.0


def holdout(looked: Looked, aim: Aim, *, left_out: Collection[str] = ()) -> Holdout:
    """By time where a column says when; else by group where an id repeats; else by order where neighbours
    resemble each other; else at random."""
    time, group = _time(looked, aim, left_out), _group(looked, aim, left_out)
    if time:
        why = f"{time} says when: what came later is held out, as it will be when the system runs"
        return Holdout(by="time", why=why, time=time, group=group)
    if group:
        return Holdout(by="group", why=f"{group} repeats: all rows of one are on the same side", group=group)
    likeness = _likeness(aim.truth, looked.block, labels=bool(aim.labels))
    if likeness > max(FOLLOWS, 6 / np.sqrt(max(1, len(aim.truth)))) and _may_be_cut(aim):
        share = _no_change(aim.truth, looked.block) if aim.labels else 0.0
        told = f"no change is right in {share:.1%} of the rows" if share else f"correlation {likeness:.2f}"
        why = f"no column says when, but outcomes resemble those of the row before ({told}): the last rows are held out"
        return Holdout(by="order", why=why, no_change=share)
    return Holdout(by="random", why="no column says when, and rows do not resemble their neighbours")


def _time(looked: Looked, aim: Aim, left_out: Collection[str]) -> str:
    best, found = 0, ""
    for name, seen in looked.columns.items():
        if name == aim.target.name or name in left_out or seen.type not in ("date", "timestamp") or seen.missing:
            continue
        column = looked.sample[name]
        if LATER.search(name) or column.n_unique() < LEAST_MOMENTS:
            continue
        score = 2 * column.is_sorted() + bool(WHEN.search(name))
        if score > best:
            best, found = score, name
    return found


def _group(looked: Looked, aim: Aim, left_out: Collection[str]) -> str:
    def repeats(seen: Seen) -> bool:
        return (
            seen.type in ("string", "integer")
            and not seen.missing
            and LEAST_GROUPS <= seen.distinct <= looked.rows / PER_GROUP
        )

    names = (name for name in looked.columns if WHOSE.match(name) and name != aim.target.name)
    return next((name for name in names if name not in left_out and repeats(looked.columns[name])), "")


def _pairs(truth: NDArray[np.float64], block: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outcomes and those of the row before, where both are known and stand beside each other."""
    beside = np.arange(1, len(truth)) % max(1, block) != 0
    before, after = truth[:-1], truth[1:]
    known = beside & ~np.isnan(before) & ~np.isnan(after)
    return before[known], after[known]


def _likeness(truth: NDArray[np.float64], block: int, *, labels: bool) -> float:
    """How much neighbours resemble each other, beyond chance: Cohen's kappa of labels, correlation of numbers."""
    before, after = _pairs(truth, block)
    if len(before) < 2 or np.ptp(before) == 0 or np.ptp(after) == 0:
        return 0.0
    if not labels:
        return float(np.corrcoef(before, after)[0, 1])
    codes = np.unique(before)
    chance = float(sum((before == code).mean() * (after == code).mean() for code in codes))
    return float(((before == after).mean() - chance) / (1 - chance))


def _no_change(truth: NDArray[np.float64], block: int) -> float:
    before, after = _pairs(truth, block)
    return float((before == after).mean())


def _may_be_cut(aim: Aim) -> bool:
    """Whether both parts hold what is to be learned: not when the rows are sorted by their outcome."""
    known = pl.Series(aim.truth[~np.isnan(aim.truth)])
    if known.is_sorted() or known.is_sorted(descending=True):
        return False
    cut = len(known) - int(len(known) * TEST)
    if not aim.labels:
        return True
    learned, held_out = (dict(part.value_counts().iter_rows()) for part in (known[:cut], known[cut:]))
    return len(learned) == len(held_out) and min(*learned.values(), *held_out.values()) >= len(aim.labels)
