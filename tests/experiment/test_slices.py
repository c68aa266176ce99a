"""Slices: planted ones are found and named as people would, harmless data name none."""

import numpy as np
import pytest

from kring.decide.prepare_rows import MISSING
from kring.experiment.held_out import HeldOut
from kring.experiment.slices import declared_slices, found_slices
from kring.experiment.worst import worst_slices
from kring.record.batch import Batch
from kring.record.system import Frame
from kring.tasks.classification import TASK

KINDS = {"age": "number", "flag": "number", "income": "number", "city": "category", "trade": "category"}


def columns(seed: int, *, rows: int = 1500) -> Batch:
    chance = np.random.default_rng(seed)
    income = chance.normal(size=rows).astype(np.float32)
    income[chance.random(rows) < 0.1] = np.nan
    return Batch(
        rows,
        {
            "age": chance.uniform(18, 90, rows).astype(np.float32),
            "flag": (chance.random(rows) < 0.4).astype(np.float32),
            "income": income,
            "city": np.array(["Delft", "Gouda", "Leiden", MISSING], dtype=object)[chance.integers(0, 4, rows)],
            "trade": np.array([f"t{number}" for number in range(12)], dtype=object)[chance.integers(0, 12, rows)],
        },
    )


def losses(seed: int, rows: int) -> np.ndarray:
    return np.random.default_rng(10_000 + seed).exponential(0.5, rows)


def named(batch: Batch, lost: np.ndarray, *, groups: np.ndarray | None = None, most: int = 5) -> list[str]:
    groups = np.arange(batch.n) if groups is None else groups
    return [one.name for one in found_slices(batch, losses=lost, groups=groups, most=most, seed=0)]


@pytest.mark.parametrize("clusters", [0, 25])
def test_harmless_data_name_no_slice_in_95_of_100(clusters: int) -> None:
    runs = 0
    for seed in range(60):
        batch = columns(seed, rows=800)
        lost = losses(seed, batch.n)
        chance = np.random.default_rng(seed)
        groups = chance.integers(0, clusters, batch.n) if clusters else np.arange(batch.n)
        if clusters:
            lost = lost * np.exp(chance.normal(0, 0.5, clusters))[groups]
        runs += bool(named(batch, lost, groups=groups))
    assert runs <= 3


def test_a_category_that_does_worse_is_named() -> None:
    batch = columns(1)
    found = named(batch, losses(1, batch.n) + 0.5 * (batch.columns["city"] == "Gouda"))
    assert found == ["city = 'Gouda'"]


def test_missing_values_and_flags_are_slices_of_their_own() -> None:
    batch = columns(2)
    lost = losses(2, batch.n)
    assert named(batch, lost + 0.8 * np.isnan(batch.columns["income"])) == ["income is missing"]
    assert named(batch, lost + 0.5 * (batch.columns["city"] == MISSING)) == ["city is missing"]
    assert named(batch, lost + 0.5 * (batch.columns["flag"] == 1)) == ["flag = 1"]


def test_a_pair_that_does_worse_is_named_and_its_parents_are_not() -> None:
    batch = columns(3, rows=3000)
    bad = (batch.columns["city"] == "Leiden") & (batch.columns["age"] > 76)
    found = named(batch, losses(3, batch.n) + 1.5 * bad)
    assert found[0].startswith("age >= 7")
    assert found[0].endswith("and city = 'Leiden'")
    assert "city = 'Leiden'" not in found


def test_nothing_is_looked_for_without_rows_columns_or_room() -> None:
    batch = columns(4)
    assert named(batch, losses(4, batch.n), most=0) == []
    assert named(Batch(0, {}), np.zeros(0)) == []
    assert named(Batch(5, {}), np.ones(5)) == []
    identifiers = Batch(300, {"id": np.array([f"row {number}" for number in range(300)], dtype=object)})
    assert named(identifiers, losses(4, 300)) == []
    constant = Batch(300, {"one": np.ones(300, dtype=np.float32), "none": np.full(300, np.nan, dtype=np.float32)})
    assert named(constant, losses(4, 300)) == []


def test_a_wide_table_is_searched_on_fewer_rows() -> None:
    chance = np.random.default_rng(0)
    wide = Batch(4000, {f"x{number}": chance.normal(size=4000).astype(np.float32) for number in range(400)})
    found = named(wide, losses(5, 4000) + 1.0 * (wide.columns["x7"] > 1))
    assert found[0].startswith("x7 >= ")


def test_declared_slices_are_rows_where_the_expression_is_true() -> None:
    batch = columns(6)
    lost = losses(6, batch.n) + 0.4 * (batch.columns["age"] >= 60)
    declared = {
        "old": "age >= 60",
        "known": "income > 0 and city != 'Delft'",
        "everybody": "age > 0",
        "nobody": "age > 200",
    }
    found = declared_slices(declared, batch, kinds=KINDS, losses=lost, groups=np.arange(batch.n))
    assert [one.name for one in found] == ["old", "known"]
    old, known = found
    assert old.chance < 0.001
    assert old.chance < known.chance
    assert known.columns == ("city", "income")
    city, income = batch.columns["city"], batch.columns["income"]
    assert (known.inside == ((income > 0) & (city != "Delft") & (city != MISSING))).all()


def held(seed: int = 0, *, rows: int = 1200) -> tuple[HeldOut, Batch]:
    chance = np.random.default_rng(seed)
    batch = columns(seed, rows=rows)
    probability = chance.beta(2, 2, rows)
    odd = batch.columns["city"] == "Gouda"
    truth = (chance.random(rows) < np.where(odd, 1 - probability, probability)).astype(float)
    policy = TASK.policy(Frame(decision="d"), [True, False])
    groups = np.arange(rows)
    measures, _ = TASK.measure(truth, probability, probability, groups=groups, policy=policy, draws=50, seed=0)
    first = next(one for one in measures if one.name == "roc_auc")
    return HeldOut(TASK, truth, probability, groups, policy, first, draws=100, seed=0), batch


def test_the_worst_slice_is_a_measure_with_its_interval() -> None:
    rows, batch = held()
    found = found_slices(batch, losses=rows.losses, groups=rows.groups, most=3, seed=0)
    measures, slices = worst_slices(rows, declared=[], found=found)
    by_name = {measure.name: measure for measure in measures}
    assert slices[0].name == "city = 'Gouda'"
    assert slices[0].worse.low > 0
    assert slices[0].loss == pytest.approx(rows.losses[found[0].inside].mean())
    assert slices[0].share == pytest.approx(found[0].inside.mean())
    auc = by_name["slices.worst.roc_auc"]
    assert auc.high < rows.first.value
    assert auc.rows == slices[0].rows
    assert (auc.value, auc.low, auc.high) == (slices[0].score.value, slices[0].score.low, slices[0].score.high)
    assert by_name["slices.worst.loss"].value == pytest.approx(slices[0].loss)


def test_without_slices_all_rows_are_the_worst() -> None:
    rows, _ = held()
    measures, slices = worst_slices(rows, declared=[], found=[])
    assert not slices
    assert {measure.name: measure.value for measure in measures} == pytest.approx(
        {"slices.worst.loss": rows.losses.mean(), "slices.worst.roc_auc": rows.first.value}
    )
    assert all(measure.rows == rows.rows for measure in measures)
