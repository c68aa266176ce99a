"""`fold(state, events, now) → (state, commands)`: the operator's whole judgement, pure.

What watch, learn and release say about single facts is joined here into what happens next. The
caller commits state and commands in one ledger transaction and then carries the commands out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from kring.flow.operator.alarms import notices, on_alarm_handled, on_watched, woken
from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.retraining import on_retrained, on_training_asked
from kring.flow.operator.rollouts import on_rollback, on_shadow
from kring.flow.operator.windows import on_quality, on_window
from kring.record.operator import (
    AlarmHandled,
    Command,
    OperatorEvent,
    OperatorState,
    QualityJudged,
    Retrained,
    RollbackAsked,
    ShadowCompared,
    TrainingAsked,
    Watched,
    WindowClosed,
)
from kring.record.system import System


def fold(system: System, state: OperatorState, events: Sequence[OperatorEvent], *, now: int) -> Step:
    """The next state and what is to be done, in order. The same arguments give the same answer.

    A person's rollback is heard before anything else in the same batch of events.
    """
    moment = Moment(system, now)
    state = msgspec.structs.replace(state, seq=state.seq + 1, outbox=())
    commands: list[Command] = []
    for event in sorted(events, key=lambda event: not isinstance(event, RollbackAsked)):
        state, more = HANDLERS[type(event)](moment, state, event)
        commands += more
    state, more = woken(moment, state)
    commands += more
    commands += notices(moment, state, commands)
    return msgspec.structs.replace(state, outbox=tuple(commands)), commands


Handler = Callable[[Moment, OperatorState, OperatorEvent], Step]
HANDLERS: Final[dict[type[OperatorEvent], Handler]] = {
    WindowClosed: on_window,  # type: ignore[dict-item]
    QualityJudged: on_quality,  # type: ignore[dict-item]
    Retrained: on_retrained,  # type: ignore[dict-item]
    ShadowCompared: on_shadow,  # type: ignore[dict-item]
    RollbackAsked: on_rollback,  # type: ignore[dict-item]
    Watched: on_watched,  # type: ignore[dict-item]
    AlarmHandled: on_alarm_handled,  # type: ignore[dict-item]
    TrainingAsked: on_training_asked,  # type: ignore[dict-item]
}
