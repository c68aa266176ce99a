"""LightGBM and XGBoost: their built-ins, and their estimators inside a user's scikit-learn pipeline.

Fitting, answering and exporting are scikit-learn's; what is added are the converters to ONNX. Boosters
are fitted on plain arrays: the export of XGBoost knows no names of columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier, XGBRegressor

from kring.frameworks import sklearn
from kring.frameworks.builtins import Builder, Values, beside, build, own
from kring.record.batch import Batch
from kring.record.contract import Scalar
from kring.record.prepare import PreparedColumn
from kring.record.version import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOOSTERS: Final = (LGBMClassifier, LGBMRegressor, XGBClassifier, XGBRegressor)
PLAIN: Final = {"zipmap": [True, False, "columns"], "nocl": [True, False]}


def builtin(
    name: str, *, output: Output, columns: tuple[PreparedColumn, ...], params: Mapping[str, Scalar], seed: int
) -> object:
    """An unfitted pipeline over `columns`: `lightgbm` or `xgboost`."""
    return build(name, builders=BUILDERS, output=output, columns=columns, params=params, seed=seed)


def fit(estimator: object, batch: Batch, truth: NDArray[np.float64], *, labels: int = 0) -> object:
    """As scikit-learn's, on `sklearn.FIT_THREADS` threads where the estimator does not say on how many."""
    if isinstance(estimator, BOOSTERS):
        numbers = ColumnTransformer([("columns", "passthrough", list(batch.columns))])
        estimator = Pipeline([("columns", numbers), ("model", estimator)])
    return sklearn.fit(_bounded(estimator), batch, truth, labels=labels)


predict = sklearn.predict
export = sklearn.export


def _lightgbm(output: Output, columns: tuple[PreparedColumn, ...], values: Values, seed: int) -> Any:
    kind: Any = LGBMRegressor if output == "value" else LGBMClassifier
    model = kind(
        random_state=seed % 2**31,
        n_jobs=sklearn.FIT_THREADS,
        verbosity=-1,
        subsample_freq=1,
        deterministic=True,
        force_row_wise=True,
        **own(values),
    )
    encoded = beside(columns, "passthrough", values["min_frequency"], sparse=False)
    return Pipeline([("columns", encoded), ("model", model)])


def _xgboost(output: Output, columns: tuple[PreparedColumn, ...], values: Values, seed: int) -> Any:
    kind: Any = XGBRegressor if output == "value" else XGBClassifier
    model = kind(random_state=seed % 2**31, n_jobs=sklearn.FIT_THREADS, verbosity=0, tree_method="hist", **own(values))
    encoded = beside(columns, "passthrough", values["min_frequency"], sparse=False)
    return Pipeline([("columns", encoded), ("model", model)])


BUILDERS: Final[Mapping[str, Builder]] = {"lightgbm": _lightgbm, "xgboost": _xgboost}


def _bounded(estimator: object) -> object:
    """A copy in which boosters without a number of threads get one."""
    parts: dict[str, Any] = getattr(estimator, "get_params", dict)()
    unbounded = [f"{name}__n_jobs" for name, part in parts.items() if isinstance(part, BOOSTERS) and not part.n_jobs]
    if not unbounded:
        return estimator
    bounded: Any = clone(estimator)
    return bounded.set_params(**dict.fromkeys(unbounded, sklearn.FIT_THREADS))


class _RoundedDown:
    """A graph in the making that keeps thresholds of `x <= threshold` as the next lower float32: for float32
    numbers that asks the same as LightGBM's float64, and the nearest float32 may be one of them."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, op_type: str, inputs: Any, outputs: Any, **attributes: Any) -> None:
        if "nodes_values" in attributes:
            values = np.asarray(attributes["nodes_values"], dtype=np.float64)
            nearest = values.astype(np.float32)
            lower = np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)
            attributes["nodes_values"] = lower.tolist()
        self._container.add_node(op_type, inputs, outputs, **attributes)


def _convert_lightgbm(scope: Any, operator: Any, container: Any) -> None:
    convert_lightgbm(scope, operator, _RoundedDown(container))


def _register() -> None:
    """Teach the export of scikit-learn pipelines what boosters are."""
    classes = calculate_linear_classifier_output_shapes
    values = calculate_linear_regressor_output_shapes
    for kind, shapes, convert, options in (
        (LGBMClassifier, classes, _convert_lightgbm, PLAIN),
        (LGBMRegressor, values, _convert_lightgbm, {"split": None}),
        (XGBClassifier, classes, convert_xgboost, PLAIN),
        (XGBRegressor, values, convert_xgboost, {}),
    ):
        update_registered_converter(kind, f"Kring{kind.__name__}", shapes, convert, options=options)


_register()
