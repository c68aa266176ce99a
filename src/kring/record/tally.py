"""What one data worker has counted: numbers that only grow, spreads, and what is so at the moment."""

from __future__ import annotations

import msgspec

Labels = tuple[str, ...]


class Spread(msgspec.Struct, kw_only=True):
    """How often a number fell into each of the ranges of its family, the last one without end, and the sum of all."""

    counts: list[int]
    sum: float = 0.0


class Tally(msgspec.Struct, kw_only=True):
    """By the name of a family and the values of its labels, in their order. `at` is monotonic seconds: what is `now`
    of a worker that has not said anything for a while is not so any more. `seat` is the worker's number."""

    seat: int
    at: float = 0.0
    grown: dict[str, list[tuple[Labels, float]]] = {}
    spreads: dict[str, list[tuple[Labels, Spread]]] = {}
    now: dict[str, list[tuple[Labels, float]]] = {}
