"""What a threshold in the wrong place costs, against a world that knows what probabilities mean."""

from __future__ import annotations

import numpy as np
import pytest

from kring.metrics.counts import count_rows
from kring.metrics.threshold_gap import LEAST_WINDOWS, Lost, threshold_gap

PRICES = {"false_positive": 1.0, "false_negative": 4.0}
THRESHOLD = 0.2


def windows(
    seed: int, *, bend: float, count: int = 40, rows: int = 500
) -> tuple[list[dict[str, tuple[int, ...]]], float]:
    """Windows of a model that says p ** bend where p is true; and what it costs more than deciding by p, exactly."""
    random = np.random.default_rng(seed)
    made, lost = [], []
    for _ in range(count):
        true = random.beta(1.2, 3.0, rows)
        said = true**bend
        made.append(count_rows((random.random(rows) < true).astype(float), said, threshold=THRESHOLD))
        wrong = (said >= THRESHOLD) != (true >= THRESHOLD)
        lost.append(np.where(wrong, np.abs(true * PRICES["false_negative"] - (1 - true) * PRICES["false_positive"]), 0))
    return made, float(np.mean(lost))


def lost_in(made: list[dict[str, tuple[int, ...]]], *, seed: int = 0) -> Lost:
    found = threshold_gap(made, prices=PRICES, draws=200, seed=seed)
    assert found is not None
    return found


@pytest.mark.parametrize("bend", [2.0, 0.5])
def test_a_bent_probability_costs_what_it_truly_costs(bend: float) -> None:
    made, truly = windows(1, bend=bend)
    found = lost_in(made)
    assert found.low < truly < found.high
    assert found.low > 0, "it is proven"
    assert THRESHOLD**bend == pytest.approx(np.mean(found.thresholds), abs=0.05)
    assert found.rows == 20_000


def test_what_means_what_it_says_is_not_accused() -> None:
    found = [lost_in(windows(seed, bend=1.0, count=20, rows=200)[0], seed=seed) for seed in range(40)]
    assert sum(one.low > 0 for one in found) <= 4
    assert np.mean([one.value for one in found]) < 0.003, "choosing by chance saves nothing on other windows"


def test_too_few_windows_say_nothing() -> None:
    made, _ = windows(3, bend=2.0, count=LEAST_WINDOWS - 1)
    assert threshold_gap(made, prices=PRICES, draws=50, seed=0) is None
    assert threshold_gap([*made, {"n": (0,)}], prices=PRICES, draws=50, seed=0) is None
    assert threshold_gap([], prices=PRICES, draws=50, seed=0) is None


def test_the_same_windows_say_the_same() -> None:
    made, _ = windows(4, bend=2.0, count=12)
    assert lost_in(made, seed=5) == lost_in(made, seed=5)
