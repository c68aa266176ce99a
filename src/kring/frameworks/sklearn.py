"""scikit-learn: what its estimators learn and answer, a built-in's or a user's own.

What a candidate answers is decided by `output`: probabilities come from `predict_proba`, a plain
value from `predict`. Everything is float32 from the prepared columns on, as it is in the graph.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from kring.errors import CandidateError
from kring.frameworks import graph
from kring.frameworks.builtins import BUILDERS, build
from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.prepare import PreparedColumn
from kring.record.version import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSEEN: Final = "a value that no training row had"
PROBE: Final = (0.6180339, -1.4142135, 12.3456789)
CLOSE: Final = 1e-4
YES_AND_NO: Final = 2
FIT_THREADS: Final = max(1, (os.cpu_count() or 1) // 2)
"""A thread on every core waits in vain for the others as soon as something else wants a core: ten times slower."""


def builtin(
    name: str, *, output: Output, columns: tuple[PreparedColumn, ...], params: Mapping[str, Scalar], seed: int
) -> object:
    """An unfitted pipeline over `columns`: `prior`, `linear`, `boosted` or `forest`."""
    return build(name, builders=BUILDERS, output=output, columns=columns, params=params, seed=seed)


@dataclass(frozen=True)
class Labelled:
    """A fitted `model` that tells several labels apart: `seen` are the places, among `labels`, of those it learned."""

    model: Any
    seen: tuple[int, ...]
    labels: int

    @property
    def placed(self) -> NDArray[np.float32]:
        """1 where a column of the model belongs to a label, (seen, labels)."""
        return np.eye(self.labels, dtype=np.float32)[list(self.seen)]


def fit(estimator: object, batch: Batch, truth: NDArray[np.float64], *, labels: int = 0) -> object:
    """A fitted copy of `estimator`. Truth is 0 and 1 for an estimator with `predict_proba`, else any number; with
    three `labels` or more it is their places, and a label that no row has gets the probability 0."""
    _require_unfitted(estimator)
    if labels > YES_AND_NO:
        seen, codes = _places(estimator, truth, labels=labels)
        return Labelled(_fitted(estimator, batch, codes), seen, labels)
    return _fitted(estimator, batch, _target(estimator, truth))


def _fitted(estimator: object, batch: Batch, target: NDArray[np.generic]) -> object:
    model: Any = clone(estimator)
    try:
        with threadpool_limits(FIT_THREADS):
            return model.fit(_frame(batch), target)
    except Exception as error:
        raise CandidateError(
            f"{_name(estimator)} could not be fitted on {batch.n} rows",
            got=_said(error),
            next=_fit_cure(batch),
        ) from error


def predict(fitted: object, batch: Batch) -> NDArray[np.float64]:
    """Probability of yes where there is `predict_proba`, else the value, (n,); of several labels each one's
    probability, (n, labels)."""
    try:
        return _outputs(fitted, batch)
    except Exception as error:
        raise CandidateError(
            f"{_name(fitted)} can't answer {batch.n} rows that it was not fitted on",
            got=_said(error),
            next='let encoders take unseen categories (handle_unknown="ignore") and impute missing numbers',
        ) from error


def export(fitted: object, columns: tuple[PreparedColumn, ...]) -> bytes:
    """ONNX bytes, loaded back and compared on rows with categories that no training row had."""
    output = _output_of(fitted)
    model = fitted.model if isinstance(fitted, Labelled) else fitted
    if isinstance(model, DummyClassifier | DummyRegressor) and model.strategy not in ("stratified", "uniform"):
        data = graph.constant(_outputs(fitted, _probe(columns))[0], output=output, columns=columns)
    else:
        data = _convert(fitted, columns, output)
    _check(data, fitted, columns)
    return data


def _frame(batch: Batch) -> pl.DataFrame:
    return pl.DataFrame([_series(name, column) for name, column in batch.columns.items()])


def _series(name: str, column: Column) -> pl.Series:
    values = np.asarray(column)
    if values.dtype.kind in "fiub":
        return pl.Series(name, values.astype(np.float32))
    return pl.Series(name, values.tolist(), dtype=pl.String)


def _output_of(estimator: object) -> Output:
    if isinstance(estimator, Labelled):
        return "probabilities"
    return "probability" if hasattr(estimator, "predict_proba") else "value"


def _outputs(fitted: Any, batch: Batch) -> NDArray[np.float64]:
    frame = _frame(batch)
    if isinstance(fitted, Labelled):
        return np.asarray(fitted.model.predict_proba(frame), dtype=np.float64) @ fitted.placed
    if _output_of(fitted) == "value":
        return np.asarray(fitted.predict(frame), dtype=np.float64).reshape(batch.n)
    return np.asarray(fitted.predict_proba(frame)[:, _yes(fitted)], dtype=np.float64)


def _yes(fitted: Any) -> int:
    """The position of yes; training on 0 and 1 puts it second."""
    return [float(label) for label in fitted.classes_].index(1.0)


def _require_unfitted(estimator: object) -> None:
    if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "predict"):
        raise CandidateError(
            "this is not a scikit-learn estimator",
            got=f"the class {estimator.__name__}" if isinstance(estimator, type) else repr(estimator)[:200],
            allowed="an unfitted BaseEstimator with fit and predict or predict_proba, such as a Pipeline",
            next="call the class: return Pipeline([...]), not Pipeline" if isinstance(estimator, type) else "",
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return
    raise CandidateError(
        f"{_name(estimator)} is fitted already",
        allowed="an unfitted estimator: the split, the seed and the fit are not the candidate's",
        next="return the estimator without calling fit",
    )


def _target(estimator: object, truth: NDArray[np.float64]) -> NDArray[np.generic]:
    if _output_of(estimator) == "value":
        return truth
    seen = np.unique(truth)
    if not np.isin(seen, (0.0, 1.0)).all():
        raise CandidateError(
            f"{_name(estimator)} tells yes from no, but the target is a number",
            got=f"{len(seen)} different values from {seen[0]:g} to {seen[-1]:g}",
            next="use an estimator that predicts values",
        )
    if len(seen) < 2:
        raise _all_the_same("only yes" if seen[0] else "only no")
    return truth.astype(np.int64)


def _places(estimator: object, truth: NDArray[np.float64], *, labels: int) -> tuple[tuple[int, ...], NDArray[np.int64]]:
    """The places of the labels that occur, and each row's place among those."""
    seen, codes = np.unique(truth, return_inverse=True)
    if not np.isin(seen, np.arange(labels)).all():
        raise CandidateError(
            f"{_name(estimator)} tells {labels} labels apart, but the target is something else",
            got=f"{len(seen)} different values from {seen[0]:g} to {seen[-1]:g}",
            allowed=f"whole numbers from 0 to {labels - 1}",
        )
    if len(seen) < 2:
        raise _all_the_same(f"only label {seen[0]:g} of {labels}" if len(seen) else "no rows")
    if _output_of(estimator) == "value":
        raise CandidateError(
            f"{_name(estimator)} does not answer what the system asks for",
            got="an estimator without predict_proba",
            allowed=f"probabilities of {labels} labels",
            next="use an estimator with predict_proba",
        )
    return tuple(int(place) for place in seen), codes.astype(np.int64)


