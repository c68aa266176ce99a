from __future__ import annotations

from itertools import product
from math import comb, exp, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kring.errors import DataError
from kring.metrics.confidence_sequences import (
    MOST,
    ONE,
    STAKES,
    _capital,
    _kept,
    lift,
    mass_of,
    mean_interval,
    mean_of,
    no_mass,
)

OUTCOMES = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=40)


def mass_of_rate(yes: int, no: int) -> NDArray[np.int64]:
    """The mass of outcomes that are yes or no."""
    return mass_of(np.repeat([1.0, 0.0], [yes, no]))


def capital(values: list[float], *, candidate: float) -> float:
    """What the bets on a mean above the candidate have become on the outcomes themselves."""
    stakes = np.minimum(STAKES, MOST / candidate) if candidate else STAKES
    return float(np.mean([np.prod(1 + stake * (np.array(values) - candidate)) for stake in stakes]))


@given(OUTCOMES)
def test_mass_keeps_number_and_mean(values: list[float]) -> None:
    mass = mass_of(values)
    assert int(mass.sum()) == len(values) * ONE
    assert mean_of(mass) == pytest.approx(np.mean(values), abs=1e-8)


@given(OUTCOMES, OUTCOMES)
def test_mass_is_added_in_any_order(one: list[float], other: list[float]) -> None:
    assert (mass_of(one) + mass_of(other) == mass_of([*other, *one])).all()


@given(OUTCOMES, st.floats(0.001, 1))
def test_no_bet_gains_by_the_grid(values: list[float], candidate: float) -> None:
    """What is kept of outcomes never makes a capital larger than the outcomes themselves would."""
    kept = _capital(*_kept(mass_of(values)), candidate=candidate)
    assert exp(kept) <= capital(values, candidate=candidate) * (1 + 1e-4)


@pytest.mark.parametrize("candidate", [0.02, 0.3, 0.9])
def test_against_the_true_mean_capital_does_not_grow(candidate: float) -> None:
    units = 25
    mean = sum(
        comb(units, k)
        * candidate**k
        * (1 - candidate) ** (units - k)
        * exp(_capital(*_kept(mass_of_rate(k, units - k)), candidate=candidate))
        for k in range(units + 1)
    )
    assert mean == pytest.approx(1, abs=1e-9)


def test_of_three_values_too() -> None:
    """All histories of four payments of nothing, a little or a lot, with a mean of 0.09."""
    chances = {0.0: 0.8, 0.05: 0.12, 1.0: 0.08 + 0.004 / 0.95}
    chances[0.0] = 1 - chances[0.05] - chances[1.0]
    truth = sum(value * chance for value, chance in chances.items())
    mean = sum(
        np.prod([chances[each] for each in paid]) * exp(_capital(*_kept(mass_of(paid)), candidate=truth))
        for paid in product(chances, repeat=4)
    )
    assert mean <= 1 + 1e-9
    assert mean > 0.98


@given(OUTCOMES, st.floats(-5, 5), st.floats(0.5, 100))
def test_an_interval_holds_its_mean_on_any_scale(values: list[float], low: float, width: float) -> None:
    high = low + width
    found = mean_interval(mass_of(low + width * np.array(values), low=low, high=high), alpha=0.05, low=low, high=high)
    plain = mean_interval(mass_of(values), alpha=0.05)
    assert found.low <= found.value <= found.high
    for ours, theirs in zip(found, plain, strict=True):
        assert ours == pytest.approx(low + width * theirs, abs=1e-3 * width)


def test_more_outcomes_and_less_certainty_make_it_narrower() -> None:
    wide = mean_interval(mass_of_rate(19, 81), alpha=0.05)
    for narrow in (
        mean_interval(mass_of_rate(1900, 8100), alpha=0.05),
        mean_interval(mass_of_rate(19, 81), alpha=0.3),
    ):
        assert narrow.high - narrow.low < wide.high - wide.low


