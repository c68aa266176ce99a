"""Upset rows: what is changed, and that a brittle model is told from a sturdy one."""

import numpy as np
import polars as pl
import pytest

from kring.experiment.held_out import HeldOut, sampled
from kring.experiment.robustness import UNKNOWN, robustness_of, upsets
from kring.record.system import Frame
from kring.tasks.classification import TASK
from kring.tasks.regression import TASK as NUMBERS

TYPES = {
    "amount": "number",
    "count": "integer",
    "city": "string",
    "flag": "boolean",
    "note": "string",
    "at": "timestamp",
}
FIELDS = tuple(TYPES)
ROWS = 2000


def rows() -> pl.DataFrame:
    chance = np.random.default_rng(1)
    amount = [
        None if gap else value for gap, value in zip(chance.random(ROWS) < 0.1, chance.normal(5, 2, ROWS), strict=True)
    ]
    return pl.DataFrame(
        {
            "amount": amount,
            "count": chance.integers(0, 50, ROWS),
            "city": chance.choice(["a", "b", "c"], ROWS),
            "flag": chance.random(ROWS) < 0.5,
            "note": [f"note {number}" for number in range(ROWS)],
            "at": np.arange(ROWS) * 1_000_000,
        }
    )


def by_name(**more: object) -> dict:
    return {one.name: one for one in upsets(rows(), fields=FIELDS, types=TYPES, seed=3, **more)}


def test_each_way_changes_what_it_says_and_nothing_else() -> None:
    before, found = rows(), by_name()
    assert list(found) == ["noise", "missing", "shuffled", "unknown"]
    assert found["noise"].fields == ("amount", "count")
    assert found["missing"].fields == ("amount", "count", "city", "flag")
    assert found["shuffled"].fields == ("city", "flag")
    assert found["unknown"].fields == ("city",)
    for upset in found.values():
        assert upset.frame.schema == before.schema
        same = [name for name in FIELDS if name not in upset.fields]
        assert upset.frame.select(same).equals(before.select(same))
        assert upset.frame["note"].equals(before["note"])


def test_noise_is_a_tenth_of_the_spread_and_stays_within_what_was_seen() -> None:
    before, after = rows(), by_name()["noise"].frame
    apart = (after["amount"] - before["amount"]).drop_nulls()
    assert apart.std() == pytest.approx(0.1 * before["amount"].std(), rel=0.1)
    assert after["amount"].null_count() == before["amount"].null_count()
    for name in ("amount", "count"):
        assert after[name].min() >= before[name].min()
        assert after[name].max() <= before[name].max()


def test_one_cell_in_twenty_goes_missing_or_changes() -> None:
    before, found = rows(), by_name()
    gaps = found["missing"].frame["city"].null_count() / ROWS
    swapped = (found["shuffled"].frame["city"] != before["city"]).mean()
    strange = (found["unknown"].frame["city"] == UNKNOWN).mean()
    assert [gaps, swapped, strange] == pytest.approx([0.05] * 3, abs=0.015)
    assert set(found["shuffled"].frame["city"]) == {"a", "b", "c"}
    assert found["unknown"].cells == (found["unknown"].frame["city"] == UNKNOWN).sum()


def test_the_same_seed_upsets_the_same_way() -> None:
    one, other = by_name(), by_name()
    assert all(one[name].frame.equals(other[name].frame) for name in one)


def test_what_cannot_be_upset_is_left_out() -> None:
    frame = pl.DataFrame({"amount": [1.0] * 9, "note": [f"n{number}" for number in range(9)], "city": [None] * 9})
    types = {"amount": "number", "note": "string", "city": "string"}
    frame = frame.with_columns(pl.col("city").cast(pl.String))
    assert upsets(frame, fields=tuple(types), types=types, seed=0) == []


def held(answer) -> HeldOut:
    frame, chance = rows(), np.random.default_rng(4)
    amount = frame["amount"].fill_null(5.0).to_numpy()
    truth = (chance.random(ROWS) < 1 / (1 + np.exp(-2 * (amount - 5)))).astype(float)
    policy, outputs = TASK.policy(Frame(decision="d"), [True, False]), answer(frame)
    measures, _ = TASK.measure(truth, outputs, outputs, groups=np.arange(ROWS), policy=policy, draws=50, seed=0)
    first = next(one for one in measures if one.name == "roc_auc")
    return HeldOut(TASK, truth, outputs, np.arange(ROWS), policy, first, draws=150, seed=0)


