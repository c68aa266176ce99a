"""Gaps between groups: fairlearn's numbers, planted unfairness found, fair data not accused."""

import fairlearn.metrics as fairlearn
import numpy as np
import pytest

from kring.metrics.fairness import Rated, gaps, rates
from kring.metrics.sums import drawn_sums

NAMES = [
    f"{parity}_{kind}"
    for parity in ("demographic_parity", "equalized_odds", "equal_opportunity")
    for kind in ("difference", "ratio")
]


def people(seed: int, *, rows: int = 1500, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, decisions and groups 0 to 3 of unlike size; group 3 needs `shift` more to get a yes."""
    chance = np.random.default_rng(seed)
    group = chance.choice(4, rows, p=[0.5, 0.3, 0.12, 0.08])
    probability = chance.beta(2, 2, rows)
    truth = (chance.random(rows) < probability).astype(float)
    return truth, (probability >= 0.5 + shift * (group == 3)).astype(float), group


def rated(truth: np.ndarray, yes: np.ndarray, group: np.ndarray, *, draws: int = 200) -> dict[str, Rated]:
    parts = {
        "selection_rate": (yes, np.ones(len(yes))),
        "true_positive_rate": (yes * truth, truth),
        "false_positive_rate": (yes * (1 - truth), 1 - truth),
    }
    inside = group[:, None] == np.arange(group.max() + 1)
    rows = np.arange(len(yes))
    return {
        name: Rated(*(drawn_sums(inside * part[:, None], rows, draws=draws, seed=1) for part in pair))
        for name, pair in parts.items()
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", NAMES)
def test_values_are_fairlearns(name: str, seed: int) -> None:
    truth, yes, group = people(seed, shift=0.1 * seed)
    found = {gap.name: gap for gap in gaps(rated(truth, yes, group, draws=20), groups=len(yes))}
    theirs = getattr(fairlearn, name)(truth, yes, sensitive_features=group)
    assert found[name].value == pytest.approx(theirs, abs=1e-12)
    assert found[name].low <= found[name].value <= found[name].high


def test_planted_unfairness_is_found() -> None:
    found = {gap.name: gap for gap in gaps(rated(*people(3, rows=4000, shift=0.2)), groups=4000)}
    assert found["demographic_parity_difference"].low > 0.1
    assert found["equal_opportunity_difference"].low > 0.1
    assert found["demographic_parity_ratio"].high < 0.8
    assert found["demographic_parity_ratio"].better == 1


def test_fair_data_are_not_accused() -> None:
    """The gap that noise makes between four equal groups lies within the interval's reach in 95 of 100 draws."""
    accused = dict.fromkeys(NAMES, 0)
    for seed in range(100):
        for gap in gaps(rated(*people(1000 + seed, rows=800), draws=100), groups=800):
            accused[gap.name] += gap.low > 0 if gap.better < 0 else gap.high < 1
    assert max(accused.values()) <= 8, accused


def test_a_ratio_needs_rates_that_are_not_all_zero_and_not_negative() -> None:
    ones = np.ones((3, 2))
    assert [gap.name for gap in gaps({"selection_rate": Rated(0 * ones, 9 * ones)}, groups=9)] == [
        "demographic_parity_difference"
    ]
    below = Rated(np.array([[-4.0, 2.0]] * 3), 9 * ones)
    assert [gap.name for gap in gaps({"mean_prediction": below}, groups=9)] == ["mean_prediction_difference"]


def test_a_group_that_is_never_chosen_has_a_ratio_of_zero_that_noise_can_lift() -> None:
    drawn = Rated(np.tile([0.0, 30.0], (50, 1)), np.tile([60.0, 60.0], (50, 1)))
    ratio = {gap.name: gap for gap in gaps({"selection_rate": drawn}, groups=120)}["demographic_parity_ratio"]
    assert ratio.value == 0
    assert ratio.low == 0
    assert 0 < ratio.high < 0.1


def test_the_worst_label_counts() -> None:
    weights = np.full((3, 2), 50.0)
    both = {
        "selection_rate.a": Rated(weights * [0.2, 0.3], weights),
        "selection_rate.b": Rated(weights * [0.8, 0.4], weights),
    }
    found = {gap.name: gap.value for gap in gaps(both, groups=100)}
    assert found == pytest.approx({"demographic_parity_difference": 0.4, "demographic_parity_ratio": 0.5})


def test_a_rate_without_weight_is_no_number() -> None:
    assert np.isnan(rates(Rated(np.zeros((1, 1)), np.zeros((1, 1))))).all()
