"""Every monitor, over one stream of decisions and outcomes: batches in, one `Watched` for each window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from kring.flow.watching.labelled import Labelled
from kring.flow.watching.matured import Matured
from kring.flow.watching.tallied import Tallied
from kring.metrics.gates import covers
from kring.ports.task import Task
from kring.record.alarm import Breach, Effect
from kring.record.decision import Decisions, Place, Value
from kring.record.drift import DriftSeen, References
from kring.record.evidence import Evidence, Measure
from kring.record.operator import QualityJudged, Watched
from kring.record.system import Gate, System
from kring.record.version import Policy
from kring.watch.estimates import Estimated, effect_of, estimated, judge_estimate
from kring.watch.judging import Found, figures, judge_traffic
from kring.watch.matching import Waiting
from kring.watch.service_levels import Budget, budgets


class Monitors:
    """Derived from the log alone, and the same for a log that is followed and for a replay.

    Whoever feeds it hands over every record once, those of one writer in their order, and closes windows when their
    time is over. `windows` holds rows that wait for their outcomes; everything else are counts. `seen` is what whoever
    watched before has handed over.
    """

    def __init__(self, system: System, task: Task, *, seen: DriftSeen | None = None) -> None:
        self.system = self._system = system
        self.windows = Labelled(system, task)
        self._matured = Matured(system, self.windows)
        self._tallied = Tallied(system, task, self.windows, seen=seen)
        self.drifting = self._tallied.drifting
        self._task = task
        self._evidence: dict[str, Evidence] = {}

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

    def decisions(self, place: Place, record: Decisions, *, drifts: bool = True) -> Waiting:
        """Live answers, whoever gave them; without `drifts` whoever watched before has counted them for drift."""
        self._tallied.hold(record, drifts=drifts)
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
        currency = self._system.frame.currency
        found = judge_traffic(self._tallied.traffic(start, end), self._system.watch, since=start, currency=currency)
        breaches, keys = self._tallied.service(end)
        expected: Estimated | None = None
        if self.windows.policy(live) is not None:
            expected = self.estimate(live, start=start, end=end)
            found += _estimated(expected, self._system.gate, since=start)
            found += self._matured.judged(live, end=end)
        more, asked = self._tallied.queries(start)
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
        breaches, keys = self._tallied.service(now)
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

    def judged(self, version: str, *, end: int, seed: int, alarmed: Collection[str] = ()) -> QualityJudged | None:
        """See `Windows.judged`; with what has happened since the evidence."""
        return self.windows.judged(
            version,
            end=end,
            seed=seed,
            alarmed=alarmed,
            effect=lambda measures: self.quality_effect(version, measures),
        )

    def figures(self, start: int, end: int) -> tuple[Measure, ...]:
        """Shares, quantiles of waiting and the mean cost of all windows that began in [start, end)."""
        return figures(self._tallied.traffic(start, end), currency=self._system.frame.currency)

    def budgets(self, now: int) -> list[Budget]:
        """What is left of each error budget."""
        return budgets(self._tallied.slots(), self._system.slo, now=now)

    def forget(self, before: int) -> None:
        """Let go of what windows that began before `before` (microseconds UTC) held row by row; and of counts that are
        older than anything that is judged."""
        self.windows.forget(before)
        self.windows.drop(before - self._system.watch.quality_us)
        self._tallied.forget(before - self._system.watch.quality_us)

    def _before(self, version: str) -> tuple[Measure, ...]:
        evidence = self._evidence.get(version)
        return evidence.measures if evidence else ()


def _estimated(found: Estimated, gate: Gate, *, since: int) -> list[Found]:
    """What the gate says of an estimate."""
    beyond_it = {each.key: each for each in judge_estimate(found, gate.lines, min_rows=gate.min_rows, since=since)}
    judged = {
        f"estimated_quality/{each.name}//": None
        for each in found.measures
        if any(covers(line, each.name) for line in gate.lines)
    }
    return [Found(key, each) for key, each in (judged | beyond_it).items()]


def _told(breach: Breach, *, version: str, effect: Effect | None) -> Breach:
    """The breach with the version, and with what the same window is estimated to have done to quality and money."""
    fitting = effect if breach.kind in ("data_quality", "outliers", "fallback", "estimated_quality") else None
    return msgspec.structs.replace(breach, version=breach.version or version, effect=breach.effect or fitting)
