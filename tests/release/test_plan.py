from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import msgspec
import numpy as np
import pytest

from kring.errors import DataError
from kring.record.progress import Reckoned
from kring.record.rollout import Guardrail, Terms
from kring.release.plan import plan

FOLDER = Path(__file__).parents[2] / "benchmarks" / "release"
ERROR = Guardrail(name="error", kind="error", route="relative")
FALLBACK = Guardrail(name="fallback", kind="fallback", route="absolute")


def rated(**rates: float) -> tuple[Reckoned, ...]:
    """All units count for these."""
    return tuple(Reckoned(name=name, rate=rate, share=1.0, source="the log") for name, rate in rates.items())


def terms(*guardrails: Guardrail, step_days: float = 14) -> Terms:
    return Terms(
        unit="request",
        salt="",
        steps=(1, 5, 20, 50),
        margins=(2.0, 2.0, 1.5, 1.25),
        alpha=0.05,
        beta=0.05,
        floor=0.005,
        delta=0.01,
        holdback=0.05,
        min_units=500,
        shadow_us=0,
        step_us=round(step_days * 86_400_000_000),
        bake_us=0,
        guardrails=guardrails,
        config="",
        at=0,
    )


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_plan_is_near_what_rollouts_take(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    simulated, promotion = import_module("simulated"), import_module("promotion")
    walk = simulated.walked(
        np.random.default_rng(6), promotion.RULES, runs=150, rates=(rate, rate), most=round(30 / rate)
    )
    median = float(np.median(walk.requests[walk.ended == 100]))
    planned = plan(terms(ERROR), per_day=10_000, reckoned=rated(error=rate))
    assert sum(step.units or 0 for step in planned.steps) == pytest.approx(median, rel=0.33)
    assert planned.days == pytest.approx(median / 10_000, rel=0.33)
    sys.modules.pop("simulated"), sys.modules.pop("promotion")


def test_detection_is_near_what_was_simulated() -> None:
    """The medians of benchmarks/release/detection.py, in units of the new version."""
    planned = plan(terms(ERROR), per_day=10_000, reckoned=rated(error=0.01))
    found = {(each.step, each.times): each.new_units for each in planned.detections}
    assert found[5, 2.0] == pytest.approx(910, rel=0.33)
    assert found[20, 2.0] == pytest.approx(1150, rel=0.33)
    assert found[5, 1.3] == pytest.approx(7600, rel=0.33)


def test_smoke_takes_two_hundred_units() -> None:
    first = plan(terms(ERROR), per_day=1000, reckoned=rated(error=0.01)).steps[0]
    assert (first.step, first.units, first.days) == (1, 20_000, 20.0)


def test_what_never_ends_says_why() -> None:
    never_bad = plan(terms(ERROR), per_day=1000, reckoned=rated())
    assert never_bad.days is None
    assert never_bad.steps[1].units is None
    assert "never been bad" in never_bad.steps[1].why
    assert all(each.units is None for each in never_bad.detections)
    too_bad = plan(terms(FALLBACK), per_day=1000, reckoned=rated(fallback=0.02))
    assert "bad at 0.50% or more already" in too_bad.steps[1].why


def test_without_traffic_there_are_no_days() -> None:
    planned = plan(terms(ERROR), per_day=0, reckoned=rated(error=0.01))
    assert planned.days is None
    assert planned.steps[0].units == 20_000
    assert planned.steps[0].why.startswith("longer than a step may take")


def test_a_step_longer_than_its_budget_says_so() -> None:
    assert plan(terms(ERROR, step_days=1), per_day=900, reckoned=rated(error=0.01)).steps[1].why
    assert not plan(terms(ERROR), per_day=100_000, reckoned=rated(error=0.01)).steps[1].why


def test_more_guardrails_take_longer_to_accuse_one() -> None:
    alone = plan(terms(ERROR), per_day=1000, reckoned=rated(error=0.01)).detections[0].units
    among_two = plan(terms(ERROR, FALLBACK), per_day=1000, reckoned=rated(error=0.01)).detections[0].units
    assert alone is not None
    assert among_two is not None
    assert alone < among_two


def test_the_slowest_guardrail_is_named() -> None:
    planned = plan(terms(ERROR, FALLBACK), per_day=1000, reckoned=rated(error=0.2))
    assert planned.steps[1].waits_for == "fallback"  # the 200 units of the smoke count for it
    assert planned.steps[1].units == pytest.approx((735 - 200) * 20, rel=0.05)


@pytest.mark.parametrize(
    ("per_day", "rate", "share"), [(-1.0, 0.0, 1.0), (10.0, 1.5, 1.0), (10.0, -0.1, 1.0), (float("nan"), 0.0, 1.0),
                                   (10.0, 0.1, 1.1), (10.0, 0.1, float("nan"))]
)  # fmt: skip
def test_traffic_that_cannot_be_is_refused(per_day: float, rate: float, share: float) -> None:
    with pytest.raises(DataError, match="can't be"):
        plan(terms(ERROR), per_day=per_day, reckoned=[Reckoned(name="error", rate=rate, share=share, source="")])


def test_only_units_that_count_for_a_guardrail_are_planned_with() -> None:
    """Of ten rows that come together one is asked alone: a latency takes ten times as many."""
    latency = Guardrail(name="latency", kind="latency", route="relative", limits=(1.0, 2.0, 3.0))
    known = Reckoned(name="latency", rate=0.01, share=0.1, source="1,000 groups")
    whole = plan(terms(latency), per_day=1000, reckoned=[msgspec.structs.replace(known, share=1.0)])
    tenth = plan(terms(latency), per_day=1000, reckoned=[known])
    needed = [sum(one.units or 0 for one in found.steps[1:]) for found in (whole, tenth)]
    assert needed[1] == pytest.approx(10 * needed[0], rel=0.1)
    for one, other in zip(whole.detections, tenth.detections, strict=True):
        assert other.units == pytest.approx(10 * (one.units or 0), rel=0.01)
    none = plan(terms(latency), per_day=1000, reckoned=[msgspec.structs.replace(known, share=0.0)])
    assert (none.days, none.steps[1].why) == (None, "of latency no unit counts: 1,000 groups")
    assert all(one.units is None for one in none.detections)


def test_what_nobody_ever_recorded_has_no_end_in_sight() -> None:
    """But in smoke, where no proof is asked, and in shadow, where it is not waited for step by step."""
    aged = Guardrail(name="outcome", kind="outcome", route="relative", age_us=1)
    known = plan(terms(ERROR, aged), per_day=10_000, reckoned=rated(error=0.05, outcome=0.2))
    found = plan(terms(ERROR, aged), per_day=10_000, reckoned=rated(error=0.05, outcome=0.2), unknown={"outcome"})
    assert (found.steps[0], found.days) == (known.steps[0], None)
    for step in found.steps[1:]:
        assert (step.units, step.waits_for) == (None, "outcome")
        assert step.why == "no outcome is on record, so it can't be compared"
    paired = Guardrail(name="outcome", kind="outcome", route="paired", age_us=1)
    shadowed = plan(terms(paired), per_day=10_000, unknown={"outcome"})
    assert shadowed.days is not None
    assert shadowed.detections == (), "in its steps nothing is compared by outcomes"
    assert shadowed.shadow.startswith("no outcome is on record, and the shadow is compared")
    assert "held after 14 days" in shadowed.shadow
    assert not plan(terms(paired), per_day=10_000).shadow
