"""LIME, through its package: a linear model of the answers round one row."""

from __future__ import annotations

import numpy as np
import pytest

from kring.errors import Refused
from kring.explain.lime import by_lime
from kring.record.batch import Batch


def drawn(n: int, seed: int) -> Batch:
    chance = np.random.default_rng(seed)
    return Batch(
        n,
        {
            "high": chance.normal(size=n).astype(np.float32),
            "idle": chance.normal(size=n).astype(np.float32),
            "word": chance.choice(np.array(["a", "b"], dtype=object), n),
        },
    )


def answer(batch: Batch) -> np.ndarray:
    word = np.asarray(batch.columns["word"]) == "a"
    return np.tanh(np.asarray(batch.columns["high"], dtype=np.float64)) - 0.5 * word


def row(high: float = 3.0, word: str = "a") -> Batch:
    return Batch(
        1,
        {
            "high": np.array([high], dtype=np.float32),
            "idle": np.array([0.0], dtype=np.float32),
            "word": np.array([word], dtype=object),
        },
    )


def test_what_counts_has_the_effect_and_what_is_idle_has_none() -> None:
    found, fit = by_lime(answer, row(), drawn(100, 1), 7)
    effects = dict(zip(found.names, found.effects, strict=True))
    assert effects["high"] > 0.3
    assert effects["word"] < -0.3
    assert abs(effects["idle"]) < 0.1
    assert found.value == pytest.approx(answer(row())[0])
    assert found.base == pytest.approx(answer(drawn(100, 1)).mean())
    assert fit is not None
    assert 0.5 < fit <= 1


def test_the_same_seed_gives_the_same_effects() -> None:
    first, again, other = (
        by_lime(answer, row(), drawn(50, 1), seed)[0].effects.tolist() for seed in (1 << 40, 1 << 40, 3)
    )
    assert first == again
    assert first != other


def test_a_text_that_was_never_seen_and_a_missing_number_are_borne() -> None:
    found, _ = by_lime(lambda rows: np.nan_to_num(answer(rows)), row(np.nan, "new"), drawn(50, 1), 1)
    assert found.names == ("idle", "word"), "what is missing stays as it is"


def test_with_nothing_to_draw_from_it_is_refused() -> None:
    for background in (drawn(1, 1), Batch(5, {"other": np.zeros(5)})):
        with pytest.raises(Refused, match="nothing to draw"):
            by_lime(answer, row(), background, 1)


def test_a_neighbour_without_an_answer_is_refused() -> None:
    def half(batch: Batch) -> np.ndarray:
        high = np.asarray(batch.columns["high"])
        return np.where((high < 0) & (np.arange(batch.n) > 0), np.nan, answer(batch))

    with pytest.raises(Refused, match="LIME"):
        by_lime(half, row(), drawn(50, 1), 1)
