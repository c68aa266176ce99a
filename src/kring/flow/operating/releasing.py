"""The newest training → verdict → version → rollout, with its plan told before it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kring.errors import Conflict, NotFound, UserError
from kring.flow import history
from kring.flow.checking import latest_snapshot
from kring.flow.operating.asking import start_release
from kring.flow.operating.limits import Habits, habits_of
from kring.flow.operator.rollouts import in_the_making
from kring.flow.project import Project
from kring.flow.releasing import Judged, build_version, dominators, judge_all, latest_training, require_reason
from kring.flow.versions import verified
from kring.record.operator import OperatorState
from kring.record.progress import Plan
from kring.record.rollout import Pointer, Terms
from kring.record.version import Version
from kring.release.plan import plan
from kring.release.terms import freeze


@dataclass(frozen=True)
class Released:
    """What the gate said to each candidate, the best first; the version and the operator's state
    when one passed; what its rollout will take, where it moves traffic step by step."""

    judged: tuple[Judged, ...]
    version: Version | None
    state: OperatorState | None
    planned: Planned | None = None


@dataclass(frozen=True)
class Planned:
    """What a rollout will take at the system's own traffic, `rows` decisions of the last `days`."""

    plan: Plan
    terms: Terms
    rows: int
    days: float

    @property
    def why_not(self) -> str:
        """Why its budget can't finish it; empty when it can."""
        return "; ".join(f"{step.step} %: {step.why}" for step in self.plan.steps if step.why)


Agree = Callable[[Planned], None]


def release(project: Project, *, candidate: str, because: str = "", agree: Agree | None = None) -> Released:
    """Judge the newest training, pack and sign the best candidate that passes, start its rollout.

    With `candidate` only that one is considered. `NotFound` when it was not trained, `UserError` when another
    candidate is worse in nothing and better in something, unless `because` says why it is to be this one. `Conflict`
    while another version is on its way. `agree` is told the plan before anything is made, and raises to stop it.
    """
    require_none_under_way(project)
    trained = latest_training(project)
    better = dominators(trained)
    if candidate:
        require_reason(candidate, better.get(candidate, ()), because)
        trained = [one for one in trained if one.run.candidate == candidate]
    if not any(one.evidence and not one.run.baseline for one in trained):
        names = ", ".join(one.name for one in project.system.candidates if not one.baseline)
        raise NotFound(
            "there is nothing to judge: no candidate was trained with evidence",
            got=candidate or "no run with evidence",
            allowed=names,
            next=f"run kring train {project.folder}",
        )
    judged = judge_all(project, trained, snapshot_digest=latest_snapshot(project).digest)
    if judged[0].verdict.result != "pass":
        return Released(judged=tuple(judged), version=None, state=None)
    beaten_by = better.get(judged[0].trained.run.candidate, ())
    if beaten_by and not candidate:
        because = f"the gate lets pass none of {', '.join(beaten_by)}"
    planned, habits = planned_for(project)
    if planned is not None and agree is not None:
        agree(planned)
    version = build_version(project, judged[0], dominated_by=beaten_by, because=because)
    limits = habits.limits if habits else {}
    state = start_release(project, version=version.id, run=version.run, reason="released by hand", limits=limits)
    return Released(judged=tuple(judged), version=version, state=state, planned=planned)


def planned_for(project: Project) -> tuple[Planned | None, Habits | None]:
    """What a rollout beside the live version will take, and how that one answers; nothing where there is none, and no
    plan without steps, unless its shadow lacks something. `Refused` for a guardrail about which too little is known."""
    with project.ledger() as ledger:
        pointer = history.newest_with(ledger, Pointer, project.system.name)
    if pointer is None:
        return None, None
    policy = verified(project, pointer.live).manifest.chain.policy
    habits = habits_of(project, version=pointer.live, policy=policy)
    terms = freeze(project.system, limits=habits.limits, salt="", at=project.clock.now())
    days = max(habits.days, 1e-9)
    per_day = habits.units / days if habits.rows else 0.0
    found = plan(terms, per_day=per_day, reckoned=habits.reckoned(terms), unknown=habits.unknown(terms))
    if not terms.steps and not found.shadow:
        return None, habits
    return Planned(found, terms, habits.rows, habits.days), habits


def require_none_under_way(project: Project) -> None:
    """`Conflict` while another version is on its way: two rollouts would spoil each other's tests."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
    rollout = state.rollout if state else None
    if rollout is None or not (in_the_making(rollout) or rollout.state == "held"):
        return
    at = f"{rollout.state} at {rollout.step} %" if rollout.step else rollout.state
    raise Conflict(
        f"{project.system.name} has a rollout under way, and two at once would spoil each other's tests",
        got=f"{rollout.version}: {at}",
        allowed="one rollout of a system at a time",
        next=f"kring rollout show {project.folder.name} says how far it is; wait, or kring abort, then release",
    )


def require_agreed(planned: Planned, *, yes: bool) -> None:
    """`UserError` for a rollout that its budget can't finish and that nobody has said yes to."""
    if planned.why_not and not yes:
        raise UserError(
            "this rollout can't be finished within its budget",
            got=planned.why_not,
            allowed="steps that end in time, or --yes",
            next="--yes starts it all the same; other steps, guardrails or step_for in kring.toml may end in time",
        )
