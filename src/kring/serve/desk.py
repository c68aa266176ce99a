"""All systems that one data worker serves, and whether it is ready to."""

from __future__ import annotations

from collections.abc import Mapping

from kring.serve.line import Line


class Desk:
    """The lines by name of their systems. `notes` say what an operator should know though answers go on;
    `waiting_for` says what keeps the worker from being ready."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self.lines = dict(lines)
        self.notes: dict[str, str] = {}
        self.waiting_for = ""

    @property
    def in_flight(self) -> int:
        """Rows that wait for an answer."""
        return sum(line.in_flight for line in self.lines.values())

    def readiness(self) -> tuple[bool, dict[str, str]]:
        """Whether requests should be sent here, and what is to be said about it."""
        stopped = {name: line.stopped for name, line in self.lines.items() if line.stopped}
        crowded = {name: line.crowded for name, line in self.lines.items() if line.crowded}
        told = crowded | stopped | self.notes | ({"worker": self.waiting_for} if self.waiting_for else {})
        return not stopped and not self.waiting_for, told
