"""Fairness from counts of windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kring.ports.task import Counts
from kring.record.scrutiny import Group
from kring.record.version import Policy
from kring.tasks.classification import TASK
from kring.watch.groups import count_groups, fairness_of, furthest, groupings_of
from kring.watch.windows import merge_counts

POLICY = Policy(output="probability", threshold=0.5, labels=("no", "yes"))


def groups(column: str, *names: str) -> tuple[Group, ...]:
    return tuple(Group(column=column, name=name, rows=100, share=0.5, judged=True) for name in names)


GROUPINGS = groupings_of(
    (*groups("sex", "f", "m"), *groups("age", "below 20", "20 to below 40", "40 or more", "(missing)"))
)


def window(random: np.random.Generator, n: int, *, gap: float) -> Counts:
    sex = random.choice(["f", "m"], n)
    said = random.random(n) * 0.8 + np.where(sex == "m", gap, 0.0)
    truth = (random.random(n) < 0.5).astype(np.float64)
    codes = {"sex": GROUPINGS["sex"].codes(sex.tolist())}
    return count_groups(TASK.rates(truth, np.clip(said, 0, 1), POLICY), codes, GROUPINGS)


def test_bands_missing_values_and_strangers_have_their_places() -> None:
    age = GROUPINGS["age"]
    assert [age.names[code] for code in age.codes([3, 20.0, 39, 40, None, "x", 900])] == [
        "below 20", "20 to below 40", "20 to below 40", "40 or more", "(missing)", "(missing)", "40 or more",
    ]  # fmt: skip
    sex = GROUPINGS["sex"]
    assert [sex.names[code] for code in sex.codes(["m", "f", "other", None, True])] == [
        "m", "f", "(all others)", "(all others)", "(all others)",
    ]  # fmt: skip


def test_a_gap_is_found_and_named() -> None:
    random = np.random.default_rng(0)
    windows = [window(random, 400, gap=0.2) for _ in range(14)]
    found = {each.name: each for each in fairness_of(windows, GROUPINGS, draws=300, seed=0)}
    parity = found["fairness.demographic_parity_difference.sex"]
    assert parity.low > 0.1
    assert parity.rows == 14 * 400
    words = furthest(windows, GROUPINGS["sex"], column="sex", measure=parity.name)
    assert "for m" in words
    assert "for f" in words


def test_fair_rates_are_not_accused() -> None:
    accused = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        windows = [window(random, 200, gap=0.0) for _ in range(14)]
        found = fairness_of(windows, GROUPINGS, draws=200, seed=seed)
        accused += any(each.low > 0 for each in found if each.name.endswith("parity_difference.sex"))
    assert accused <= 3


def test_too_little_is_not_judged() -> None:
    random = np.random.default_rng(0)
    assert fairness_of([window(random, 400, gap=0.2) for _ in range(4)], GROUPINGS, draws=50, seed=0) == []
    assert fairness_of([window(random, 5, gap=0.2) for _ in range(8)], GROUPINGS, draws=50, seed=0) == []
    assert fairness_of([{}] * 9, GROUPINGS, draws=50, seed=0) == []
    assert furthest([{}], GROUPINGS["sex"], column="sex", measure="") == ""


@given(st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_counts_add_in_any_order(cut: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, said = (random.random(60) < 0.5).astype(np.float64), random.random(60)
    codes = GROUPINGS["sex"].codes(random.choice(["f", "m", "x"], 60).tolist())

    def counted(rows: slice) -> Counts:
        return count_groups(TASK.rates(truth[rows], said[rows], POLICY), {"sex": codes[rows]}, GROUPINGS)

    left, right = counted(slice(0, cut)), counted(slice(cut, 60))
    assert merge_counts(left, right) == merge_counts(right, left) == counted(slice(0, 60))
