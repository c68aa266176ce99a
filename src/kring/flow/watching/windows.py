"""Window counts of everything that answers, live or in shadow; and what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.gates import beyond
from kring.metrics.measured import LIFT
from kring.ports.task import Counts, Task
from kring.record.alarm import Effect
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place, Value
from kring.record.evidence import Measure
from kring.record.operator import QualityJudged, ShadowCompared, WindowClosed
from kring.record.scrutiny import Group
from kring.record.system import System
from kring.record.version import Policy
from kring.watch.groups import Grouping, groupings_of
from kring.watch.inputs import breaches
from kring.watch.matching import Matcher, Waiting
from kring.watch.quality import judge_quality
from kring.watch.windows import merge_counts, window_start

LIVE = "live"
BASELINE = "baseline"
FROZEN = "frozen"


FEW_DRAWS = 2
"""Enough for values without intervals."""

WATCH_DRAWS = 500
"""Draws of a monitor that looks every day; a report takes more."""


@dataclass
class Inputs:
    """What came in during one window; `changes` rises whenever outcomes were added."""

    decisions: int = 0
    violations: int = 0
    fallbacks: int = 0
    outcomes: int = 0
    changes: int = 0


class Counted(NamedTuple):
    """Counts, and the state of the window at which they were counted."""

    changes: int
    counts: Counts


class Windows:
    """Derived from the decision log alone: reading the log again gives the same counts.

    A series is a version, a version's baseline, or one of `live` (whoever answered), `baseline`
    (of whoever was live) and `frozen` (the first version, wherever it answered).
    """

    def __init__(self, system: System, task: Task) -> None:
        self._system = system
        self._task = task
        self._matcher = Matcher()
        self._inputs: dict[int, Inputs] = defaultdict(Inputs)
        self._counted: dict[tuple[str, int], Counted] = {}
        self._shadows: dict[str, list[tuple[int, Waiting]]] = defaultdict(list)
        self._answered_by: dict[int, str] = {}
        self._policies: dict[str, Policy] = {}
        self.groupings: dict[str, dict[str, Grouping]] = {}
        self.first = ""

    def knows(self, version: str, policy: Policy, *, groups: Sequence[Group] = ()) -> None:
        """Tell which policy a version decides by, and which groups of people its evidence tells apart; the first one
        told is `frozen`."""
        self._policies[version] = policy
        self._policies[f"{version}/{BASELINE}"] = policy
        self.groupings[version] = groupings_of(groups)
        self.first = self.first or version

    def policy(self, version: str) -> Policy | None:
        """The policy of a version; None of one that nobody has told of."""
        return self._policies.get(version)

    def decisions(self, place: Place, record: Decisions) -> Waiting:
        """Count a batch of live answers and wait for their outcomes.

        They are the answers of whoever gave them: a version that was asked and did not answer said nothing.
        """
        window = window_start(record.at, width=self._system.watch.window_us)
        inputs = self._inputs[window]
        inputs.decisions += record.n
        inputs.violations += breaches(record.guards)
        inputs.fallbacks += record.n if record.fallback else 0
        waiting = self._matcher.decided(place, n=record.n, window=window, live=record.version)
        said = self._outputs(record)
        waiting.outputs[record.version] = np.full_like(said, np.nan)
        if record.answered_by in self._policies:
            waiting.outputs[record.answered_by] = said
            self._answered_by[waiting.key] = record.answered_by
        for column, grouping in self.groupings.get(record.version, {}).items():
            if column in record.inputs and column not in record.sealed:
                waiting.codes[column] = grouping.codes(record.inputs[column])
        return waiting

    def shadow(self, waiting: Waiting, record: Decisions) -> None:
        """Remember a shadow's answers to the same rows."""
        waiting.outputs[record.version] = self._outputs(record)
        self._shadows[record.version].append((record.at, waiting))

    def outcomes(self, ids: Sequence[bytes], values: Sequence[Value], *, at: int) -> None:
        """What turned out to be true, as it was known at `at`, in the windows of the decisions, not of the outcomes."""
        truth = self._task.truth(list(values), self._policies[self.first])
        for window, known in self._matcher.settle(ids, truth, at=at).items():
            self._inputs[window].outcomes += known
            self._inputs[window].changes += 1

    def closed(self, start: int, end: int) -> WindowClosed:
        """The inputs of one window."""
        inputs = self._inputs[start]
        return WindowClosed(
            start=start,
            end=end,
            decisions=inputs.decisions,
            violations=inputs.violations,
            fallbacks=inputs.fallbacks,
        )

    def judged(
        self,
        version: str,
        *,
        end: int,
        seed: int,
        alarmed: Collection[str] = (),
        effect: Callable[[Sequence[Measure]], Effect] | None = None,
    ) -> QualityJudged | None:
        """The matured windows up to `end` that version and baseline share, against the gate's lines that counts
        can judge; None while there are too few windows, or no value lies beyond its limit: an interval holds its
        value, so none could lie wholly beyond. Metrics in `alarmed` are judged until their alarm is over. `effect` says
        of measures what has happened to quality and money."""
        watch = self._system.watch
        start = end - watch.quality_us
        gate, baseline = self._system.gate, f"{version}/{BASELINE}"
        against = baseline if self._between(baseline, start, end) else version
        windows = self._between(version, start, end).keys() & self._between(against, start, end).keys()
        if len(windows) < watch.min_windows:
            return None
        values = self.measures(version, against, start=start, end=end, seed=seed, draws=FEW_DRAWS)
        if not any(one.name in alarmed or any(beyond(line, one) for line in gate.lines) for one in values):
            return None
        measures = self.measures(version, against, start=start, end=end, seed=seed, draws=WATCH_DRAWS)
        found = judge_quality(
            gate.lines,
            measures,
            windows=len(windows),
            min_windows=watch.min_windows,
            min_rows=gate.min_rows,
            since=start,
        )
        rows = max((measure.rows for measure in measures), default=0)
        done = effect(measures) if effect is not None else None
        return QualityJudged(
            version=version,
            start=start,
            end=end,
            windows=len(windows),
            rows=rows,
            lines=found.judged,
            effect=done if done is not None and done.metric else None,
        )

    def compared(self, version: str, *, since: int = 0) -> ShadowCompared:
        """A shadow beside whoever was live, on the same inputs; what it said before `since` (microseconds UTC) belongs
        to another rollout of the same version."""
        frames = [frame for at, frame in self._shadows[version] if at >= since]
        rows = sum(frame.n for frame in frames)
        if not rows:
            return ShadowCompared(version=version, rows=0, failures=0, agreement=0.0, mean_difference=0.0)
        said = np.concatenate([frame.outputs[version] for frame in frames])
        live = np.concatenate([frame.outputs[frame.live] for frame in frames])
        both = self._task.answered(said) & self._task.answered(live)
        failures = rows - int(self._task.answered(said).sum())
        if not both.any():
            return ShadowCompared(version=version, rows=rows, failures=failures, agreement=0.0, mean_difference=0.0)
        measures = self._task.agreement(said[both], live[both], self._policies[version])
        by_name = {measure.name: measure.value for measure in measures}
        return ShadowCompared(
            version=version,
            rows=rows,
            failures=failures,
            agreement=by_name["agreement"],
            mean_difference=by_name["mean_difference"],
        )

    def measures(
        self, series: str, against: str, *, start: int, end: int, seed: int, draws: int = 1000
    ) -> list[Measure]:
        """Measures of a series over the windows in [start, end) that both series have."""
        mine, theirs = self._between(series, start, end), self._between(against, start, end)
        both = sorted(mine.keys() & theirs.keys())
        if not both:
            return []
        measures = self._task.measure_counts(
            [mine[window] for window in both],
            [theirs[window] for window in both],
            policy=self._policies[self.first],
            draws=draws,
            seed=seed,
        )
        return [each for each in measures if series != against or not each.name.startswith(LIFT)]

    def volumes(self) -> list[tuple[int, int, int]]:
        """(window start, decisions, outcomes) of every window, in order."""
        return [(start, inputs.decisions, inputs.outcomes) for start, inputs in sorted(self._inputs.items())]

    def _between(self, series: str, start: int, end: int) -> dict[int, Counts]:
        """Counts of the series by window, where it answered rows that have an outcome."""
        found = {}
        for window, inputs in self._inputs.items():
            if start <= window < end and inputs.outcomes:
                counts = self._counts(series, window, inputs.changes)
                if counts:
                    found[window] = counts
        return found

    def _counts(self, series: str, window: int, changes: int) -> Counts:
        """Counted once, and again only when more outcomes have come."""
        known = self._counted.get((series, window))
        if known is not None and known.changes == changes:
            return known.counts
        parts: dict[str, list[Waiting]] = {}
        for frame in self._matcher.frames(window):
            version = self._version_of(series, frame)
            if version in frame.outputs:
                parts.setdefault(version, []).append(frame)
        counts: Counts = {}
        for version, frames in parts.items():
            truth = np.concatenate([frame.truth for frame in frames])
            outputs = np.concatenate([frame.outputs[version] for frame in frames])
            settled = self._task.known(truth) & self._task.answered(outputs)
            if settled.any():
                part = self._task.count(truth[settled], outputs[settled], self._policies[version])
                counts = merge_counts(counts, part)
        self._counted[series, window] = Counted(changes, counts)
        return counts

    def _outputs(self, record: Decisions) -> NDArray[np.float64]:
        policy = self._policies.get(record.answered_by) or self._policies.get(record.version)
        if policy is None:
            raise ValueError(f"nobody has told of version {record.version}")
        return self._task.outputs(Batch(record.n, {**record.outputs}), policy)

    def _version_of(self, series: str, frame: Waiting) -> str:
        """Whose answers make up the series in `frame`; nobody's where only a default was left."""
        if series == LIVE:
            return self._answered_by.get(frame.key, "")
        return {BASELINE: f"{frame.live}/{BASELINE}", FROZEN: self.first}.get(series, series)
