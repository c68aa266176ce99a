"""Who is let into the line of a system, and who is told at once to come back later.

A row is let in when it will be answered before its deadline, at the rate at which rows were answered of late. What
can't be met is refused before it costs anything, so that a server under ten times its load answers as many as it can.
"""

from __future__ import annotations

from math import ceil, exp
from typing import Final

from kring.errors import Overloaded

MARGIN: Final = 0.9
"""The part of the time that is left which waiting may be expected to take: the rate is an estimate."""
FORGETS_S: Final = 0.5
"""Seconds of work after which a rate that is no longer reached counts for a third."""
TOO_HIGH: Final = 0.9
"""What is left of the estimate when a request was let in and yet its time ran out in the line."""
LONGEST_S: Final = 5
"""Nobody is told to stay away for longer: load can end at any moment."""


class Admission:
    """Counts the rows of one system's line and estimates how long they wait.

    It holds no thread and no clock: `now` and `deadline` are on the monotonic clock. Who is let in is taken out again
    by `served` or `left`. An estimate that is wrong can't keep a line closed: whoever finds it empty is let in.
    """

    def __init__(self, name: str, *, most_rows: int) -> None:
        self._name = name
        self._most = most_rows
        self._rate = 0.0
        self._group = 0
        self.rows = 0

    @property
    def rate(self) -> float:
        """Rows per second, as estimated; 0 before anything was served."""
        return self._rate

    def admit(self, rows: int, now: float, *, deadline: float) -> None:
        """Let `rows` into the line, or raise `Overloaded` with the seconds after which there may be room.

        No rows are always let in: what only asks how things are, or changes them, does not stand in line.
        """
        if not rows:
            return
        if self.rows + rows > self._most:
            raise Overloaded(
                f"{self._name} has more to answer than it can",
                got=f"{rows:,} more rows, {self.rows:,} are waiting",
                allowed=f"{self._most:,}",
                next="ask again later, or for fewer rows at once",
                after_s=self._after(self._wait(rows)),
            )
        left = deadline - now
        if self.rows and (wait := self._wait(rows)) > left * MARGIN:
            raise Overloaded(
                f"{self._name} has more to answer than it can in time",
                got=f"about {wait * 1000:.0f} ms to wait",
                allowed=f"{left * 1000:.0f} ms",
                next="ask again later",
                after_s=self._after(wait - left),
            )
        self.rows += rows

    def served(self, rows: int, *, seconds: float, late: bool = False) -> None:
        """A group of `rows` was answered, which took `seconds` from when it was taken from the line; `late` says that
        some of them came after their deadline.

        A higher rate than the estimate is half believed at once: larger groups are faster, and more is let in only
        when the estimate rises. A lower one counts only while others were waiting: else there was no more to do.
        """
        self.rows -= rows
        if not rows or seconds <= 0:
            return
        self._group = max(rows, self._group * 7 // 8)
        rate = rows / seconds
        if late:
            self._rate = min(self._rate, rate)
        elif rate > self._rate:
            self._rate += (rate - self._rate) / (2 if self._rate else 1)
        elif self.rows:
            self._rate += (rate - self._rate) * (1 - exp(-seconds / FORGETS_S))

    def left(self, rows: int, *, late: bool = False) -> None:
        """`rows` go out of the line unanswered: nobody waits for them any more, or they are `late`, and then fewer
        should have been let in."""
        self.rows -= rows
        if late:
            self._rate *= TOO_HIGH

    def _wait(self, rows: int) -> float:
        """A row is answered when its whole group is, and that is filled up with those that come after it."""
        return (self.rows + max(rows, self._group)) / self._rate if self._rate else 0.0

    @staticmethod
    def _after(seconds: float) -> int:
        return min(max(1, ceil(seconds)), LONGEST_S)
