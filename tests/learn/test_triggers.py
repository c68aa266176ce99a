from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kring.learn.triggers import retraining_due
from kring.record.running import Learn, Trigger

DAY = 86_400_000_000
BOTH = Learn(retrain_on=("quality", "schedule"), every_us=30 * DAY, cooldown_us=7 * DAY)


def test_quality_waits_for_the_cool_down_and_the_schedule_for_its_turn() -> None:
    assert retraining_due(BOTH, breached=[], last=0, now=29 * DAY) == ""
    assert retraining_due(BOTH, breached=[], last=0, now=30 * DAY) == "schedule"
    assert retraining_due(BOTH, breached=["lift"], last=0, now=7 * DAY - 1) == ""
    assert retraining_due(BOTH, breached=["lift", "cost"], last=0, now=7 * DAY) == "quality: lift, cost"
    assert retraining_due(BOTH, breached=["lift"], last=0, now=30 * DAY) == "quality: lift"


def test_only_what_was_declared_starts_a_training() -> None:
    assert retraining_due(Learn(), breached=["lift"], last=0, now=900 * DAY) == ""
    schedule = Learn(retrain_on=("schedule",), every_us=DAY)
    assert retraining_due(schedule, breached=["lift"], last=0, now=DAY) == "schedule"
    quality = Learn(retrain_on=("quality",), cooldown_us=0)
    assert retraining_due(quality, breached=[], last=0, now=900 * DAY) == ""
    assert retraining_due(quality, breached=["lift"], last=DAY, now=DAY) == "quality: lift"


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
    due = retraining_due(learn, breached=breached, last=last, now=now)
    assert not due or retraining_due(learn, breached=breached, last=last, now=now + 1)
    assert bool(due) == bool(
        ("quality" in on and breached and after >= cooldown) or ("schedule" in on and after >= every)
    )
