"""Shapley values of one answer: what each column did to it, in the unit of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.errors import Refused
from kring.record.batch import Batch, Column

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Answer = Callable[[Batch], Floats]
"""Prepared columns of n rows to the output that is explained, (n,)."""

MOST_EXACT: Final = 12
"""With more features nobody counts the coalitions."""

BUDGET: Final = 1 << 15
"""Different rows up to which every coalition is tried: those of 8 features and 100 background rows, or of more features
that are often alike."""

DRAWN: Final = 12_800
"""Rows that are answered where orders are drawn; but each background row is walked from at least once, and back."""


class Effects(NamedTuple):
    """`effects` and their standard `errors`, (features,), in the order of `names`; `value` is the answer to the row,
    `base` the mean answer to the `background` rows, `asked` the rows that were answered."""

    names: tuple[str, ...]
    effects: Floats
    errors: Floats
    value: float
    base: float
    exact: bool
    background: int
    asked: int


class Game(NamedTuple):
    """The features, and by feature its value in the row, (1,), and its values in the background, (n,); `held` are
    columns that stay as they are in the row, `order` is that of all columns."""

    names: tuple[str, ...]
    row: tuple[NDArray[np.generic], ...]
    background: tuple[NDArray[np.generic], ...]
    held: dict[str, NDArray[np.generic]]
    order: tuple[str, ...]
    n: int


def shapley(answer: Answer, row: Batch, background: Batch, *, seed: int, budget: int = BUDGET) -> Effects:
    """The Shapley values of the columns of `row` (n = 1) that stand in `background`; its other columns stay as they
    are. Their sum is `value - base`. `budget` is how many rows all coalitions may take.

    The worth of a coalition is the mean answer to the background rows with the coalition's columns taken from the
    row: Lundberg and Lee 2017, "A unified approach to interpreting model predictions", with features taken as
    independent. All coalitions are tried where these are at most `budget` different rows, by Shapley 1953; else
    orders are drawn from every background row as often as from any other, each with its reverse: Strumbelj and
    Kononenko 2014, "Explaining prediction models and individual predictions with feature contributions", and
    Mitchell et al. 2022, "Sampling permutations for Shapley value estimation", section 4.1. The same `seed` draws
    the same orders.

    Background rows to which some coalition has no answer (NaN) are left out. `Refused` when none is left.
    """
    game = game_of(row, background)
    if not game.names:
        value = float(answer(row)[0])
        return Effects((), np.zeros(0), np.zeros(0), value, value, True, background.n, 1)
    return _exact(answer, game, budget) or _drawn(answer, game, seed=seed)


def game_of(row: Batch, background: Batch) -> Game:
    """The columns of the row that the background can stand in for, and the others."""
    names = tuple(name for name in row.columns if name in background.columns) if background.n else ()
    arrays = {name: np.asarray(column) for name, column in row.columns.items()}
    return Game(
        names=names,
        row=tuple(arrays[name] for name in names),
        background=tuple(np.asarray(background.columns[name]).astype(arrays[name].dtype) for name in names),
        held={name: array for name, array in arrays.items() if name not in names},
        order=tuple(arrays),
        n=background.n,
    )


def rows_of(game: Game, places: NDArray[np.intp], taken: Bools) -> Batch:
    """Rows of the background at `places`, (n,), with the features `taken`, (n, features), from the row."""
    columns: dict[str, Column] = {}
    for feature, name in enumerate(game.names):
        columns[name] = np.where(taken[:, feature], game.row[feature], game.background[feature][places])
    for name, value in game.held.items():
        columns[name] = np.repeat(value, len(places))
    return Batch(len(places), {name: columns[name] for name in game.order})


def _exact(answer: Answer, game: Game, budget: int) -> Effects | None:
    """Every coalition, unless they are more than the budget. Coalitions that give the same row are asked once."""
    m, differing = len(game.names), _differing(game)
    if m > MOST_EXACT or np.sum(1 << np.bitwise_count(differing).astype(np.int64)) > budget:
        return None
    coalitions = np.arange(1 << m)
    codes = (coalitions & differing[:, None]) + (np.arange(game.n) << m)[:, None]
    asked, back = np.unique(codes, return_inverse=True)
    taken = (asked[:, None] >> np.arange(m) & 1).astype(np.bool_)
    worth = answer(rows_of(game, asked >> m, taken))[back.reshape(codes.shape)]
    worth = worth[_answered(worth)]
    mean = worth.mean(axis=0)
    weights = _weights(m)
    size = np.bitwise_count(coalitions)
    effects = np.zeros(m)
    for feature in range(m):
        without = coalitions[(coalitions >> feature & 1) == 0]
        gain = mean[without | 1 << feature] - mean[without]
        effects[feature] = np.sum(weights[size[without]] * gain)
    return Effects(game.names, effects, np.zeros(m), float(mean[-1]), float(mean[0]), True, len(worth), len(asked))


def _weights(m: int) -> Floats:
    """Shapley's weight of a coalition by its size s, without the feature: s! (m - s - 1)! / m!."""
    weights = np.ones(m)
    for size in range(m):
        combinations = 1.0
        for step in range(size):
            combinations *= (m - 1 - step) / (step + 1)
        weights[size] = 1 / (m * combinations)
    return weights


