"""What rings, when it is told, and when it is over."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.charts.versions import Versions
from kring.flow.operator.alarms import NAMED, PROPOSALS
from kring.flow.operator.fold import fold
from kring.record.alarm import Alarm, AlarmKind, Breach, Effect
from kring.record.operator import (
    AlarmHandled,
    Command,
    Notify,
    OperatorState,
    RaiseAlarm,
    Retrained,
    RollbackAsked,
    VersionLost,
    Watched,
)
from kring.record.rollout import Pointer, Rollout
from kring.record.running import Notify as Target
from kring.record.system import Candidate, Data, Frame, Person, System
from kring.watch import wording
from kring.watch.alarms import CLEAR, rank

DAY = 86_400_000_000
SYSTEM = System(
    name="lights",
    goal="switch the lights",
    task="any",
    owner="the house",
    people={"data": Person(accountable="the cellar")},
    frame=Frame(decision="on or off"),
    data=Data(source="x.csv", contract="c.yaml", target="on"),
    candidates=(Candidate(name="never", rule="0", baseline=True),),
    notify=(
        Target(name="night", to="webhook", url="https://x.example", least="page"),
        Target(name="desk", to="mail", url="smtps://x.example", least="note"),
    ),
)
NOBODY = OperatorState(system="lights")


def breach(kind: AlarmKind = "drift", feature: str = "", **more: Any) -> Breach:
    made = Breach(
        kind=kind, metric="share", feature=feature, value=0.2, low=0.15, high=0.25, allowed="share <= 0.02", rows=500,
        since=DAY, what=f"{feature or kind} moved",
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def window(day: int, *found: Breach, looked: tuple[str, ...] = ()) -> Watched:
    keys = tuple(one.key for one in found)
    return Watched(start=(day - 1) * DAY, end=day * DAY, breaches=found, looked=keys + looked)


def step(state: OperatorState, day: float, *events: Any) -> tuple[OperatorState, list[Command]]:
    return fold(SYSTEM, state, events, now=int(day * DAY))


def told(commands: list[Command], target: str = "desk") -> list[Notify]:
    return [one for one in commands if isinstance(one, Notify) and one.target == target]


def only(state: OperatorState) -> Alarm:
    (alarm,) = state.alarms
    return alarm


def test_thirty_drifting_features_are_one_message() -> None:
    found = [breach(feature=f"x{number:02}") for number in range(30)]
    state, commands = step(NOBODY, 2, window(2, *found))
    assert len(state.alarms) == 30
    assert len({alarm.group for alarm in state.alarms}) == 1
    (message,) = told(commands)
    assert told(commands, "night") == []
    assert len(message.alarms) == 30
    said = wording.subject("lights", message.alarms, news=message.news)
    findings = "30 findings: drift of x00, drift of x01, drift of x02 and 27 more"
    assert said == f"[ticket] lights, can wait for the day: {findings}"


def test_a_message_has_an_end_though_categories_explode() -> None:
    found = [breach(feature=f"x{number}") for number in range(NAMED + 7)]
    _, commands = step(NOBODY, 2, window(2, *found))
    (message,) = told(commands)
    assert (len(message.alarms), message.more) == (NAMED, 7)


def test_the_same_finding_is_the_same_alarm_and_is_told_once() -> None:
    state, first = step(NOBODY, 2, window(2, breach(feature="x")))
    alarm = only(state)
    for day in range(3, 8):
        state, commands = step(state, day, window(day, breach(feature="x", rows=day)))
        assert commands == []
    assert (only(state).id, only(state).count, only(state).rows, only(state).at) == (alarm.id, 6, 7, 2 * DAY)
    assert len(told(first)) == 1


def test_a_window_that_comes_twice_counts_once() -> None:
    once, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    twice, commands = step(once, 2, window(2, breach(feature="x")))
    assert twice.alarms == once.alarms
    assert commands == []
    gone, _ = step(once, 3, window(3, looked=("drift/share/x/",)))
    again, _ = step(gone, 3, window(3, looked=("drift/share/x/",)))
    assert again.alarms == gone.alarms


def test_a_finding_that_gets_more_urgent_is_told_again_whoever_silenced_it() -> None:
    few = breach("fallback", low=0.01)
    state, commands = step(NOBODY, 2, window(2, few))
    assert (only(state).tier, len(told(commands)), told(commands, "night")) == ("ticket", 1, [])
    silence = AlarmHandled(alarm=only(state).id, how="silence", actor="ada", until=30 * DAY)
    state, commands = step(state, 2.5, silence)
    assert (only(state).state, told(commands)) == ("silenced", [])
    state, commands = step(state, 3, window(3, few))
    assert commands == []
    state, commands = step(state, 4, window(4, breach("fallback", low=0.6)))
    assert (only(state).tier, only(state).state, only(state).by) == ("page", "open", "")
    assert [one.news for one in told(commands, "night")] == ["changed"]
    state, commands = step(state, 5, window(5, few))
    assert (only(state).tier, commands) == ("page", [])


def test_a_silenced_alarm_that_lasts_speaks_when_its_silence_is_over() -> None:
    state, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    state, _ = step(state, 2.5, AlarmHandled(alarm=only(state).id, how="silence", actor="ada", until=5 * DAY))
    state, commands = step(state, 4, window(4, breach(feature="x")))
    assert commands == []
    state, commands = step(state, 5, window(5, breach(feature="x")))
    assert [one.news for one in told(commands)] == ["changed"]
    assert (only(state).state, only(state).until) == ("open", 0)
    state, commands = step(state, 6, window(6, breach(feature="x")))
    assert commands == []


def test_an_acknowledged_alarm_is_not_told_and_counts_on() -> None:
    state, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    seen = AlarmHandled(alarm=only(state).id, how="acknowledge", actor="ada", reason="on it")
    state, commands = step(state, 2.5, seen)
    assert [type(one).__name__ for one in commands] == ["RaiseAlarm"]
    state, commands = step(state, 3, window(3, breach(feature="x")))
    assert commands == []
    assert (only(state).state, only(state).by, only(state).action, only(state).count) == (
        "acknowledged", "ada", "on it", 2,
    )  # fmt: skip


def test_it_is_over_when_two_looks_in_a_row_find_nothing() -> None:
    state, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    clean = ("drift/share/x/",)
    state, commands = step(state, 3, window(3, looked=clean))
    assert (commands, only(state).clear) == ([], 1)
    state, _ = step(state, 4, window(4, breach(feature="x")))
    assert only(state).clear == 0
    state, commands = step(state, 5, window(5))
    assert (commands, only(state).clear) == ([], 0), "what was not looked at says nothing"
    state, _ = step(state, 6, window(6, looked=clean))
    state, commands = step(state, 7, window(7, looked=clean))
    assert state.alarms == ()
    assert [one.news for one in told(commands)] == ["resolved"]
    state, commands = step(state, 8, window(8, breach(feature="x")))
    assert [one.news for one in told(commands)] == ["opened"]


def test_what_is_resolved_by_hand_rings_again_if_it_is_not_over() -> None:
    state, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    first = only(state)
    done = AlarmHandled(alarm=first.id, how="resolve", actor="ada", reason="mended the feed")
    state, commands = step(state, 2.5, done)
    (message,) = told(commands)
    assert (state.alarms, message.news, message.alarms[0].action) == ((), "resolved", "mended the feed")
    state, commands = step(state, 3, window(3, breach(feature="x")))
    assert only(state).id != first.id
    assert [one.news for one in told(commands)] == ["opened"]


@pytest.mark.parametrize(
    "event",
    [
        AlarmHandled(alarm="a_unknown", how="resolve", actor="x"),
        AlarmHandled(alarm="", how="acknowledge", actor="x"),
        AlarmHandled(alarm="ID", how="silence", actor="x", until=DAY),
    ],
)
def test_what_can_not_be_done_to_an_alarm_changes_nothing(event: AlarmHandled) -> None:
    state, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    event = msgspec.structs.replace(event, alarm=only(state).id) if event.alarm == "ID" else event
    after, commands = step(state, 3, event)
    assert (after.alarms, commands) == (state.alarms, [])


@pytest.mark.parametrize(
    ("found", "tiers"),
    [
        ((breach("data_quality"),), ("page",)),
        ((breach("quality"),), ("page",)),
        ((breach("estimated_quality"),), ("note",)),
        ((breach("estimated_quality", urgent=True),), ("note",)),
        ((breach("drift"), breach("estimated_quality")), ("ticket", "ticket")),
        ((breach("drift", urgent=True),), ("ticket",)),
        ((breach("latency"),), ("ticket",)),
        ((breach("latency", urgent=True),), ("page",)),
        ((breach("service_level", urgent=True),), ("page",)),
        ((breach("trial", urgent=True),), ("note",)),
    ],
)
def test_the_ladder(found: tuple[Breach, ...], tiers: tuple[str, ...]) -> None:
    state, commands = step(NOBODY, 2, window(2, *found))
    assert tuple(alarm.tier for alarm in state.alarms) == tiers
    assert bool(told(commands, "night")) == ("page" in tiers)


def test_every_no_of_the_gate_is_told_and_a_pass_ends_them() -> None:
    state = NOBODY
    no = Retrained(trigger="schedule", result="fail", reason="no", run="r")
    for day in (1, 2, 3):
        state, commands = step(state, day, no)
        assert len(told(commands)) == 1
    assert (only(state).kind, only(state).count) == ("release", 3)
    state, commands = step(state, 4, msgspec.structs.replace(no, result="pass", version="v_1"))
    assert state.alarms == ()
    assert [one.news for one in told(commands)] == ["resolved"]


def test_an_alarm_says_all_that_somebody_who_was_woken_has_to_know() -> None:
    effect = Effect(
        metric="roc_auc", value=-0.03, low=-0.05, high=-0.01, money=0.12, currency="EUR", conditions="if labels stay"
    )
    found = breach("data_quality", "age", slice="north", version="v_9", sure="99.9 %", effect=effect)
    state, _ = step(NOBODY, 2, window(2, found))
    said = " ".join(wording.text(state.alarms, versions=Versions(roles={"v_1": "live"})).split())
    for part in (
        "PAGE lights: age moved", "means Rows arrive that break what the contract promises", "since 1970-01-02",
        "99.9 %", "allowed: at most 2 %", "worse, roc_auc -0.03 (-0.05 to -0.01)", "each decision costs 0.12 EUR more",
        "if labels stay", "version v_9 (gone), feature age, slice north", "the cellar", "kring trace",
        f"kring alarms ack {only(state).id}",
    ):  # fmt: skip
        assert part in said, (part, said)


FOUND = st.builds(
    breach,
    st.sampled_from(["drift", "quality", "fallback", "estimated_quality", "outliers"]),
    st.sampled_from(["", "x", "y", "z"]),
    low=st.sampled_from([None, 0.01, 0.5]),
    rows=st.integers(0, 3),
    since=st.integers(0, 3).map(lambda day: day * DAY),
    urgent=st.booleans(),
)


@given(st.data(), st.lists(st.lists(FOUND, max_size=6), min_size=1, max_size=5))
def test_the_order_of_findings_changes_nothing(data: st.DataObject, days: list[list[Breach]]) -> None:
    """Permuted, and some of them twice: the same alarms and the same messages."""
    left = right = NOBODY
    for day, found in enumerate(days, start=5):
        mixed = data.draw(st.permutations([*found, *found[:2]]))
        left, one = step(left, day, window(day, *found))
        right, other = step(right, day, window(day, *mixed))
        assert one == other
        assert left == right


@given(st.data(), st.lists(st.lists(FOUND, max_size=4), min_size=2, max_size=4))
def test_what_several_monitors_found_in_one_window_comes_in_any_order(data: st.DataObject, parts: list[Any]) -> None:
    events = [window(5, *found, looked=("drift/share/w/",)) for found in parts]
    left, one = step(NOBODY, 5, *events)
    right, other = step(NOBODY, 5, *data.draw(st.permutations(events)))
    assert (left, one) == (right, other)
    assert len({message.id for message in told(one)}) == len(told(one))


def test_every_kind_has_a_proposal() -> None:
    assert set(PROPOSALS) == set(get_args(AlarmKind))


@given(st.lists(st.tuples(st.lists(FOUND, max_size=4), st.booleans()), min_size=1, max_size=8))
def test_no_history_of_looks_breaks_the_laws(days: list[tuple[list[Breach], bool]]) -> None:
    """One alarm a key; tiers only rise; what is over left; nothing that is open has been looked for in vain too often;
    what is told is named in the state or over."""
    state = NOBODY
    every = tuple(
        f"{kind}/share/{feature}/"
        for kind in ("drift", "quality", "fallback", "estimated_quality", "outliers")
        for feature in ("", "x", "y", "z")
    )
    for day, (found, looked) in enumerate(days, start=5):
        before = {alarm.id: alarm for alarm in state.alarms}
        state, commands = step(state, day, window(day, *found, looked=every if looked else ()))
        keys = [alarm.key for alarm in state.alarms]
        assert len(keys) == len(set(keys))
        for alarm in state.alarms:
            assert alarm.clear < alarm.needs
            assert alarm.state != "resolved"
            if alarm.id in before:
                assert rank(alarm.tier) >= rank(before[alarm.id].tier)
                assert alarm.count >= before[alarm.id].count
        raised = {one.alarm.id for one in commands if isinstance(one, RaiseAlarm)}
        assert {alarm.id for one in commands if isinstance(one, Notify) for alarm in one.alarms} <= raised
        assert {breach.key for breach in found} <= set(keys)


def test_what_comes_and_goes_with_the_week_rings_less_and_less() -> None:
    """Found on five days and not on two, week after week: as one alarm, after it came back a few times."""
    state, opened_on = NOBODY, []
    for day in range(2, 100):
        found = [breach(feature="x")] if day % 7 < 5 else []
        state, commands = step(state, day, window(day, *found, looked=(breach(feature="x").key,)))
        opened_on += [day for one in commands if isinstance(one, RaiseAlarm) and one.alarm.state == "open"]
    assert len(opened_on) == 2
    assert only(state).needs == 2 * CLEAR
    assert only(state).count > 50


def test_after_a_long_silence_it_is_over_as_soon_as_ever() -> None:
    key = breach(feature="x").key
    state, _ = step(NOBODY, 2, window(2, breach(feature="x")))
    for day in (3, 4):
        state, _ = step(state, day, window(day, looked=(key,)))
    assert not state.alarms
    assert state.past[key].needs == CLEAR
    soon, _ = step(state, 10, window(10, breach(feature="x")))
    late, _ = step(state, 90, window(90, breach(feature="x")))
    assert (only(soon).needs, only(late).needs) == (2 * CLEAR, CLEAR)


def test_what_was_found_of_a_version_ends_with_it() -> None:
    state, _ = step(NOBODY, 1, Retrained(trigger="t", result="pass", reason="passed", run="r", version="v_1"))
    about = [breach(kind="quality", version="v_1"), breach(kind="data_quality"), breach(kind="drift", version="v_2")]
    state, _ = step(state, 2, window(2, *about))
    pointer = state.pointer
    assert pointer is not None
    assert len(state.alarms) == 3
    state, commands = step(
        msgspec.structs.replace(state, pointer=msgspec.structs.replace(pointer, previous="v_0")),
        3,
        RollbackAsked(actor="ann", reason="by hand"),
    )
    assert state.pointer is not None
    assert state.pointer.live == "v_0"
    assert {alarm.kind for alarm in state.alarms} == {"data_quality"}
    ended = [one.alarm for one in commands if isinstance(one, RaiseAlarm)]
    assert {alarm.action for alarm in ended} == {"v_0 answers instead"}


def test_what_was_found_of_a_version_ends_with_its_last_share() -> None:
    """As long as it answers beside another its alarms stay; then they are over, not with the next change."""
    pointer = Pointer(system="lights", live="v_1", previous="", generation=2, rollout="o_1", at=DAY, canary="v_2")
    rollout = Rollout(
        id="o_1", system="lights", version="v_2", previous="v_1", state="shadow", seq=1, reason="", actor="",
        at=DAY, since=4 * DAY,
    )  # fmt: skip
    state = msgspec.structs.replace(NOBODY, pointer=pointer, rollout=rollout)
    state, _ = step(state, 2, window(2, breach(kind="quality", version="v_2"), breach(version="v_1")))
    assert {alarm.kind for alarm in state.alarms} == {"quality", "drift"}
    state, _ = step(state, 3, VersionLost(version="v_2", why="its files are gone"))
    assert state.pointer is not None
    assert not state.pointer.canary
    assert {alarm.kind for alarm in state.alarms} == {"drift", "release"}


def test_drift_tells_since_when_what_it_tells_is_so() -> None:
    """What was warmer since June is colder since October; quality has been bad since it was found to be."""
    found = [breach(since=3 * DAY), breach(kind="quality", since=3 * DAY)]
    state, _ = step(NOBODY, 5, window(5, *found))
    later = [breach(since=6 * DAY, what="colder"), breach(kind="quality", since=6 * DAY)]
    state, _ = step(state, 8, window(8, *later))
    since = {alarm.kind: alarm.since // DAY for alarm in state.alarms}
    assert since == {"drift": 6, "quality": 3}
    assert {alarm.what for alarm in state.alarms} == {"colder", "quality moved"}


@pytest.mark.parametrize(("kind", "place"), [("queries", "caller = till"), ("data_quality", "supplier = north")])
def test_who_stays_away_does_not_ring_for_ever(kind: AlarmKind, place: str) -> None:
    state, _ = step(NOBODY, 2, window(2, breach(kind, slice=place)))
    for day in range(3, 3 + CLEAR):
        assert [alarm.state for alarm in state.alarms] == ["open"]
        state, _ = step(state, day, window(day, looked=("latency/p99//",)))
        state, _ = step(state, day, window(day, looked=("data_quality/violations//",)))
    assert not state.alarms
