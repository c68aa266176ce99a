from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError
from kring.metrics.paired import paired_log, paired_logs, worse_logs

DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.125, 1.0]), min_size=1, max_size=30)


@pytest.mark.parametrize(("worse", "mean"), [(0.01, 1.0), (0.2, 0.98)])
def test_worse_by_delta_the_mean_is_one_and_by_more_less(worse: float, mean: float) -> None:
    """All histories of five rows, of which one in ten differs."""
    chances = {-1.0: (0.1 - worse) / 2 if worse < 0.1 else 0.0, 1.0: (0.1 + worse) / 2 if worse < 0.1 else worse}
    chances[0.0] = 1 - sum(chances.values())
    total = sum(
        np.prod([chances[each] for each in rows]) * np.exp(paired_log(paired_logs(rows, delta=0.01)))
        for rows in product(chances, repeat=5)
    )
    assert total == pytest.approx(1, abs=1e-7) if mean == 1 else total < mean


@given(DIFFERENCES, st.randoms(use_true_random=False))
def test_rows_may_come_in_any_order_and_in_any_batches(rows: list[float], chance: object) -> None:
    together = paired_logs(rows, delta=0.01)
    mixed_up = sorted(rows, key=lambda _: chance.random())  # type: ignore[attr-defined]
    cut = len(rows) // 2
    apart = paired_logs(mixed_up[:cut], delta=0.01) + paired_logs(mixed_up[cut:], delta=0.01)
    assert together.tolist() == apart.tolist()


def test_rows_without_a_difference_clear_slowly_and_mistakes_take_it_back() -> None:
    clear = paired_log(paired_logs(np.zeros(3000), delta=0.01))
    assert clear > np.log(20)
    assert paired_log(paired_logs([0.0] * 3000 + [1.0] * 60, delta=0.01)) < 0


@pytest.mark.parametrize("rows", [[1.5], [0.0, -2.0], [float("nan"), 0.0], [float("inf")]])
def test_differences_that_cannot_be_are_refused(rows: list[float]) -> None:
    with pytest.raises(DataError, match="between two losses"):
        paired_logs(rows, delta=0.01)


def test_no_rows_say_nothing() -> None:
    assert paired_log(paired_logs([], delta=0.01)) == pytest.approx(0)


@pytest.mark.parametrize(("worse", "mean"), [(0.01, 1.0), (0.0, 0.98)])
def test_against_it_the_mean_is_one_at_the_limit_and_less_below(worse: float, mean: float) -> None:
    """As above, with the bets that it is worse by more than it may be."""
    chances = {-1.0: (0.4 - worse) / 2, 0.0: 0.6, 1.0: (0.4 + worse) / 2}
    total = sum(
        np.prod([chances[each] for each in rows]) * np.exp(paired_log(worse_logs(rows, delta=0.01)))
        for rows in product(chances, repeat=5)
    )
    assert total == pytest.approx(1, abs=1e-7) if mean == 1 else total < 1


def test_one_that_is_at_its_limit_is_rarely_found_worse_and_one_beyond_it_soon() -> None:
    """2,000 shadows of 20,000 rows each, looked at after every hundred."""
    generator, of_one = np.random.default_rng(7), np.array([worse_logs([each], delta=0.01) for each in (-1.0, 0, 1.0)])

    def found(worse: float, *, runs: int) -> np.ndarray:
        counts = generator.multinomial(100, [(0.1 - worse) / 2, 0.9, (0.1 + worse) / 2], size=(runs, 200))
        logs = np.cumsum(counts @ of_one, axis=1)
        return np.logaddexp.reduce(logs, axis=2) - np.log(logs.shape[2]) >= np.log(20)

    assert found(0.01, runs=2000).any(axis=1).mean() <= 0.05
    assert (found(0.05, runs=200).argmax(axis=1) * 100 < 3000).mean() > 0.5