def _all_the_same(got: str) -> CandidateError:
    return CandidateError(
        "there is nothing to tell apart: every training row has the same outcome",
        got=got,
        next="train on a longer span of data",
    )


def _convert(fitted: Any, columns: tuple[PreparedColumn, ...], output: Output) -> bytes:
    model = fitted.model if isinstance(fitted, Labelled) else fitted
    if not isinstance(model, Pipeline | GridSearchCV | RandomizedSearchCV):
        model = _as_pipeline(model, columns)
    types = [
        (column.name, FloatTensorType([None, 1]) if column.kind == "number" else StringTensorType([None, 1]))
        for column in columns
    ]
    options = None if output == "value" else {id(model): {"zipmap": False}}
    try:
        proto = skl2onnx.convert_sklearn(
            model,
            name=graph.NAME,
            initial_types=types,
            target_opset={"": graph.OPSET, "ai.onnx.ml": graph.OPSET_ML},
            options=options,
        )
    except Exception as error:
        raise CandidateError(
            f"{_name(fitted)} can't be exported to ONNX", got=_said(error), next=EXPORT_CURE
        ) from error
    source = proto.graph.output[-1].name
    if isinstance(fitted, Labelled):
        return graph.several_outputs(proto, source, output=output, columns=columns, placed=fitted.placed)
    pick = _yes(fitted) if output == "probability" else None
    return graph.single_output(proto, source, output=output, columns=columns, pick=pick)


