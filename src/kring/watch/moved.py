"""What moved in a column, by how much, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from kring.metrics.drift import Floats, bets_of, shares
from kring.metrics.intervals import wilson
from kring.record.drift import Reference, Stretch
from kring.watch.binning import Share

MOST: Final = 2
"""So many bins or words are named beside the share that moved most."""

MOST_STRETCHES: Final = 32
"""So many windows are told apart when it is asked since when a feature drifts."""

TINY: Final = 1e-300
"""The cut just above 0 is shown as 0."""

LONGEST: Final = 40
"""A word is shown up to so many characters."""

SMALL: Final = 0.01
"""A bin whose share moved by less is not named."""


class Part(NamedTuple):
    """One bin or word, and its share then and now."""

    name: str
    was: float
    now: float


class Moved(NamedTuple):
    """The watched share on which a bet wins: what it is in words, what it was, what it has been `since`, with its 95 %
    interval, of how many rows; and the bins or words that moved most. `lean` says where all moved alike."""

    feature: str
    lean: str
    what: str
    was: float
    now: float
    low: float
    high: float
    tolerance: float
    rows: int
    since: int
    parts: tuple[Part, ...]


def remembered(recent: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """At most 32 stretches: of more, two neighbours become one, those that are shortest for their age. So the newest
    windows are told apart one by one, and old ones as exactly as it matters how long ago they were."""
    if len(recent) <= MOST_STRETCHES:
        return tuple(recent)
    starts = np.array([each.start for each in recent], dtype=np.float64)
    place = int(np.argmin((starts[2:] - starts[:-2]) / (starts[-1] - starts[:-2])))
    first, second = recent[place : place + 2]
    both = Stretch(
        start=first.start,
        cells=tuple(int(one) for one in np.add(first.cells, second.cells)),
        expected=tuple(np.add(first.expected, second.expected).tolist()),
    )
    return (*recent[:place], both, *recent[place + 2 :])


def moved_of(
    reference: Reference,
    tests: Sequence[Share],
    recent: Sequence[Stretch],
    *,
    test: int,
    side: int,
    bet: int,
    tolerance: float,
    effect: float,
) -> Moved:
    """What was counted against what was expected, since the change that explains best why the bet number `bet` on the
    share of `test` wins, above (`side` 0) or below (1) the tolerance (Page 1954)."""
    one = tests[test]
    cells, due = np.array([each.cells for each in recent], dtype=float), np.array([each.expected for each in recent])
    hits, rows = cells @ one.hits, cells @ one.over
    placed = bets_of(shares(due @ one.hits, due @ one.over), np.full(len(due), tolerance), np.full(len(due), effect))
    won = hits * placed.hit[:, side, bet] + (rows - hits) * placed.miss[:, side, bet]
    first = int(np.argmax(np.cumsum(won[::-1])[::-1]))
    cells, due = cells[first:].sum(axis=0), due[first:].sum(axis=0)
    was, now = _shares(tests, due), _shares(tests, cells)
    counted = int(one.over @ cells)
    fewer = round(counted / effect)
    low, high = wilson(round(float(now[test]) * fewer), fewer)
    return Moved(
        feature=reference.feature,
        lean=_lean(reference, tests, now - was),
        what=_what(reference, one),
        was=float(was[test]),
        now=float(now[test]),
        low=low,
        high=high,
        tolerance=tolerance,
        rows=counted,
        since=recent[first].start,
        parts=_parts(reference, one, cells=cells, due=due),
    )


def told(moved: Moved) -> str:
    """One sentence, such as "temp is higher than in training: 31.2 % of values lie below 0.48, 50.0 % were expected;
    0.52 to 0.6: 19.1 % instead of 10.4 %"."""
    lean = f"{moved.lean} than in training" if moved.lean else ""
    sentence = f"{moved.feature}{lean}: {percent(moved.now)} {moved.what}, {percent(moved.was)} were expected"
    said = {(percent(part.now), percent(part.was)): part.name for part in reversed(moved.parts)}
    said.pop((percent(moved.now), percent(moved.was)), None)
    return "; ".join([sentence, *(f"{name}: {now} instead of {was}" for (now, was), name in reversed(said.items()))])


def percent(share: float) -> str:
    """A share (0 to 1) in percent."""
    return f"{100 * share:.1f} %"


def _lean(reference: Reference, tests: Sequence[Share], shift: Floats) -> str:
    """Whether a whole column of numbers moved one way, in a word."""
    below = [float(each) for each, one in zip(shift, tests, strict=True) if one.what == "below"]
    more, less = (" is longer", " is shorter") if reference.kind == "length" else (" is higher", " is lower")
    if below and max(below) <= 0:
        return more
    return less if below and min(below) >= 0 else ""


def _shares(tests: Sequence[Share], cells: Floats) -> Floats:
    rows = np.array([one.over @ cells for one in tests])
    return shares(np.array([one.hits @ cells for one in tests]), rows)


def _what(reference: Reference, test: Share) -> str:
    """What the rows of the share have in common."""
    if test.what == "missing":
        return "of rows have no value"
    if test.what == "word":
        return f"of values are {_shown(reference.words[test.place])}"
    if test.what == "other":
        known = reference.words
        return (
            f"of values are {f'none of the {len(known)} known ones' if len(known) != 1 else f'not {_shown(known[0])}'}"
        )
    return (
        f"of texts {_of_texts(reference, test)}" if reference.kind == "length" else f"of values {_of(reference, test)}"
    )


def _of(reference: Reference, test: Share) -> str:
    """Where values lie."""
    cuts = reference.cuts
    if test.what == "outside":
        low, high = _number(cuts[0]), _number(cuts[-1])
        return f"are not {low}" if low == high else f"lie outside {low} to {high}"
    edge, before = cuts[test.place], cuts[test.place - 1]
    at_most = test.place and edge == np.nextafter(before, np.inf)
    return f"are at most {_number(before)}" if at_most else f"lie below {_number(edge)}"


def _of_texts(reference: Reference, test: Share) -> str:
    """How long texts are, in characters."""
    low, high = reference.cuts[0], reference.cuts[-1]
    if test.what == "outside":
        return f"are shorter than {_number(low)} or longer than {_number(high)} characters"
    return f"are shorter than {math.ceil(reference.cuts[test.place])} characters"


def _parts(reference: Reference, test: Share, *, cells: Floats, due: Floats) -> tuple[Part, ...]:
    """The bins or words that moved most, the largest first; none beside a missing value."""
    if test.what == "missing":
        return ()
    known, before = cells[:-1] / max(cells[:-1].sum(), 1), due[:-1] / max(due[:-1].sum(), 1e-300)
    shift = np.abs(known - before)
    order = [place for place in np.argsort(-shift, kind="stable").tolist() if shift[place] >= SMALL][:MOST]
    return tuple(Part(_cell(reference, place), float(before[place]), float(known[place])) for place in order)


def _cell(reference: Reference, place: int) -> str:
    """A bin or word by its name."""
    if reference.kind == "category":
        return _shown(reference.words[place]) if place < len(reference.words) else "any other"
    cuts = reference.cuts
    if place == 0:
        return f"below {_number(cuts[0])}"
    if place == len(cuts):
        return f"above {_number(cuts[-1])}"
    low, high = _number(cuts[place - 1]), _number(cuts[place])
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return f"{value if abs(value) > TINY else 0.0:.4g}"


def _shown(word: str) -> str:
    text = word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"
    return repr(text)
