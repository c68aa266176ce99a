"""`fold(state, events, now) → (state, commands)`: the operator's whole judgement, pure.

What watch, learn and release say about single facts is joined here into what happens next. The
caller commits state and commands in one ledger transaction and then carries the commands out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

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
Kind = TypeVar("Kind", bound=OperatorEvent)
Handler = Callable[[Moment, OperatorState, OperatorEvent], Step]


def handler(kind: type[Kind], handle: Callable[[Moment, OperatorState, Kind], Step]) -> tuple[type[object], Handler]:
    """Who handles events of a kind."""

    def handled(moment: Moment, state: OperatorState, event: OperatorEvent) -> Step:
        assert isinstance(event, kind)
        return handle(moment, state, event)

    return kind, handled


HANDLERS: Final = dict(
    (
        handler(WindowClosed, on_window),
        handler(QualityJudged, on_quality),
        handler(Retrained, on_retrained),
        handler(ShadowCompared, on_shadow),
        handler(RollbackAsked, on_rollback),
        handler(RolloutAsked, on_rollout_asked),
        handler(BatchSealed, on_sealed),
        handler(Looked, on_looked),
        handler(Braked, on_braked),
        handler(VersionLost, on_version_lost),
        handler(Watched, on_watched),
        handler(AlarmHandled, on_alarm_handled),
        handler(TrainingAsked, on_training_asked),
    )
)
