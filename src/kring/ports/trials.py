"""Who was shown which arm of a trial, and what they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class Exposed(NamedTuple):
    """The unit was shown the arm at `at` (microseconds UTC)."""

    unit: str
    arm: str
    at: int


class Report(NamedTuple):
    """What the unit did by `at`, as a number: 0 or 1 for no and yes."""

    unit: str
    outcome: str
    value: float
    at: int


def says_more(report: Report, known: Report | None) -> bool:
    """Whether a report says anything beyond what is known of its unit and outcome."""
    return known is None or report.value != known.value or report.at not in (0, known.at)


class Trials(Protocol):
    """One system's. Trials are told apart by their ids. Each method is one durable transaction; several processes may
    use the store at once, and wait for each other for a moment: `Busy` after that."""

    def expose(self, shown: Mapping[str, Sequence[Exposed]], *, cursors: Mapping[int, tuple[int, int]]) -> None:
        """Add exposures, by trial, and remember up to where each writer's log was read for them. Of one unit in one
        arm the earliest moment stays, so that reading a log twice changes nothing."""
        ...

    def cursors(self) -> dict[int, tuple[int, int]]:
        """By writer, up to where its log was read."""
        ...

    def report(self, trial: str, reports: Sequence[Report], *, now: int, source: str) -> list[Report | None]:
        """Add reports in their order, and return what was known before of each one's unit and outcome. A report without
        a moment (0) is of `now`. One that says what is known already, the value and the moment if it has one, is not
        added again: see `says_more`."""
        ...

    def exposures(self, trial: str) -> Iterator[Exposed]:
        """By their moments, then by unit."""
        ...

    def reports(self, trial: str) -> Iterator[Report]:
        """In the order in which they were added."""
        ...

    def forget(self, units: Sequence[str]) -> int:
        """Remove all that is known of these units, in every trial; how many rows that was."""
        ...

    def close(self) -> None:
        """Closing twice is allowed."""
        ...
