"""Which decisions people look at, and in which order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from kring.metrics.assignment import assigned
from kring.metrics.ranking import Floats
from kring.record.decision import REVIEW, Value
from kring.record.review import Cause
from kring.record.running import Review

CAUSES: Final[tuple[Cause, ...]] = ("asked", "flagged", "disagreeing", "uncertain", "drawn")
"""Why somebody looks, the most pressing first."""

LEAST_SURE: Final = 0.01
"""The share of all decisions that counts as uncertain, unless a larger one is drawn at random."""


class Made(NamedTuple):
    """A decision: how sure the version was (more is surer, NaN where that is not known), whether a guard fired, and
    whether a shadow decided otherwise."""

    id: str
    at: int
    decision: Value
    sure: float
    flagged: bool
    disagreed: bool


class Wanted(NamedTuple):
    """A decision that is to be looked at, and why, the most pressing cause first."""

    made: Made
    why: tuple[Cause, ...]


def wanted(plan: Review, decisions: Sequence[Made], *, salt: str) -> list[Wanted]:
    """Those of `decisions` that are to be looked at, the next first.

    What was answered with "ask a person" always is. Who is drawn follows from the decision's id alone, so that it is
    the same everywhere and for ever; what is least sure depends on the others. One of each cause comes before the
    second of any, the newest first, of the uncertain the least sure.
    """
    unsure = least_sure(decisions, share=max(plan.share, LEAST_SURE)) if plan.uncertain else set()
    drawn = assigned([one.id for one in decisions], salt=salt, share=plan.share)
    found = []
    for one, is_drawn in zip(decisions, drawn.tolist(), strict=True):
        on = {
            "asked": one.decision == REVIEW,
            "flagged": plan.flagged and one.flagged,
            "disagreeing": plan.disagreeing and one.disagreed,
            "uncertain": one.id in unsure,
            "drawn": is_drawn,
        }
        if any(on.values()):
            found.append(Wanted(one, tuple(cause for cause in CAUSES if on[cause])))
    return in_turn(found)


def is_drawn(id: str, *, salt: str, share: float) -> bool:
    """Whether the decision is one of the `share` that is drawn at random."""
    return bool(assigned([id], salt=salt, share=share)[0])


def least_sure(decisions: Iterable[Made], *, share: float) -> set[str]:
    """The ids of the `share` of decisions about which the version was least sure, of those where that is known."""
    known = sorted((one.sure, one.id) for one in decisions if not math.isnan(one.sure))
    return {id for _, id in known[: math.ceil(share * len(known))]}


def in_turn(found: Iterable[Wanted]) -> list[Wanted]:
    """One of each cause, then the second of each."""
    ordered = sorted(found, key=lambda one: (one.made.sure if one.why[0] == "uncertain" else -one.made.at, one.made.id))
    seen: Counter[Cause] = Counter()
    placed = []
    for one in ordered:
        placed.append((seen[one.why[0]], CAUSES.index(one.why[0]), one))
        seen[one.why[0]] += 1
    return [one for _, _, one in sorted(placed, key=lambda place: place[:2])]


def sureness(outputs: Mapping[str, Sequence[Value]], *, labels: Sequence[str], threshold: float, n: int) -> Floats:
    """How far each answer lies from being another one, (n,): a probability from the threshold, the likeliest label from
    the next, an answer's support from none. NaN where answers do not say."""
    columns = [outputs[f"probability.{label}"] for label in labels if f"probability.{label}" in outputs]
    if len(columns) > 1:
        ordered = np.sort(np.array(columns, dtype=np.float64), axis=0)
        found = ordered[-1] - ordered[-2]
    elif "probability" in outputs:
        found = np.abs(np.array(outputs["probability"], dtype=np.float64) - threshold)
    elif "support" in outputs:
        found = np.array(outputs["support"], dtype=np.float64)
    else:
        return np.full(n, np.nan)
    return np.asarray(found, dtype=np.float64)


def settled(said: Mapping[str, Value]) -> Value:
    """What most of the reviewers say, by name; None where no one thing is said by more than any other."""
    counts = Counter((type(value).__name__, value) for value in said.values()).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0][1]
