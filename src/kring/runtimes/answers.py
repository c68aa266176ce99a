"""What every link's answer must be: a finite number per row, and a probability within [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import Unavailable
from kring.record.version import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERSHOOT: Final = 1e-6


def answered(values: NDArray[np.float64], *, n: int, output: Output, link: str) -> NDArray[np.float64]:
    """`values`, shape (n,), if they are an answer: float32 sums may overshoot [0, 1] by `OVERSHOOT` and are
    clipped. Anything else is `Unavailable` with what was got."""
    if values.shape != (n,):
        raise Unavailable(
            f"{link} does not answer row by row", got=f"shape {values.shape}", allowed=f"shape ({n},)", key=output
        )
    finite = np.isfinite(values)
    if not finite.all():
        raise Unavailable(
            f"{link} has no answer for {n - int(finite.sum())} of {n} rows",
            got=_examples(values, ~finite),
            allowed="a finite number per row",
            key=output,
        )
    if output == "value":
        return values
    outside = (values < -OVERSHOOT) | (values > 1 + OVERSHOOT)
    if outside.any():
        raise Unavailable(
            f"{link} gives {int(outside.sum())} of {n} rows what is no probability",
            got=_examples(values, outside),
            allowed="0 to 1",
            key=output,
        )
    return np.clip(values, 0.0, 1.0)


def _examples(values: NDArray[np.float64], where: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(where)[:3]
    return ", ".join(f"{values[row]:g} in row {row}" for row in rows)
