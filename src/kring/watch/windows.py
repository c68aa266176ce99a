"""Windows of counts: merged in any order, found by time."""

from __future__ import annotations

from operator import add

from kring.ports.task import Counts


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


def window_start(at: int, *, width: int) -> int:
    """The start of the window of `width` microseconds that holds the moment `at` (microseconds UTC)."""
    return at - at % width
