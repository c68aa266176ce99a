from __future__ import annotations

from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nchypergeom_fisher

from kring.errors import DataError
from kring.metrics.e_values import (
    BALANCE,
    GRAIN,
    HARM,
    Bets,
    cohort_logs,
    floor_log,
    likelihoods,
    mixed,
    safe,
    settled,
    split_logs,
)

NEVER = 9
MIXTURES = (HARM, safe(2.0), safe(1.25), BALANCE)

COHORTS = st.tuples(st.integers(0, 60), st.integers(0, 60)).flatmap(
    lambda units: st.tuples(*map(st.just, units), st.integers(0, units[0]), st.integers(0, units[1]))
)


def e_value(counts: list[tuple[int, ...]], bets: Bets) -> float:
    """The mixture of a whole history of looks."""
    return float(np.exp(mixed(cohort_logs(counts, bets).sum(axis=0), bets.weights)))


def looks(bad_at: tuple[int, ...], new: tuple[bool, ...], *, came: bool = False) -> list[tuple[int, ...]]:
    """What one cohort tells at its looks: unit i becomes bad at the look `bad_at[i]`, and is in the new arm or not.

    With `came` the way that is wrong: good units of the new arm are left out, as if they had not come back.
    """
    told = []
    for look in range(3):
        open_units = [unit for unit, at in enumerate(bad_at) if at >= look]
        counted = [unit for unit in open_units if not came or bad_at[unit] == look or not new[unit]]
        bad = [unit for unit in counted if bad_at[unit] == look]
        told.append(
            (
                sum(new[unit] for unit in counted),
                sum(not new[unit] for unit in counted),
                sum(new[unit] for unit in bad),
                sum(not new[unit] for unit in bad),
            )
        )
    return told


def mean_over_arms(bad_at: tuple[int, ...], bets: Bets, *, share: float, came: bool = False) -> float:
    """The mean e-value when who is bad when is given, and only the arms are drawn."""
    return sum(
        share ** sum(new) * (1 - share) ** (len(new) - sum(new)) * e_value(looks(bad_at, new, came=came), bets)
        for new in product((True, False), repeat=len(bad_at))
    )


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
@pytest.mark.parametrize(
    "bad_at",
    [
        (0, 0, 1, 2, NEVER),
        (NEVER, NEVER, NEVER, NEVER),
        (0, 0, 0, 0),
        (0, 1, 1, 2, 2, NEVER, NEVER, NEVER),
    ],
)
def test_with_nothing_but_random_arms_the_mean_is_one(bad_at: tuple[int, ...], share: float) -> None:
    """All assignments of a cohort whose units come back and become bad at three looks: exact, by enumeration."""
    assert mean_over_arms(bad_at, HARM, share=share) == pytest.approx(1, abs=1e-12)
    assert mean_over_arms(bad_at, BALANCE, share=share) == pytest.approx(1, abs=1e-12)


def test_counting_only_units_that_come_back_is_no_test() -> None:
    """Why cohorts count everybody: else a version to which good units don't come back is accused of nothing."""
    assert mean_over_arms((0, 1, 1, 2, 2, NEVER, NEVER, NEVER), HARM, share=0.3, came=True) > 1.1


@pytest.mark.parametrize(("new", "old", "bad"), [(3, 4, 2), (5, 2, 6), (1, 9, 3), (0, 5, 2), (6, 0, 3), (5, 20, 8)])
@pytest.mark.parametrize("bets", MIXTURES)
def test_at_the_null_ratio_the_mean_is_one_and_beyond_it_is_less(new: int, old: int, bad: int, bets: Bets) -> None:
    found = range(max(0, bad - old), min(new, bad) + 1)

    def mean(ratio: float) -> float:
        chances = np.array([comb(new, k) * comb(old, bad - k) * ratio**k for k in found])
        values = [e_value([(new, old, k, bad - k)], bets) for k in found]
        return float(chances / chances.sum() @ values)

    assert mean(bets.null) == pytest.approx(1, abs=1e-12)
    if bets is HARM:
        assert mean(0.8) <= 1 + 1e-12
    elif bets is not BALANCE:
        assert mean(bets.null * 1.3) <= 1 + 1e-12


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_the_likelihood_is_that_of_scipy(new: int, old: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, new + old))
    k = data.draw(st.integers(max(0, bad - old), min(new, bad)))
    one, two = likelihoods([(new, old, k, bad - k)], ratios=(1.5, 0.6))[0]
    expected = [float(nchypergeom_fisher.logpmf(k, new + old, new, bad, ratio)) for ratio in (1.5, 0.6)]
    assert one - two == pytest.approx(expected[0] - expected[1], abs=1e-6)


