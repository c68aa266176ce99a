"""What a user's own candidate function is told."""

from __future__ import annotations

import msgspec

from kring.record.contract import Scalar
from kring.record.prepare import PreparedColumn
from kring.record.version import Output


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of `def candidate(spec) -> estimator`.

    The estimator comes back unfitted and takes a polars frame of `columns`: numbers are float32
    with NaN for missing, categories are texts with "(missing)" for missing. `output` says whether
    probabilities (`predict_proba`) or a value (`predict`) are wanted; the target is coded as the places
    of `labels`, or is a number without any; `rows` is what it will be fitted
    on; `params` are those of `[[candidate]]`. Parts without a `random_state` get `seed`.
    """

    output: Output
    labels: tuple[str, ...]
    columns: tuple[PreparedColumn, ...]
    params: dict[str, Scalar]
    seed: int
    rows: int

    @property
    def numbers(self) -> list[str]:
        """The names of the number columns, in order."""
        return [column.name for column in self.columns if column.kind == "number"]

    @property
    def categories(self) -> list[str]:
        """The names of the category columns, in order."""
        return [column.name for column in self.columns if column.kind == "category"]
