"""Follows the decision logs of all writers, from cursors on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kring.flow import adapters
from kring.ports.decision_log import DecisionHistory, Logged
from kring.record.operator import Cursor

Cursors = dict[int, Cursor]


class Follower:
    """What the writers of a log put on record, each frame once. `cursors` say how far it has come."""

    def __init__(self, history: DecisionHistory, cursors: Mapping[int, Cursor]) -> None:
        self._history = history
        self.cursors: Cursors = {**cursors}

    def news(self, *, until: int) -> Iterator[Logged]:
        """The frames since the last ones, up to the moment `until` (microseconds UTC). It may be left off anywhere."""
        for logged in self._history.read(self.cursors, until=until):
            self.cursors[logged.place.writer] = logged.cursor
            yield logged


def frames_to(history: DecisionHistory, after: Mapping[int, Cursor], cuts: Mapping[int, Cursor]) -> Iterator[Logged]:
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
