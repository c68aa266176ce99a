"""What came in and how it was answered, as integer counts that add: guards, fallbacks, costs, durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from kring.metrics.spread import spread_of
from kring.ports.task import Counts
from kring.record.decision import ABSTAINED, IMPUTED, OUTLIER, WAITED_FOR, Decisions
from kring.watch.inputs import is_broken
from kring.watch.windows import merge_counts

PICO: Final = 10**12
"""Costs are counted in so small parts of the currency: a second may cost next to nothing, and an answer takes a
thousandth of one."""

MOST_SUPPLIERS: Final = 1000
"""So many suppliers are told apart in one batch; the rows of all others are those of `OTHERS`."""

OTHERS: Final = "(all others)"
RULE: Final = "rule "
SUPPLIER: Final = "supplier "
UNANSWERED: Final = frozenset({"rejected", "nobody"})
"""Who answered a row that nobody answered."""


def count_traffic(records: Sequence[Decisions], *, supplier: str = "") -> dict[str, tuple[int, ...]]:
    """Counts of live answers: `rows`, `answered`, `fallbacks`, `violations`, `abstained`, `outliers`, `imputed`;
    `cost` with `cost_squared`, in parts of `PICO`; `waits`, rows by duration (`kring.metrics.spread`), of those that
    somebody waited for; rows that broke each rule; and of each supplier its rows and those that broke one.

    `supplier` names the input that says who delivered a row.
    """
    if not records:
        return {}
    rows = np.array([each.n for each in records], dtype=np.int64)
    waited = [each for each in records if each.kind in WAITED_FOR]
    costs = [round(each.cost * PICO) for each in records]
    counts = {
        "rows": (int(rows.sum()),),
        "answered": (sum(each.n for each in records if each.answered_by not in UNANSWERED),),
        "fallbacks": (sum(each.n for each in records if each.fallback),),
        "cost": (sum(costs),),
        "cost_squared": (sum(cost * cost // each.n for cost, each in zip(costs, records, strict=True) if each.n),),
        "waits": spread_of(
            np.array([each.latency_us for each in waited], dtype=np.int64),
            np.array([each.n for each in waited], dtype=np.int64),
        ),
    }
    counts |= _guards(each.guards for each in records)
    return merge_counts(counts, _suppliers(records, supplier)) if supplier else counts


def number(counts: Counts, name: str) -> int:
    """One number of counts; 0 where it was never counted."""
    return counts.get(name, (0,))[0]


def _guards(guards: Iterable[Mapping[int, Sequence[str]]]) -> dict[str, tuple[int, ...]]:
    """Rows in which each guard fired, from those in which any did."""
    fired: Counter[str] = Counter()
    broken = 0
    for record in guards:
        for names in record.values():
            fired.update(set(names))
            broken += any(map(is_broken, names))
    rules = {RULE + name: (rows,) for name, rows in fired.items() if is_broken(name)}
    ours = {"abstained": ABSTAINED, "outliers": OUTLIER, "imputed": IMPUTED}
    counts: dict[str, tuple[int, ...]] = {name: (fired[guard],) for name, guard in ours.items()}
    return {"violations": (broken,), **counts, **rules}


def _suppliers(records: Sequence[Decisions], supplier: str) -> dict[str, tuple[int, ...]]:
    """For each supplier its rows, and how many of them broke a rule."""
    rows: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for each in records:
        column = each.inputs.get(supplier)
        if column is None or supplier in each.sealed:
            continue
        for value, count in Counter(column).items():
            rows[_named(value)] += count
        broken.update(_named(column[row]) for row, names in each.guards.items() if any(map(is_broken, names)))
    kept = {name for name, _ in sorted(rows.items(), key=lambda item: (-item[1], item[0]))[:MOST_SUPPLIERS]}
    found: dict[str, tuple[int, ...]] = {}
    for name, count in rows.items():
        key = SUPPLIER + (name if name in kept else OTHERS)
        found = merge_counts(found, {key: (count, broken[name])})
    return found


def _named(value: object) -> str:
    return "(missing)" if value is None else str(value)
