"""What an answer must be: a finite number, and a probability within [0, 1]. Anything else is no answer: NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import Unavailable
from kring.record.version import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERSHOOT: Final = 1e-6


def answered(values: NDArray[np.float64], *, n: int, output: Output, link: str) -> NDArray[np.float64]:
    """`values`, shape (n,), with NaN where a row has no usable answer, whatever its neighbours have.

    What is not finite is none, nor is a probability outside [0, 1]; float32 sums may overshoot by
    `OVERSHOOT` and are clipped. `Unavailable` for values that do not belong to rows.
    """
    if values.shape != (n,):
        raise Unavailable(
            f"{link} does not answer row by row", got=f"shape {values.shape}", allowed=f"shape ({n},)", key=output
        )
    low, high = (-OVERSHOOT, 1 + OVERSHOOT) if output == "probability" else (-np.inf, np.inf)
    usable = np.isfinite(values) & (values >= low) & (values <= high)
    if not usable.all():
        values = np.where(usable, values, np.nan)
    return np.clip(values, 0.0, 1.0) if output == "probability" else values
