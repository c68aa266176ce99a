"""The arithmetic of looks: counts added, numbers remembered as ranges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kring.errors import DataError
from kring.record.progress import Arms, Cohort, Counted, Counts, Look, Ranges


def merged(looks: Iterable[Look]) -> Look:
    """The looks of several counters at one batch together: counts of the same cohort, arm and limit added.

    Each unit was counted by one of them, and each has told all cohorts in which anybody's units may have become bad.
    `DataError` when there are none, or when they are of several batches.
    """
    together = list(looks)
    numbers = {look.batch for look in together}
    if len(numbers) != 1:
        raise DataError(
            "looks that can't be merged",
            got=f"looks at the batches {sorted(numbers)}" if numbers else "no look",
            allowed="looks at one batch",
            next="merge batch by batch",
        )
    parts: dict[str, dict[int, list[Counts]]] = {}
    for counted in (counted for look in together for counted in look.guardrails):
        for place, counts in enumerate(counted.parts):
            parts.setdefault(counted.name, {}).setdefault(place, []).append(counts)
    return Look(
        batch=numbers.pop(),
        units=units_together(look.units for look in together),
        timed=units_together(look.timed for look in together),
        arms=arms_together(arms for look in together for arms in look.arms),
        guardrails=tuple(
            Counted(name=name, parts=tuple(_counts(several[place]) for place in sorted(several)))
            for name, several in sorted(parts.items())
        ),
        coverage=cohorts_together(cohort for look in together for cohort in look.coverage),
    )


def _counts(several: Sequence[Counts]) -> Counts:
    return Counts(
        cohorts=cohorts_together(cohort for counts in several for cohort in counts.cohorts),
        new_good=sum(counts.new_good for counts in several),
        new_bad=sum(counts.new_bad for counts in several),
        old_good=sum(counts.old_good for counts in several),
        old_bad=sum(counts.old_bad for counts in several),
    )


def units_together(several: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Units added by arm."""
    pairs = list(several)
    return sum(new for new, _ in pairs), sum(old for _, old in pairs)


def arms_together(several: Iterable[Arms]) -> tuple[Arms, ...]:
    """Units added by share, shares rising."""
    counts: dict[float, tuple[int, int]] = {}
    for arms in several:
        new, old = counts.get(arms.share, (0, 0))
        counts[arms.share] = new + arms.new, old + arms.old
    return tuple(Arms(share, *counts[share]) for share in sorted(counts))


def cohorts_together(several: Iterable[Cohort]) -> tuple[Cohort, ...]:
    """Counts added by cohort, in their order."""
    counts: dict[int, list[Cohort]] = {}
    for cohort in several:
        counts.setdefault(cohort.batch, []).append(cohort)
    return tuple(Cohort(batch, *table(counts[batch]).sum(axis=0).tolist()) for batch in sorted(counts))


def table(cohorts: Sequence[Cohort]) -> NDArray[np.int64]:
    """The counts of cohorts as whole numbers (m, 4): new, old, new bad, old bad."""
    rows = [(each.new, each.old, each.new_bad, each.old_bad) for each in cohorts]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def holds(seen: Ranges, number: int) -> bool:
    """Whether `number` lies in one of the ranges."""
    return any(first <= number <= last for first, last in seen)


def including(seen: Ranges, number: int) -> Ranges:
    """The ranges with `number`, which they don't hold, joined where they touch."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted((*seen, (number, number))):
        if ranges and first == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
    return tuple(ranges)
