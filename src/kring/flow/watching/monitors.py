"""Every monitor, over one stream of decisions and outcomes: batches in, one `Watched` for each window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.flow.watching.drifting import Drifting
from kring.flow.watching.windows import FEW_DRAWS, WATCH_DRAWS, Windows
from kring.metrics.gates import beyond, covers, judge_line, parse_line
from kring.ports.task import Counts, Task
from kring.record.alarm import Breach, Effect
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place, Value
from kring.record.drift import References
from kring.record.evidence import Evidence, Measure
from kring.record.operator import QualityJudged, ShadowCompared, Watched, WindowClosed
from kring.record.system import System
from kring.record.verdict import GateLine, Judgement
from kring.record.version import Policy
from kring.watch.estimates import Estimated, effect_of, estimated, judge_estimate, merged
from kring.watch.groups import PREFIX, fairness_of, furthest
from kring.watch.judging import Found, figures, judge_traffic
from kring.watch.matching import Waiting
from kring.watch.queries import NEAR, Queries, count_queries, judge_queries
from kring.watch.service_levels import Budget, budgets, count_service, judge_service, merge_slots, promised
from kring.watch.traffic import count_traffic
from kring.watch.windows import merge_counts, window_start

HELD_ROWS: Final = 50_000
"""So many rows are held before they are counted together: small batches cost as little as large ones."""

HELD_RECORDS: Final = 5_000
CALIBRATED: Final = parse_line("calibration_error", "<= 0.05")
"""What holds for calibration where the gate does not speak of it."""


class Monitors:
    """Derived from the log alone, and the same for a log that is followed and for a replay.

    Whoever feeds it hands over every record once, those of one writer in their order, and closes windows when their
    time is over. `windows` holds rows that wait for their outcomes; everything else are counts.
    """

    def __init__(self, system: System, task: Task, *, windows: Windows | None = None) -> None:
        self.windows = windows if windows is not None else Windows(system, task)
        self.system = self._system = system
        self.drifting = Drifting(system)
        self._task = task
        self._evidence: dict[str, Evidence] = {}
        self._held: dict[int, list[Decisions]] = defaultdict(list)
        self._held_rows = 0
        self._held_records = 0
        self._traffic: dict[int, Counts] = {}
        self._slots: dict[int, Counts] = {}
        self._queries: dict[int, Queries] = {}

    def knows(
        self,
        version: str,
        policy: Policy,
        *,
        evidence: Evidence | None = None,
        references: References | None = None,
    ) -> None:
        """Tell of a version: the policy that it decides by, the evidence it was released on, and what its inputs and
        outputs looked like."""
        self.windows.knows(version, policy, groups=evidence.by_group if evidence else ())
        self.drifting.knows(version, references)
        if evidence is not None:
            self._evidence[version] = evidence

    def decisions(self, place: Place, record: Decisions) -> Waiting:
        """Live answers, whoever gave them."""
        window = window_start(record.at, width=self._system.watch.window_us)
        self._held[window].append(record)
        self._held_rows += record.n
        self._held_records += 1
        if self._held_rows >= HELD_ROWS or self._held_records >= HELD_RECORDS:
            self._count()
        return self.windows.decisions(place, record)

    def shadow(self, waiting: Waiting, record: Decisions) -> None:
        """A shadow's answers to the same rows."""
        self.windows.shadow(waiting, record)

    def outcomes(self, ids: Sequence[bytes], values: Sequence[Value], *, at: int) -> None:
        """What turned out to be true, as it was known at `at`."""
        self.windows.outcomes(ids, values, at=at)

    def closed(self, start: int, end: int, *, live: str) -> Watched:
        """What all monitors say of the window that has ended, and of the windows whose outcomes have matured by its
        end, for the version `live`. A window without rows, or a version that was never heard of, says nothing."""
        self._count()
        currency = self._system.frame.currency
        found = judge_traffic(self._traffic.get(start, {}), self._system.watch, since=start, currency=currency)
        breaches, keys = self._service(end)
        expected: Estimated | None = None
        if self.windows.policy(live) is not None:
            expected = self.estimate(live, start=start, end=end)
            found += self._estimated(expected, since=start)
            found += self._matured(live, end=end)
        queries = self._queries.get(start)
        more, asked = judge_queries(queries, since=start) if queries is not None else ([], [])
        breaches += [each.breach for each in found if each.breach is not None] + more
        effect = effect_of(expected, self._before(live)) if expected is not None else None
        drifts, drifted = self.drifting.closed(start, end, version=live, effect=lambda _: effect)
        return Watched(
            start=start,
            end=end,
            breaches=(*(_told(each, version=live, effect=effect) for each in breaches), *drifts),
            looked=tuple(dict.fromkeys([*keys, *(each.key for each in found), *asked, *drifted])),
        )

    def pulse(self, now: int, *, live: str = "") -> Watched:
        """The promised service as it is at `now`: what cannot wait until a window closes."""
        self._count()
        breaches, keys = self._service(now)
        told = tuple(_told(each, version=live, effect=None) for each in breaches)
        return Watched(start=now, end=now, breaches=told, looked=tuple(keys))

    def estimate(self, version: str, *, start: int, end: int) -> Estimated:
        """The quality that is expected of the version's answers in [start, end), before their labels come."""
        policy = self.windows.policy(version)
        if policy is None:
            return Estimated((), "", f"nothing is known of {version}")
        seen = self.windows.foreseen(version, start=start, end=end)
        past = self.windows.past(version, start=end - self._system.watch.quality_us, end=start)
        return estimated(self._task, policy, seen, past=past, seed=start // 1_000_000)

    def effect(self, version: str, *, start: int, end: int) -> Effect:
        """What has happened to the version's expected quality since its evidence: what a change of inputs did to it, as
        far as the answers say."""
        return effect_of(self.estimate(version, start=start, end=end), self._before(version))

    def quality_effect(self, version: str, measures: Iterable[Measure]) -> Effect:
        """What realised `measures` say has happened since the version's evidence, in quality and in money."""
        real = Estimated(tuple(measures), "counted from outcomes")
        return effect_of(real, self._before(version))

    def figures(self, start: int, end: int) -> tuple[Measure, ...]:
        """Shares, quantiles of waiting and the mean cost of all windows that began in [start, end)."""
        self._count()
        counts = merged(each for window, each in self._traffic.items() if start <= window < end)
        return figures(counts, currency=self._system.frame.currency)

    def fairness(self, version: str, *, end: int, draws: int = WATCH_DRAWS) -> list[Measure]:
        """How far rates of groups lie apart in the windows that have matured by `end`."""
        windows = self.windows.grouped(version, start=end - self._system.watch.quality_us, end=end)
        return fairness_of(windows, self.windows.groupings(version), draws=draws, seed=end // 1_000_000)

    def budgets(self, now: int) -> list[Budget]:
        """What is left of each error budget."""
        self._count()
        return budgets(self._slots, self._system.slo, now=now)

    def forget(self, before: int) -> None:
        """Let go of what windows that began before `before` (microseconds UTC) held row by row."""
        self._count()
        self.windows.forget(before)
        for kept in (self._queries, self._traffic):
            for window in [each for each in kept if each < before - self._system.watch.quality_us]:
                kept.pop(window)
        self._slots = {at: each for at, each in self._slots.items() if at >= before - self._system.slo.over_us}

    def window_closed(self, start: int, end: int) -> WindowClosed:
        """See `Windows.closed`."""
        return self.windows.closed(start, end)

    def judged(self, version: str, *, end: int, seed: int, alarmed: Collection[str] = ()) -> QualityJudged | None:
        """See `Windows.judged`."""
        return self.windows.judged(version, end=end, seed=seed, alarmed=alarmed)

    def compared(self, version: str) -> ShadowCompared:
        """See `Windows.compared`."""
        return self.windows.compared(version)

    def _count(self) -> None:
        """Count what is held."""
        if not self._held_records:
            return
        for window, records in self._held.items():
            self.drifting.count(records)
            counted = count_traffic(records, supplier=self._system.data.supplier)
            self._traffic[window] = merge_counts(self._traffic.get(window, {}), counted)
            if promised(self._system.slo):
                self._slots = merge_slots(self._slots, count_service(records, self._system.slo))
            if self._system.watch.queries:
                count_queries(self._asked(window, records[0]), records, self._near(records))
        self._held.clear()
        self._held_rows = self._held_records = 0

    def _asked(self, window: int, record: Decisions) -> Queries:
        if window not in self._queries:
            subject = self._system.data.subject
            self._queries[window] = Queries([name for name in record.inputs if name != subject])
        return self._queries[window]

    def _near(self, records: Sequence[Decisions]) -> NDArray[np.bool_]:
        """The rows whose output lies near the threshold, where there is one."""
        found = []
        for each in records:
            policy = self.windows.policy(each.answered_by)
            if policy is None or policy.threshold is None:
                found.append(np.zeros(each.n, dtype=np.bool_))
                continue
            outputs = self._task.outputs(Batch(each.n, {**each.outputs}), policy)
            found.append(np.abs((outputs if outputs.ndim == 1 else outputs[:, 0]) - policy.threshold) <= NEAR)
        return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)

    def _service(self, now: int) -> tuple[list[Breach], list[str]]:
        return judge_service(self._slots, self._system.slo, now=now) if promised(self._system.slo) else ([], [])

    def _before(self, version: str) -> tuple[Measure, ...]:
        evidence = self._evidence.get(version)
        return evidence.measures if evidence else ()

    def _estimated(self, found: Estimated, *, since: int) -> list[Found]:
        gate = self._system.gate
        beyond_it = {each.key: each for each in judge_estimate(found, gate.lines, min_rows=gate.min_rows, since=since)}
        judged = {
            f"estimated_quality/{each.name}//": None
            for each in found.measures
            if any(covers(line, each.name) for line in gate.lines)
        }
        return [Found(key, each) for key, each in (judged | beyond_it).items()]

    def _matured(self, live: str, *, end: int) -> list[Found]:
        """Calibration and fairness over the windows whose outcomes have matured."""
        watch, gate = self._system.watch, self._system.gate
        matured = end - watch.maturity_us
        if len(self.windows.labelled(live, start=matured - watch.quality_us, end=matured)) < watch.min_windows:
            return []
        found: list[Found] = []
        if not any(covers(line, CALIBRATED.metric) for line in gate.lines):
            found += self._calibration(live, end=matured)
        lines = [line for line in gate.lines if line.metric.startswith(PREFIX)]
        return found + (self._fairness(live, lines, end=matured) if lines else [])

    def _calibration(self, live: str, *, end: int) -> list[Found]:
        start, seed = end - self._system.watch.quality_us, end // 1_000_000
        for draws in (FEW_DRAWS, WATCH_DRAWS):
            measures = self.windows.measures(live, live, start=start, end=end, seed=seed, draws=draws)
            mine = [each for each in measures if covers(CALIBRATED, each.name)]
            if not mine or (draws == FEW_DRAWS and not beyond(CALIBRATED, mine[0])):
                return [Found("calibration/calibration_error//", None)] if mine else []
        [line] = judge_line(CALIBRATED, mine, min_rows=self._system.gate.min_rows)
        breach = _breach(line, since=start) if line.result == "fail" else None
        named = msgspec.structs.replace(breach, kind="calibration") if breach else None
        return [Found("calibration/calibration_error//", named)]

    def _fairness(self, live: str, lines: Sequence[GateLine], *, end: int) -> list[Found]:
        measures = self.fairness(live, end=end)
        start = end - self._system.watch.quality_us
        windows = self.windows.grouped(live, start=start, end=end)
        found: list[Found] = []
        for line in lines:
            mine = [each for each in measures if covers(line, each.name)]
            for judged in judge_line(line, mine, min_rows=self._system.gate.min_rows) if mine else ():
                column = next(one for one in self.windows.groupings(live) if judged.metric.endswith(f".{one}"))
                breach = _breach(judged, since=start) if judged.result == "fail" else None
                key = f"fairness/{judged.metric}/{column}/"
                if breach is not None:
                    words = furthest(
                        windows, self.windows.groupings(live)[column], column=column, measure=judged.metric
                    )
                    what = f"{breach.what}; {words}" if words else breach.what
                    breach = msgspec.structs.replace(breach, kind="fairness", feature=column, what=what)
                found.append(Found(key, breach))
        return found


def _breach(line: Judgement, *, since: int) -> Breach:
    return Breach(
        metric=line.metric,
        value=line.value,
        low=line.low,
        high=line.high,
        allowed=line.rule,
        rows=line.rows,
        since=since,
        what=f"{line.metric} {line.reason}",
        sure="95 % interval, by draws of whole windows",
    )


def _told(breach: Breach, *, version: str, effect: Effect | None) -> Breach:
    """The breach with the version, and with what the same window is estimated to have done to quality and money."""
    fitting = effect if breach.kind in ("data_quality", "outliers", "fallback", "estimated_quality") else None
    return msgspec.structs.replace(breach, version=breach.version or version, effect=breach.effect or fitting)
