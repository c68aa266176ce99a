from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import Conflict, Refused
from kring.record.rollout import STATES, TRANSITIONS, Rollout, RolloutState
from kring.release.rollout import FINAL, LIVE, advance, allowed, start


def draft() -> Rollout:
    return start(id="ro_1", system="flights", version="v_2", previous="v_1", reason="gate passed", actor="ann", at=5)


def moved(rollout: Rollout, to: RolloutState, *, at: int = 7) -> Rollout:
    return advance(rollout, to, seq=rollout.seq, reason="test", actor="ann", at=at)


def walked(*states: RolloutState) -> Rollout:
    rollout = draft()
    for state in states:
        rollout = moved(rollout, state)
    return rollout


WAYS: dict[RolloutState, tuple[RolloutState, ...]] = {
    "draft": (),
    "validating": ("validating",),
    "shadow": ("validating", "shadow"),
    "step": ("validating", "shadow", "step"),
    "held": ("validating", "shadow", "step", "held"),
    "promoted": ("validating", "shadow", "promoted"),
    "baking": ("validating", "shadow", "promoted", "baking"),
    "done": ("validating", "shadow", "promoted", "baking", "done"),
    "rolling_back": ("validating", "shadow", "promoted", "rolling_back"),
    "rolled_back": ("validating", "shadow", "promoted", "rolling_back", "rolled_back"),
    "aborted": ("validating", "aborted"),
}


def test_a_rollout_starts_as_a_draft() -> None:
    rollout = draft()
    assert (rollout.state, rollout.seq, rollout.at, rollout.since) == ("draft", 1, 5, 5)


def test_the_live_version_is_not_rolled_out_again() -> None:
    with pytest.raises(Refused, match="answers already"):
        start(id="ro_1", system="flights", version="v_1", previous="v_1", reason="", actor="ann", at=5)


def test_a_transition_keeps_who_why_and_when() -> None:
    rollout = advance(draft(), "validating", seq=1, reason="signature verified", actor="operator", at=9)
    assert (rollout.seq, rollout.reason, rollout.actor) == (2, "signature verified", "operator")
    assert (rollout.at, rollout.since) == (9, 9)
    assert (rollout.id, rollout.version, rollout.previous) == ("ro_1", "v_2", "v_1")


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_a_stale_seq_is_a_conflict(seq: int) -> None:
    with pytest.raises(Conflict) as caught:
        advance(walked("validating"), "shadow", seq=seq, reason="", actor="ann", at=9)
    assert caught.value.retryable


def test_every_state_is_reached() -> None:
    assert set(WAYS) == set(STATES)
    for state, way in WAYS.items():
        assert walked(*way).state == state


def test_every_state_is_reached_in_the_table() -> None:
    seen: set[RolloutState] = set()
    ahead: list[RolloutState] = ["draft"]
    while ahead:
        state = ahead.pop()
        if state not in seen:
            seen.add(state)
            ahead += TRANSITIONS[state]
    assert seen == set(STATES)


@pytest.mark.parametrize(("state", "to"), list(itertools.product(WAYS, STATES)))
def test_the_table_and_nothing_else(state: RolloutState, to: RolloutState) -> None:
    rollout = walked(*WAYS[state])
    if to not in TRANSITIONS[state]:
        with pytest.raises(Refused) as refused:
            moved(rollout, to)
        assert refused.value.allowed == (", ".join(allowed(state)) or f"none, {state} is final")
    else:
        assert moved(rollout, to).state == to
        assert to in allowed(state)


def test_no_word_outside_the_table_is_a_state() -> None:
    with pytest.raises(Refused, match="no state"):
        moved(draft(), "full")  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from(STATES), st.integers(-1, 1)), max_size=12))
def test_no_sequence_of_calls_leaves_the_table(calls: list[tuple[RolloutState, int]]) -> None:
    rollout = draft()
    for at, (to, offset) in enumerate(calls):
        before = rollout
        try:
            rollout = advance(rollout, to, seq=rollout.seq + offset, reason="", actor="ann", at=at)
        except (Conflict, Refused):
            assert rollout is before
            continue
        assert offset == 0
        assert to in TRANSITIONS[before.state]
        assert rollout.seq == before.seq + 1
        assert before.state not in FINAL


def test_final_states_stay() -> None:
    assert set(FINAL) == {"rolled_back", "aborted"}
    for state in FINAL:
        for to in STATES:
            with pytest.raises(Refused):
                moved(walked(*WAYS[state]), to)


def test_rolling_back_is_possible_from_every_live_state() -> None:
    assert set(LIVE) == {"shadow", "step", "promoted", "baking", "held", "done"}
    for state in LIVE:
        assert moved(walked(*WAYS[state]), "rolling_back").state == "rolling_back"


@given(st.lists(st.sampled_from(["operator", "person"]), min_size=8, max_size=16))
def test_rollback_beats_promotion_under_any_schedule(schedule: list[str]) -> None:
    """Both decide on what they read; who meets a conflict reads again. The person always gets through."""
    stored = walked("validating", "shadow")
    wanted: dict[str, list[RolloutState]] = {
        "operator": ["promoted", "baking", "done"],
        "person": ["rolling_back", "rolled_back"],
    }
    read: dict[str, Rollout] = {}
    for who in [*schedule, *["person"] * 6]:
        if who not in read:
            read[who] = stored
            continue
        mine = read.pop(who)
        if not wanted[who]:
            continue
        try:
            advance(stored, wanted[who][0], seq=mine.seq, reason="", actor=who, at=0)
        except Conflict:
            continue
        except Refused:
            wanted[who].clear()
            continue
        stored = advance(stored, wanted[who].pop(0), seq=mine.seq, reason="", actor=who, at=0)
    assert stored.state == "rolled_back"
