"""Windows: what came in, and how it turned out."""

from __future__ import annotations

import msgspec

from kring.flow.operator.alarms import alarmed
from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.retraining import retrained
from kring.flow.operator.rollouts import moved_to
from kring.metrics.intervals import wilson
from kring.record.alarm import Breach
from kring.record.operator import Command, OperatorState, QualityJudged, WindowClosed
from kring.watch.inputs import judge_inputs
from kring.watch.quality import breach_of


def on_window(moment: Moment, state: OperatorState, event: WindowClosed) -> Step:
    """Inputs against the contract, the end of a bake, the schedule."""
    system, now = moment.system, moment.now
    commands: list[Command] = []
    breach = judge_inputs(
        rows=event.decisions, violations=event.violations, allowed=system.watch.violations, since=event.start
    )
    if breach is not None:
        state, commands = alarmed(moment, state, "data_quality", breach)
    if event.fallbacks:
        state, alarm = alarmed(moment, state, "fallback", fallback_breach(event))
        commands += alarm
    if state.rollout and state.rollout.state == "baking" and now - state.rollout.since >= system.rollout.bake_us:
        state, moved = moved_to(state, ("done",), "baked without a rollback", now)
        commands += moved
    state, retraining = retrained(moment, state)
    return state, commands + retraining


def on_quality(moment: Moment, state: OperatorState, event: QualityJudged) -> Step:
    """Realised quality wholly beyond the gate: an alarm per metric, and perhaps a retraining."""
    commands: list[Command] = []
    for line in event.lines:
        if line.result == "fail":
            state, alarm = alarmed(moment, state, "quality", breach_of(line, since=event.start))
            if alarm and line.metric not in state.breached:
                state = msgspec.structs.replace(state, breached=(*state.breached, line.metric))
            commands += alarm
    state, retraining = retrained(moment, state)
    return state, commands + retraining


def fallback_breach(event: WindowClosed) -> Breach:
    """Rows that the version they were put to did not answer itself."""
    share = event.fallbacks / max(event.decisions, 1)
    low, high = wilson(event.fallbacks, event.decisions)
    return Breach(
        metric="fallbacks",
        value=share,
        low=low,
        high=high,
        allowed="fallbacks <= 0",
        rows=event.decisions,
        since=event.start,
        what=f"{event.fallbacks:,} of {event.decisions:,} rows ({share:.1%}) were answered by a fallback",
    )
