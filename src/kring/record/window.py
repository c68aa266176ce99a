"""Mergeable integer counts over the decisions of one version in one span of time."""

from __future__ import annotations

import msgspec


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` are named vectors of integers; merging two windows adds them element by element.

    `start` and `end` are microseconds UTC, end excluded.
    """

    system: str
    version: str
    start: int
    end: int
    counts: dict[str, tuple[int, ...]]