def _differing(game: Game) -> NDArray[np.int64]:
    """By background row the features in which it differs from the row, as bits."""
    bits = np.zeros(game.n, dtype=np.int64)
    for feature, (value, column) in enumerate(zip(game.row, game.background, strict=True)):
        both_missing = (column != column) & (value != value)  # noqa: PLR0124  NaN is the only value unlike itself
        bits |= (~((column == value) | both_missing)).astype(np.int64) << feature
    return bits


def _drawn(answer: Answer, game: Game, *, seed: int) -> Effects:
    """Antithetic pairs of orders, as many from each background row. Ends of the walks are asked once."""
    m, n = len(game.names), game.n
    pairs = max(1, DRAWN // (n * 2 * max(1, m - 1)))
    chance = np.random.default_rng(seed)
    ranks = np.argsort(chance.random((n, pairs, m)), axis=2)
    ranks = np.stack([ranks, m - 1 - ranks], axis=2).reshape(n * pairs * 2, m)
    walks = len(ranks)
    places = np.repeat(np.arange(n), pairs * 2)
    taken = ranks[:, None, :] < np.arange(1, m)[None, :, None]
    inner = rows_of(game, np.repeat(places, m - 1), taken.reshape(walks * (m - 1), m))
    ends = rows_of(game, np.append(np.arange(n), 0), np.arange(n + 1)[:, None] == np.full((1, m), n))
    said = answer(_joined(inner, ends))
    worth = np.empty((walks, m + 1))
    worth[:, 1:m] = said[: inner.n].reshape(walks, m - 1)
    worth[:, 0], worth[:, m] = said[inner.n : -1][places], said[-1]
    answered = _answered(worth.reshape(n, -1))
    gains = np.take_along_axis(np.diff(worth, axis=1), ranks, axis=1).reshape(n, pairs, 2, m)[answered]
    drawn = gains.mean(axis=2).reshape(-1, m)
    errors = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn)) if len(drawn) > 1 else np.full(m, np.nan)
    base = float(worth[:, 0].reshape(n, -1)[answered, 0].mean())
    return Effects(
        game.names, drawn.mean(axis=0), errors, float(said[-1]), base, False, int(answered.sum()), inner.n + ends.n
    )


def _answered(worth: Floats) -> Bools:
    """The background rows, first axis, in which every coalition has an answer."""
    answered = ~np.isnan(worth).any(axis=1)
    if not answered.any():
        raise Refused(
            "this answer can't be explained: no row beside it has an answer",
            got="NaN as soon as a column is taken from another row",
            next="let the candidate answer rows with missing inputs too",
        )
    return np.asarray(answered, dtype=np.bool_)


def _joined(one: Batch, other: Batch) -> Batch:
    columns = {
        name: np.concatenate([np.asarray(column), np.asarray(other.columns[name])])
        for name, column in one.columns.items()
    }
    return Batch(one.n + other.n, {**columns})
