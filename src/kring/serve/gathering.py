"""Whether a line should wait a moment for more requests: only when more have been coming together of late.

A group costs about as much as a dozen of its rows. Callers who were answered together come back together, one after
the other; deciding on the first of them alone would break each wave into crumbs.
"""

from __future__ import annotations

from math import inf
from typing import Final

FORGETS: Final = 0.8
"""What is left of the expectation with each group that falls short of it."""

ENOUGH: Final = 0.9
"""The part of those expected that is worth no more waiting."""

ALONE: Final = 2.0
"""With fewer expected than this nobody waits."""

SOON: Final = 8
"""After so many groups one waits for as long as it may, to see whether more come; twice as many each time none did."""

LATE: Final = 512
"""The most groups between two such looks."""


class Gathering:
    """Remembers how many requests were on their way at once. Knows no clock: how long to wait at the most is said
    elsewhere.

    Requests that are still in a socket while their group would be full can't be counted. So now and then a group is
    never full, and shows how many there are.
    """

    def __init__(self) -> None:
        self._expected = self._least = 0.0
        self._groups, self._next_look = 0, SOON

    def is_enough(self, asked: int) -> bool:
        """Whether `asked` requests should be decided now."""
        return asked >= self._least

    def seen(self, group: int, *, waiting: int) -> None:
        """A group of so many requests was answered while others were waiting."""
        there = float(group + waiting)
        is_more = there > self._expected
        if is_more or there < self._expected * ENOUGH:
            self._expected = max(there, self._expected * FORGETS)
        if self._groups < self._next_look:
            self._groups += 1
        else:
            self._groups, self._next_look = 0, SOON if is_more else min(2 * self._next_look, LATE)
        looks = self._groups >= self._next_look
        self._least = 0.0 if self._expected < ALONE else inf if looks else self._expected * ENOUGH
