"""Trainings as people see them, and what they ask of them."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kring.errors import Refused, UserError
from kring.flow import history
from kring.flow.operating.operator import operating
from kring.flow.project import Project
from kring.learn.schedule import turn
from kring.record.operator import OperatorState, TrainingAsked
from kring.record.retraining import Training

Asked = Literal["now", "approve", "refuse", "cancel"]

LONGEST_REASON: Final = 1000
SHOWN: Final = 5


class Trainings(msgspec.Struct, frozen=True, kw_only=True):
    """How trainings of a system stand: why one `runs` and which, why one is `wanted` and waits for a yes, when the last
    one ended (`retrained_at`), and when the schedule has its `next` turn (0: it has none). `last` are the newest,
    each as it is now, the newest first."""

    system: str
    runs: str = ""
    training: str = ""
    wanted: str = ""
    retrained_at: int = 0
    due: int = 0
    last: tuple[Training, ...] = ()


def trainings(project: Project) -> Trainings:
    """How they stand."""
    if not project.home.ledger.exists():
        return Trainings(system=project.system.name)
    with project.ledger() as ledger:
        state = history.operator_state(ledger) or OperatorState(system=project.system.name)
        last = list({one.id: one for one in history.all_of(ledger, Training)}.values())
    return seen(project, state, last)


def ask_training(project: Project, what: Asked, *, reason: str, actor: str) -> Trainings:
    """Want a training now, say yes or no to the one that waits, or end the one that runs; how they stand then.

    Whoever operates the system takes it up. `Refused` when there is nothing to say it of, `UserError` without a
    reason.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise UserError(
            "this is no reason that can be kept", got=repr(reason)[:80],
            allowed=f"printable text, up to {LONGEST_REASON:,} characters", key="because",
        )  # fmt: skip
    with operating(project, holder=actor) as operator:
        require_possible(operator.state, what)
        operator.step([TrainingAsked(what=what, actor=actor, reason=reason.strip())])
    return trainings(project)


def require_possible(state: OperatorState, what: Asked) -> None:
    """`Refused` for what can't be asked now."""
    runs = f"{state.training} runs: {state.retraining}"
    if what == "now" and state.pointer is None:
        raise Refused("there is no live version yet to train again", next="kring go makes the first one")
    if what == "cancel" and not state.retraining:
        got = f"one waits: {state.wanted}" if state.wanted else "none waits either"
        raise Refused("no training runs", got=got, next="kring retrain shows how trainings stand")
    if what != "cancel" and state.retraining:
        raise Refused("a training runs already", got=runs, next="wait for its end, or kring retrain --cancel")
    if what in ("approve", "refuse") and not state.wanted:
        raise Refused("no training waits for a yes", next="kring retrain --now asks for one")


def seen(project: Project, state: OperatorState, last: list[Training]) -> Trainings:
    learn = project.system.learn
    due = turn(learn, after=state.retrained_at) if "schedule" in learn.retrain_on and state.retrained_at else 0
    return Trainings(
        system=project.system.name,
        runs=state.retraining,
        training=state.training,
        wanted=state.wanted,
        retrained_at=state.retrained_at,
        due=due,
        last=tuple(reversed(last[-SHOWN:])),
    )
