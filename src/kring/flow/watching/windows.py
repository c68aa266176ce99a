"""Window counts of everything that answers, live or in shadow; and what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.gates import beyond
from kring.metrics.measured import LIFT
from kring.ports.task import Task
from kring.record.alarm import Effect
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place, Value
from kring.record.evidence import Measure
from kring.record.operator import QualityJudged, ShadowCompared, WindowClosed
from kring.record.scrutiny import Group
from kring.record.system import System
from kring.record.version import Policy
from kring.watch.beside import Beside
from kring.watch.counting import count_answers, measure_mistakes
from kring.watch.estimates import merged
from kring.watch.groups import Grouping, groupings_of
from kring.watch.inputs import breaches
from kring.watch.matching import Matcher, Rows, Waiting
from kring.watch.quality import judge_quality
from kring.watch.truths import Truths
from kring.watch.windows import Counted, merge_counted, window_start

LIVE = "live"
BASELINE = "baseline"
FROZEN = "frozen"


FEW_DRAWS = 2
"""Enough for values without intervals."""

WATCH_DRAWS = 500
"""Draws of a monitor that looks every day; a report takes more."""


@dataclass
class Inputs:
    """What came in during one window."""

    decisions: int = 0
    violations: int = 0
    fallbacks: int = 0
    outcomes: int = 0


class Who(NamedTuple):
    """Whose answers were counted: those of `version`, to rows for which `live` was asked and `answered_by` answered."""

    live: str
    answered_by: str
    version: str


Said = list[tuple[str, Counted]]
"""Who answered, and what it came to."""


class Windows:
    """Derived from the decision log alone: reading the log again gives the same counts.

    A series is a version, a version's baseline, or one of `live` (whoever answered), `baseline`
    (of whoever was live) and `frozen` (the first version, wherever it answered).

    Rows are held as long as their window can still mature: until `watch.maturity_us` after its end, or
    `data.outcome_after_us` where that is longer. An outcome that becomes known later is passed over. What has matured
    is counts, one for each version, by its own labels.
    """

    def __init__(self, system: System, task: Task) -> None:
        self._system = system
        self._task = task
        self._width = system.watch.window_us
        self._matures_us = self._width + max(system.watch.maturity_us, system.data.outcome_after_us)
        self._matcher = Matcher(lasts_us=self._matures_us)
        self._truths = Truths(task)
        self._inputs: dict[int, Inputs] = defaultdict(Inputs)
        self._matured: dict[int, dict[Who, Counted]] = defaultdict(dict)
        self._newest = 0
        self._shadows: dict[str, Beside] = defaultdict(lambda: Beside(task))
        self._policies: dict[str, Policy] = {}
        self.groupings: dict[str, dict[str, Grouping]] = {}
        self.first = ""

    def knows(self, version: str, policy: Policy, *, groups: Sequence[Group] = ()) -> None:
        """Tell which policy a version decides by, and which groups of people its evidence tells apart; the first one
        told is `frozen`."""
        self._policies[version] = policy
        self._policies[f"{version}/{BASELINE}"] = policy
        self._truths.knows(policy)
        self.groupings[version] = groupings_of(groups)
        self.first = self.first or version

    def policy(self, version: str) -> Policy | None:
        """The policy of a version; None of one that nobody has told of."""
        return self._policies.get(version)

    def decisions(self, place: Place, record: Decisions) -> Waiting:
        """Count a batch of live answers and wait for their outcomes.

        They are the answers of whoever gave them: a version that was asked and did not answer said nothing.
        """
        window = window_start(record.at, width=self._width)
        if window > self._newest:
            self._newest = window
            self.forget(window - self._matures_us)
        inputs = self._inputs[window]
        inputs.decisions += record.n
        inputs.violations += breaches(record.guards)
        inputs.fallbacks += record.n if record.fallback else 0
        said = outputs_of(self._task, self._policies, record)
        by = record.answered_by if record.answered_by in self._policies else ""
        waiting = self._matcher.decided(place, n=record.n, window=window, live=record.version, answered_by=by)
        if by:
            waiting.rows.say(by, waiting.start, said)
        for column, grouping in self.groupings.get(record.version, {}).items():
            if column in record.inputs and column not in record.sealed:
                waiting.rows.group(column, waiting.start, grouping.codes(record.inputs[column]))
        return waiting

    def shadow(self, waiting: Waiting, record: Decisions) -> None:
        """Remember a shadow's answers to the same rows, unless those have been let go."""
        rows, said = waiting.rows, outputs_of(self._task, self._policies, record)
        if rows.is_over:
            return
        rows.say(record.version, waiting.start, said)
        mine = self._policies[record.version]
        if f"{record.version}/{BASELINE}" in self._policies:
            live, theirs = np.full_like(said, np.nan), mine
            if rows.live in rows.versions:
                live = rows.outputs(rows.live)[waiting.start : waiting.start + waiting.n]
                theirs = self._policies[rows.live]
            self._shadows[record.version].add(record.at, said, live, policy=mine, theirs=theirs)

    def outcomes(self, ids: Sequence[bytes], values: Sequence[Value], *, at: int) -> None:
        """What turned out to be true, as it was known at `at`, in the windows of the decisions, not of the outcomes."""
        if not self._policies:
            return
        for window, known in self._matcher.settle(ids, self._truths.read(values), at=at).items():
            self._inputs[window].outcomes += known

    def forget(self, before: int) -> None:
        """Let go of the rows of windows that began before `before` (microseconds UTC); what was counted of them with
        their outcomes so far stays."""
        for rows in self._matcher.forget(before):
            kept = self._matured[rows.window]
            for version in rows.versions:
                who, counted = Who(rows.live, rows.answered_by, version), self._count(rows, version)
                kept[who] = merge_counted(kept[who], counted) if who in kept else counted
            rows.clear()

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
        against = baseline if self._said(baseline, start, end) else version
        windows = self._said(version, start, end).keys() & self._said(against, start, end).keys()
        if len(windows) < watch.min_windows:
            return None
        values = self.measures(version, against, start=start, end=end, seed=seed, draws=FEW_DRAWS)
        if not any(one.name in alarmed or any(beyond(line, one) for line in gate.lines) for one in values):
            return None
        measures = self.measures(version, against, start=start, end=end, seed=seed, draws=WATCH_DRAWS)
        rows = max((measure.rows for measure in measures), default=0)
        done = effect(measures) if effect is not None else None
        return QualityJudged(
            version=version,
            start=start,
            end=end,
            windows=len(windows),
            rows=rows,
            lines=judge_quality(gate.lines, measures, min_rows=gate.min_rows),
            effect=done if done is not None and done.metric else None,
        )

    def compared(self, version: str, *, since: int = 0) -> ShadowCompared:
        """A shadow beside whoever was live, on the same inputs; what it said before `since` (microseconds UTC) belongs
        to another rollout of the same version."""
        sums = self._shadows[version].since(since)
        return ShadowCompared(
            version=version,
            rows=sums.rows,
            failures=sums.failures,
            agreement=sums.agreement,
            mean_difference=sums.mean_difference,
        )

    def measures(
        self, series: str, against: str, *, start: int, end: int, seed: int, draws: int = 1000
    ) -> list[Measure]:
        """Measures of a series over the windows in [start, end) that both series have.

        Versions are counted by their own labels, and tables of different labels don't add. Where versions that answered
        know different ones, all that is measured are `mistakes`: the mean of the task's own measure of how bad a
        decision turned out, whoever took it, 1 where it turned out as the version has no label for.
        """
        mine, theirs = self._said(series, start, end), self._said(against, start, end)
        both = sorted(mine.keys() & theirs.keys())
        if not both:
            return []
        said = [[each[window] for window in both] for each in (mine, theirs)]
        versions = {version for each in said for window in each for version, _ in window}
        policies = [policy for version, policy in self._policies.items() if version in versions]
        if len({policy.labels for policy in policies}) > 1:
            left, right = ([merged(one.mistakes for _, one in window) for window in each] for each in said)
            measures = measure_mistakes(left, right, draws=draws, seed=seed)
        else:
            left, right = ([merged(one.counts for _, one in window) for window in each] for each in said)
            measures = self._task.measure_counts(left, right, policy=policies[0], draws=draws, seed=seed)
        return [each for each in measures if series != against or not each.name.startswith(LIFT)]

    def volumes(self) -> list[tuple[int, int, int]]:
        """(window start, decisions, outcomes) of every window, in order."""
        return [(start, inputs.decisions, inputs.outcomes) for start, inputs in sorted(self._inputs.items())]

    def _said(self, series: str, start: int, end: int) -> dict[int, Said]:
        """Who answered in the series, by window, where there are rows that have an outcome."""
        found = {}
        for window, inputs in self._inputs.items():
            if start <= window < end and inputs.outcomes:
                said = [(version, one) for version, one in self._answers(series, window) if one.counts]
                if said:
                    found[window] = said
        return found

    def _answers(self, series: str, window: int) -> Iterator[tuple[str, Counted]]:
        """What the series has answered in one window, as far as it has matured, and what is still held."""
        for who, counted in self._matured.get(window, {}).items():
            if who.version == version_of(series, live=who.live, answered_by=who.answered_by, first=self.first):
                yield who.version, counted
        for rows in self._matcher.rows(window):
            version = version_of(series, live=rows.live, answered_by=rows.answered_by, first=self.first)
            if version in rows.versions:
                yield version, self._count(rows, version)

    def _count(self, rows: Rows, version: str) -> Counted:
        """Counted once, and again only when something was added."""
        known = rows.counted.get(version)
        if known is not None and known[0] == rows.changes:
            return known[1]
        mine, coded = self.groupings.get(version, {}), self.groupings.get(rows.live, {})
        alike = {name: each for name, each in mine.items() if name in coded and coded[name].names == each.names}
        counted = count_answers(
            self._task, self._policies[version], rows, version=version, truths=self._truths, groupings=alike
        )
        rows.counted[version] = rows.changes, counted
        return counted


def outputs_of(task: Task, policies: Mapping[str, Policy], record: Decisions) -> NDArray[np.float64]:
    """What was answered, by the policy of whoever answered, else of whoever was asked."""
    policy = policies.get(record.answered_by) or policies.get(record.version)
    if policy is None:
        raise ValueError(f"nobody has told of version {record.version}")
    return task.outputs(Batch(record.n, {**record.outputs}), policy)


def version_of(series: str, *, live: str, answered_by: str, first: str) -> str:
    """Whose answers make up the series in such rows; nobody's where only a default was left."""
    if series == LIVE:
        return answered_by
    return {BASELINE: f"{live}/{BASELINE}", FROZEN: first}.get(series, series)
