"""The excess of sets of rows, its chance, and what looking at many costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, t

from kring.metrics.intervals import cluster_bootstrap
from kring.metrics.slices import discovered, excess, student_tail
from kring.metrics.sums import MOST, drawn_sums, drawn_sums_apart


@pytest.mark.parametrize("clusters", [20, 400])
def test_the_chance_is_that_of_a_difference_of_means_over_whole_groups(clusters: int) -> None:
    chance = np.random.default_rng(5)
    groups, codes = chance.integers(0, clusters, 400), chance.integers(-1, 4, 400)
    losses = chance.exponential(1, 400) + 0.4 * (codes == 2)
    found = excess(losses, codes, count=4, groups=groups)
    total = len(np.unique(groups))
    for code in range(4):
        inside = codes == code
        gap = losses[inside].mean() - losses[~inside].mean()
        pull = np.where(
            inside,
            (losses - losses[inside].mean()) / inside.sum(),
            -(losses - losses[~inside].mean()) / (~inside).sum(),
        )
        error = np.sqrt((np.bincount(groups, weights=pull) ** 2).sum() * total / (total - 1))
        assert found.difference[code] == pytest.approx(gap)
        expected = t.sf(gap / error, len(np.unique(groups[inside])) - 1)
        assert found.chance[code] == pytest.approx(expected, rel=0.03, abs=1e-6)
    assert found.chance.argmin() == 2


def test_too_few_groups_and_losses_that_never_vary_say_nothing() -> None:
    losses = np.array([0.0, 0.0, 9.0, 9.0] * 10)
    codes = np.array([-1, -1, 0, 0] * 10)
    few = excess(losses, codes, count=1, groups=np.repeat(np.arange(4), 10))
    assert few.chance.tolist() == [1.0]
    assert few.groups.tolist() == [4]
    same = excess(np.ones(40), codes, count=2, groups=np.arange(40))
    assert same.chance.tolist() == [1.0, 1.0]


@given(st.floats(-6, 6), st.integers(4, 500))
def test_students_tail(at: float, freedom: int) -> None:
    assert student_tail(at, freedom) == pytest.approx(t.sf(at, freedom), rel=0.1, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_corrected_chances_are_those_of_benjamini_and_hochberg(chances: list[float]) -> None:
    assert discovered(np.array(chances)) == pytest.approx(false_discovery_control(chances))


def test_sums_are_paired_with_every_bootstrap_of_the_same_groups() -> None:
    chance = np.random.default_rng(0)
    columns, groups = chance.normal(size=(300, 3)), chance.integers(0, 40, 300)
    one = drawn_sums(columns, groups, draws=30, seed=4)
    other = cluster_bootstrap(lambda weight: weight @ columns, groups, draws=30, seed=4)
    assert one == pytest.approx(other)


def test_many_groups_dealt_into_fewer_vary_as_much() -> None:
    rows = 3 * MOST
    values = np.random.default_rng(0).normal(size=(rows, 1))
    drawn = drawn_sums(values, np.arange(rows), draws=800, seed=1)
    assert drawn[0, 0] == pytest.approx(values.sum())
    assert drawn[1:].std() == pytest.approx(np.sqrt(rows), rel=0.12)


@pytest.mark.parametrize("count", [40, MOST + 500])
def test_sums_within_sets_are_the_sums_of_the_rows_of_each(count: int) -> None:
    chance = np.random.default_rng(6)
    columns, codes = chance.normal(size=(2, 2 * count)), chance.integers(0, 3, 2 * count)
    groups = np.arange(2 * count) % count
    apart = drawn_sums_apart(list(columns), codes, count=4, groups=groups, draws=20, seed=5)
    for column, found in zip(columns, apart, strict=True):
        inside = np.where(codes[:, None] == np.arange(4), column[:, None], 0.0)
        assert found == pytest.approx(drawn_sums(inside, groups, draws=20, seed=5))
