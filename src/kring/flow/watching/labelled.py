"""Windows whose labels have come: what answers foresaw, and rates by group of people."""

from __future__ import annotations

from kring.flow.watching.windows import Windows
from kring.ports.task import Counts
from kring.record.evidence import Measure
from kring.watch.estimates import Past, merged


class Labelled(Windows):
    """Windows with all that monitors ask of them."""

    def labelled(self, version: str, *, start: int, end: int) -> dict[int, Counts]:
        """Counts of the version by window, in order, where it answered rows that have an outcome."""
        said = self._said(version, start, end)
        return {window: merged(one.counts for _, one in said[window]) for window in sorted(said)}

    def foreseen(self, version: str, *, start: int, end: int) -> Counts:
        """What the task foresees of all answers of the version in these windows."""
        inside = [window for window in sorted(self._inputs) if start <= window < end]
        return merged(one.foresaw for window in inside for _, one in self._answers(version, window))

    def past(self, version: str, *, start: int, end: int) -> list[Past]:
        """What labelled answers of the version foresaw and what came of them, window by window."""
        said = [one for _, one in sorted(self._said(version, start, end).items())]
        return [Past(merged(one.learned for _, one in each), merged(one.counts for _, one in each)) for each in said]

    def misjudged(self, version: str, *, start: int, end: int, seed: int, draws: int) -> Measure | None:
        """What decisions lost in these windows because answers did not mean what they said (`Estimates.misjudged`)."""
        windows = list(self.labelled(version, start=start, end=end).values())
        return self._task.misjudged(windows, policy=self._policies[version], draws=draws, seed=seed)

    def grouped(self, version: str, *, start: int, end: int) -> list[Counts]:
        """Rates by group of people (`kring.watch.groups`) in each window that holds outcomes, in order."""
        said = [one for _, one in sorted(self._said(version, start, end).items())]
        found = [merged(one.groups for _, one in each) for each in said]
        return [each for each in found if each]

    def drop(self, before: int) -> None:
        """Let go of the rows and of the counts of windows that began before `before` (microseconds UTC)."""
        self.forget(before)
        for window in [window for window in self._inputs if window < before]:
            del self._inputs[window]
            self._matured.pop(window, None)