def sturdy(frame: pl.DataFrame) -> np.ndarray:
    return 1 / (1 + np.exp(5 - frame["amount"].fill_null(5.0).to_numpy()))


def brittle(frame: pl.DataFrame) -> np.ndarray:
    """Right only for the very value that was seen: the digits far behind the point decide."""
    known = rows()["amount"]
    seen = ((frame["amount"] == known) | known.is_null()).fill_null(value=False).to_numpy()
    return np.where(seen, sturdy(rows()), 1 - sturdy(rows()))


def test_a_brittle_model_is_told_from_a_sturdy_one() -> None:
    changed = upsets(rows(), fields=("amount",), types=TYPES, seed=3)
    drops = {}
    for name, answer in (("sturdy", sturdy), ("brittle", brittle)):
        measures, shown = robustness_of(held(answer), changed, answer=answer)
        drops[name] = {measure.name: measure for measure in measures}
        assert [one.name for one in shown] == ["noise", "missing"]
        assert shown[0].drop.value == drops[name]["robustness.noise.roc_auc"].value
        assert shown[0].flipped.value == drops[name]["robustness.noise.flipped"].value
    assert drops["brittle"]["robustness.noise.roc_auc"].low > 0.3
    assert drops["brittle"]["robustness.noise.flipped"].low > 0.5
    assert drops["sturdy"]["robustness.noise.roc_auc"].high < 0.02
    assert drops["sturdy"]["robustness.noise.flipped"].high < 0.1
    assert all(measure.better == -1 for measure in drops["sturdy"].values())


def test_no_flips_are_not_taken_for_certainty() -> None:
    def constant(frame: pl.DataFrame) -> np.ndarray:
        return np.where(np.arange(len(frame)) % 2, 0.8, 0.2)

    measures, _ = robustness_of(held(constant), upsets(rows(), fields=("city",), types=TYPES, seed=0), answer=constant)
    flipped = next(measure for measure in measures if measure.name == "robustness.unknown.flipped")
    assert flipped.value == 0
    assert 0 < flipped.high < 0.01


def test_lost_answers_count_as_flipped_and_not_in_the_drop() -> None:
    def silent(frame: pl.DataFrame) -> np.ndarray:
        return np.where(
            frame["amount"].is_null().to_numpy() & ~rows()["amount"].is_null().to_numpy(), np.nan, sturdy(rows())
        )

    changed = [one for one in upsets(rows(), fields=("amount",), types=TYPES, seed=3) if one.name == "missing"]
    measures, (shown,) = robustness_of(held(sturdy), changed, answer=silent)
    assert shown.unanswered == changed[0].cells
    assert shown.drop.value == 0
    assert shown.flipped.value == pytest.approx(changed[0].cells / ROWS)
    assert measures[0].rows == ROWS - changed[0].cells


def test_numbers_lose_in_units_of_the_target_and_flip_nothing() -> None:
    frame = rows()
    truth = frame["amount"].fill_null(5.0).to_numpy()
    policy = NUMBERS.policy(Frame(decision="d"), [1.0, 2.0])
    outputs = truth + np.random.default_rng(0).normal(0, 0.1, ROWS)
    measures, _ = NUMBERS.measure(truth, outputs, outputs, groups=np.arange(ROWS), policy=policy, draws=50, seed=0)
    rested = HeldOut(NUMBERS, truth, outputs, np.arange(ROWS), policy, measures[0], draws=50, seed=0)
    noise = upsets(frame, fields=("amount",), types=TYPES, seed=3)[:1]
    found, (shown,) = robustness_of(rested, noise, answer=lambda one: one["amount"].fill_null(5.0).to_numpy())
    assert [measure.name for measure in found] == ["robustness.noise.mae"]
    assert shown.flipped is None
    assert found[0].low > 0


def test_many_rows_are_drawn_from() -> None:
    some = sampled(np.arange(100), most=10, seed=1)
    assert len(some) == 10
    assert (np.diff(some) > 0).all()
    assert (sampled(np.arange(5), most=10, seed=1) == np.arange(5)).all()
