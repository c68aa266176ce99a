"""Whether an operator runs: by the right to lead, which it renews every few seconds."""

from __future__ import annotations

import msgspec

from kring.charts.words import moment
from kring.flow.operating.operator import LEADER
from kring.ports.ledger import Leases


class Led(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an operator runs `now`, and when one was heard of `last` (microseconds UTC; 0 when none ever ran)."""

    now: bool = False
    last: int = 0

    @property
    def why_not(self) -> str:
        """Since when nobody operates, in words; empty while somebody does."""
        if self.now:
            return ""
        return f"no operator has run since {moment(self.last)}" if self.last else "no operator has run yet"


def led(ledger: Leases, *, now: int) -> Led:
    """Who leads the system of `ledger` at `now` (microseconds UTC)."""
    lease = ledger.leased(LEADER)
    return Led(now=lease.until > now, last=min(lease.until, now)) if lease else Led()
