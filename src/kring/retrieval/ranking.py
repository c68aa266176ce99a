"""BM25 over titles and bodies from the places of words, and neighbouring words found side by side.

S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), 3.4 and 3.5 with one
`b` for both fields; pairs after D. Metzler, W. B. Croft, "A Markov random field model for term dependencies" (2005).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from kring.record.passage import Ranking
from kring.retrieval.words import telling

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAP = 1
"""An empty place after each field, so that no pair of words reaches from one into the next."""


@dataclass(frozen=True)
class Places:
    """Where the fields of n passages lie in one long row of words: field 2i is the title of passage i, 2i + 1 its
    body; field f holds the places from `bounds[f]` up to `bounds[f + 1]`, the last of them empty. Shape (2n + 1,)."""

    bounds: NDArray[np.int32]

    @property
    def n(self) -> int:
        return len(self.bounds) // 2

    def counts(self, places: NDArray[np.int32], *, title_weight: float) -> NDArray[np.float64]:
        """How often a word that stands at `places` occurs in each passage, (n,); titles weigh `title_weight`."""
        fields = np.searchsorted(self.bounds, places, side="right") - 1
        weights = np.where(fields & 1, 1.0, title_weight)
        return np.bincount(fields >> 1, weights=weights, minlength=self.n).astype(np.float64, copy=False)

    def lengths(self, *, title_weight: float) -> NDArray[np.float64]:
        """Words of each passage, (n,); titles weigh `title_weight`."""
        sizes = (np.diff(self.bounds) - GAP).reshape(-1, 2)
        lengths: NDArray[np.float64] = sizes[:, 0] * float(title_weight) + sizes[:, 1]
        return lengths


def lay_out(fields: Sequence[Sequence[str]]) -> tuple[dict[str, NDArray[np.int32]], NDArray[np.int32]]:
    """The places of every word, ascending, and the bounds of the fields (titles and bodies by turns)."""
    places: dict[str, list[int]] = {}
    bounds, place = [0], 0
    for field in fields:
        for offset, word in enumerate(field):
            places.setdefault(word, []).append(place + offset)
        place += len(field) + GAP
        bounds.append(place)
    return {word: np.array(at, dtype=np.int32) for word, at in places.items()}, np.array(bounds, dtype=np.int32)


def rarity(passages: int, holding: int) -> float:
    """log(1 + (n − m + ½) / (m + ½)) of a word that m of n passages hold; above 0."""
    return float(np.log1p((passages - holding + 0.5) / (holding + 0.5)))


def scores(
    words: Sequence[str],
    places: Mapping[str, NDArray[np.int32]],
    *,
    layout: Places,
    norm: NDArray[np.float64],
    ranking: Ranking,
) -> NDArray[np.float64]:
    """How well each passage fits the words, (n,); 0 where none of them occurs.

    `norm` (n,) is `normalised(layout, ranking)`. Words that `places` does not hold add nothing.
    """
    total = np.zeros(layout.n)
    for word in words:
        if word in places:
            total += telling(word) * _gain(places[word], layout, norm, ranking)
    for left, right in pairwise(words):
        if ranking.pair_weight and left in places and right in places:
            beside = np.intersect1d(places[left] + 1, places[right], assume_unique=True)
            if len(beside):
                total += ranking.pair_weight * _gain(beside, layout, norm, ranking)
    return total


def normalised(layout: Places, ranking: Ranking) -> NDArray[np.float64]:
    """k1 · (1 − b + b · length / mean length) of each passage, (n,)."""
    lengths = layout.lengths(title_weight=ranking.title_weight)
    mean = lengths.mean() if len(lengths) else 0.0
    relative = lengths / mean if mean else np.ones(len(lengths))
    return ranking.k1 * (1 - ranking.b + ranking.b * relative)


def best(total: NDArray[np.float64], *, k: int) -> NDArray[np.int64]:
    """The numbers of the `k` largest scores above 0, largest first, equal ones in order."""
    hits = np.flatnonzero(total > 0)
    if len(hits) > k:
        limit = np.partition(total[hits], len(hits) - k)[len(hits) - k]
        hits = hits[total[hits] >= limit]
    return hits[np.argsort(-total[hits], kind="stable")][:k].astype(np.int64)


def _gain(
    places: NDArray[np.int32], layout: Places, norm: NDArray[np.float64], ranking: Ranking
) -> NDArray[np.float64]:
    """What one word or pair adds to each passage: rarity · tf · (k1 + 1) / (tf + norm)."""
    counts = layout.counts(places, title_weight=ranking.title_weight)
    weight = rarity(layout.n, int(np.count_nonzero(counts)))
    return weight * (ranking.k1 + 1) * np.divide(counts, counts + norm, out=np.zeros(layout.n), where=counts > 0)
