"""What people ask of the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from kring.errors import Refused
from kring.flow import history
from kring.flow.operating.operator import operating
from kring.flow.operator.moment import Moment
from kring.flow.operator.rollouts import is_canary, why_not
from kring.flow.project import Project
from kring.flow.verifying import verify_version
from kring.record.operator import OperatorState, Retrained, RollbackAsked, RolloutAsked
from kring.record.rollout import Pointer, Rollout
from kring.record.version import Version

Asked = Literal["hold", "resume", "abort"]
DONE: Final[dict[Asked, str]] = {"hold": "held", "resume": "resumed", "abort": "aborted"}


class WentBack(NamedTuple):
    """Who answers now and who did before; `shadow` is no longer asked beside it, if there was one, and `canary` answers
    no share any more."""

    pointer: Pointer
    before: str
    shadow: str
    canary: str = ""


def roll_back(project: Project, *, reason: str, actor: str) -> WentBack:
    """Let the previous version answer again, or end a shadow. `Refused` when there is neither, `IntegrityError` when
    the previous version is not what was released."""
    with operating(project, holder=actor) as operator:
        before, rollout = operator.state.pointer, operator.state.rollout
        shadow = rollout.version if rollout and rollout.state == "shadow" else ""
        if before and rollout and is_canary(rollout):
            operator.step([RollbackAsked(actor=actor, reason=reason)])
            assert operator.state.pointer is not None
            return WentBack(operator.state.pointer, before.live, "", rollout.version)
        if before and not before.previous and shadow:
            operator.step([RollbackAsked(actor=actor, reason=reason)])
            return WentBack(before, before.live, shadow)
        if before is None or not before.previous:
            raise Refused(
                f"{project.system.name} has no previous version to go back to",
                got=f"live: {before.live}" if before else "no live version",
                next="kring status shows what is live",
            )
        verify_version(project, history.get(operator.ledger, Version, before.previous))
        operator.step([RollbackAsked(actor=actor, reason=reason)])
        assert operator.state.pointer is not None
        return WentBack(operator.state.pointer, before.live, shadow)


def start_release(
    project: Project, *, version: str, run: str, reason: str, limits: Mapping[str, tuple[float, ...]] | None = None
) -> OperatorState:
    """Hand a passed, packed version to the operator: shadow, or live when it is the first. `limits` as in
    `release.terms.freeze`."""
    with operating(project, holder=project.actor) as operator:
        verify_version(project, history.get(operator.ledger, Version, version))
        passed = Retrained(
            trigger=reason, result="pass", reason="gate passed", run=run, version=version, limits=dict(limits or {})
        )
        operator.step([passed])
        return operator.state


def ask_rollout(project: Project, what: Asked, *, reason: str, actor: str) -> Rollout:
    """Hold, resume or abort the rollout under way. `Refused` when it can't be, with what can be done."""
    with operating(project, holder=actor) as operator:
        why = why_not(Moment(project.system, project.clock.now()), operator.state, what)
        if why:
            rollout = operator.state.rollout
            raise Refused(
                f"the rollout of {project.system.name} can't be {DONE[what]} now",
                got=f"{rollout.version}: {rollout.state}" if rollout else "no rollout",
                next=why,
            )
        operator.step([RolloutAsked(what=what, actor=actor, reason=reason)])
        assert operator.state.rollout is not None
        return operator.state.rollout
