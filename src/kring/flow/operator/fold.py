"""`fold(state, events, now) → (state, commands)`: the operator's whole judgement, pure.

What watch, learn and release say about single facts is joined here into what happens next. The
caller commits state and commands in one ledger transaction and then carries the commands out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from kring.flow.operator.alarms import notices, on_alarm_handled, on_watched, retired, together, woken
from kring.flow.operator.driving import driven, on_braked, on_looked, on_sealed, on_shadow, on_version_lost
from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.retraining import on_retrained, on_training_asked
from kring.flow.operator.rollouts import on_rollback, on_rollout_asked
from kring.flow.operator.windows import on_quality, on_window
from kring.record.operator import (
    AlarmHandled,
    BatchSealed,
    Braked,
    Command,
    Looked,
    OperatorEvent,
    OperatorState,
    QualityJudged,
    Retrained,
    RollbackAsked,
    RolloutAsked,
    ShadowCompared,
    TrainingAsked,
    VersionLost,
    Watched,
    WindowClosed,
)
from kring.record.system import System


def fold(system: System, state: OperatorState, events: Sequence[OperatorEvent], *, now: int) -> Step:
    """The next state and what is to be done, in order. The same arguments give the same answer.

    A person's rollback is heard before anything else in the same batch of events, and what else people ask of a
    rollout before what its tests have seen.
    """
    moment = Moment(system, now)
    before = state.pointer
    state = msgspec.structs.replace(state, seq=state.seq + 1, outbox=())
    commands: list[Command] = []
    for event in sorted(together(events), key=lambda event: FIRST.get(type(event), len(FIRST))):
        state, more = HANDLERS[type(event)](moment, state, event)
        commands += more
    state, more = driven(moment, state)
    commands += more
    state, more = retired(moment, state, before=before)
    commands += more
    state, more = woken(moment, state)
    commands += more
    commands += notices(moment, state, commands)
    return msgspec.structs.replace(state, outbox=tuple(commands)), commands


FIRST: Final[dict[type[OperatorEvent], int]] = {RollbackAsked: 0, RolloutAsked: 1}
Handler = Callable[[Moment, OperatorState, OperatorEvent], Step]
HANDLERS: Final[dict[type[OperatorEvent], Handler]] = {
    WindowClosed: on_window,  # type: ignore[dict-item]
    QualityJudged: on_quality,  # type: ignore[dict-item]
    Retrained: on_retrained,  # type: ignore[dict-item]
    ShadowCompared: on_shadow,  # type: ignore[dict-item]
    RollbackAsked: on_rollback,  # type: ignore[dict-item]
    RolloutAsked: on_rollout_asked,  # type: ignore[dict-item]
    BatchSealed: on_sealed,  # type: ignore[dict-item]
    Looked: on_looked,  # type: ignore[dict-item]
    Braked: on_braked,  # type: ignore[dict-item]
    VersionLost: on_version_lost,  # type: ignore[dict-item]
    Watched: on_watched,  # type: ignore[dict-item]
    AlarmHandled: on_alarm_handled,  # type: ignore[dict-item]
    TrainingAsked: on_training_asked,  # type: ignore[dict-item]
}
