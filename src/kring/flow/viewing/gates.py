"""The gate's word on a version that is at work: for whoever moves traffic and asks before each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from kring.flow import adapters, history
from kring.flow.operating.following import cursors_since
from kring.flow.project import Project
from kring.metrics.intervals import wilson
from kring.ports.ledger import Ledger
from kring.record.alarm import Alarm, AlarmKind
from kring.record.decision import Decisions
from kring.record.operator import OperatorState
from kring.record.verdict import GateResult, Verdict
from kring.record.version import Version
from kring.watch.inputs import breaches

ABOUT_VERSIONS: Final[frozenset[AlarmKind]] = frozenset(
    {"quality", "fallback", "latency", "service_level", "calibration", "fairness", "cost", "probes"}
)
"""Of these an alarm that pages is the version's own fault; others say that a person should look first."""

WORST: Final[tuple[GateResult, ...]] = ("pass", "investigate", "fail")
MOST_ROWS: Final = 1_000_000
"""Rows of a window that are counted; what more of them could say was said by these."""


class GateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict` is pass, fail or investigate; `ok` whether it is pass; `samples` the decisions of the version in the
    window; `reasons` what speaks against a pass."""

    verdict: GateResult
    ok: bool
    samples: int
    reasons: tuple[str, ...]
    version: str


class Counted(NamedTuple):
    rows: int
    fallbacks: int
    violations: int


Doubt = tuple[GateResult, str]


def gate_answer(project: Project, *, version: str, window_us: int) -> GateAnswer:
    """The worst of: the verdict that the version was released with, its rollout, what is open against it, and what it
    did in the last `window_us`. Whatever is missing is a reason to investigate, never to pass. Without a version that
    which is being rolled out is meant, else the live one."""
    now = project.clock.now()
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
        meant = version or version_at_work(state)
        doubts = [*released(ledger, meant), *rolled(state, meant), *alarmed(state, meant)]
    counted = counts(project, meant, since=now - window_us, until=now) if meant else Counted(0, 0, 0)
    doubts += behaved(project, counted)
    results: list[GateResult] = ["pass", *(result for result, _ in doubts)]
    verdict = max(results, key=WORST.index)
    return GateAnswer(
        verdict=verdict,
        ok=verdict == "pass",
        samples=counted.rows,
        reasons=tuple(f"{result}: {why}" for result, why in doubts),
        version=meant,
    )


def version_at_work(state: OperatorState | None) -> str:
    """The version that is being rolled out, else the live one; while it bakes that is the new one."""
    pointer = state.pointer if state else None
    if pointer is None:
        return ""
    return pointer.live if pointer.highest or not pointer.canary else pointer.canary


def released(ledger: Ledger, version: str) -> Iterator[Doubt]:
    """What the verdict says that it was released with."""
    known = history.newest_with(ledger, Version, version) if version else None
    verdict = history.newest_with(ledger, Verdict, known.verdict) if known else None
    if not version or known is None:
        yield "investigate", "there is no such version" if version else "no version answers yet"
    elif verdict is None:
        yield "investigate", "it was released without a verdict"
    elif verdict.result != "pass":
        yield verdict.result, f"its gate said {verdict.result}"


def rolled(state: OperatorState | None, version: str) -> Iterator[Doubt]:
    """What its rollout says."""
    rollout = state.rollout if state else None
    if rollout is None or rollout.version != version:
        return
    if rollout.state in ("rolling_back", "rolled_back", "aborted"):
        yield "fail", f"its rollout was ended: {rollout.reason}"
    elif rollout.state == "held":
        yield "investigate", f"its rollout is held: {rollout.reason}"


def alarmed(state: OperatorState | None, version: str) -> Iterator[Doubt]:
    """What is open against it, acknowledged or silenced included: that somebody knows does not make it good."""
    for alarm in state.alarms if state else ():
        if alarm.version == version and alarm.tier != "note":
            yield weight(alarm), f"alarm {alarm.id}: {alarm.what}"


def weight(alarm: Alarm) -> GateResult:
    return "fail" if alarm.tier == "page" and alarm.kind in ABOUT_VERSIONS else "investigate"


def behaved(project: Project, counted: Counted) -> Iterator[Doubt]:
    """What it did in the window."""
    system = project.system
    least = system.gate.min_rows
    if counted.rows < least:
        yield "investigate", f"{counted.rows:,} decisions in the window, {least:,} are needed"
    low, _ = wilson(counted.fallbacks, counted.rows)
    if counted.rows and low > system.rollout.floor:
        yield "fail", f"{counted.fallbacks:,} of {counted.rows:,} decisions were answered by another"
    low, _ = wilson(counted.violations, counted.rows)
    if counted.rows and low > system.watch.violations:
        yield "investigate", f"{counted.violations:,} of {counted.rows:,} inputs broke the contract"


def counts(project: Project, version: str, *, since: int, until: int) -> Counted:
    """The decisions that were the version's to make; shadows aside."""
    rows = fallbacks = violations = 0
    log = adapters.read_log(project.home.log, system=project.system.name)
    for logged in log.read(cursors_since(project.home.log, since=since), until=until):
        record = logged.record
        if not isinstance(record, Decisions) or record.version != version or record.kind == "shadow":
            continue
        if record.at < since:
            continue
        rows += record.n
        fallbacks += record.n if record.answered_by != record.version else 0
        violations += breaches(record.guards)
        if rows >= MOST_ROWS:
            break
    return Counted(rows, fallbacks, violations)
