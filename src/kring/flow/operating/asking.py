"""What people ask of the operator."""

from __future__ import annotations

from kring.errors import Refused
from kring.flow import history
from kring.flow.operating.operator import operating
from kring.flow.project import Project
from kring.flow.verifying import verify_version
from kring.record.operator import OperatorState, Retrained, RollbackAsked
from kring.record.rollout import Pointer
from kring.record.version import Version


def roll_back(project: Project, *, reason: str, actor: str) -> Pointer:
    """Let the previous version answer again. `Refused` when there is none, `IntegrityError` when it is not
    what was released."""
    with operating(project, holder=actor) as operator:
        before, rollout = operator.state.pointer, operator.state.rollout
        if before and not before.previous and rollout and rollout.state == "shadow":
            operator.step([RollbackAsked(actor=actor, reason=reason)])
            return before
        if before is None or not before.previous:
            raise Refused(
                f"{project.system.name} has no previous version to go back to",
                got=f"live: {before.live}" if before else "no live version",
                next="kring status shows what is live",
            )
        verify_version(project, history.get(operator.ledger, Version, before.previous))
        operator.step([RollbackAsked(actor=actor, reason=reason)])
        assert operator.state.pointer is not None
        return operator.state.pointer


def start_release(project: Project, *, version: str, run: str, reason: str) -> OperatorState:
    """Hand a passed, packed version to the operator: shadow, or live when it is the first."""
    with operating(project, holder=project.actor) as operator:
        verify_version(project, history.get(operator.ledger, Version, version))
        operator.step([Retrained(trigger=reason, result="pass", reason="gate passed", run=run, version=version)])
        return operator.state
