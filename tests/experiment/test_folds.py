"""Folds learn from nothing that they should not know, and answer every row at most once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError
from kring.experiment.folds import Fold, Rows, fold_rows

DAY = 86_400_000_000


def rows(n: int, *, late: float = 2.0, groups: int = 12, seed: int = 0) -> tuple[Rows, np.ndarray]:
    chance = np.random.default_rng(seed)
    times = chance.integers(0, 40, n) * DAY
    known = times + (chance.uniform(0, late, n) * DAY).astype(np.int64)
    return Rows(times, known, chance.integers(0, groups, n)), (chance.random(n) < 0.2) * 1.0


def answered(folds: tuple[Fold, ...]) -> np.ndarray:
    return np.concatenate([fold.answer for fold in folds])


@given(
    st.integers(120, 400), st.integers(2, 8), st.integers(0, 99), st.sampled_from(["time", "order", "group", "random"])
)
def test_no_row_is_answered_twice_or_by_who_learned_from_it(n: int, count: int, seed: int, by: str) -> None:
    made, truth = rows(n, late=0.5, groups=40, seed=seed)
    folds = fold_rows(made, truth, by=by, count=count, seed=seed)
    assert len(folds) == count
    assert len(np.unique(answered(folds))) == len(answered(folds))
    for fold in folds:
        assert not set(fold.learn) & set(fold.answer)
        assert (np.diff(fold.learn) > 0).all()
        assert (np.diff(fold.answer) > 0).all()
    if by in ("group", "random"):
        assert sorted(answered(folds)) == list(range(n))


def test_by_time_only_what_was_known_is_learned_from() -> None:
    made, truth = rows(600, late=6.0)
    assert made.times is not None
    assert made.known_at is not None
    folds = fold_rows(made, truth, by="time", count=4, seed=0)
    for fold in folds:
        first = made.times[fold.answer].min()
        assert (made.times[fold.learn] < first).all()
        assert (made.known_at[fold.learn] <= first).all()
    ends = [made.times[fold.answer].max() for fold in folds]
    starts = [made.times[fold.answer].min() for fold in folds]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False)), "a moment lies in one part only"
    assert [len(fold.learn) for fold in folds] == sorted(len(fold.learn) for fold in folds)


def test_by_order_the_first_part_is_only_learned_from() -> None:
    made, truth = rows(100)
    folds = fold_rows(made, truth, by="order", count=4, seed=0)
    assert [(len(fold.learn), len(fold.answer)) for fold in folds] == [(20, 20), (40, 20), (60, 20), (80, 20)]
    assert list(folds[0].answer) == list(range(20, 40))


def test_groups_are_kept_whole_and_parts_are_about_even() -> None:
    made, truth = rows(1000, groups=60)
    folds = fold_rows(made, truth, by="group", count=5, seed=3)
    for fold in folds:
        assert not set(made.groups[fold.learn]) & set(made.groups[fold.answer])
        assert 170 < len(fold.answer) < 230


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_every_part_has_its_share_of_a_label(share: float) -> None:
    made, _ = rows(1000)
    truth = (np.random.default_rng(1).random(1000) < share) * 1.0
    counts = [truth[fold.answer].sum() for fold in fold_rows(made, truth, by="random", count=5, seed=2)]
    assert max(counts) - min(counts) <= 2


def test_every_part_has_large_and_small_numbers() -> None:
    made, _ = rows(500)
    truth = np.random.default_rng(1).lognormal(0, 2, 500)
    medians = [np.median(truth[fold.answer]) for fold in fold_rows(made, truth, by="random", count=5, seed=2)]
    assert max(medians) < 1.1 * min(medians)


def test_the_seed_decides_and_repeats() -> None:
    made, truth = rows(300)
    for by in ("group", "random"):
        one, same, other = (fold_rows(made, truth, by=by, count=3, seed=seed) for seed in (1, 1, 2))
        assert all((a.answer == b.answer).all() for a, b in zip(one, same, strict=True))
        assert any(list(a.answer) != list(b.answer) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("n", "by", "groups"), [(30, "random", 5), (40, "order", 5), (200, "group", 2), (60, "time", 5)]
)
def test_too_few_rows_are_named(n: int, by: str, groups: int) -> None:
    made, truth = rows(n, groups=groups)
    with pytest.raises(DataError, match="can't be cut into 5 folds") as refused:
        fold_rows(made, truth, by=by, count=5, seed=0)
    assert refused.value.key == "evidence.folds"
    assert refused.value.next


def test_one_moment_can_not_be_cut() -> None:
    made, truth = rows(100)
    still = Rows(np.zeros(100, dtype=np.int64), None, made.groups)
    with pytest.raises(DataError, match="0 rows to learn from"):
        fold_rows(still, truth, by="time", count=2, seed=0)
