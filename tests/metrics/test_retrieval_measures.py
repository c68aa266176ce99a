"""Scores of cited answers against values worked out by hand and against plain loops."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.retrieval import Judged, judged, losses, means, ndcg, recall, reciprocal_rank, support_auroc

NAN = math.nan


def of(expected: list[list[int]], cited: list[list[tuple[int, int]]], *, support: list[float] | None = None) -> Judged:
    """Rows with names as small numbers, citations as (heading, page)."""
    widest = max((len(row) for row in expected), default=1) or 1
    deepest = max((len(row) for row in cited), default=1) or 1
    wanted = np.array([[*row, *[NAN] * (widest - len(row))] for row in expected], dtype=np.float64)
    given = np.array([[*row, *[(NAN, NAN)] * (deepest - len(row))] for row in cited], dtype=np.float64)
    trust = np.array(support or [1.0] * len(expected))
    return judged(wanted, given.reshape(len(expected), deepest, 2), support=trust, threshold=0.5)


def test_values_worked_out_by_hand():
    rows = of([[7, 8], [7], [], [9]], [[(1, 1), (7, 1), (8, 2)], [(7, 7)], [(1, 1)], [(1, 1)]])
    assert recall(rows, depth=1).tolist() == [0, 1, 0, 0]
    assert recall(rows, depth=2).tolist() == [0.5, 1, 0, 0]
    assert recall(rows, depth=5).tolist() == [1, 1, 0, 0]
    assert reciprocal_rank(rows).tolist() == [0.5, 1, 0, 0]
    ideal = 1 + 1 / math.log2(3)
    np.testing.assert_allclose(ndcg(rows, depth=10), [(1 / math.log2(3) + 0.5) / ideal, 1, 0, 0])


def test_a_page_stands_for_its_headings_but_only_once():
    rows = of([[5]], [[(51, 5), (52, 5), (5, 5)]])
    assert rows.right.tolist() == [[True, False, False]]
    assert recall(rows, depth=10).tolist() == ndcg(rows, depth=10).tolist() == [1.0]


def test_shares_of_answers_and_refusals():
    rows = of([[1], [1], [], [], [1]], [[(1, 1)], [(2, 2)], [(1, 1)], [], [(1, 1)]], support=[0.9, 0.8, 0.7, 0.1, 0.2])
    found = {name: values.sum() / weights.sum() for name, (values, weights) in means(rows, cost={}).items()}
    assert found["answered_share"] == 3 / 5
    assert found["answer_accuracy"] == 1 / 3
    assert found["refusal_accuracy"] == 3 / 5
    assert found["refusal_precision"] == 1 / 2
    assert found["refusal_recall"] == 1 / 2
    assert losses(rows, wrong_answer=2, wrong_refusal=5).tolist() == [0, 2, 2, 0, 5]
    auroc = support_auroc(rows, np.arange(5), draws=0, seed=0)
    pairs = [(a > b) + (a == b) / 2 for a in (0.9, 0.8, 0.2) for b in (0.7, 0.1)]
    np.testing.assert_allclose(auroc, [sum(pairs) / len(pairs)])


NAMES = st.integers(1, 6)
ROW = st.tuples(
    st.lists(NAMES, max_size=3, unique=True),
    st.lists(NAMES, max_size=12, unique=True),
    st.sampled_from([0.0, 0.4, 0.5, 1.0]),
)


def loop(expected: list[int], cited: list[int], depth: int) -> tuple[float, float, float]:
    """Recall, nDCG and reciprocal rank of one row, citation by citation."""
    hits = [name in expected for name in cited]
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits[:depth]) if hit)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(depth, len(expected))))
    first = next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)
    return (sum(hits[:depth]) / len(expected), gain / ideal, first) if expected else (0.0, 0.0, 0.0)


@given(st.lists(ROW, min_size=1, max_size=8), st.sampled_from([1, 3, 5, 10]))
def test_every_row_is_what_a_loop_says(found: list[tuple[list[int], list[int], float]], depth: int):
    expected, cited, support = (list(column) for column in zip(*found, strict=True))
    rows = of(expected, [[(name, name) for name in row] for row in cited], support=support)
    looped = np.array([loop(*pair, depth) for pair in zip(expected, cited, strict=True)])
    np.testing.assert_allclose(recall(rows, depth=depth), looped[:, 0])
    np.testing.assert_allclose(ndcg(rows, depth=depth), looped[:, 1])
    np.testing.assert_allclose(reciprocal_rank(rows), looped[:, 2])
    for values, weights in means(rows, cost={"wrong_answer": 1.0, "wrong_refusal": 1.0}).values():
        assert (values <= weights + 1e-12).all() or values.max() <= 1
        assert (values >= 0).all()
