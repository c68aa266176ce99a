"""Rows that are unlike those that were learned from are told from the others."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

from kring.decide.outliers import FILE, PREPARE, scorer_of, surprise_of
from kring.errors import IntegrityError
from kring.experiment.outliers import usual_rows
from kring.metrics.covariance import shrunk_covariance
from kring.record.batch import Batch
from kring.record.outliers import Usual
from kring.record.prepare import ColumnKind, Prepared
from kring.record.version import Policy

KINDS: dict[str, ColumnKind] = {"x": "number", "y": "number", "skewed": "number", "same": "number", "word": "category"}


def rows(n: int, seed: int) -> dict[str, np.ndarray]:
    """x and y go together; skewed has a long tail; same never varies; word c is rare."""
    chance = np.random.default_rng(seed)
    x = chance.normal(50, 10, n)
    columns = {
        "x": x,
        "y": x + chance.normal(0, 1, n),
        "skewed": np.exp(2 * chance.normal(size=n)),
        "same": np.full(n, 7.0),
    }
    columns["x"][chance.random(n) < 0.05] = np.nan
    return {name: column.astype(np.float32) for name, column in columns.items()} | {
        "word": chance.choice(np.array(["a", "b", "c"], dtype=object), n, p=[0.6, 0.395, 0.005])
    }


def batch(columns: dict[str, np.ndarray]) -> Batch:
    return Batch(len(next(iter(columns.values()))), {**columns})


@pytest.fixture(scope="module")
def usual() -> Usual:
    return usual_rows(batch(rows(20_000, 1)), batch(rows(20_000, 2)), kinds=KINDS)


def test_the_threshold_is_what_it_says_it_is(usual: Usual) -> None:
    score = surprise_of(usual)(batch(rows(20_000, 1)))
    assert np.mean(score > usual.threshold) == pytest.approx(0.001, abs=1e-4)
    assert usual.held_out == pytest.approx(0.001, abs=8e-4), "rows of the same kind are outliers no more often"
    assert usual.rows == 20_000


@pytest.mark.parametrize(
    ("column", "value"), [("x", 130.0), ("x", -40.0), ("y", 75.0), ("skewed", 1e6), ("word", "never seen")]
)
def test_a_planted_outlier_is_found(usual: Usual, column: str, value: object) -> None:
    plain = {"x": 50.0, "y": 50.0, "skewed": 1.0, "same": 7.0, "word": "a"}
    score = surprise_of(usual)

    def one(row: dict[str, object]) -> float:
        made = {name: np.array([item], dtype=object if name == "word" else np.float32) for name, item in row.items()}
        return float(score(batch(made))[0])

    assert one(plain) < usual.threshold
    if column == "word":
        assert one({**plain, column: value}) > one({**plain, column: "c"}) > one({**plain, column: "a"})
    else:
        assert one({**plain, column: value}) > usual.threshold


def test_a_missing_number_costs_what_its_absence_does(usual: Usual) -> None:
    score = surprise_of(usual)
    one = {name: column[:1] for name, column in rows(1, 3).items()} | {"word": np.array(["a"], dtype=object)}
    gone = score(batch({**one, "x": np.array([np.nan], dtype=np.float32)}))
    assert np.isfinite(gone).all()
    place = usual.numbers.names.index("x")
    assert usual.numbers.absent[place] == pytest.approx(-np.log(0.05), abs=0.1)
    assert usual.numbers.present[place] == pytest.approx(-np.log(0.95), abs=0.01)


def test_tails_are_pressed_only_where_they_are_heavy(usual: Usual) -> None:
    heavy = dict(zip(usual.numbers.names, usual.numbers.heavy, strict=True))
    assert heavy == {"x": False, "y": False, "skewed": True}, "a column that never varies says nothing"


@given(n=st.integers(1, 20), seed=st.integers(0, 99))
def test_a_row_is_scored_as_it_would_be_alone(usual: Usual, n: int, seed: int) -> None:
    columns, score = rows(n, seed), surprise_of(usual)
    alone = [score(batch({name: column[at : at + 1] for name, column in columns.items()}))[0] for at in range(n)]
    np.testing.assert_allclose(score(batch(columns)), alone, rtol=1e-12)


@given(n=st.integers(2, 60), k=st.integers(1, 8), seed=st.integers(0, 99))
def test_the_covariance_is_drawn_in_as_ledoit_and_wolf_say(n: int, k: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    given_rows = chance.normal(size=(n, k)) @ chance.normal(size=(k, k))
    ours, share = shrunk_covariance(given_rows)
    theirs, theirs_share = ledoit_wolf(given_rows, assume_centered=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
    assert share == pytest.approx(theirs_share, abs=1e-9)


@pytest.mark.parametrize("kinds", [{}, {"word": "category"}, {"same": "number"}, {"x": "number"}])
def test_few_columns_are_enough_or_say_nothing(kinds: dict[str, ColumnKind]) -> None:
    learned = batch(rows(200, 4))
    usual = usual_rows(learned, learned, kinds=kinds)
    again = msgspec.json.decode(msgspec.json.encode(usual, order="sorted"), type=Usual)
    assert again == usual
    assert surprise_of(again)(learned).shape == (200,)


def test_the_baseline_is_judged_by_the_columns_of_the_version(usual: Usual) -> None:
    files = {
        FILE: msgspec.json.encode(usual),
        PREPARE: msgspec.json.encode(Prepared(columns=())),
    }
    whole, asked = batch(rows(3, 5)), []

    def preparer(prepared: Prepared):
        return lambda raw: asked.append(raw) or whole

    score = scorer_of(Policy(output="value", outliers="flag"), files, preparer=preparer)
    assert score is not None
    own = score("raw", whole)
    assert asked == []
    assert score("raw", Batch(3, {"x": whole.columns["x"]})).score.tolist() == own.score.tolist()
    assert asked == ["raw"]
    assert own.threshold == usual.threshold


def test_without_its_files_a_version_that_scores_does_not_open(usual: Usual) -> None:
    assert scorer_of(Policy(output="value"), {}, preparer=lambda _: lambda raw: raw) is None
    for files in ({}, {FILE: b"{}"}, {FILE: msgspec.json.encode(usual)}):
        with pytest.raises(IntegrityError):
            scorer_of(Policy(output="value", outliers="review"), files, preparer=lambda _: lambda raw: raw)


def test_the_score_and_the_judge_import_nothing_heavy() -> None:
    code = (
        "import sys, kring.decide.outliers, kring.decide.policy, kring.decide.impute, kring.explain.row;"
        "print([name for name in ('polars', 'scipy', 'sklearn', 'onnx', 'yaml', 'lime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
