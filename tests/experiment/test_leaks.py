from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kring.errors import CandidateError
from kring.experiment.leaks import find_leaks
from kring.record.batch import Batch

N = 2000


def material(seed: int = 0) -> tuple[Batch, NDArray[np.float64], NDArray[np.float64]]:
    """Clean columns, with a yes/no outcome and a number that they say something about."""
    random = np.random.default_rng(seed)
    hour = random.integers(0, 24, N).astype(np.float32)
    distance = random.gamma(2.0, 300.0, N).astype(np.float32)
    distance[random.random(N) < 0.1] = np.nan
    carrier = random.choice(np.array(["AA", "UA", "(missing)"], dtype=object), N)
    flight = np.array([f"F{row}" for row in range(N)], dtype=object)
    score = hour / 8 + (carrier == "AA") + random.normal(0, 1, N)
    batch = Batch(N, {"hour": hour, "distance": distance, "carrier": carrier, "flight": flight})
    return batch, (score > 2.5).astype(np.float64), score * 10


def adding(batch: Batch, values: NDArray[np.generic]) -> Batch:
    return Batch(batch.n, {**batch.columns, "planted": values})


def test_clean_data_is_silent() -> None:
    for seed in range(5):
        batch, yes, value = material(seed)
        assert find_leaks(batch, yes) == []
        assert find_leaks(batch, value) == []
        other, other_yes, _ = material(seed + 100)
        assert find_leaks(batch, yes, test=other, test_truth=other_yes) == []


def planted(kind: str, yes: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.generic]:
    random = np.random.default_rng(9)
    noise = random.normal(0, 0.05, N)
    return {
        "copy": yes.astype(np.float32),
        "turned": (1 - yes + noise).astype(np.float32),
        "monotone": (yes * 10 + random.random(N)).astype(np.float32),
        "missing if yes": np.where(yes == 1, np.nan, random.random(N)).astype(np.float32),
        "codes": np.where(yes == 1, random.choice([2.0, 7.0], N), random.choice([1.0, 5.0, 9.0], N)).astype(np.float32),
        "words": np.where(yes == 1, random.choice(["late", "very late"], N), "on time").astype(object),
        "one in 500 wrong": np.where(random.random(N) < 0.002, "?", np.where(yes == 1, "l", "o")).astype(object),
    }[kind]


@pytest.mark.parametrize("kind", ["copy", "turned", "monotone", "missing if yes", "codes", "words", "one in 500 wrong"])
def test_a_column_that_gives_yes_and_no_away_is_named(kind: str) -> None:
    batch, yes, value = material()
    with pytest.raises(CandidateError, match="planted alone gives the outcome away") as refused:
        find_leaks(adding(batch, planted(kind, yes, value)), yes)
    assert "known when the decision is made" in refused.value.next
    assert refused.value.key == "prepare.planted"


@pytest.mark.parametrize("scale", [1.0, -0.001])
def test_a_column_that_gives_a_number_away_is_named(scale: float) -> None:
    batch, _, value = material()
    with pytest.raises(CandidateError, match="planted"):
        find_leaks(adding(batch, (value * scale + 3).astype(np.float32)), value)


def test_a_category_that_stands_for_a_number_is_named() -> None:
    batch, _, _ = material()
    value = np.random.default_rng(1).integers(0, 5, N) * 10.0
    names = np.array([f"class {int(one)}" for one in value], dtype=object)
    with pytest.raises(CandidateError, match="planted"):
        find_leaks(adding(batch, names), value)


def test_a_strong_column_is_noted_not_refused() -> None:
    batch, yes, _ = material()
    strong = (yes * 3 + np.random.default_rng(2).normal(0, 1, N)).astype(np.float32)
    notes = find_leaks(adding(batch, strong), yes)
    assert len(notes) == 1
    assert notes[0].startswith("planted alone reaches AUC 0.9")


