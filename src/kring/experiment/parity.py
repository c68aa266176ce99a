"""Exported equals trained (law 7), row by row and decision by decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import CandidateError
from kring.record.run import Parity

CLOSE: Final = 1e-4

Apart = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.bool_]]]
"""How far two answers to the same rows lie apart, and where their decisions differ."""

CURE: Final = (
    "train trees on unscaled numbers (a float32 scaler moves values across split points), calibrate by sigmoid "
    "instead of isotonic, encode categories one-hot instead of telling trees which columns are categorical; or say "
    'that it needs Python when it answers: code = "file.py:function"'
)


def parity(
    fitted: NDArray[np.float64], exported: NDArray[np.float64], by_rows: NDArray[np.float64], *, apart: Apart
) -> Parity:
    """Compare three answers to the same held-out rows, each of shape (n,) or (n, k): the fitted estimator's,
    the exported chain's on whole columns, and the exported chain's by the one-row path.

    `apart` is the task's way to compare two answers. A decision differs when exported and fitted, or fitted
    and the one-row path, decide otherwise though fitted was not within 1e-4 of doing so. An answer that is
    missing on either side counts as infinitely far.
    """
    if not fitted.shape == exported.shape == by_rows.shape:
        return Parity(rows=len(fitted), largest=float("inf"), decisions=0, row_path=float("inf"))
    (exact, differs), (_, differs_by_rows) = apart(fitted, exported), apart(fitted, by_rows)
    return Parity(
        rows=len(fitted),
        largest=float(exact.max(initial=0.0)),
        decisions=int((differs | differs_by_rows).sum()),
        row_path=float(apart(exported, by_rows)[0].max(initial=0.0)),
    )


def require_parity(parity: Parity, *, candidate: str) -> None:
    """`CandidateError` with the cure when `parity` is further apart than 1e-4, or a decision differs."""
    if parity.largest > CLOSE or (parity.decisions and parity.row_path <= CLOSE):
        raise CandidateError(
            f"candidate {candidate} answers otherwise once it is exported",
            got=f"largest difference {parity.largest:.2g}, {parity.decisions} decisions differ,"
            f" of {parity.rows:,} rows",
            allowed=f"differences up to {CLOSE:g}, and no other decision further than that from deciding otherwise",
            next=CURE,
            key=f"candidate.{candidate}",
        )
    if parity.row_path > CLOSE:
        raise CandidateError(
            f"candidate {candidate} answers single rows otherwise than whole columns",
            got=f"largest difference {parity.row_path:.2g} over {parity.rows:,} rows",
            allowed=f"up to {CLOSE:g}",
            next="round in [prepare]: some column comes out differently row by row; code answers each row by itself",
            key=f"candidate.{candidate}",
        )
