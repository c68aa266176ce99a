"""Trainings: asked for when one is due, and what follows from how they end."""

from __future__ import annotations

import msgspec

from kring.flow.operator.alarms import alarmed
from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.rollouts import in_the_making, started
from kring.learn.triggers import retraining_due
from kring.record.alarm import AlarmKind, Breach
from kring.record.operator import OperatorState, Retrain, Retrained


def on_retrained(moment: Moment, state: OperatorState, event: Retrained) -> Step:
    """A passed version starts its rollout; anything else asks a person."""
    state = msgspec.structs.replace(state, retraining="", retrained_at=moment.now, breached=())
    if event.result != "pass":
        return unpassed(moment, state, event)
    return started(moment, state, version=event.version, reason=event.trigger)


def unpassed(moment: Moment, state: OperatorState, event: Retrained) -> Step:
    """A training without a version: an alarm each time, whatever was raised before."""
    kind: AlarmKind = "retraining" if event.broke_at else "release"
    breach = Breach(
        metric=event.broke_at or "gate",
        value=None,
        low=None,
        high=None,
        allowed="pass",
        rows=0,
        since=moment.now,
        what=f"{event.result if kind == 'release' else 'broke'} ({event.trigger}): {event.reason}",
    )
    return alarmed(moment, state, kind, breach, owner=moment.system.accountable(event.broke_at or "release"))


def retrained(moment: Moment, state: OperatorState) -> Step:
    """Ask for a training, unless one runs or a version is still on its way. What was breached meanwhile
    is not forgotten: it asks again at the next window."""
    if state.retraining or state.pointer is None or (state.rollout and in_the_making(state.rollout)):
        return state, []
    trigger = retraining_due(moment.system.learn, breached=state.breached, last=state.retrained_at, now=moment.now)
    if not trigger:
        return state, []
    return msgspec.structs.replace(state, retraining=trigger), [Retrain(trigger=trigger)]