def test_rows_without_outcome_are_not_looked_at() -> None:
    batch, yes, _ = material()
    yes = yes.copy()
    known_leak = yes.astype(np.float32)
    known_leak[:1000] = 0.5
    yes[:1000] = np.nan
    with pytest.raises(CandidateError, match="planted"):
        find_leaks(adding(batch, known_leak), yes)


def test_few_rows_and_constants_prove_nothing() -> None:
    small = Batch(20, {"x": np.arange(20, dtype=np.float32), "same": np.ones(20, dtype=np.float32)})
    assert find_leaks(small, (np.arange(20) > 10).astype(np.float64)) == []
    none = Batch(0, {"x": np.empty(0, dtype=np.float32)})
    assert find_leaks(none, np.empty(0)) == []
    rare = Batch(N, {"x": np.arange(N, dtype=np.float32)})
    assert find_leaks(rare, (np.arange(N) > N - 5).astype(np.float64)) == []


def test_copies_across_the_parts_are_found() -> None:
    batch, yes, _ = material(1)
    test, test_yes, _ = material(2)
    copied = Batch(
        N,
        {
            name: np.concatenate([np.asarray(column)[:200], np.asarray(test.columns[name])[200:]])
            for name, column in batch.columns.items()
        },
    )
    with pytest.raises(CandidateError, match=r"10\.0% of the held-out rows"):
        find_leaks(batch, yes, test=copied, test_truth=np.concatenate([yes[:200], test_yes[200:]]))


def test_rows_that_repeat_by_nature_are_no_copies() -> None:
    random = np.random.default_rng(3)
    outcome = random.integers(0, 2, N).astype(np.float64)
    coarse = Batch(N, {"hour": random.integers(0, 24, N).astype(np.float32)})
    other = Batch(N, {"hour": random.integers(0, 24, N).astype(np.float32)})
    assert find_leaks(coarse, outcome, test=other, test_truth=outcome) == []


def several(seed: int = 0, *, parts: int = 4) -> tuple[Batch, NDArray[np.float64]]:
    """The clean columns, and the quarter in which each value lies."""
    batch, _, value = material(seed)
    return batch, np.digitize(value, np.quantile(value, np.arange(1, parts) / parts)).astype(np.float64)


def test_clean_columns_tell_several_labels_in_silence() -> None:
    for seed in range(5):
        batch, places = several(seed)
        assert find_leaks(batch, places, labels=4) == []


@pytest.mark.parametrize("kind", ["copy", "turned", "words", "shuffled codes", "monotone", "one in 500 wrong"])
def test_a_column_that_gives_every_label_away_is_named(kind: str) -> None:
    batch, places = several()
    random = np.random.default_rng(4)
    codes = places.astype(np.int64)
    shuffled = np.array([7.0, 1.0, 9.0, 4.0])[codes]
    leak = {
        "copy": places,
        "turned": -places,
        "words": np.array(["a", "b", "c", "d"], dtype=object)[codes],
        "shuffled codes": shuffled,
        "monotone": places * 10 + random.random(N),
        "one in 500 wrong": np.where(random.random(N) < 0.002, 5.0, shuffled),
    }[kind]
    planted = leak if leak.dtype == object else leak.astype(np.float32)
    with pytest.raises(CandidateError, match="planted alone gives the outcome away"):
        find_leaks(adding(batch, planted), places, labels=4)


def test_to_tell_one_label_from_all_others_is_no_leak() -> None:
    batch, places = several()
    assert find_leaks(adding(batch, (places == 3).astype(np.float32)), places, labels=4) == []


def test_an_identifier_and_a_common_label_tell_nothing() -> None:
    batch, _ = several()
    rare = (np.arange(N) % 500 == 0) * 1.0 + (np.arange(N) % 501 == 0)
    assert find_leaks(batch, rare, labels=3) == []
    assert find_leaks(batch, np.zeros(N), labels=3) == []
    few = Batch(20, {"x": np.arange(20, dtype=np.float32)})
    assert find_leaks(few, np.arange(20.0) % 3, labels=3) == []