def test_what_varies_less_is_known_better() -> None:
    yes_or_no = mean_interval(mass_of_rate(500, 500), alpha=0.05)
    alike = mean_interval(mass_of(np.linspace(0.45, 0.55, 1000)), alpha=0.05)
    assert alike.high - alike.low < 0.3 * (yes_or_no.high - yes_or_no.low)


def test_without_outcomes_nothing_is_known() -> None:
    value, low, high = mean_interval(no_mass(), alpha=0.05, low=-1, high=3)
    assert np.isnan(value)
    assert (low, high) == (-1, 3)
    found = lift(mass_of_rate(3, 7), no_mass(), share=0.5, alpha=0.05)
    assert (found.difference.low, found.difference.high) == (-1, 1)
    assert found.relative is None


def test_outcomes_that_never_vary_are_no_trouble() -> None:
    for yes, no in ((0, 1000), (1000, 0)):
        found = mean_interval(mass_of_rate(yes, no), alpha=0.05)
        assert 0 <= found.low <= yes / 1000 <= found.high <= 1
        assert found.high - found.low < 0.02
        gap = lift(mass_of_rate(yes, no), mass_of_rate(yes, no), share=0.5, alpha=0.05).difference
        assert gap.low <= 0 <= gap.high
        assert gap.high - gap.low < 0.1


def test_a_real_experiment_of_ninety_thousand_players() -> None:
    """Who came back after a week: 19.02 % of 44,700, and 18.20 % of 45,489. Planned for so many, it is just proven that
    fewer do; without a plan it is not."""
    new, old = mass_of_rate(8_279, 45_489 - 8_279), mass_of_rate(8_502, 44_700 - 8_502)
    planned = lift(new, old, share=0.5, alpha=0.05, planned=90_000)
    unplanned = lift(new, old, share=0.5, alpha=0.05)
    assert planned.relative is not None
    assert planned.relative.value == pytest.approx(-0.0431, abs=1e-3)
    assert -0.09 < planned.relative.low < planned.relative.high < 0
    assert planned.difference.high < 0 < unplanned.difference.high


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_lift_holds_its_estimate_and_turns_round_with_the_arms(share: float) -> None:
    new, old = mass_of_rate(1_200, round(20_000 * share)), mass_of_rate(900, round(20_000 * (1 - share)))
    there = lift(new, old, share=share, alpha=0.05).difference
    back = lift(old, new, share=1 - share, alpha=0.05).difference
    assert there.low < there.value < there.high
    assert back.value == pytest.approx(-there.value)
    assert back.low == pytest.approx(-there.high, rel=0.1)


def test_money_keeps_its_unit_and_its_quotient() -> None:
    generator = np.random.default_rng(7)
    paid = [np.where(generator.random(20_000) < 0.1, 30.0 * factor, 0.0) for factor in (1.3, 1.0)]
    new, old = (mass_of(each, high=200.0) for each in paid)
    found = lift(new, old, share=0.5, alpha=0.05, planned=40_000, high=200.0)
    assert found.difference.value == pytest.approx(paid[0].mean() - paid[1].mean(), abs=1e-6)
    assert found.relative is not None
    assert found.relative.value == pytest.approx(paid[0].mean() / paid[1].mean() - 1, abs=1e-6)
    assert 0 < found.relative.low < 0.3 < found.relative.high


def test_a_quotient_of_what_may_be_nothing_is_not_told() -> None:
    assert lift(mass_of_rate(3, 97), mass_of_rate(0, 100), share=0.5, alpha=0.05).relative is None
    assert lift(mass_of([0.5]), mass_of([0.5]), share=0.5, alpha=0.05, low=-1.0, high=1.0).relative is None


@pytest.mark.parametrize("values", [[nan], [0.5, inf], [-inf]])
def test_outcomes_that_are_no_number_are_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="no number"):
        mass_of(values)


def test_outcomes_beyond_the_ends_count_as_the_ends() -> None:
    assert (mass_of([-3.0, 7.0]) == mass_of([0.0, 1.0])).all()
