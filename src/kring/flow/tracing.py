"""decision → version → verdict → evidence → run → snapshot → contract → source, with the owner of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from kring.charts.words import moment
from kring.errors import NotFound
from kring.flow import adapters, history
from kring.flow.project import Project
from kring.flow.recording import unsealed
from kring.flow.retaining import look_up
from kring.flow.streams import delivered
from kring.ports.ledger import Ledger
from kring.record.alarm import Alarm
from kring.record.decision import Decisions, Outcomes
from kring.record.evidence import Evidence
from kring.record.lineage import Lineage, Node
from kring.record.rollout import Rollout
from kring.record.run import Run
from kring.record.scored import Scored
from kring.record.snapshot import Snapshot
from kring.record.verdict import Judgement, Verdict
from kring.record.version import Version

KINDS: Final = (
    "d_ a decision, b_ a scored file, v_ a version, ro_ a rollout, a_ an alarm, j_ a verdict, e_ evidence, r_ a run, "
    "s_ a snapshot"
)


def trace(project: Project, id: str) -> Lineage:
    """Everything `id` rests on, nearest first. `NotFound` for an id that this system does not know."""
    prefix = id.partition("_")[0]
    with project.ledger() as ledger:
        starts: dict[str, Callable[[], Iterator[Node]]] = {
            "d": lambda: from_decision(project, ledger, id),
            "b": lambda: from_scored(project, ledger, history.get(ledger, Scored, id)),
            "ro": lambda: from_rollout(project, ledger, history.get(ledger, Rollout, id)),
            "a": lambda: from_alarm(project, ledger, history.get(ledger, Alarm, id)),
            "v": lambda: from_version(project, ledger, history.get(ledger, Version, id)),
            "j": lambda: from_verdict(project, ledger, history.get(ledger, Verdict, id)),
            "e": lambda: from_evidence(project, ledger, history.get(ledger, Evidence, id)),
            "r": lambda: from_run(project, ledger, history.get(ledger, Run, id)),
            "s": lambda: from_snapshot(project, history.get(ledger, Snapshot, id)),
        }
        if prefix not in starts:
            raise NotFound("this is not an id that can be traced", got=repr(id[:60]), allowed=KINDS)
        return Lineage(system=project.system.name, id=id, nodes=tuple(starts[prefix]()))


def from_decision(project: Project, ledger: Ledger, id: str) -> Iterator[Node]:
    log = adapters.read_log(project.home.log, system=project.system.name)
    decisions, row = look_up(project, log, id)
    decisions = unsealed(project, decisions)
    times = [name for name, type in project.types.items() if type == "timestamp"]
    facts = decision_facts(decisions, row, times=times)
    if decisions.kind == "streamed":
        closed = log.closed(id)
        facts |= {name: show(column[closed[1]]) for name, column in closed[0].outputs.items()} if closed else {}
        facts["delivered"] = delivered(closed)
    yield Node(
        kind="decision",
        id=id,
        at=decisions.at,
        facts=facts | {"outcome": outcome_of(log.outcomes(id))},
        owner=project.system.accountable("operate"),
    )
    if decisions.batch:
        yield batch_node(project, ledger, decisions.batch, at=decisions.at)
    answered_by = decisions.answered_by.partition("/")[0]
    version = answered_by if answered_by.startswith("v_") else decisions.version
    yield from from_version(project, ledger, history.get(ledger, Version, version))


def decision_facts(decisions: Decisions, row: int, *, times: Collection[str]) -> dict[str, str]:
    """One row of a batch in words; `times` are the inputs that hold moments."""
    facts = {name: show(column[row]) for name, column in decisions.outputs.items()}
    facts["answered by"] = decisions.answered_by
    if decisions.rows:
        facts["row"] = f"{decisions.rows[row] + 1:,}"
    facts["arm"] = decisions.arm
    if decisions.fallback:
        facts["fallback"] = decisions.fallback
    if row in decisions.guards:
        facts["guards"] = ", ".join(decisions.guards[row])
    facts["inputs"] = ", ".join(
        f"{name} {moment(int(str(column[row]))) if name in times and column[row] is not None else show(column[row])}"
        for name, column in decisions.inputs.items()
    )
    return facts


def from_scored(project: Project, ledger: Ledger, scored: Scored) -> Iterator[Node]:
    yield batch_node(project, ledger, scored.id, at=scored.at)
    yield from from_version(project, ledger, history.get(ledger, Version, scored.version))


def batch_node(project: Project, ledger: Ledger, id: str, *, at: int) -> Node:
    """The file that was scored. A batch that did not end is not on the ledger: its answers were never handed out."""
    owner = project.system.accountable("operate")
    scored = history.newest_with(ledger, Scored, id)
    if scored is None:
        return Node(kind="batch", id=id, at=at, facts={"ended": "no: its answers were never handed out"}, owner=owner)
    counts = {
        "decided": scored.decided,
        "rejected": scored.rejected,
        "flagged": scored.flagged,
        "answered by another": scored.fallback,
        "unanswered": scored.unanswered,
    }
    facts = {
        "source": f"{scored.source}, SHA-256 {scored.source_digest}",
        "answers": f"{scored.output}, SHA-256 {scored.output_digest}",
        "rows": f"{scored.rows:,} decided on, {scored.written:,} handed out",
    } | {name: f"{rows:,}" for name, rows in counts.items() if rows}
    return Node(kind="batch", id=id, at=at, facts=facts, owner=owner)


def outcome_of(outcomes: list[tuple[Outcomes, int]]) -> str:
    """The last correction, and when it became known."""
    if not outcomes:
        return "not known"
    last, row = outcomes[-1]
    return f"{show(last.values[row])}, known {moment(last.at)}"


def from_rollout(project: Project, ledger: Ledger, rollout: Rollout) -> Iterator[Node]:
    facts = {"state": rollout.state, "reason": rollout.reason, "previous": rollout.previous or "none"}
    yield Node(kind="rollout", id=rollout.id, at=rollout.at, facts=facts, owner=project.system.accountable("release"))
    yield from from_version(project, ledger, history.get(ledger, Version, rollout.version))


def from_alarm(project: Project, ledger: Ledger, alarm: Alarm) -> Iterator[Node]:
    facts = {"what": alarm.what, "since": moment(alarm.since), "allowed": alarm.allowed, "proposal": alarm.proposal}
    yield Node(kind="alarm", id=alarm.id, at=alarm.at, facts=facts, owner=alarm.owner)
    version = history.newest_with(ledger, Version, alarm.version) if alarm.version else None
    if version is not None:
        yield from from_version(project, ledger, version)


def from_version(project: Project, ledger: Ledger, version: Version) -> Iterator[Node]:
    facts = {"candidate": version.candidate, "root": version.root, "signed with": version.key[:16]}
    if version.dominated_by:
        facts |= {"dominated by": ", ".join(version.dominated_by), "chosen because": version.because}
    yield Node(kind="version", id=version.id, at=version.at, facts=facts, owner=project.system.accountable("release"))
    yield from from_verdict(project, ledger, history.get(ledger, Verdict, version.verdict))


def from_verdict(project: Project, ledger: Ledger, verdict: Verdict) -> Iterator[Node]:
    facts = {"result": verdict.result} | {told(line): f"{line.result}: {line.reason}" for line in verdict.lines}
    yield Node(kind="verdict", id=verdict.id, at=verdict.at, facts=facts, owner=project.system.accountable("release"))
    yield from from_evidence(project, ledger, history.get(ledger, Evidence, verdict.evidence))


def from_evidence(project: Project, ledger: Ledger, evidence: Evidence) -> Iterator[Node]:
    facts = {one.name: f"{one.value:.4g} [{one.low:.4g}, {one.high:.4g}]" for one in evidence.measures}
    facts = {"rows": f"{evidence.rows:,} in {evidence.groups} groups by {evidence.group_by}"} | facts
    yield Node(
        kind="evidence", id=evidence.id, at=evidence.at, facts=facts, owner=project.system.accountable("experiment")
    )
    yield from from_run(project, ledger, history.get(ledger, Run, evidence.run))


def from_run(project: Project, ledger: Ledger, run: Run) -> Iterator[Node]:
    facts = {"candidate": run.candidate, "kind": run.kind, "commit": run.commit, "seed": str(run.seed)}
    if run.kind == "code":
        facts["runs"] = "Python when it answers, in a process of its own: what was measured is what is served"
    for part in run.parts:
        span = f", decided {moment(part.first)} to {moment(part.last)}" if part.last else ""
        facts[part.name] = f"{part.rows:,} rows{span}"
    if run.parity is not None and run.kind != "code":
        facts["exported equals trained"] = f"largest difference {run.parity.largest:.1e} on {run.parity.rows:,} rows"
    if run.documents:
        facts["documents"] = f"SHA-256 {run.documents}"
    if run.reason:
        facts["reason"] = run.reason
    yield Node(kind="run", id=run.id, at=run.at, facts=facts, owner=project.system.accountable("experiment"))
    yield from from_snapshot(project, history.get(ledger, Snapshot, run.snapshot))


def from_snapshot(project: Project, snapshot: Snapshot) -> Iterator[Node]:
    owner = project.system.accountable("data")
    report = snapshot.report
    facts = {
        "rows": f"{snapshot.rows:,}",
        "decided": f"{moment(snapshot.first)} to {moment(snapshot.last)}" if snapshot.last else "without a time",
        "known as of": moment(snapshot.as_of),
        "digest": snapshot.digest,
        "pinned": f"{snapshot.table}, Delta version {snapshot.delta_version}",
        "commit": snapshot.commit,
    }
    yield Node(kind="snapshot", id=snapshot.id, at=snapshot.at, facts=facts, owner=owner)
    rules = {"result": report.result, "rules": str(report.checked), "file": project.system.data.contract}
    yield Node(
        kind="contract", id=report.contract_digest, at=report.at, facts=rules, owner=project.contract.owner or owner
    )
    source = {"location": snapshot.source, "digest": report.source_digest}
    yield Node(
        kind="source", id=report.source_digest[:16], at=report.at, facts=source, owner=project.contract.owner or owner
    )


def show(value: object) -> str:
    """A value in the words of decisions: a truth as `true` or `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def told(line: Judgement) -> str:
    """A line of the gate; one with a wildcard with the measure that it was held against."""
    return line.rule if line.rule.startswith(line.metric) else f"{line.metric} ({line.rule})"
