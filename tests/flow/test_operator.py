"""The operator's judgement is a pure function: the same facts, the same commands."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.flow.operator.fold import HANDLERS, fold
from kring.record.alarm import Effect
from kring.record.operator import (
    Command,
    MoveRollout,
    OperatorEvent,
    OperatorState,
    QualityJudged,
    RaiseAlarm,
    Retrain,
    Retrained,
    RollbackAsked,
    SetPointer,
    ShadowCompared,
    TrainingAsked,
    Watched,
    WindowClosed,
)
from kring.record.rollout import TRANSITIONS
from kring.record.running import Learn, RolloutPlan
from kring.record.verdict import Judgement
from kring.watch.judging import judge_traffic
from systems import BARE

DAY = 86_400_000_000
SYSTEM = msgspec.structs.replace(
    BARE,
    name="lights",
    rollout=RolloutPlan(shadow_us=2 * DAY, bake_us=3 * DAY),
    learn=Learn(retrain_on=("quality", "schedule"), every_us=30 * DAY, cooldown_us=7 * DAY),
)


def test_every_kind_of_event_is_handled() -> None:
    assert set(HANDLERS) == set(get_args(OperatorEvent))


def passed(version: str) -> Retrained:
    return Retrained(trigger="schedule", result="pass", reason="gate passed", run="r_1", version=version)


def quiet_window(day: int, *, violations: int = 0) -> WindowClosed:
    return WindowClosed(start=(day - 1) * DAY, end=day * DAY, decisions=1000, violations=violations, fallbacks=0)


def seen_window(day: int, *, violations: int = 0, fallbacks: int = 0) -> Watched:
    """The same window as the monitors see it."""
    counts = {"rows": (1000,), "violations": (violations,), "fallbacks": (fallbacks,)}
    found = judge_traffic(counts, SYSTEM.watch, since=(day - 1) * DAY)
    breaches = tuple(each.breach for each in found if each.breach is not None)
    return Watched(start=(day - 1) * DAY, end=day * DAY, breaches=breaches, looked=tuple(each.key for each in found))


def shadowed(version: str, *, rows: int = 500, failures: int = 0) -> ShadowCompared:
    return ShadowCompared(version=version, rows=rows, failures=failures, agreement=0.97, mean_difference=0.01)


def failing(metric: str) -> QualityJudged:
    line = Judgement(
        metric=metric, rule=f"{metric} > 0", result="fail", reason="beyond", value=-0.1, low=-0.2, high=-0.05
    )
    return QualityJudged(version="v_1", start=0, end=30 * DAY, windows=30, rows=30_000, lines=(line,))


def live_with(version: str, at: int) -> OperatorState:
    return fold(SYSTEM, OperatorState(system="lights"), [passed(version)], now=at)[0]


def kinds(commands: list[Command]) -> list[str]:
    """Which commands there are, but for the end of a bake: that comes by time alone."""
    ends = [one for one in commands if isinstance(one, MoveRollout) and one.rollout.state == "done"]
    return [type(command).__name__ for command in commands if command not in ends]


def states(commands: list[Command]) -> list[str]:
    return [command.rollout.state for command in commands if isinstance(command, MoveRollout)]


def test_the_first_version_goes_live_at_once() -> None:
    state, commands = fold(SYSTEM, OperatorState(system="lights"), [passed("v_1")], now=DAY)
    assert states(commands) == ["draft", "validating", "promoted", "baking"]
    assert state.pointer is not None
    assert (state.pointer.live, state.pointer.previous, state.pointer.generation) == ("v_1", "", 1)


def test_a_later_version_is_shadowed_before_it_answers() -> None:
    state = live_with("v_1", DAY)
    state, commands = fold(SYSTEM, state, [passed("v_2")], now=10 * DAY)
    assert states(commands) == ["done", "draft", "validating", "shadow"]
    state, early = fold(SYSTEM, state, [shadowed("v_2")], now=11 * DAY)
    assert early == []
    state, commands = fold(SYSTEM, state, [shadowed("v_2")], now=12 * DAY)
    assert states(commands) == ["promoted", "baking"]
    assert state.pointer is not None
    assert (state.pointer.live, state.pointer.previous) == ("v_2", "v_1")


def test_a_shadow_without_rows_is_never_promoted() -> None:
    state = live_with("v_1", DAY)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=10 * DAY)
    state, commands = fold(SYSTEM, state, [shadowed("v_2", rows=0)], now=13 * DAY)
    assert commands == []
    state, commands = fold(SYSTEM, state, [shadowed("v_2", rows=0)], now=100 * DAY)
    assert states(commands) == ["held"]
    assert state.pointer is not None
    assert state.pointer.live == "v_1"


def test_a_shadow_that_fails_is_aborted_with_an_alarm() -> None:
    state = live_with("v_1", DAY)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=10 * DAY)
    state, commands = fold(SYSTEM, state, [shadowed("v_2", failures=1)], now=11 * DAY)
    assert kinds(commands) == ["RaiseAlarm", "MoveRollout"]
    assert states(commands) == ["aborted"]


@pytest.mark.parametrize("result", ["fail", "investigate"])
def test_what_the_gate_does_not_pass_asks_a_person(result: str) -> None:
    state = live_with("v_1", DAY)
    event = msgspec.structs.replace(passed(""), result=result, reason="too few rows")
    state, commands = fold(SYSTEM, state, [event], now=10 * DAY)
    assert kinds(commands) == ["RaiseAlarm"]
    assert state.pointer is not None
    assert state.pointer.live == "v_1"


def test_quality_beyond_the_gate_raises_one_alarm_and_one_retraining() -> None:
    state = live_with("v_1", DAY)
    effect = Effect(metric="lift", value=-0.2, money=1.5, currency="EUR")
    judged = msgspec.structs.replace(failing("lift"), effect=effect)
    state, commands = fold(SYSTEM, state, [judged], now=20 * DAY)
    assert kinds(commands) == ["RaiseAlarm", "Retrain"]
    assert state.alarms[0].effect == effect
    state, again = fold(SYSTEM, state, [failing("lift")], now=21 * DAY)
    assert again == []


def test_an_alarm_waits_for_the_cool_down_before_it_trains_again() -> None:
    state = live_with("v_1", DAY)
    state, commands = fold(SYSTEM, state, [failing("lift")], now=3 * DAY)
    assert kinds(commands) == ["RaiseAlarm"]
    state, commands = fold(SYSTEM, state, [quiet_window(7)], now=7 * DAY)
    assert "Retrain" not in kinds(commands)
    state, commands = fold(SYSTEM, state, [quiet_window(9)], now=9 * DAY)
    assert [command.trigger for command in commands if isinstance(command, Retrain)] == ["quality: lift"]


def test_a_breach_during_a_shadow_is_not_forgotten() -> None:
    state = live_with("v_1", DAY)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=10 * DAY)
    state, commands = fold(SYSTEM, state, [failing("lift")], now=11 * DAY)
    assert kinds(commands) == ["RaiseAlarm"]
    state, _ = fold(SYSTEM, state, [shadowed("v_2")], now=12 * DAY)
    state, commands = fold(SYSTEM, state, [quiet_window(18)], now=18 * DAY)
    assert [command.trigger for command in commands if isinstance(command, Retrain)] == ["quality: lift"]


def test_every_no_of_the_gate_is_told() -> None:
    state = live_with("v_1", DAY)
    told = 0
    for day in (10, 20, 21):
        state, commands = fold(SYSTEM, state, [msgspec.structs.replace(passed(""), result="fail")], now=day * DAY)
        told += sum(isinstance(command, RaiseAlarm) for command in commands)
    assert told == 3


def test_a_training_that_broke_is_told_to_whom_its_stage_belongs() -> None:
    state = live_with("v_1", DAY)
    broke = msgspec.structs.replace(passed(""), result="fail", broke_at="data", reason="the contract is broken")
    _, commands = fold(SYSTEM, state, [broke], now=10 * DAY)
    alarms = [command.alarm for command in commands if isinstance(command, RaiseAlarm)]
    assert [(alarm.kind, alarm.metric) for alarm in alarms] == [("retraining", "data")]


def test_a_live_version_that_does_not_answer_raises_an_alarm() -> None:
    state = live_with("v_1", DAY)
    silent = msgspec.structs.replace(quiet_window(2), fallbacks=1000)
    state, commands = fold(SYSTEM, state, [silent, seen_window(2, fallbacks=1000)], now=2 * DAY)
    alarms = [command.alarm for command in commands if isinstance(command, RaiseAlarm)]
    assert [alarm.kind for alarm in alarms] == ["fallback"]
    assert "1,000 of 1,000" in alarms[0].what


def test_without_a_shadow_in_the_plan_a_passed_version_answers_at_once() -> None:
    system = msgspec.structs.replace(SYSTEM, rollout=RolloutPlan(shadow_us=0, bake_us=DAY))
    state = live_with("v_1", DAY)
    state, commands = fold(system, state, [passed("v_2")], now=10 * DAY)
    assert states(commands)[-2:] == ["promoted", "baking"]
    assert state.pointer is not None
    assert (state.pointer.live, state.pointer.previous) == ("v_2", "v_1")


def test_a_shadow_can_be_ended_without_a_previous_version() -> None:
    state = live_with("v_1", DAY)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=10 * DAY)
    state, commands = fold(SYSTEM, state, [RollbackAsked(actor="night", reason="no")], now=11 * DAY)
    assert states(commands) == ["rolling_back", "rolled_back"]
    assert state.pointer is not None
    assert state.pointer.live == "v_1"


def test_the_schedule_asks_for_a_training_once() -> None:
    state = live_with("v_1", DAY)
    state, commands = fold(SYSTEM, state, [quiet_window(31)], now=31 * DAY)
    assert [command.trigger for command in commands if isinstance(command, Retrain)] == ["schedule"]
    state, again = fold(SYSTEM, state, [quiet_window(32)], now=32 * DAY)
    assert not [command for command in again if isinstance(command, Retrain)]


def test_rows_that_break_the_contract_page_the_owner_of_the_data() -> None:
    state = live_with("v_1", DAY)
    window = [quiet_window(2, violations=200), seen_window(2, violations=200)]
    _, commands = fold(SYSTEM, state, window, now=2 * DAY)
    alarms = [command.alarm for command in commands if isinstance(command, RaiseAlarm)]
    assert [alarm.kind for alarm in alarms] == ["data_quality"]
    assert alarms[0].low is not None
    assert alarms[0].low > SYSTEM.watch.violations


def test_a_rollback_beats_a_promotion_in_the_same_moment() -> None:
    state = live_with("v_1", DAY)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=10 * DAY)
    state, _ = fold(SYSTEM, state, [shadowed("v_2")], now=12 * DAY)
    state, _ = fold(SYSTEM, state, [passed("v_3")], now=13 * DAY)
    asked = RollbackAsked(actor="night", reason="complaints")
    state, commands = fold(SYSTEM, state, [shadowed("v_3"), asked], now=20 * DAY)
    assert state.pointer is not None
    assert state.pointer.live == "v_1"
    assert states(commands) == ["rolling_back", "rolled_back"]
    assert kinds(commands)[-1] == "SetPointer"


def test_a_rollback_without_a_previous_version_does_nothing() -> None:
    state = live_with("v_1", DAY)
    after, commands = fold(SYSTEM, state, [RollbackAsked(actor="night", reason="why not")], now=2 * DAY)
    assert commands == []
    assert after.pointer == state.pointer


EVENTS = st.one_of(
    st.builds(passed, st.sampled_from(["v_1", "v_2", "v_3", "v_4"])),
    st.builds(lambda: Retrained(trigger="schedule", result="fail", reason="no", run="r")),
    st.builds(shadowed, st.sampled_from(["v_2", "v_3"]), rows=st.integers(0, 9), failures=st.integers(0, 1)),
    st.builds(quiet_window, st.integers(1, 200), violations=st.sampled_from([0, 900])),
    st.builds(failing, st.sampled_from(["lift", "calibration"])),
    st.just(RollbackAsked(actor="night", reason="complaints")),
)


@given(st.lists(st.tuples(st.integers(0, 40), st.lists(EVENTS, max_size=3)), max_size=12))
def test_any_history_keeps_the_laws(history: list[tuple[int, list[OperatorEvent]]]) -> None:
    """Pure, every move stands in the table, sequence numbers rise, a pointer is never lost."""
    state, now = OperatorState(system="lights"), 0
    last: dict[str, tuple[str, int]] = {}
    for days, events in history:
        now += days * DAY
        fresh = [event for event in events if not already_live(state, event)][:1]
        before = state.pointer
        again = fold(SYSTEM, state, fresh, now=now)
        state, commands = fold(SYSTEM, state, fresh, now=now)
        assert (state, commands) == again
        for command in commands:
            if isinstance(command, MoveRollout):
                rollout = command.rollout
                if rollout.id in last:
                    was, seq = last[rollout.id]
                    assert rollout.state in TRANSITIONS[was]  # type: ignore[index]
                    assert rollout.seq == seq + 1
                last[rollout.id] = (rollout.state, rollout.seq)
        pointers = [command.pointer for command in commands if isinstance(command, SetPointer)]
        if before is not None:
            assert state.pointer is not None
            assert state.pointer.generation == before.generation + len(pointers)


def already_live(state: OperatorState, event: OperatorEvent) -> bool:
    return isinstance(event, Retrained) and state.pointer is not None and event.version == state.pointer.live


def test_the_same_arguments_give_the_same_answer() -> None:
    state = live_with("v_1", DAY)
    events = [failing("lift"), quiet_window(20, violations=100)]
    assert fold(SYSTEM, state, events, now=20 * DAY) == fold(SYSTEM, state, events, now=20 * DAY)


def test_a_release_by_hand_ends_no_training_that_runs() -> None:
    state = live_with("v_1", DAY)
    state, asked = fold(SYSTEM, state, [TrainingAsked(what="now", actor="ann", reason="new rows")], now=2 * DAY)
    (retrain,) = [one for one in asked if isinstance(one, Retrain)]
    assert (state.training, state.retraining) == (retrain.id, retrain.trigger)
    by_hand, _ = fold(SYSTEM, state, [passed("v_2")], now=3 * DAY)
    assert (by_hand.training, by_hand.retraining) == (retrain.id, retrain.trigger)
    ended = msgspec.structs.replace(passed("v_3"), trigger=retrain.trigger)
    over, _ = fold(SYSTEM, state, [ended], now=4 * DAY)
    assert (over.training, over.retraining) == ("", "")


def test_a_training_is_cancelled_by_a_person() -> None:
    state = live_with("v_1", DAY)
    state, _ = fold(SYSTEM, state, [TrainingAsked(what="now", actor="ann", reason="new rows")], now=2 * DAY)
    state, _ = fold(SYSTEM, state, [TrainingAsked(what="cancel", actor="bo", reason="not yet")], now=3 * DAY)
    assert (state.training, state.retraining) == ("", "")
    assert any("cancelled by bo: not yet" in alarm.what for alarm in state.alarms)
