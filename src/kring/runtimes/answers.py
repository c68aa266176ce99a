"""What an answer must be: finite numbers, and probabilities within [0, 1]. Anything else is no answer: NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import Unavailable
from kring.record.version import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERSHOOT: Final = 1e-6
WHOLE: Final = 1e-3
"""How far the probabilities of a row may add up to something else than 1."""

FEW: Final = 64
LARGEST: Final = float(np.finfo(np.float64).max)


def answered(values: NDArray[np.float64], *, n: int, output: Output, link: str, labels: int = 0) -> NDArray[np.float64]:
    """`values`, shape (n,), or (n, labels) for `probabilities`, with NaN where a row has no usable answer,
    whatever its neighbours have.

    What is not finite is none, nor is a probability outside [0, 1], nor are probabilities of labels that do not
    add up to 1 within `WHOLE`; float32 sums may overshoot by `OVERSHOOT` and are clipped. `Unavailable` for
    values that do not belong to rows.
    """
    shape = (n, labels) if output == "probabilities" else (n,)
    if values.shape != shape:
        raise Unavailable(
            f"{link} does not answer row by row", got=f"shape {values.shape}", allowed=f"shape {shape}", key=output
        )
    least, most = (-LARGEST, LARGEST) if output == "value" else (0.0, 1.0)
    if output != "probabilities" and are_within(values, least, most):
        return values
    low, high = (-LARGEST, LARGEST) if output == "value" else (-OVERSHOOT, 1 + OVERSHOOT)
    usable: NDArray[np.bool_] = (values >= low) & (values <= high)
    if output == "probabilities":
        whole = np.abs(np.where(usable, values, 0.0).sum(axis=1) - 1) <= WHOLE
        usable = np.repeat((usable.all(axis=1) & whole)[:, None], labels, axis=1)
    if not usable.all():
        values = np.where(usable, values, np.nan)
    return values if output == "value" else np.minimum(np.maximum(values, 0.0), 1.0)


def are_within(values: NDArray[np.float64], least: float, most: float) -> bool:
    """Whether all values lie there, and none is missing. A few are looked at one by one, which begins sooner."""
    if len(values) > FEW:
        return bool(values.min() >= least and values.max() <= most)
    return all([least <= value <= most for value in values.tolist()])


def nothing(output: Output, *, rows: int = 0, labels: int = 0) -> NDArray[np.float64]:
    """No answers for `rows` rows, in the shape of answers."""
    return np.full((rows, labels) if output == "probabilities" else (rows,), np.nan)
