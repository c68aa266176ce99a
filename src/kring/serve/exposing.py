"""Who was told which variant of a flag, for the record: once for each subject, flag and day, since programs ask often.

Nobody waits for it: an exposure is written with the next group of decisions, and what finds no place is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from kring.record.exposure import Exposure

MOST_REMEMBERED: Final = 1 << 17
"""Exposures of the day, by flag and subject. Of more the oldest are forgotten, and told again when asked for."""

DAY_US: Final = 86_400_000_000


class Shown(NamedTuple):
    """What somebody was told of one flag; `version`, and `trial` as `ID/ARM`, where there are such."""

    flag: str
    variant: str
    reason: str
    version: str = ""
    trial: str = ""


class Subject(NamedTuple):
    """Whom a flag is about: `unit` is what the router draws by, `written` what stands for it on record."""

    unit: str
    written: str


class Exposing:
    """For one system in one data worker. `dropped` hears how many exposures were told and not put on record."""

    def __init__(
        self,
        system: str,
        *,
        now: Callable[[], int],
        dropped: Callable[[int], None],
        most: int = MOST_REMEMBERED,
    ) -> None:
        self._system = system
        self._now = now
        self._dropped = dropped
        self._most = most
        self._day = -1
        self._seen: dict[tuple[str, Shown], None] = {}

    def told(self, subject: str, shown: Sequence[Shown], *, generation: int) -> Exposure | None:
        """`subject`, as records write it, was told these: what is to be put on record. None when the day has seen all
        of it already."""
        at = self._now()
        if at // DAY_US != self._day:
            self._day = at // DAY_US
            self._seen.clear()
        new = [one for one in shown if (subject, one) not in self._seen]
        if not new:
            return None
        self._seen |= dict.fromkeys((subject, one) for one in new)
        while len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return Exposure(
            system=self._system,
            at=at,
            generation=generation,
            flags=[one.flag for one in new],
            variants=[one.variant for one in new],
            reasons=[one.reason for one in new],
            subjects=[subject] * len(new),
            versions=[one.version for one in new],
            trials=[one.trial for one in new],
        )

    def lost(self, records: Iterable[object]) -> None:
        """These could not be written: whoever asks again is told of again."""
        rows = sum(len(one.subjects) for one in records if isinstance(one, Exposure))
        if rows:
            self._seen.clear()
            self._dropped(rows)