@given(st.lists(COHORTS, min_size=1, max_size=8))
def test_a_cohort_is_judged_alone(counts: list[tuple[int, ...]]) -> None:
    """Also to the last bit: how wide its neighbours are makes no difference."""
    together = cohort_logs(counts, HARM)
    assert together.tolist() == [cohort_logs([each], HARM)[0].tolist() for each in counts]


@given(st.lists(COHORTS, min_size=1, max_size=4))
def test_settled_sums_are_the_same_in_any_order(counts: list[tuple[int, ...]]) -> None:
    logs = settled(cohort_logs(counts, HARM))
    exact = cohort_logs(counts, HARM)
    assert ((exact - logs >= 0) & (exact - logs < GRAIN)).all()
    sums = {tuple(sum(logs[list(order)]).tolist()) for order in permutations(range(len(counts)))}
    assert len(sums) == 1


def test_without_a_newly_bad_unit_nothing_is_learned() -> None:
    for bets in MIXTURES:
        assert (cohort_logs([(5, 95, 0, 0), (0, 0, 0, 0), (5, 0, 2, 0), (3, 4, 3, 4)], bets) == 0).all()


def test_large_cohorts_stay_finite() -> None:
    logs = cohort_logs([(50_000, 950_000, 2_000, 10_000), (0, 10, 0, 10)], HARM)
    assert np.isfinite(logs).all()
    assert mixed(logs[0], HARM.weights) > 100


@pytest.mark.parametrize("counts", [(-1, 5, 0, 0), (3, 5, 4, 0), (3, 5, 0, 6), (3, 5, 0, -1)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="can't be"):
        cohort_logs([counts], HARM)


@pytest.mark.parametrize(("rate", "mean"), [(0.1, 1.0), (0.2, 0.99), (1.0, 0.99)])
def test_at_the_floor_the_mean_is_one_and_above_it_less(rate: float, mean: float) -> None:
    units = 40
    bad = np.arange(units + 1)
    chances = np.array([comb(units, k) * rate**k * (1 - rate) ** (units - k) for k in bad])
    found = float(chances @ np.exp(floor_log(units - bad, bad, floor=0.1)))
    assert found == pytest.approx(1, abs=1e-12) if mean == 1 else found < mean


def test_the_floor_is_cleared_by_enough_good_units_only() -> None:
    assert floor_log(0, 0, floor=0.005) == 0
    assert floor_log(900, 0, floor=0.005) > np.log(20)
    assert floor_log(900, 5, floor=0.005) < 0
    assert np.isfinite(floor_log(10**7, 10**5, floor=0.005))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_split_as_planned_the_mean_is_one(share: float) -> None:
    units = 30
    new = np.arange(units + 1)
    chances = np.array([comb(units, k) * share**k * (1 - share) ** (units - k) for k in new])
    logs = split_logs(np.stack([new, units - new], axis=1), np.full(units + 1, share))
    assert float(chances @ np.exp(mixed(logs, BALANCE.weights))) == pytest.approx(1, abs=1e-12)


def test_a_share_of_nothing_or_everything_says_nothing() -> None:
    assert (split_logs([(0, 100), (100, 0)], [0.0, 1.0]) == 0).all()


def test_a_split_that_is_off_is_found() -> None:
    logs = split_logs([(5_400, 94_600)], [0.05])
    assert mixed(logs, BALANCE.weights)[0] > np.log(1000)
    assert mixed(split_logs([(5_010, 94_990)], [0.05]), BALANCE.weights)[0] < 0


def test_a_bet_that_has_lost_everything_is_no_hindrance() -> None:
    assert mixed([-np.inf, 0.0], (0.5, 0.5)) == pytest.approx(np.log(0.5))
