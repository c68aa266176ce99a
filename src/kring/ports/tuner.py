"""Proposes settings, and learns from what came of those it proposed before."""

from __future__ import annotations

from typing import Protocol

from kring.record.contract import Scalar


class Tuner(Protocol):
    """Opened by `open_tuner(ranges, *, seed)`; the same seed and the same answers give the same proposals.

    It never waits, runs nothing and keeps no clock: trying a setting, the budget and the record of the search
    belong to the caller.
    """

    def ask(self) -> dict[str, Scalar]:
        """The next setting: a value within its range for every range, whole where the range is whole."""
        ...

    def tell(self, value: float | None) -> None:
        """What the setting that was asked for last is worth, larger is better; None when it could not be tried."""
        ...
