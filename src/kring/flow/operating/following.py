"""Follows the decision logs of all writers, from cursors on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from kring.flow import adapters
from kring.ports.decision_log import Logged
from kring.record.operator import Cursor

Cursors = dict[int, Cursor]
NOWHERE: Final[Mapping[int, Cursor]] = MappingProxyType({})


class Frames(Protocol):
    """What can be read of a log (see `DecisionHistory.read`)."""

    def read(self, after: Mapping[int, Cursor] = ..., *, until: int | None = None) -> Iterator[Logged]: ...


class Led:
    """A log whose reader stays the one that leads, however long it reads: `lead` is called with each frame."""

    def __init__(self, log: Frames, *, lead: Callable[[], None]) -> None:
        self._log, self._lead = log, lead

    def read(self, after: Mapping[int, Cursor] = NOWHERE, *, until: int | None = None) -> Iterator[Logged]:
        """As the log itself. Raises what `lead` raises."""
        for logged in self._log.read(after, until=until):
            self._lead()
            yield logged


class Follower:
    """What the writers of a log put on record, each frame once. `cursors` say how far it has come."""

    def __init__(self, history: Frames, cursors: Mapping[int, Cursor]) -> None:
        self._history = history
        self.cursors: Cursors = {**cursors}

    def news(self, *, until: int) -> Iterator[Logged]:
        """The frames since the last ones, up to the moment `until` (microseconds UTC). It may be left off anywhere."""
        for logged in self._history.read(self.cursors, until=until):
            self.cursors[logged.place.writer] = logged.cursor
            yield logged


def frames_to(history: Frames, after: Mapping[int, Cursor], cuts: Mapping[int, Cursor]) -> Iterator[Logged]:
    """The frames after the cursors `after` and up to those of `cuts`, of each writer that has one."""
    open_cuts = {writer: cut for writer, cut in cuts.items() if after.get(writer, (0, 0)) < cut}
    if not open_cuts:
        return
    for logged in history.read({**dict.fromkeys(cuts, (0, 0)), **after}):
        writer = logged.place.writer
        if logged.cursor <= cuts.get(writer, (0, 0)):
            yield logged
        if writer in open_cuts and logged.cursor >= open_cuts[writer]:
            del open_cuts[writer]
        if not open_cuts:
            return


def cursors_since(folder: Path, *, since: int) -> Cursors:
    """For each writer of the log in `folder` a cursor before its first frame of `since` (microseconds UTC) or later:
    the beginning of a segment."""
    over: Cursors = {}
    for segment in adapters.sealed_segments(folder):
        if segment.last < since:
            over[segment.writer] = max(over.get(segment.writer, (0, 0)), (segment.number + 1, 0))
    return over
