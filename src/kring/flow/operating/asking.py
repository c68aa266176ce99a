"""What people ask of the operator."""

from __future__ import annotations

from typing import NamedTuple

from kring.errors import Refused
from kring.flow import history
from kring.flow.operating.operator import operating
from kring.flow.project import Project
from kring.flow.verifying import verify_version
from kring.record.operator import OperatorState, Retrained, RollbackAsked
from kring.record.rollout import Pointer
from kring.record.version import Version


class WentBack(NamedTuple):
    """Who answers now and who did before; `shadow` is no longer asked beside it, if there was one."""

    pointer: Pointer
    before: str
    shadow: str


def roll_back(project: Project, *, reason: str, actor: str) -> WentBack:
    """Let the previous version answer again, or end a shadow. `Refused` when there is neither, `IntegrityError` when
    the previous version is not what was released."""
    with operating(project, holder=actor) as operator:
        before, rollout = operator.state.pointer, operator.state.rollout
        shadow = rollout.version if rollout and rollout.state == "shadow" else ""
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


def start_release(project: Project, *, version: str, run: str, reason: str) -> OperatorState:
    """Hand a passed, packed version to the operator: shadow, or live when it is the first."""
    with operating(project, holder=project.actor) as operator:
        verify_version(project, history.get(operator.ledger, Version, version))
        operator.step([Retrained(trigger=reason, result="pass", reason="gate passed", run=run, version=version)])
        return operator.state
