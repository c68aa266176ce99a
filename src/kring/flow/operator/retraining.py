"""Trainings: asked for when one is due and nothing forbids it, and what follows from how they end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from kring.flow.operator.alarms import alarmed, settled
from kring.flow.operator.moment import Moment, Step, digest
from kring.flow.operator.rollouts import in_the_making, started
from kring.learn.triggers import counted, retraining_due, within_budget
from kring.metrics.ids import digest_id
from kring.record.alarm import AlarmKind, Breach
from kring.record.operator import OperatorState, Retrain, Retrained, TrainingAsked
from kring.record.running import Trigger

KINDS: Final[dict[Trigger, tuple[AlarmKind, ...]]] = {
    "contract": ("data_quality",),
    "drift": ("drift", "prediction_drift"),
}
"""The alarms that are causes of a training; quality keeps its own list of what was breached."""

OURS: Final[tuple[AlarmKind, ...]] = ("retraining",)

WAITING: Final = "waiting"
"""The metric of an alarm that somebody has to answer before there is a training."""


def on_retrained(moment: Moment, state: OperatorState, event: Retrained) -> Step:
    """A passed version starts its rollout; anything else asks a person. A training that runs goes on when it is another
    that ended: a version that was released by hand."""
    if event.trigger == state.retraining:
        state = msgspec.structs.replace(state, retraining="", training="")
    state = msgspec.structs.replace(state, wanted="", retrained_at=moment.now, breached=())
    if event.result != "pass":
        return unpassed(moment, state, event)
    state, over = settled(moment, state, ("release", "retraining"), why=f"{event.version} passed the gate")
    state, commands = started(moment, state, version=event.version, reason=event.trigger, limits=event.limits)
    return state, over + commands


def on_training_asked(moment: Moment, state: OperatorState, event: TrainingAsked) -> Step:
    """What a person wants; nothing when there is nothing to say it of."""
    match event.what:
        case "now" if not state.retraining:
            return begun(moment, state, f"asked for by {event.actor}: {event.reason}")
        case "approve" if state.wanted and not state.retraining:
            return begun(moment, state, state.wanted)
        case "refuse" if state.wanted:
            state = msgspec.structs.replace(state, wanted="", retrained_at=moment.now, breached=())
            return settled(moment, state, OURS, why=f"{event.actor} said no: {event.reason}")
        case "cancel" if state.retraining:
            ended = Retrained(
                trigger=state.retraining, result="investigate", reason=f"cancelled by {event.actor}: {event.reason}",
                run="", broke_at="operate",
            )  # fmt: skip
            return on_retrained(moment, state, ended)
        case _:
            return state, []


def unpassed(moment: Moment, state: OperatorState, event: Retrained) -> Step:
    """A training without a version: an alarm each time, whatever was raised before."""
    kind: AlarmKind = "retraining" if event.broke_at else "release"
    ended = f"the gate says {event.result}" if kind == "release" else "it broke"
    what = f"a training ({event.trigger}) brought no version, {ended}: {event.reason}"
    breach = finding(moment, event.broke_at or "gate", what, allowed="pass")
    return alarmed(moment, state, kind, breach, owner=moment.system.accountable(event.broke_at or "release"))


def retrained(moment: Moment, state: OperatorState) -> Step:
    """Ask for a training, unless one runs, waits for a yes, or a version is still on its way. What was breached
    meanwhile is not forgotten: it asks again at the next window. Beyond the budget a person is asked instead."""
    if state.retraining or state.wanted or state.pointer is None or (state.rollout and in_the_making(state.rollout)):
        return state, []
    learn, now = moment.system.learn, moment.now
    trigger = retraining_due(learn, causes=causes(state), last=state.retrained_at, now=now)
    if not trigger:
        return state, []
    spent = not within_budget(learn, begun=state.trainings, now=now)
    if not spent and not learn.ask:
        return begun(moment, state, trigger)
    why = f"{len(state.trainings)} trainings have used up the budget" if spent else "a person says yes to each training"
    state = msgspec.structs.replace(state, wanted=trigger)
    breach = finding(
        moment,
        WAITING,
        f"a training is due ({trigger}) and waits: {why}; kring retrain --approve lets it begin, --refuse does not",
        allowed="",
    )
    return alarmed(moment, state, "retraining", breach, owner=moment.system.accountable("experiment"))


def causes(state: OperatorState) -> dict[Trigger, Sequence[str]]:
    """What was found since the last training, by trigger."""
    found: dict[Trigger, Sequence[str]] = {"quality": state.breached}
    for trigger, kinds in KINDS.items():
        alarms = [one for one in state.alarms if one.kind in kinds and one.at >= state.retrained_at]
        found[trigger] = tuple(dict.fromkeys(one.feature or one.metric for one in alarms))
    return found


def begun(moment: Moment, state: OperatorState, trigger: str) -> Step:
    """One training, under an id of its own."""
    id = digest_id("t", digest(moment.system.name, str(state.seq), trigger))
    trainings = (*counted(moment.system.learn, begun=state.trainings, now=moment.now), moment.now)
    state, over = settled(moment, state, OURS, why="the training has begun") if state.wanted else (state, [])
    state = msgspec.structs.replace(state, retraining=trigger, training=id, wanted="", trainings=trainings)
    return state, [*over, Retrain(trigger=trigger, id=id)]


def finding(moment: Moment, metric: str, what: str, *, allowed: str) -> Breach:
    return Breach(metric=metric, value=None, low=None, high=None, allowed=allowed, rows=0, since=moment.now, what=what)
