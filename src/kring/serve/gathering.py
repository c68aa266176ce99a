"""Whether a line should wait a moment for more requests: only when more have been coming together of late.

A group costs about as much as a dozen of its rows. Callers who were answered together come back together, one after
the other; deciding on the first of them alone would break each wave into crumbs.
"""

from __future__ import annotations

from typing import Final

FORGETS: Final = 0.8
"""What is left of the expectation with each group that falls short of it."""

ENOUGH: Final = 0.9
"""The part of those expected that is worth no more waiting."""

ALONE: Final = 2.0
"""With fewer expected than this nobody waits."""


class Gathering:
    """Remembers how many requests were on their way at once. Knows no clock: how long to wait at the most is said
    elsewhere."""

    def __init__(self) -> None:
        self._expected = 0.0

    def is_enough(self, asked: int) -> bool:
        """Whether `asked` requests should be decided now."""
        return self._expected < ALONE or asked >= self._expected * ENOUGH

    def seen(self, group: int, *, waiting: int) -> None:
        """A group of so many requests was answered while others were waiting."""
        self._expected = max(float(group + waiting), self._expected * FORGETS)
