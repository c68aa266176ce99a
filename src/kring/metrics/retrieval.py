"""How well questions are answered from documents: is the right page cited, and is it said when there is none?

Recall, MRR and nDCG as in Manning, Raghavan, Schütze, "Introduction to Information Retrieval" (2008), 8.4, with
relevance yes or no. Every score but one is a mean: a pair of columns, of which sum is divided by sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import cluster_bootstrap
from kring.metrics.ranking import Floats, area, passed, rank, ratio

DEPTHS: Final = (1, 5, 10)
DEEPEST: Final = 10


class Judged(NamedTuple):
    """What is true of n answers with k citations each.

    `right` (n, k): the citation is an expected one, and none before it was the same one. `expected` (n,): how
    many are expected, 0 for a question that the documents don't answer. `said` (n,): an answer was given.
    `support` (n,): how far the answerer trusts it.
    """

    right: NDArray[np.bool_]
    expected: Floats
    said: NDArray[np.bool_]
    support: Floats


def judged(expected: Floats, cited: Floats, *, support: Floats, threshold: float) -> Judged:
    """`expected` (n, m) and `cited` (n, k, 2) hold numbers that stand for names, NaN for none; a citation is an
    expected one when either of its two numbers (the heading's, the page's) is. No citation fits two of them."""
    with np.errstate(invalid="ignore"):
        fits = (cited[:, :, :, None] == expected[:, None, None, :]).any(axis=2)
    before = np.cumsum(fits, axis=1) - fits
    return Judged(
        right=(fits & (before == 0)).any(axis=2),
        expected=(~np.isnan(expected)).sum(axis=1).astype(np.float64),
        said=support >= threshold,
        support=support,
    )


def recall(rows: Judged, *, depth: int) -> Floats:
    """The share of the expected citations among the first `depth`, (n,); 0 where none is expected."""
    return ratio(rows.right[:, :depth].sum(axis=1), rows.expected, empty=0.0)


def reciprocal_rank(rows: Judged) -> Floats:
    """1 / the place of the first right citation, (n,); 0 without one."""
    first = np.argmax(rows.right, axis=1) if rows.right.shape[1] else np.zeros(len(rows.expected))
    return np.where(rows.right.any(axis=1), 1.0 / (first + 1.0), 0.0)


def ndcg(rows: Judged, *, depth: int) -> Floats:
    """Σ 1 / log2(1 + place) over the right citations among the first `depth`, divided by the same sum when all
    expected ones come first, (n,); 0 where none is expected (Järvelin & Kekäläinen 2002)."""
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    right = rows.right[:, :depth]
    ideal = np.append(0.0, np.cumsum(discounts))[np.minimum(rows.expected, depth).astype(np.intp)]
    return ratio(right @ discounts[: right.shape[1]], ideal, empty=0.0)


def losses(rows: Judged, *, wrong_answer: float, wrong_refusal: float) -> Floats:
    """What each answer costs, (n,): one whose first citation is wrong, and none where there was one."""
    correct = rows.right[:, 0] if rows.right.shape[1] else np.zeros(len(rows.said), dtype=np.bool_)
    return wrong_answer * (rows.said & ~correct) + wrong_refusal * (~rows.said & (rows.expected > 0))


def means(rows: Judged, *, cost: Mapping[str, float]) -> dict[str, tuple[Floats, Floats]]:
    """Of each score the values and the weights of the rows, both (n,): sum of values / sum of weights."""
    answerable, said = (rows.expected > 0).astype(np.float64), rows.said.astype(np.float64)
    every, first = np.ones(len(said)), rows.right[:, :1].any(axis=1)
    rightly = (1 - said) * (1 - answerable)
    found = {f"recall_at_{depth}": (recall(rows, depth=depth), answerable) for depth in DEPTHS}
    found["ndcg_at_10"] = ndcg(rows, depth=DEEPEST), answerable
    found["mrr"] = reciprocal_rank(rows), answerable
    found["answer_accuracy"] = said * first, said
    found["answered_share"] = said, every
    found["refusal_accuracy"] = said * answerable + rightly, every
    found["refusal_precision"] = rightly, 1 - said
    found["refusal_recall"] = rightly, 1 - answerable
    if cost:
        found["expected_cost"] = losses(rows, **cost), every
    return found


def support_auroc(rows: Judged, groups: NDArray[np.int64], *, draws: int, seed: int) -> Floats:
    """How well support tells questions that the documents answer from those they don't, (1 + draws,)."""
    ranked = rank((rows.expected > 0).astype(np.float64), rows.support)

    def of(weight: Floats) -> Floats:
        return area(*passed(ranked, weight[ranked.order]))

    return cluster_bootstrap(of, groups, draws=draws, seed=seed)
