"""BM25 from places of words, against a plain reading of its formula."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kring.record.passage import Ranking
from kring.retrieval.ranking import Places, best, lay_out, normalised, scores

WORDS = list("abcdef")
FIELD = st.lists(st.sampled_from(WORDS), max_size=8)


def by_hand(fields: list[list[str]], question: list[str], ranking: Ranking) -> list[float]:
    """The formula, passage by passage and word by word."""
    pairs = [(fields[at], fields[at + 1]) for at in range(0, len(fields), 2)]
    weight = (ranking.title_weight, 1.0)
    lengths = [sum(w * len(field) for w, field in zip(weight, pair, strict=True)) for pair in pairs]
    mean = sum(lengths) / len(lengths)

    def gain(count, times: float) -> list[float]:
        counts = [sum(w * count(field) for w, field in zip(weight, pair, strict=True)) for pair in pairs]
        holding = sum(each > 0 for each in counts)
        idf = math.log(1 + (len(pairs) - holding + 0.5) / (holding + 0.5))
        norms = [ranking.k1 * (1 - ranking.b + ranking.b * (each / mean if mean else 1)) for each in lengths]
        return [
            times * idf * (ranking.k1 + 1) * tf / (tf + norm) if tf else 0.0
            for tf, norm in zip(counts, norms, strict=True)
        ]

    gains = [gain(lambda field, word=word: field.count(word), 1.0) for word in question]
    for left, right in pairwise(question):
        near = lambda field, pair=(left, right): list(pairwise(field)).count(pair)  # noqa: E731
        if any(near(field) for field in fields):
            gains.append(gain(near, ranking.pair_weight))
    return [sum(each) for each in zip(*gains, strict=True)] if gains else [0.0] * len(pairs)


@given(
    st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=6),
    st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=4, unique=True),
    st.builds(
        Ranking, k1=st.floats(0.1, 3), b=st.floats(0, 1), title_weight=st.floats(0.5, 5), pair_weight=st.floats(0, 2)
    ),
)
def test_scores_are_the_formula(pairs: list[tuple[list[str], list[str]]], question: list[str], ranking: Ranking):
    fields = [field for pair in pairs for field in pair]
    places, bounds = lay_out(fields)
    layout = Places(bounds)
    found = scores(question, places, layout=layout, norm=normalised(layout, ranking), ranking=ranking)
    np.testing.assert_allclose(found, by_hand(fields, question, ranking), rtol=1e-9, atol=1e-12)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=20), st.integers(1, 8))
def test_the_best_are_the_largest_earlier_ones_first(values: list[float], k: int):
    expected = sorted((at for at, value in enumerate(values) if value > 0), key=lambda at: (-values[at], at))[:k]
    assert best(np.array(values), k=k).tolist() == expected
