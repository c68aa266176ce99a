"""Fits candidates and exports what was fitted as data (law 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from kring.record.batch import Batch
from kring.record.contract import Scalar
from kring.record.prepare import PreparedColumn
from kring.record.version import Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Framework(Protocol):
    """Batches hold prepared columns: float32 arrays with NaN for missing, and arrays of str."""

    def builtin(
        self,
        name: str,
        *,
        output: Output,
        columns: tuple[PreparedColumn, ...],
        params: Mapping[str, Scalar],
        seed: int,
    ) -> object:
        """An unfitted estimator; `CandidateError` names the built-ins and parameters there are."""
        ...

    def fit(self, estimator: object, batch: Batch, truth: NDArray[np.float64], *, labels: int = 0) -> object:
        """The fitted estimator. Truth is 0/1 for a probability; with three `labels` or more it is their places,
        0 … labels − 1, of which some may not occur. `CandidateError` when it can't be fitted."""
        ...

    def predict(self, fitted: object, batch: Batch) -> NDArray[np.float64]:
        """Probability of yes, or the value, (n,); of several labels each one's probability, (n, labels), 0 for one
        that was not learned."""
        ...

    def export(self, fitted: object, columns: tuple[PreparedColumn, ...]) -> bytes:
        """ONNX bytes with one input per column, in order, shape (n, 1), float32 or string, and the
        output `probability` or `value` of shape (n,), or `probabilities` (n, labels). `CandidateError` with the
        cure when it can't."""
        ...
