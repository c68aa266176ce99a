"""How alike two texts are, and which differences may be slips of the pen."""

from __future__ import annotations

import re
from typing import Final

NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
LONGEST: Final = 300
"""Longer texts are prose: nobody misspells them as a value."""
SHARE: Final = 0.25


def distance(left: str, right: str, *, limit: int) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours between the two (Damerau's optimal string
    alignment); `limit + 1` when there are more than `limit`."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, sign in enumerate(left, start=1):
        here = [row]
        for column, other in enumerate(right, start=1):
            cost = min(above[column] + 1, here[-1] + 1, above[column - 1] + (sign != other))
            if row > 1 and column > 1 and sign == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            here.append(cost)
        if min(here) > limit:
            return limit + 1
        before, above = above, here
    return min(above[-1], limit + 1)


def digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


def slips(left: str, right: str) -> int:
    """How many signs differ, when that can be a slip of the pen; 0 when it can't.

    A quarter of the signs may differ, at least one. Two texts whose digits differ and are as many are two
    numbers, never a slip.
    """
    longest = max(len(left), len(right))
    if left == right or longest < 3 or longest > LONGEST:
        return 0
    one, other = digits(left), digits(right)
    if one != other and len(one) == len(other):
        return 0
    limit = max(1, int(longest * SHARE))
    found = distance(left, right, limit=limit)
    return found if found <= limit else 0


def masked(value: str, other: str, *, signs: str) -> bool:
    """Whether `value` is `other` with some signs, but not all, replaced by one of `signs`."""
    if len(value) != len(other) or value == other or len(value) > LONGEST:
        return False
    apart = [sign for sign, real in zip(value, other, strict=True) if sign != real]
    return all(sign in signs for sign in apart) and len(apart) < len(value)
