"""The built-in candidates that scikit-learn brings: unfitted pipelines over prepared columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kring.errors import CandidateError
from kring.frameworks.params import checked
from kring.record.contract import Scalar
from kring.record.prepare import PreparedColumn
from kring.record.version import Output

MOST_LEAVES: Final = 400_000
"""Leaves of a whole forest: about 30 MB exported. Beyond that a version is slow to load and to verify."""

Values = Mapping[str, int | float]
Builder = Callable[[Output, tuple[PreparedColumn, ...], Values, int], Any]


def build(
    name: str,
    *,
    builders: Mapping[str, Builder],
    output: Output,
    columns: tuple[PreparedColumn, ...],
    params: Mapping[str, Scalar],
    seed: int,
) -> object:
    """An unfitted pipeline over `columns` by one of `builders`. `CandidateError` for another name, wrong params
    or no columns."""
    if name not in builders:
        raise CandidateError(
            "there is no such built-in", got=repr(name), allowed=", ".join(sorted(builders)), key="builtin"
        )
    values = checked(name, params)
    if not columns:
        raise CandidateError(f"{name} has no columns to learn from", next="declare columns in [prepare]")
    return builders[name](output, columns, values, seed % 2**32)


def prior(output: Output, columns: tuple[PreparedColumn, ...], values: Values, seed: int) -> Any:
    """What is usual, whatever the columns say: the shares of the labels, or the mean."""
    del columns, values, seed
    return DummyRegressor(strategy="mean") if output == "value" else DummyClassifier(strategy="prior")


def linear(output: Output, columns: tuple[PreparedColumn, ...], values: Values, seed: int) -> Any:
    """Logistic regression, or ridge regression."""
    del seed
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    alpha, steps = float(values["alpha"]), int(values["max_iter"])
    model = Ridge(alpha=alpha) if output == "value" else LogisticRegression(C=1 / alpha, max_iter=steps)
    sparse = output != "value"  # five times as fast there; a sparse Ridge would be less exact
    return Pipeline([("columns", beside(columns, numbers, values["min_frequency"], sparse=sparse)), ("model", model)])


def boosted(output: Output, columns: tuple[PreparedColumn, ...], values: Values, seed: int) -> Any:
    """Gradient boosting of histograms; a missing number goes the way that helps most."""
    kind = HistGradientBoostingRegressor if output == "value" else HistGradientBoostingClassifier
    model = kind(early_stopping=False, random_state=seed, **own(values))
    encoded = beside(columns, "passthrough", values["min_frequency"], sparse=False)
    return Pipeline([("columns", encoded), ("model", model)])


def forest(output: Output, columns: tuple[PreparedColumn, ...], values: Values, seed: int) -> Any:
    """Many trees, each on rows drawn anew. A missing number becomes the median: the export of a forest that
    sends missing numbers down a branch answers otherwise."""
    leaves = int(values["n_estimators"]) * int(values["max_leaf_nodes"])
    if leaves > MOST_LEAVES:
        raise CandidateError(
            "this forest would be too large to release",
            got=f"n_estimators × max_leaf_nodes = {leaves:,} leaves",
            allowed=f"up to {MOST_LEAVES:,}",
            next="fewer trees, or fewer leaves in each",
            key="params.max_leaf_nodes",
        )
    kind = RandomForestRegressor if output == "value" else RandomForestClassifier
    model = kind(random_state=seed, n_jobs=1, **own(values))
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    encoded = beside(columns, numbers, values["min_frequency"], sparse=False)
    return Pipeline([("columns", encoded), ("model", model)])


BUILDERS: Final[Mapping[str, Builder]] = {"prior": prior, "linear": linear, "boosted": boosted, "forest": forest}


def own(values: Values) -> dict[str, int | float]:
    """The params of the model itself: all but the encoder's."""
    return {name: value for name, value in values.items() if name != "min_frequency"}


def beside(columns: Sequence[PreparedColumn], numbers: object, min_frequency: float, *, sparse: bool) -> Any:
    """Numbers by `numbers`, categories one-hot; a kind that no column has is left out."""
    one_hot = OneHotEncoder(
        handle_unknown="ignore",
        min_frequency=float(min_frequency) or None,
        sparse_output=sparse,
        dtype=np.float32,
    )
    parts = (("numbers", numbers, "number"), ("categories", one_hot, "category"))
    named = [(name, step, [column.name for column in columns if column.kind == kind]) for name, step, kind in parts]
    return ColumnTransformer([part for part in named if part[2]], sparse_threshold=float(sparse))