EXPORT_CURE: Final = (
    "build it as Pipeline([ColumnTransformer([...]), model] from scikit-learn's own parts; calibrate or vote inside "
    "that pipeline, not around it; leave out functions and classes of your own, or say that it needs Python when it "
    'answers: code = "file.py:function"'
)


def _as_pipeline(fitted: object, columns: tuple[PreparedColumn, ...]) -> Any:
    """An estimator without a pipeline, behind a step that only puts the columns side by side."""
    names = [column.name for column in columns]
    kinds = {column.kind for column in columns}
    if kinds != {"number"}:
        return fitted
    empty = pl.DataFrame({name: np.zeros(2, dtype=np.float32) for name in names})
    beside = ColumnTransformer([("columns", "passthrough", names)]).fit(empty)
    return Pipeline([("columns", beside), ("model", fitted)])


def _probe(columns: tuple[PreparedColumn, ...]) -> Batch:
    """Three rows nobody has seen: their categories are new, their numbers no split point of a tree."""
    values: dict[str, Column] = {
        column.name: np.array(PROBE, dtype=np.float32)
        if column.kind == "number"
        else np.array([UNSEEN] * len(PROBE), dtype=object)
        for column in columns
    }
    return Batch(n=len(PROBE), columns=values)


def _check(data: bytes, fitted: object, columns: tuple[PreparedColumn, ...]) -> None:
    probe = _probe(columns)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always", UserWarning)  # encoders warn of what this is meant to try
        expected = predict(fitted, probe)
    try:
        got = graph.run(data, {name: np.asarray(values) for name, values in probe.columns.items()})
    except Exception as error:
        raise CandidateError(
            f"{_name(fitted)} exports, but the ONNX graph does not run on unseen categories",
            got=_said(error),
            next='use handle_unknown="ignore" in encoders',
        ) from error
    if not np.allclose(got, expected, rtol=CLOSE, atol=CLOSE, equal_nan=True):
        raise CandidateError(
            f"{_name(fitted)} answers otherwise once it is exported, on categories unseen in training",
            got=f"{got.tolist()} from ONNX, {expected.tolist()} from the estimator",
            next='use OneHotEncoder(handle_unknown="ignore") or TargetEncoder for categories',
        )


def _fit_cure(batch: Batch) -> str:
    numbers = {name: np.asarray(column) for name, column in batch.columns.items()}
    numbers = {name: values for name, values in numbers.items() if values.dtype.kind == "f"}
    empty = [name for name, values in numbers.items() if np.isnan(values).all()]
    endless = [name for name, values in numbers.items() if np.isinf(values).any()]
    if empty:
        return f"leave out columns without any value: {', '.join(empty)}"
    if endless:
        return f"make infinite values finite or missing in: {', '.join(endless)}"
    return "read what it says; missing numbers are NaN, missing categories are the text (missing)"


def _name(estimator: object) -> str:
    model = estimator.model if isinstance(estimator, Labelled) else estimator
    steps = getattr(model, "steps", None)
    return type(steps[-1][1] if steps else model).__name__


def _said(error: BaseException) -> str:
    """The first lines of what a library said, without its advice to open an issue there."""
    text = " ".join(str(error).split())
    for advice in ("It usually means", "You may raise an issue", "Below are more details"):
        text = text.split(advice)[0]
    return f"{type(error).__name__}: {text.strip()[:400]}"
