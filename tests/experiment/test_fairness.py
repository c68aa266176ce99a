"""Groups of protected columns: values, bands, missing; what is judged and what is only shown."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.experiment.fairness import MISSING, MOST_GROUPS, OTHERS, Grouped, band_edges, fairness_of, grouped
from kring.record.system import Frame
from kring.tasks.classification import TASK
from kring.tasks.regression import TASK as NUMBERS

POLICY = TASK.policy(Frame(decision="d"), [True, False])


def people(rows: int = 2000, *, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, pl.Series]:
    chance = np.random.default_rng(2)
    sex = chance.choice(["f", "m"], rows)
    probability = chance.beta(2, 2, rows)
    truth = (chance.random(rows) < probability).astype(float)
    return truth, np.clip(probability - shift * (sex == "f"), 0, 1), pl.Series("sex", sex)


def measured(truth: np.ndarray, outputs: np.ndarray, **protected: Grouped):
    rates = TASK.rates(truth, outputs, POLICY)
    return fairness_of(protected, rates, groups=np.arange(len(truth)), draws=200, seed=3)


def test_measures_are_named_by_column_and_resolve_planted_unfairness() -> None:
    truth, outputs, sex = people(shift=0.2)
    measures, groups = measured(truth, outputs, sex=grouped(sex, type="string"))
    by_name = {measure.name: measure for measure in measures}
    assert len(by_name) == 6
    gap = by_name["fairness.demographic_parity_difference.sex"]
    assert gap.low > 0.1
    assert gap.better == -1
    assert by_name["fairness.equalized_odds_ratio.sex"].high < 0.9
    assert [(group.name, group.judged) for group in groups] == [("f", True), ("m", True)]
    rates = {rate.name: rate for rate in groups[0].rates}
    women = sex.to_numpy() == "f"
    assert rates["selection_rate"].value == pytest.approx((outputs[women] >= 0.5).mean())
    assert rates["true_positive_rate"].weight == truth[women].sum()
    assert rates["selection_rate"].low < rates["selection_rate"].value < rates["selection_rate"].high


def test_fair_answers_are_not_accused() -> None:
    truth, outputs, sex = people()
    measures, _ = measured(truth, outputs, sex=grouped(sex, type="string"))
    assert all(measure.low == 0 for measure in measures if measure.better < 0)


def test_a_small_group_is_shown_and_not_judged() -> None:
    truth, outputs, _ = people(600, shift=0.0)
    outputs[:20] = 0.0
    names = pl.Series("origin", ["rare"] * 20 + ["a", "b"] * 290)
    measures, groups = measured(truth, outputs, origin=grouped(names, type="string"))
    assert {group.name: group.judged for group in groups} == {"a": True, "b": True, "rare": False}
    assert max(measure.value for measure in measures if measure.better < 0) < 0.5
    assert all(measure.rows == 580 for measure in measures)


def test_one_group_alone_is_compared_with_nobody() -> None:
    truth, outputs, _ = people(300)
    measures, groups = measured(truth, outputs, one=grouped(pl.Series("one", ["x"] * 300), type="string"))
    assert not measures
    assert len(groups) == 1


def test_a_task_without_rates_has_no_groups() -> None:
    _, _, sex = people(100)
    assert fairness_of({"sex": grouped(sex, type="string")}, {}, groups=np.arange(100), draws=10, seed=0) == ([], [])


def test_numbers_have_rates_of_their_own() -> None:
    chance = np.random.default_rng(0)
    truth, side = chance.normal(10, 1, 1000), chance.integers(0, 2, 1000)
    said = truth + chance.normal(0, np.where(side == 1, 3.0, 1.0))
    rates = NUMBERS.rates(truth, said, NUMBERS.policy(Frame(decision="d"), [1.0, 2.0]))
    measures, _ = fairness_of({"side": Grouped(side, ("a", "b"))}, rates, groups=np.arange(1000), draws=100, seed=0)
    ratio = next(measure for measure in measures if measure.name == "fairness.mae_ratio.side")
    assert ratio.high < 0.5
    assert ratio.value == pytest.approx(1 / 3, rel=0.2)


def test_missing_is_a_group_and_comes_last() -> None:
    assert grouped(pl.Series("a", ["y", None, "x"]), type="string").names == ("x", "y", MISSING)
    assert grouped(pl.Series("a", [True, None]), type="boolean").names == ("true", MISSING)
    assert grouped(pl.Series("a", [None, None], dtype=pl.String), type="string").names == (MISSING,)


def test_the_rarest_of_many_values_are_one_group() -> None:
    values = pl.Series("a", [f"v{number:02}" for number in range(40) for _ in range(40 - number)])
    found = grouped(values, type="string")
    assert len(found.names) == MOST_GROUPS
    assert found.names[-1] == OTHERS
    assert found.names[0] == "v00"
    assert (found.codes == len(found.names) - 1).sum() == sum(40 - number for number in range(11, 40))


def test_ages_fall_into_round_bands() -> None:
    ages = pl.Series("age", [*np.random.default_rng(0).integers(17, 91, 2000).tolist(), None])
    found = grouped(ages, type="integer")
    assert found.names[0] == "below 30"
    assert found.names[-1] == MISSING
    assert found.codes[-1] == len(found.names) - 1
    low = ages.to_numpy()[:-1] < 30
    assert ((found.codes[:-1] == 0) == low).all()


def test_few_numbers_are_groups_by_themselves() -> None:
    assert grouped(pl.Series("n", [1, 2, 3]), type="integer").names == ("1", "2", "3")


def test_dates_of_birth_fall_into_bands_of_years() -> None:
    days = pl.Series("born", list(range(-7000, 12000, 10)))
    assert grouped(days, type="date").names[0] == "below 1960"
    moments = days * 86_400_000_000
    assert grouped(moments, type="timestamp").names == grouped(days, type="date").names
    same = pl.Series("born", [100, 101, 102])
    assert grouped(same, type="date").names == ("all",)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_band_edges_are_ordered_and_leave_no_band_empty(values: list[float]) -> None:
    numbers = np.array(values)
    edges = band_edges(numbers)
    assert edges == sorted(set(edges))
    assert len(edges) < 5
    assert all(numbers.min() < edge <= numbers.max() for edge in edges)
