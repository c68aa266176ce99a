from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.learn.schedule import turn
from kring.learn.triggers import counted, retraining_due, within_budget
from kring.metrics.cron import next_fire
from kring.record.running import Learn, Trigger

DAY = 86_400_000_000
BOTH = Learn(retrain_on=("quality", "schedule"), every_us=30 * DAY, cooldown_us=7 * DAY)


def test_quality_waits_for_the_cool_down_and_the_schedule_for_its_turn() -> None:
    assert retraining_due(BOTH, causes={}, last=0, now=29 * DAY) == ""
    assert retraining_due(BOTH, causes={}, last=0, now=30 * DAY) == "schedule"
    assert retraining_due(BOTH, causes={"quality": ["lift"]}, last=0, now=7 * DAY - 1) == ""
    assert retraining_due(BOTH, causes={"quality": ["lift", "cost"]}, last=0, now=7 * DAY) == "quality: lift, cost"
    assert retraining_due(BOTH, causes={"quality": ["lift"]}, last=0, now=30 * DAY) == "quality: lift"


def test_only_what_was_declared_starts_a_training() -> None:
    assert retraining_due(Learn(), causes={"quality": ["lift"]}, last=0, now=900 * DAY) == ""
    schedule = Learn(retrain_on=("schedule",), every_us=DAY)
    assert retraining_due(schedule, causes={"quality": ["lift"]}, last=0, now=DAY) == "schedule"
    quality = Learn(retrain_on=("quality",), cooldown_us=0)
    assert retraining_due(quality, causes={}, last=0, now=900 * DAY) == ""
    assert retraining_due(quality, causes={"quality": ["lift"]}, last=DAY, now=DAY) == "quality: lift"


@given(
    st.sets(st.sampled_from(["quality", "schedule"])),
    st.lists(st.sampled_from(["lift", "cost"]), unique=True),
    st.integers(0, 100),
    st.integers(0, 100),
    st.tuples(st.integers(0, 50), st.integers(1, 50)),
)
def test_what_is_due_stays_due(
    on: set[Trigger], breached: list[str], last: int, after: int, spans: tuple[int, int]
) -> None:
    cooldown, every = spans
    learn = Learn(retrain_on=tuple(sorted(on)), cooldown_us=cooldown, every_us=every)
    now = last + after
    due = retraining_due(learn, causes={"quality": breached}, last=last, now=now)
    assert not due or retraining_due(learn, causes={"quality": breached}, last=last, now=now + 1)
    assert bool(due) == bool(
        ("quality" in on and breached and after >= cooldown) or ("schedule" in on and after >= every)
    )


def test_what_is_most_pressing_is_named() -> None:
    learn = Learn(retrain_on=("drift", "contract", "quality"), cooldown_us=DAY)
    assert retraining_due(learn, causes={"drift": ["hour"]}, last=0, now=DAY) == "drift: hour"
    every: dict[Trigger, list[str]] = {"drift": ["hour"], "contract": ["violations"], "quality": ["lift"]}
    assert retraining_due(learn, causes=every, last=0, now=DAY) == "contract: violations"
    assert retraining_due(learn, causes=every, last=1, now=DAY) == ""


def test_turns_that_were_missed_are_one_turn() -> None:
    """Mondays at three: what runs again on a Thursday weeks later is due once, then on the next Monday."""
    learn = Learn(retrain_on=("schedule",), cron="0 3 * * 1")
    thursday = 21 * DAY  # 1970-01-22
    assert retraining_due(learn, causes={}, last=DAY, now=thursday) == "schedule"
    monday = 25 * DAY + 3 * DAY // 24
    assert turn(learn, after=thursday) == monday
    assert retraining_due(learn, causes={}, last=thursday, now=monday - 1) == ""
    assert retraining_due(learn, causes={}, last=thursday, now=monday) == "schedule"


def test_the_budget_counts_what_began_within_its_span() -> None:
    learn = Learn(trainings=2, budget_us=30 * DAY)
    assert within_budget(learn, begun=(0, DAY), now=31 * DAY)
    assert not within_budget(learn, begun=(DAY, 2 * DAY), now=30 * DAY)
    assert counted(learn, begun=(0, DAY, 2 * DAY), now=31 * DAY) == (2 * DAY,)
    assert within_budget(Learn(), begun=range(100), now=0)


@given(st.integers(0, 20_000 * DAY), st.sampled_from(["*/7 * * * *", "0 3 * * 1", "30 4 1,15 * 5", "@", "0 0 29 2 *"]))
def test_a_cron_expression_fires_later_and_on_a_whole_minute(after: int, expression: str) -> None:
    if expression == "@":
        with pytest.raises(ValueError, match="cron"):
            next_fire(expression, after=after)
        return
    found = next_fire(expression, after=after)
    assert found > after
    assert found % 60_000_000 == 0
    assert next_fire(expression, after=found - 1) == found


@pytest.mark.parametrize(
    "wrong", ["", "0 3 * *", "61 * * * *", "0 0 30 2 *", "0 0 * * mob", "a b c d e", "0 0 * * * * *"]
)
def test_what_never_fires_is_no_expression(wrong: str) -> None:
    with pytest.raises(ValueError, match="cron"):
        next_fire(wrong, after=0)
