"""One system as it stands: why it exists, what answers, what was promised and measured, what rang."""

from __future__ import annotations

import msgspec

from kring.charts.words import rfc3339
from kring.flow import history
from kring.flow.alarming import all_alarms, versions_on
from kring.flow.checking import snapshots_on
from kring.flow.project import Project
from kring.flow.viewing.alarms import AlarmView, alarm_view
from kring.flow.viewing.decisions import DecisionRow, Follower, Lately
from kring.flow.viewing.shadows import ShadowView
from kring.flow.watching.keeping import unwatched
from kring.ports.ledger import Ledger
from kring.record.contract import Contract, Field, Scalar
from kring.record.evidence import Evidence
from kring.record.operator import OperatorState
from kring.record.system import System
from kring.record.verdict import Judgement, Verdict
from kring.record.version import Version
from kring.watch.alarms import by_urgency
from kring.watch.service_levels import Budget

SHOWN: int = 20


class SystemRow(msgspec.Struct, frozen=True, kw_only=True):
    """A system in a list of them. `state` is that of its newest rollout, `alarms` how many are not over, `last_alarm`
    what the most urgent of them says."""

    name: str
    goal: str
    owner: str
    live: str
    candidate: str
    state: str
    lately: Lately
    alarms: int
    last_alarm: str


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version; `role` is what it does now: live, canary, shadow, previous, or nothing."""

    id: str
    candidate: str
    at: str
    role: str
    verdict: str
    evidence: str
    size: int
    because: str


class FrameView(msgspec.Struct, frozen=True, kw_only=True):
    """Why the system exists and what is decided with it."""

    decision: str
    good_enough: str
    cost: dict[str, float]
    currency: str
    default: Scalar
    affects: tuple[str, ...]
    human_oversight: str
    open: tuple[str, ...]
    people: dict[str, str]


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    """What the contract promises of one field, in words."""

    name: str
    type: str
    promise: str
    description: str


class ContractView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    owner: str
    purpose: str
    digest: str
    fields: tuple[FieldView, ...]
    rules: tuple[str, ...]
    out_of_contract: str


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """How the gate judged the live version."""

    verdict: str
    result: str
    at: str
    rows: int
    lines: tuple[Judgement, ...]


class RolloutView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: str
    state: str
    reason: str
    actor: str
    since: str


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """What computes a version's graph, and in how many data workers."""

    version: str
    provider: str
    workers: int


class SystemView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of a system shows. `unwatched` are the columns whose drift is not watched, and why."""

    name: str
    goal: str
    task: str
    owner: str
    frame: FrameView
    contract: ContractView
    live: str
    previous: str
    canary: str
    share: float
    generation: int
    gate: GateView | None
    rollout: RolloutView | None
    versions: tuple[VersionRow, ...]
    snapshots: int
    last_snapshot: str
    alarms: tuple[AlarmView, ...]
    lately: Lately
    decisions: tuple[DecisionRow, ...]
    events: int
    shadow: ShadowView | None = None
    providers: tuple[ProviderRow, ...] = ()
    budgets: tuple[Budget, ...] = ()
    unwatched: dict[str, str] = {}


def system_row(project: Project, follower: Follower) -> SystemRow:
    """What the first page says of a system."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
        pointer = state.pointer if state else None
        live = history.newest_with(ledger, Version, pointer.live) if pointer else None
        alarms = [one for one in all_alarms(ledger) if one.state != "resolved"]
    rollout = state.rollout if state else None
    return SystemRow(
        name=project.system.name,
        goal=project.system.goal,
        owner=project.system.owner,
        live=live.id if live else "",
        candidate=live.candidate if live else "",
        state=rollout.state if rollout else "nothing released",
        lately=follower.lately(),
        alarms=len(alarms),
        last_alarm=by_urgency(alarms)[0].what if alarms else "",
    )


