"""Windows whose labels have come: what answers foresaw, and rates by group of people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kring.flow.watching.windows import BASELINE, FROZEN, LIVE, Counted, Windows
from kring.ports.task import Counts, Task
from kring.record.evidence import Measure
from kring.record.system import System
from kring.watch.estimates import Past
from kring.watch.groups import count_groups
from kring.watch.windows import merge_counts


class Labelled(Windows):
    """Windows with all that monitors ask of them."""

    def __init__(self, system: System, task: Task) -> None:
        super().__init__(system, task)
        self._grouped: dict[tuple[str, int], Counted] = {}
        self._seen: dict[tuple[str, int], Counted] = {}

    def labelled(self, version: str, *, start: int, end: int) -> dict[int, Counts]:
        """Counts of the version by window, in order, where it answered rows that have an outcome."""
        return dict(sorted(self._between(version, start, end).items()))

    def foreseen(self, version: str, *, start: int, end: int) -> Counts:
        """What the task foresees of all answers of the version in these windows."""
        counts = dict[str, tuple[int, ...]]()
        for window in sorted(self._inputs):
            if start <= window < end:
                counts = merge_counts(counts, self._foreseen(version, window, labelled=False))
        return counts

    def past(self, version: str, *, start: int, end: int) -> list[Past]:
        """What labelled answers of the version foresaw and what came of them, window by window."""
        found = []
        for window, labels in self.labelled(version, start=start, end=end).items():
            known, changes = self._seen.get((version, window)), self._inputs[window].changes
            if known is None or known.changes != changes:
                known = Counted(changes, self._foreseen(version, window, labelled=True))
                self._seen[version, window] = known
            found.append(Past(known.counts, labels))
        return found

    def misjudged(self, version: str, *, start: int, end: int, seed: int, draws: int) -> Measure | None:
        """What decisions lost in these windows because answers did not mean what they said (`Estimates.misjudged`)."""
        windows = list(self.labelled(version, start=start, end=end).values())
        return self._task.misjudged(windows, policy=self._policies[version], draws=draws, seed=seed)

    def grouped(self, version: str, *, start: int, end: int) -> list[Counts]:
        """Rates by group of people (`kring.watch.groups`) in each window that holds outcomes, in order."""
        found = [
            self._group_counts(version, window, inputs.changes)
            for window, inputs in sorted(self._inputs.items())
            if start <= window < end and inputs.outcomes
        ]
        return [each for each in found if each]

    def forget(self, before: int) -> None:
        """Let go of the rows of windows that began before `before` (microseconds UTC); what was counted of them with
        their outcomes so far stays."""
        for window, inputs in self._inputs.items():
            if window < before:
                for series in (*self._policies, LIVE, BASELINE, FROZEN):
                    self._counts(series, window, inputs.changes)
        gone = {id(frame) for frame in self._matcher.forget(before)}
        for version, said in self._shadows.items() if gone else ():
            self._shadows[version] = [(at, frame) for at, frame in said if id(frame) not in gone]

    def _group_counts(self, version: str, window: int, changes: int) -> Counts:
        known = self._grouped.get((version, window))
        if known is not None and known.changes == changes:
            return known.counts
        counts: Counts = {}
        groupings = self.groupings.get(version, {})
        frames = [frame for frame in self._matcher.frames(window) if version in frame.outputs and frame.codes]
        for column in groupings:
            mine = [frame for frame in frames if column in frame.codes]
            if not mine:
                continue
            truth = np.concatenate([frame.truth for frame in mine])
            outputs = np.concatenate([frame.outputs[version] for frame in mine])
            codes = np.concatenate([frame.codes[column] for frame in mine])
            settled = self._task.known(truth) & self._task.answered(outputs)
            rated = self._task.rates(truth[settled], outputs[settled], self._policies[version])
            if settled.any():
                counts = merge_counts(counts, count_groups(rated, {column: codes[settled]}, groupings))
        self._grouped[version, window] = Counted(changes, counts)
        return counts

    def _foreseen(self, version: str, window: int, *, labelled: bool) -> Counts:
        truth, outputs = self._answers(version, window)
        if not len(outputs):
            return {}
        answered = self._task.answered(outputs) & (self._task.known(truth) if labelled else True)
        return self._task.foresee(outputs[answered], self._policies[version])

    def _answers(self, version: str, window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Truth and answers of the version in one window; both empty without any."""
        frames = [frame for frame in self._matcher.frames(window) if version in frame.outputs]
        if not frames:
            return np.zeros(0), np.zeros(0)
        truth = np.concatenate([frame.truth for frame in frames])
        return truth, np.concatenate([frame.outputs[version] for frame in frames])
