"""Numbers that are a power of ten too large or too small: perhaps written in another unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.metrics.near import NUMBER
from kring.record.recipe import Scale

LEAST: Final = 100
"""So many positive numbers are needed to say what is usual."""
SPAN: Final = 1.0
"""The usual numbers, nine tenths of all, lie within so many powers of ten."""
RARE: Final = 0.05
GAP: Final = 0.5
"""Powers of ten between the usual numbers and the others, where no number lies."""
POWERS: Final = (1, 2, 3, 6)


def outsized(sample: pl.DataFrame) -> Iterator[Scale]:
    """A repair for each column of numbers with a rare group that a power of ten would bring among the others."""
    for name, dtype in sample.schema.items():
        column = sample[name]
        if dtype == pl.String:
            column = column.filter(column.str.contains(f"^{NUMBER.pattern}$").fill_null(False)).cast(pl.Float64)
        elif not dtype.is_numeric():
            continue
        column = column.drop_nulls()
        numbers = column.cast(pl.Float64).to_numpy()
        sizes = np.log10(np.abs(numbers[np.isfinite(numbers) & (numbers != 0)]))
        if len(sizes) >= LEAST:
            yield from _scales(name, sizes)


def _scales(name: str, sizes: NDArray[np.float64]) -> Iterator[Scale]:
    low, high = np.quantile(sizes, [0.05, 0.95])
    if high - low > SPAN:
        return
    for sign in (1, -1):
        far = sizes[sizes * sign > (high if sign > 0 else -low) + GAP]
        usual = sizes[(sizes * sign <= (high if sign > 0 else -low) + GAP)]
        if not 0 < len(far) <= RARE * len(sizes):
            continue
        edge = usual.max() if sign > 0 else usual.min()
        nearest = far.min() if sign > 0 else far.max()
        if abs(nearest - edge) < GAP:
            continue
        power = next((one for one in POWERS if _among(far - sign * one, low, high)), 0)
        if power:
            yield _scale(name, far, sign * power, edge=float(edge), nearest=float(nearest))


def _among(moved: NDArray[np.float64], low: float, high: float) -> bool:
    return bool(((moved >= low - 0.2) & (moved <= high + 0.2)).all())


def _scale(name: str, far: NDArray[np.float64], power: int, *, edge: float, nearest: float) -> Scale:
    """Limits halfway into the gap and a little beyond the farthest; what is moved never falls between them."""
    half = (edge + nearest) / 2
    low, high = (half, float(far.max()) + 0.1) if power > 0 else (float(far.min()) - 0.1, half)
    if high - low >= abs(power):
        low, high = (low, low + abs(power)) if power > 0 else (high - abs(power), high)
    larger = "large" if power > 0 else "small"
    return Scale(
        id=f"scale.{name}",
        column=name,
        low=float(f"{10**low:.4g}"),
        high=float(f"{10**high:.4g}"),
        factor=float(f"1e{-power}"),
        why=f"{len(far):,} numbers in {name} are {10 ** abs(power):,} times as {larger} as the others",
        trust="ask",
    )
