"""Ends a day's segment of the logs that nobody writes to any more, in the process that has them open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kring.errors import KringError, ReadOnly
from kring.ports.clock import Clock
from kring.ports.decision_log import DecisionLog
from kring.serve.line import Line

DAY_US: Final = 86_400_000_000
AGAIN_S: Final = 60.0
"""What could not be sealed is tried again after so long."""


class Days:
    """Segments end by their age when something is appended. A system that nobody asks any more would keep its last
    rows in an open one, past all retention: so each log is sealed when a day (UTC) is over. An empty segment stays.
    For the loop's thread."""

    def __init__(self, clock: Clock, *, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self._logs: list[tuple[Line, DecisionLog]] = []
        self._ended: dict[str, int] = {}
        self._again = 0.0

    def keep(self, line: Line, log: DecisionLog) -> None:
        """End the days of the log that the line writes."""
        self._logs.append((line, log))
        self._ended[line.name] = self._clock.now() // DAY_US

    def look(self) -> None:
        """Seal what is due, of lines that are writing nothing just now. What is in the way is said and tried again."""
        day, at = self._clock.now() // DAY_US, self._clock.monotonic()
        for line, log in self._logs:
            if self._ended[line.name] == day or line.is_busy or at < self._again:
                continue
            try:
                log.seal()
                self._ended[line.name] = day
            except KringError as error:
                self._say(f"the last segment of {line.name} could not be sealed: {error.message}")
                self._again = at + AGAIN_S
                if isinstance(error, ReadOnly):  # the next record tells everybody
                    self._ended[line.name] = day
