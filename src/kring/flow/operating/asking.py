"""What people ask of the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from kring.errors import Refused, Unavailable
from kring.flow import history
from kring.flow.operating.operator import operating
from kring.flow.operating.showing import typed
from kring.flow.operator.moment import Moment
from kring.flow.operator.rollouts import is_canary, why_not
from kring.flow.project import Project
from kring.flow.pulling import PullFile, next_to_pull, without
from kring.flow.verifying import verify_version
from kring.flow.versions import verified
from kring.record.operator import OperatorState, Retrained, RollbackAsked, RolloutAsked
from kring.record.pulled import Pulled
from kring.record.rollout import Pointer, Rollout
from kring.record.version import Version

Asked = Literal["hold", "resume", "abort"]
DONE: Final[dict[Asked, str]] = {"hold": "held", "resume": "resumed", "abort": "aborted"}


class WentBack(NamedTuple):
    """Who answers now and who did before; `shadow` is no longer asked beside it, if there was one, and `canary` answers
    no share any more. With `trouble` the ledger could not be told, and hears of it as soon as it can be reached."""

    pointer: Pointer
    before: str
    shadow: str
    canary: str = ""
    trouble: str = ""


def roll_back(project: Project, *, reason: str, actor: str) -> WentBack:
    """Let the previous version answer again, or end a shadow. `Refused` when there is neither, `IntegrityError` when
    the previous version is not what was released. A ledger that can't be read or written stops nothing: every worker
    here goes by a file beside it."""
    try:
        return _roll_back(project, reason=reason, actor=actor)
    except Unavailable as error:
        pointer = _known(project) if error.file == str(project.home.ledger) else None
        if pointer is None or not next_to_pull(pointer):
            raise
        return _pull(project, pointer, Pulled(version="", at=project.clock.now(), by=actor, reason=reason), error)


def record_pulled(project: Project) -> list[Pulled]:
    """Tell the ledger of the rollbacks that it could not be told of; those that it knows of now. A version that was
    promoted meanwhile goes back."""
    file = PullFile(project.home.root, files=project.files)
    waiting = [one for one in file.read() if not one.told]
    if not waiting:
        return []
    with operating(project, holder=project.actor) as operator:
        for one in waiting:
            asked = RollbackAsked(actor=one.by, reason=one.reason)
            for _ in range(2):  # another version may have come to answer a share before the one that was pulled
                pointer = operator.state.pointer
                if pointer and one.version in (pointer.live, pointer.canary) and next_to_pull(pointer):
                    operator.step([asked])
            file.tell(one, generation=operator.state.pointer.generation if operator.state.pointer else 1)
    return waiting


def _known(project: Project) -> Pointer | None:
    """Who answers now, by the ledger if it can be read, else by what was published last."""
    file = PullFile(project.home.root, files=project.files)
    try:
        with project.ledger() as ledger:
            state = history.operator_state(ledger)
        pointer = state.pointer if state else None
    except Unavailable:
        pointer = file.published()
    return without(pointer, file.read()) if pointer else None


def _pull(project: Project, pointer: Pointer, said: Pulled, error: Unavailable) -> WentBack:
    """By the file alone."""
    one = msgspec.structs.replace(said, version=next_to_pull(pointer))
    if one.version == pointer.live:
        verified(project, pointer.previous)
    PullFile(project.home.root, files=project.files).add(one)
    canary = one.version if one.version == pointer.canary else ""
    return WentBack(without(pointer, [one]), pointer.live, "", canary, error.message)


def _roll_back(project: Project, *, reason: str, actor: str) -> WentBack:
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
            folder = typed(project.folder)
            raise Refused(
                f"{project.system.name} has no previous version to go back to; nothing was changed",
                got=f"live: {before.live}, which answers on" if before else "no live version",
                allowed="a version on its way, or one that was live before the one that is",
                next=f"kring alarms {folder} says what rings; kring retrain {folder} --now brings another version"
                if before
                else f"kring go {folder} brings the first version",
            )
        verify_version(project, history.get(operator.ledger, Version, before.previous))
        operator.step([RollbackAsked(actor=actor, reason=reason)])
        assert operator.state.pointer is not None
        return WentBack(operator.state.pointer, before.live, shadow)


def start_release(
    project: Project, *, version: str, run: str, reason: str, limits: Mapping[str, tuple[float, ...]] | None = None
) -> OperatorState:
    """Hand a passed, packed version to the operator: shadow, or live when it is the first. `limits` as in
    `release.terms.freeze`. `Refused` for a version that answers already."""
    with operating(project, holder=project.actor) as operator:
        verify_version(project, history.get(operator.ledger, Version, version))
        pointer = operator.state.pointer
        if pointer is not None and pointer.live == version:
            raise Refused(
                "this version answers already",
                got=version,
                allowed="a version other than the live one",
                next="train and release a new one, or kring rollback to the one before",
            )
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
                f"the rollout of {project.system.name} can't be {DONE[what]} now; nothing was changed",
                got=f"{rollout.version}: {rollout.state}" if rollout else "no rollout",
                next=why,
            )
        operator.step([RolloutAsked(what=what, actor=actor, reason=reason)])
        assert operator.state.rollout is not None
        return operator.state.rollout
