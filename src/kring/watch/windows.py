"""Windows of counts: merged in any order, found by time."""

from __future__ import annotations

from operator import add
from typing import NamedTuple

from kring.ports.task import Counts


class Counted(NamedTuple):
    """What the answers of one version to some rows come to, all of it integers that add: its realised quality
    (`counts`), its `mistakes`, what its answers `foresaw` and what those with an outcome did (`learned`), and rates by
    `groups` of people."""

    counts: Counts
    mistakes: Counts
    foresaw: Counts
    learned: Counts
    groups: Counts


def merge_counts(left: Counts, right: Counts) -> dict[str, tuple[int, ...]]:
    """Both together: named vectors added element by element; a name that one side lacks is all zeros there.

    Commutative, associative, `{}` is the identity. ValueError for vectors of different lengths.
    """
    merged = dict(left)
    for name, vector in right.items():
        known = merged.get(name)
        if known is None:
            merged[name] = tuple(vector)
        elif len(known) == len(vector):
            merged[name] = tuple(map(add, known, vector))
        else:
            raise ValueError(f"counts {name!r} have {len(known)} and {len(vector)} numbers")
    return merged


def merge_counted(left: Counted, right: Counted) -> Counted:
    """Both together, as `merge_counts` does it: the answers of one version, by its own labels."""
    return Counted(*map(merge_counts, left, right))


def window_start(at: int, *, width: int) -> int:
    """The start of the window of `width` microseconds that holds the moment `at` (microseconds UTC)."""
    return at - at % width
