"""Exported equals trained (law 7), row by row and decision by decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import CandidateError
from kring.record.run import Parity
from kring.record.version import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLOSE: Final = 1e-4

CURE: Final = (
    "train trees on unscaled numbers (a float32 scaler moves values across split points), calibrate by sigmoid "
    "instead of isotonic, encode categories one-hot instead of telling trees which columns are categorical"
)


def parity(
    fitted: NDArray[np.float64],
    exported: NDArray[np.float64],
    by_rows: NDArray[np.float64],
    *,
    threshold: float | None,
    output: Output,
) -> Parity:
    """Compare three answers to the same held-out rows, each of shape (n,): the fitted estimator's, the
    exported chain's on whole columns, and the exported chain's by the one-row path.

    Differences of probabilities are absolute. Those of values are relative: |Δ| / max(|fitted|, s),
    with s the standard deviation of the fitted answers, so that answers near zero are judged by
    their spread. A decision differs when exported and fitted (or the two paths) lie on different
    sides of `threshold` and the fitted probability is further than 1e-4 from it. An answer that is
    missing on either side counts as infinitely far.
    """
    scale = _scale(fitted, output)
    decisions = 0
    if threshold is not None and output == "probability" and fitted.shape == exported.shape == by_rows.shape:
        away = ~(np.abs(fitted - threshold) <= CLOSE)
        yes = fitted >= threshold
        differs = (yes != (exported >= threshold)) | (yes != (by_rows >= threshold))
        decisions = int((differs & away).sum())
    return Parity(
        rows=len(fitted),
        largest=_largest(fitted, exported, scale),
        decisions=decisions,
        row_path=_largest(exported, by_rows, scale),
    )


def require_parity(parity: Parity, *, candidate: str, output: Output) -> None:
    """`CandidateError` with the cure when `parity` is further apart than 1e-4, or a decision differs."""
    kind = "|Δp|" if output == "probability" else "relative |Δ|"
    if parity.largest > CLOSE or (parity.decisions and parity.row_path <= CLOSE):
        raise CandidateError(
            f"candidate {candidate} answers otherwise once it is exported",
            got=f"largest {kind} {parity.largest:.2g}, {parity.decisions} decisions differ, of {parity.rows:,} rows",
            allowed=f"{kind} up to {CLOSE:g}, and no other decision further than that from the threshold",
            next=CURE,
            key=f"candidate.{candidate}",
        )
    if parity.row_path > CLOSE:
        raise CandidateError(
            f"candidate {candidate} answers single rows otherwise than whole columns",
            got=f"largest {kind} {parity.row_path:.2g} over {parity.rows:,} rows",
            allowed=f"up to {CLOSE:g}",
            next="round in [prepare]: some column comes out differently row by row",
            key=f"candidate.{candidate}",
        )


def _scale(fitted: NDArray[np.float64], output: Output) -> NDArray[np.float64]:
    if output == "probability" or not len(fitted):
        return np.ones(len(fitted))
    scale = np.maximum(np.abs(fitted), np.std(fitted))
    return np.where(scale > 0, scale, 1.0)


def _largest(left: NDArray[np.float64], right: NDArray[np.float64], scale: NDArray[np.float64]) -> float:
    if left.shape != right.shape:
        return float("inf")
    if not len(left):
        return 0.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right) / scale
    return float(np.where(np.isfinite(apart), apart, np.inf).max())
