"""Who asks as if to copy the model, or to find where it changes its mind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.record.decision import Decisions
from kring.watch.queries import EVERYBODY, Queries, count_queries, judge_queries

FIELDS = ("x", "y", "z", "kind")


def usual(random: np.random.Generator, n: int) -> dict[str, list]:
    numbers = {name: np.round(random.lognormal(0, 1, n), 3).tolist() for name in FIELDS[:3]}
    return numbers | {"kind": random.choice(["a", "b", "c"], n).tolist()}


def crowd(random: np.random.Generator, n: int = 8000) -> Queries:
    queries = Queries(FIELDS)
    queries.add([f"person {number % 40}" for number in range(n)], usual(random, n), random.random(n) < 0.05)
    return queries


def found(queries: Queries) -> set[tuple[str, str]]:
    breaches, keys = judge_queries(queries, since=0)
    assert {each.key for each in breaches} <= set(keys)
    return {(each.metric, each.slice) for each in breaches}


def test_a_crowd_is_left_in_peace() -> None:
    for seed in range(5):
        assert found(crowd(np.random.default_rng(seed))) == set()


def test_one_field_at_a_time_is_noticed_and_named() -> None:
    random = np.random.default_rng(0)
    queries = crowd(random)
    base = {name: [1.5] * 500 for name in FIELDS[:3]} | {"kind": ["a"] * 500, "y": np.linspace(0, 9, 500).tolist()}
    queries.add(["prober"] * 500, base, random.random(500) < 0.05)
    assert ("one_field", "caller = prober") in found(queries)
    breaches, _ = judge_queries(queries, since=0)
    [one] = [each for each in breaches if each.metric == "one_field"]
    assert "but for y" in one.what


def test_a_grid_over_the_whole_space_is_noticed() -> None:
    random = np.random.default_rng(1)
    queries = Queries(FIELDS)
    n = 4000
    near = {name: np.round(random.normal(50, 3, n), 2).tolist() for name in FIELDS[:3]} | {"kind": ["a"] * n}
    queries.add([f"person {number % 20}" for number in range(n)], near, np.zeros(n, dtype=bool))
    grid = {name: (10 ** random.uniform(-3, 6, 1000)).tolist() for name in FIELDS[:3]}
    queries.add(["copier"] * 1000, grid | {"kind": ["b"] * 1000}, np.zeros(1000, dtype=bool))
    assert found(queries) == {("coverage", "caller = copier")}


def test_dwelling_on_the_threshold_is_noticed() -> None:
    random = np.random.default_rng(2)
    queries = crowd(random)
    queries.add(["prober"] * 400, usual(random, 400), random.random(400) < 0.7)
    assert found(queries) == {("threshold", "caller = prober")}


def test_few_questions_are_no_pattern() -> None:
    queries = Queries(FIELDS)
    queries.add(["a"] * 100, {name: [1.0] * 100 for name in FIELDS}, np.ones(100, dtype=bool))
    assert judge_queries(queries, since=0) == ([], [])
    assert judge_queries(Queries(FIELDS), since=0) == ([], [])


@pytest.mark.parametrize("value", [None, float("nan"), "text", True, 10**400, -0.0])
def test_any_value_can_be_counted(value: object) -> None:
    queries = Queries(("x",))
    queries.add(["a"] * 300, {"x": [value] * 300}, np.zeros(300, dtype=bool))
    assert queries.rows.sum() == 300
    judge_queries(queries, since=0)


@given(st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_queries_add_in_any_order(cut: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    columns, near = usual(random, 200), random.random(200) < 0.3
    names = [f"person {number}" for number in random.integers(0, 5, 200)]

    def counted(rows: slice) -> Queries:
        part = Queries(FIELDS)
        part.add(names[rows], {name: column[rows] for name, column in columns.items()}, near[rows])
        return part

    left, right, whole = counted(slice(0, cut)), counted(slice(cut, 200)), counted(slice(0, 200))
    for one in (left.merged(right), right.merged(left)):
        for name in ("rows", "near", "inputs", "cells", "without"):
            assert np.array_equal(getattr(one, name), getattr(whole, name)), name
        assert one.names == whole.names
    with pytest.raises(ValueError, match="do not add"):
        whole.merged(Queries(("x",)))


def test_without_subjects_everybody_is_one_caller() -> None:
    queries = Queries(("x", "gone"))
    record = Decisions(
        system="s", version="v", answered_by="v", arm="live", kind="online", at=0, n=2, inputs={"x": [1.0, 2.0]},
        outputs={}, latency_us=1,
    )  # fmt: skip
    count_queries(queries, [record], np.zeros(2, dtype=bool))
    assert sum(queries.names[place][EVERYBODY] for place in range(len(queries.names))) == 2
