"""Quality of predicted values before any label is known (direct loss estimation, DLE).

A small model of the loss: how large errors were, in ten bins of the predicted value with about as many labelled rows
in each. Where values are now, errors are expected to be as large as they were there (after NannyML's DLE, which fits a
regression of the loss). Counts are kept in fixed cells that hold an eighth of a doubling each, so that they add.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.estimated import LEAST
from kring.metrics.moments import SCALE, Moments
from kring.metrics.ranking import Floats, ratio
from kring.ports.task import Counts

PARTS: Final = 8
LOWEST: Final = -24
HIGHEST: Final = 40
SIDE: Final = (HIGHEST - LOWEST) * PARTS
CELLS: Final = 2 * SIDE + 1
GROUPS: Final = 10
TOLERANCE: Final = 0.15
"""By how much, of itself, the mean error may differ from what was expected, beyond chance."""

UNKNOWN: Final = 0.1
NAMES: Final = ("cell_rows", "cell_error", "cell_absolute", "cell_squared", "cell_over", "cell_under")
UNITS: Final = (1, SCALE, SCALE, SCALE * SCALE, SCALE, SCALE)
CONDITIONS: Final = (
    "holds while errors are as large as they were for the same predicted values when labels last came; a change that "
    "makes answers worse without moving them is not seen"
)


def cell_of(values: Floats) -> NDArray[np.intp]:
    """The cell of each finite value (n,): the middle one around 0, eight for each doubling of the size."""
    with np.errstate(divide="ignore"):
        size = np.floor((np.log2(np.abs(values)) - LOWEST) * PARTS)
    steps = np.clip(size + 1, 0, SIDE)
    return np.asarray(SIDE + np.sign(values) * steps, dtype=np.intp)


def foreseen_values(value: Floats) -> dict[str, tuple[int, ...]]:
    """Integer counts of `value` (n,) alone, by cell. Rows without an answer (NaN) are left out."""
    return {"seen": tuple(np.bincount(cell_of(value[~np.isnan(value)]), minlength=CELLS).tolist())}


def learned_values(truth: Floats, value: Floats) -> dict[str, tuple[int, ...]]:
    """Integer sums by cell of the value: rows, and the errors as `kring.metrics.moments` counts them. Rows that lack
    the one or the other are left out."""
    both = ~(np.isnan(truth) | np.isnan(value))
    cells, inverse = np.unique(cell_of(value[both]), return_inverse=True)
    true, said = ([int(each) for each in np.rint(of[both] * SCALE).tolist()] for of in (truth, value))
    sums = [[0] * len(NAMES) for _ in cells]
    for place, mine, theirs in zip(inverse.tolist(), said, true, strict=True):
        error, mine_sums = mine - theirs, sums[place]
        for number, more in enumerate((1, error, abs(error), error * error, max(error, 0), max(-error, 0))):
            mine_sums[number] += more
    vectors = {name: [0] * CELLS for name in NAMES}
    for cell, row in zip(cells.tolist(), sums, strict=True):
        for name, number in zip(NAMES, row, strict=True):
            vectors[name][cell] = number
    return {name: tuple(vector) for name, vector in vectors.items()}


def expected_moments(seen: Counts, learned: Counts, *, draws: int, seed: int) -> Moments | None:
    """The moments that labels would give, with a leading axis 1 + draws; those of the truth are not known (NaN). None
    without rows, or when too few labels were learned from."""
    rows = _vector(seen, "seen", 1)
    known = np.stack([_vector(learned, name, unit) for name, unit in zip(NAMES, UNITS, strict=True)])
    if not rows.sum() or known[0].sum() < LEAST:
        return None
    group = _groups(known[0])
    sums: Floats = np.stack([np.bincount(group, weights=each, minlength=GROUPS) for each in known]).astype(np.float64)
    mine = np.bincount(group, weights=rows, minlength=GROUPS)
    means = ratio(sums[1:], sums[0], empty=0.0)
    squared = means[2]
    spread = np.sqrt(np.maximum(squared - means[1] ** 2, 0.0) * (1 / np.maximum(sums[0], 1) + 1 / np.maximum(mine, 1)))
    wobble = np.random.default_rng(seed).standard_normal((draws + 1, GROUPS)) * ratio(spread, means[1], empty=0.0)
    wobble[0] = 0.0
    factor = np.maximum(1 + wobble, 0.0)
    error, absolute, over, under = ((factor * means[place]) @ mine for place in (0, 1, 3, 4))
    squares = (factor**2 * squared) @ mine
    whole, unknown = np.full(draws + 1, rows.sum()), np.full(draws + 1, np.nan)
    return Moments(whole, error, absolute, squares, over, under, unknown, unknown)


def errors_changed(learned: Counts, recent: Counts) -> str:
    """Why the newest labels say that errors are not as large as they were; empty when they are. Allowed is
    `TOLERANCE` of the expected mean error beyond the 95 % interval of chance."""
    older, newer = _vector(learned, "cell_rows", 1), _vector(recent, "cell_rows", 1)
    if min(older.sum(), newer.sum()) < LEAST:
        return f"too few labels: {older.sum():,.0f} older and {newer.sum():,.0f} newer, {LEAST} of each are needed"
    outside = newer[_outside(older)].sum() / newer.sum()
    if outside > UNKNOWN:
        return f"{outside:.1%} of the newest values lie where no label was learned from, {UNKNOWN:.0%} are allowed"
    found = expected_moments({"seen": tuple(newer.astype(int).tolist())}, learned, draws=200, seed=0)
    assert found is not None
    expected, noise = float(found.absolute[0]), float(np.quantile(np.abs(found.absolute[1:] - found.absolute[0]), 0.95))
    real = float(_vector(recent, "cell_absolute", SCALE).sum())
    if abs(real - expected) - noise <= TOLERANCE * expected:
        return ""
    return (
        f"errors are not as large as they were: on the newest {newer.sum():,.0f} labels {real / newer.sum():.4g} on "
        f"average, {expected / newer.sum():.4g} was expected, {TOLERANCE:.0%} and {noise / newer.sum():.2g} of chance "
        "are allowed"
    )


def _vector(counts: Counts, name: str, unit: int) -> Floats:
    whole = counts.get(name, (0,) * CELLS)
    return np.array([number / unit for number in whole], dtype=np.float64)


def _groups(rows: Floats) -> NDArray[np.intp]:
    """The group, 0 to 9, of each cell, with about as many of the labelled `rows` in each."""
    middle = np.cumsum(rows) - rows / 2
    return np.asarray(np.minimum(middle / rows.sum() * GROUPS, GROUPS - 1), dtype=np.intp)


def _outside(rows: Floats) -> NDArray[np.bool_]:
    """The cells below the first and above the last that hold rows."""
    held = np.flatnonzero(rows)
    places = np.arange(len(rows))
    return np.asarray((places < held[0]) | (places > held[-1]), dtype=np.bool_)
