"""What the page of a replay claims, and when it colours it."""

from __future__ import annotations

import msgspec
import pytest

from kring.charts.page import Steps
from kring.flow.alarming import versions_of
from kring.flow.replaying.report import (
    Saving,
    alarms,
    compared_cost,
    money_figure,
    next_commands,
    page_of,
    point,
    saving,
    story,
)
from kring.flow.watching.windows import BASELINE, FROZEN, LIVE
from kring.record.evidence import Measure
from kring.record.replay import Period, Replay
from lives import Lived


def measure(name: str, value: float, low: float, high: float, *, rows: int = 1000) -> Measure:
    return Measure(name=name, value=value, low=low, high=high, rows=rows, groups=10, better=-1, method="test")


def replay(*, live: float, frozen: float, lift: tuple[float, float], refusals: tuple[str, ...] = ()) -> Replay:
    measures = {
        LIVE: (measure("expected_cost", live, 0, 9), measure("lift_over_baseline.expected_cost", 4 - live, *lift)),
        BASELINE: (measure("expected_cost", 4.0, 0, 9),),
        FROZEN: (measure("expected_cost", frozen, 0, 9),),
    }
    whole = tuple(
        Period(series=series, start=0, end=1, decisions=1200, outcomes=1000, measures=found)
        for series, found in measures.items()
    )
    return Replay(
        id="p_1", system="small", start=0, end=1, seed=0, decisions=1200, outcomes=1000, snapshots=1, versions=(),
        alarms=(), rollouts=(), refusals=refusals, weeks=(), months=(), volumes=(), trace_id="d_1", log_digest="",
        seconds=0.0, whole=whole,
    )  # fmt: skip


def test_the_saving_is_over_all_outcomes_with_the_paired_interval() -> None:
    made = replay(live=3.0, frozen=3.5, lift=(0.5, 1.5))
    assert saving(made, BASELINE) == Saving(value=1000.0, low=500.0, high=1500.0)
    assert saving(made, FROZEN) == Saving(value=500.0)
    assert saving(msgspec.structs.replace(made, whole=()), BASELINE) is None


@pytest.mark.parametrize(
    ("value", "low", "high", "tone"),
    [
        (1000.0, 500.0, 1500.0, "good"),
        (-1000.0, -1500.0, -500.0, "bad"),
        (1000.0, -500.0, 2500.0, "plain"),
        (1000.0, None, None, "plain"),
    ],
)
def test_only_a_sure_saving_is_coloured(value: float, low: float | None, high: float | None, tone: str) -> None:
    figure = money_figure(Saving(value=value, low=low, high=high), "EUR")
    assert figure.tone == tone
    assert ("95 % interval" in figure.note) == (low is not None)


def test_equal_costs_are_the_same() -> None:
    told = point(replay(live=3.0, frozen=3.0, lift=(-0.5, 2.5)), currency="EUR")
    assert "Against never retraining, mistakes cost the same." in told
    assert "it may be chance" in told
    assert compared_cost(Saving(value=-7.0), "the baseline", currency="EUR").endswith("mistakes cost 7 EUR more.")


def test_refused_trainings_are_counted() -> None:
    assert "2 trainings ended" in story(replay(live=3.0, frozen=3.0, lift=(0, 1), refusals=("a", "b")))


def test_a_life_is_told_from_its_whole_span(lived: Lived) -> None:
    whole = {period.series: period for period in lived.replay.whole}
    assert set(whole) == {LIVE, BASELINE, FROZEN}
    assert whole[LIVE].outcomes >= sum(period.outcomes for period in lived.replay.months if period.series == LIVE)
    page = page_of(lived.project, lived.replay)
    assert page.lead.startswith("Against the baseline, mistakes cost ")
    assert "Against never retraining, mistakes cost " in page.lead
    assert "Over the whole span roc_auc was " in page.lead


def test_an_alarm_says_how_urgent_it_is_of_what_since_when_how_sure_and_what_it_does(lived: Lived) -> None:
    [_, steps] = alarms(lived.replay)
    assert isinstance(steps, Steps)
    assert len(steps.steps) == len(lived.replay.alarms) > 0
    for step, alarm in zip(steps.steps, lived.replay.alarms, strict=True):
        facts = dict(step.facts)
        assert step.name.startswith(f"{alarm.tier}: ")
        assert facts["means"]
        assert facts["sure"]
        assert facts["do"] == alarm.proposal
        assert facts["effect"][0].islower()


def test_what_to_try_next_are_commands_that_work(lived: Lived) -> None:
    told = next_commands(lived.project, lived.replay, folder="here")
    commands = [command for _, command in told]
    assert all(command.startswith("kring ") and "#" not in command for command in commands)
    assert any(command.startswith("kring alarms here") for command in commands)
    assert any(command.startswith("kring rollout show here") for command in commands)
    has_previous = any("kring rollback" in command for command in commands)
    assert has_previous == ("previous" in versions_of(lived.project).roles.values())