def system_view(project: Project, follower: Follower) -> SystemView:
    """Everything that the page of a system shows."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
        pointer = state.pointer if state else None
        rollout = state.rollout if state else None
        snapshots = snapshots_on(ledger)
        return SystemView(
            name=project.system.name,
            goal=project.system.goal,
            task=project.system.task,
            owner=project.system.owner,
            frame=frame_view(project.system),
            contract=contract_view(project),
            live=pointer.live if pointer else "",
            previous=pointer.previous if pointer else "",
            canary=pointer.canary if pointer else "",
            share=pointer.share if pointer else 0.0,
            generation=pointer.generation if pointer else 0,
            gate=gate_view(ledger, pointer.live) if pointer else None,
            rollout=RolloutView(
                id=rollout.id,
                version=rollout.version,
                state=rollout.state,
                reason=rollout.reason,
                actor=rollout.actor,
                since=rfc3339(rollout.since),
            )
            if rollout
            else None,
            versions=version_rows(ledger, state),
            snapshots=len(snapshots),
            last_snapshot=snapshots[-1].id if snapshots else "",
            alarms=newest_alarms(project, ledger),
            lately=follower.lately(),
            decisions=follower.newest(SHOWN),
            events=ledger.head().seq,
            shadow=follower.shadow(rollout.version) if rollout and rollout.state == "shadow" else None,
            budgets=tuple(follower.budgets()),
            unwatched=unwatched(project, pointer.live) if pointer else {},
        )


def newest_alarms(project: Project, ledger: Ledger) -> tuple[AlarmView, ...]:
    """Those that are not over, the most urgent first; then the newest that are."""
    found = all_alarms(ledger)
    lasting = by_urgency(one for one in found if one.state != "resolved")
    over = [one for one in reversed(found) if one.state == "resolved"]
    versions = versions_on(project, ledger)
    return tuple(alarm_view(one, versions) for one in [*lasting, *over][:SHOWN])


def version_rows(ledger: Ledger, state: OperatorState | None) -> tuple[VersionRow, ...]:
    """All versions, the newest first."""
    pointer, rollout = (state.pointer, state.rollout) if state else (None, None)
    roles = {rollout.version: "shadow"} if rollout and rollout.state == "shadow" else {}
    if pointer:
        roles |= {pointer.previous: "previous", pointer.canary: "canary", pointer.live: "live"}
    found = {version.id: version for version in history.all_of(ledger, Version)}
    return tuple(
        VersionRow(
            id=one.id,
            candidate=one.candidate,
            at=rfc3339(one.at),
            role=roles.get(one.id, ""),
            verdict=one.verdict,
            evidence=one.evidence,
            size=one.size,
            because=one.because,
        )
        for one in reversed(found.values())
    )


def gate_view(ledger: Ledger, version: str) -> GateView | None:
    """The verdict that the version was released with."""
    known = history.newest_with(ledger, Version, version)
    verdict = history.newest_with(ledger, Verdict, known.verdict) if known else None
    evidence = history.newest_with(ledger, Evidence, verdict.evidence) if verdict else None
    if verdict is None:
        return None
    return GateView(
        verdict=verdict.id,
        result=verdict.result,
        at=rfc3339(verdict.at),
        rows=evidence.rows if evidence else 0,
        lines=verdict.lines,
    )


def live_evidence(project: Project) -> Evidence | None:
    """What was measured of the live version."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
        live = history.newest_with(ledger, Version, state.pointer.live) if state and state.pointer else None
        return history.newest_with(ledger, Evidence, live.evidence) if live else None


def frame_view(system: System) -> FrameView:
    return FrameView(
        decision=system.frame.decision,
        good_enough=system.frame.good_enough,
        cost=dict(system.frame.cost),
        currency=system.frame.currency,
        default=system.frame.default,
        affects=system.affects,
        human_oversight=system.human_oversight,
        open=system.frame.open,
        people={stage: person.accountable for stage, person in system.people.items()},
    )


def contract_view(project: Project) -> ContractView:
    contract: Contract = project.contract
    return ContractView(
        name=contract.name,
        version=contract.version,
        owner=contract.owner,
        purpose=contract.purpose,
        digest=contract.digest,
        fields=tuple(
            FieldView(name=one.name, type=one.type, promise=promise(one), description=one.description)
            for one in contract.fields
        ),
        rules=tuple(rule.description or rule.name for rule in contract.rules),
        out_of_contract=project.system.guard.out_of_contract,
    )


def promise(field: Field) -> str:
    """What a field may be, in words."""
    low = "" if field.minimum is None else f"{'>' if field.exclusive_minimum else '≥'} {field.minimum:g}"
    high = "" if field.maximum is None else f"{'<' if field.exclusive_maximum else '≤'} {field.maximum:g}"
    some = "one of " + ", ".join(map(str, field.allowed[:8])) + (" …" if len(field.allowed) > 8 else "")
    flags = (
        (field.required, "always there"),
        (field.unique or field.primary_key, "each once"),
        (bool(low), low),
        (bool(high), high),
        (bool(field.allowed), some),
        (bool(field.pattern), f"matches {field.pattern}"),
        (field.personal or field.identifier, "personal"),
    )
    return ", ".join(words for there, words in flags if there)
