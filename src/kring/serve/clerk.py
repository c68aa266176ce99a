"""Decides a group as one batch and appends what came of it to the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from kring.contracts.rows_json import Values
from kring.ports.clock import Clock
from kring.ports.decision_log import DecisionLog
from kring.record.batch import Batch
from kring.serve.decider import Decided, Decider
from kring.serve.group import Asked, Group, Part, Written
from kring.serve.reading import Reader

SLOW_S: Final = 0.002
"""What takes longer than this on average is done by a thread of its own, …"""

QUICK_S: Final = 0.001
"""… until it takes less than this."""

WEIGHT: Final = 1 / 32


class Pace:
    """How long something takes of late, and whether the loop can wait for it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.is_slow = False

    def learn(self, seconds: float) -> None:
        """It took so long this time."""
        self.seconds += (seconds - self.seconds) * WEIGHT
        self.is_slow = self.seconds > (QUICK_S if self.is_slow else SLOW_S)


Hide = Callable[[Batch], Batch]
"""Puts tokens in place of direct identifiers, before anything is decided on them."""


class Clerk:
    """For one thread at a time. `decider` may be set between two groups. `writing` is how long it takes to decide a
    group and to append it, whatever comes of it."""

    def __init__(self, decider: Decider[Batch], *, reader: Reader, log: DecisionLog, clock: Clock, hide: Hide) -> None:
        self.decider = decider
        self.log = log
        self.writing, self.committing = Pace(), Pace()
        self._reader = reader
        self._clock = clock
        self._hide = hide

    def write(self, group: Group) -> Written:
        """What is only to be recorded first, then all rows as one batch. `StorageError` when the log can't take it."""
        for copy in group.copies:
            self.log.append(copy)
        notes = [self.log.append(item.record) for item in group.notes]
        if not group.asks:
            return Written([], notes)
        began = self._clock.monotonic()
        try:
            return Written(self._answered(group.asks), notes)
        finally:
            self.writing.learn(self._clock.monotonic() - began)

    def _answered(self, asks: Sequence[Asked]) -> list[Part]:
        """The rows of all requests decided as one batch, and where what came of it stands."""
        values: list[Values] = []
        fired: dict[int, list[str]] = {}
        has_keys = False
        for item in asks:
            has_keys = has_keys or bool(item.keys)
            if item.rows.fired:
                fired.update({len(values) + place: rules for place, rules in item.rows.fired.items()})
            values += item.rows.values
        decided = self.decider.serve(
            self._hide(self._reader.batch(values)), fired=fired, at=self._clock.now(), kind=asks[0].kind
        )
        keys = keys_of(asks) if has_keys else []
        return [self._part(one, keys) for one in decided]

    def _part(self, decided: Decided[Batch], keys: list[str]) -> Part:
        """What one version was asked, on record with the tags of its rows."""
        record = decided.record
        if keys:
            record = msgspec.structs.replace(record, keys=[keys[row] for row in decided.rows.tolist()])
        return Part(decided, record, self.log.append(record))

    def commit(self) -> None:
        """Make durable what was written. `NoRoom` and `ReadOnly` when that can't be."""
        began = self._clock.monotonic()
        self.log.commit()
        self.committing.learn(self._clock.monotonic() - began)


def keys_of(asks: Sequence[Asked]) -> list[str]:
    """The tags of all rows, empty for those of requests without a key."""
    return [key for item in asks for key in item.keys or [""] * len(item.rows.values)]
