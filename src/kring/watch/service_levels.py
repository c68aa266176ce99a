"""Promised service: how much of its error budget is used, and whether it is being used up too fast.

Requests are counted in slots of 1/8640 of the promise's span (five minutes of thirty days). An alarm wants the budget
to burn too fast in a long and in a short window at once, so that it begins soon and ends soon (Beyer et al., The Site
Reliability Workbook, chapter 5): 2 % of the budget in 1/720 of the span, 5 % in 1/120, 10 % in a tenth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from kring.metrics.intervals import wilson
from kring.ports.task import Counts
from kring.record.alarm import Breach
from kring.record.decision import WAITED_FOR, Decisions
from kring.record.running import Slo
from kring.watch.traffic import UNANSWERED
from kring.watch.windows import merge_counts

Level = Literal["availability", "latency", "success"]
LEVELS: Final[tuple[Level, ...]] = ("availability", "latency", "success")
SLOTS: Final = 8640


class Pair(NamedTuple):
    """A budget that burns `times` as fast as allowed, over 1/`long` and over 1/`short` of the span."""

    times: float
    long: int
    short: int


PAIRS: Final = (Pair(14.4, 720, 8640), Pair(6.0, 120, 1440), Pair(1.0, 10, 120))
"""Fast, slow, creeping: what creeps can wait for the day."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One promise: of `rows` requests `bad` broke it; `left` is the share of the error budget that is left, below 0
    when more was used than there is. None without requests."""

    level: Level
    promised: float
    rows: int
    bad: int
    left: float | None


def promised(slo: Slo) -> dict[Level, float]:
    """The promises that were made."""
    shares: dict[Level, float] = {
        "availability": slo.availability,
        "latency": slo.latency,
        "success": slo.success,
    }
    return {level: share for level, share in shares.items() if share}


def slot_us(slo: Slo) -> int:
    """The width of a slot in microseconds."""
    return max(slo.over_us // SLOTS, 1)


def count_service(records: Iterable[Decisions], slo: Slo) -> dict[int, Counts]:
    """By the start of the slot: requests that somebody waited for, and those that broke each promise, (4,): rows, not
    answered, too late (no answer is also too late), not answered by the version that was asked."""
    width, limit_us = slot_us(slo), slo.latency_ms * 1000
    sums: dict[int, list[int]] = {}
    for each in records:
        if each.kind not in WAITED_FOR:
            continue
        mine = sums.setdefault(each.at - each.at % width, [0, 0, 0, 0])
        lost = each.answered_by in UNANSWERED
        for place, bad in enumerate((True, lost, lost or each.latency_us > limit_us, lost or bool(each.fallback))):
            mine[place] += each.n if bad else 0
    return {start: {"service": tuple(numbers)} for start, numbers in sums.items()}


def merge_slots(left: Mapping[int, Counts], right: Mapping[int, Counts]) -> dict[int, Counts]:
    """Both together, in any order."""
    return {start: merge_counts(left.get(start, {}), right.get(start, {})) for start in sorted({*left, *right})}


def budgets(slots: Mapping[int, Counts], slo: Slo, *, now: int) -> list[Budget]:
    """What is left of each error budget in the span that ends at `now` (microseconds UTC)."""
    rows, *bad = _summed(slots, since=now - slo.over_us, until=now)
    found = []
    for level, share in promised(slo).items():
        broken = bad[LEVELS.index(level)]
        left = 1 - broken / (rows * (1 - share)) if rows and share < 1 else None
        found.append(Budget(level=level, promised=share, rows=rows, bad=broken, left=left))
    return found


def judge_service(slots: Mapping[int, Counts], slo: Slo, *, now: int) -> tuple[list[Breach], list[str]]:
    """A breach for each promise whose budget burns too fast, and the keys of all that were judged. A span without
    requests burns nothing and is not said to be well."""
    breaches, keys = [], []
    for level, share in promised(slo).items():
        judged = False
        worst: Breach | None = None
        for pair in PAIRS:
            since = now - slo.over_us // pair.long
            burning = [
                _burn(slots, level, share=share, since=at, until=now) for at in (since, now - slo.over_us // pair.short)
            ]
            judged |= burning[0] is not None
            if worst is None and all(burn is not None and burn >= pair.times for burn in burning):
                worst = _breach(slots, slo, level, share=share, since=since, now=now)
                worst = msgspec.structs.replace(worst, urgent=pair.times > 1) if worst is not None else None
        keys += [f"service_level/{level}//"] if judged else []
        breaches += [worst] if worst is not None else []
    return breaches, keys


def _burn(slots: Mapping[int, Counts], level: Level, *, share: float, since: int, until: int) -> float | None:
    """How many times as fast as allowed the budget burns; None without requests."""
    rows, *bad = _summed(slots, since=since, until=until)
    return bad[LEVELS.index(level)] / rows / (1 - share) if rows and share < 1 else None


def _breach(
    slots: Mapping[int, Counts], slo: Slo, level: Level, *, share: float, since: int, now: int
) -> Breach | None:
    """With the interval of the share over the long window: it must lie wholly beyond what is promised, so that one bad
    request among few alarms nobody."""
    rows, *bad = _summed(slots, since=since, until=now)
    broken = bad[LEVELS.index(level)]
    low, high = wilson(broken, rows)
    if low <= (1 - share):
        return None
    burn = broken / rows / (1 - share)
    [budget] = [each for each in budgets(slots, slo, now=now) if each.level == level]
    left = (
        f"{budget.left:.0%} of the error budget is left" if budget.left is not None else "nothing is known of the rest"
    )
    return Breach(
        kind="service_level",
        metric=level,
        value=1 - broken / rows,
        low=1 - high,
        high=1 - low,
        allowed=f"{level} >= {share:g}",
        rows=rows,
        since=since,
        what=f"{broken:,} of {rows:,} requests broke the promise of {level}: the error budget burns {burn:.3g} times "
        f"as fast as it may, {left}",
        sure=f"95 % interval of the share of broken ones {low:.2%} to {high:.2%}; in the long and the short window",
    )


def _summed(slots: Mapping[int, Counts], *, since: int, until: int) -> Sequence[int]:
    rows = [each["service"] for start, each in slots.items() if since <= start < until]
    summed: list[int] = np.array(rows, dtype=np.int64).reshape(-1, 4).sum(axis=0).tolist()
    return summed
