"""The data and the model that every server of this benchmark answers with: a logistic regression over 30 floats.

    python benchmarks/serve/model.py joblib FILE    for servers that keep scikit-learn's own pickles
    python benchmarks/serve/model.py onnx FILE      for the floor
    python benchmarks/serve/model.py mlflow FOLDER  for `mlflow models serve`

Each environment fits it anew from the same seed, so that no pickle crosses from one scikit-learn to another. Optional
packages are imported where they are needed: each environment has only its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FIELDS = [f"x{place:02}" for place in range(30)]
SEED = 20_261_122
ROWS = 20_000
REACH = 6.0
"""Every value lies from -REACH to REACH."""


def data(rows: int = ROWS) -> tuple[Any, Any]:
    """Values (rows, 30), float64 with four decimals, and whether each row is a yes (rows,)."""
    chance = np.random.default_rng(SEED)
    values = chance.normal(0, 1, (rows, len(FIELDS))).clip(-REACH, REACH).round(4)
    weights = chance.normal(0, 0.4, len(FIELDS))
    return values, chance.random(rows) < 1 / (1 + np.exp(-(values @ weights) + 0.3))


def regression() -> Any:
    """The estimator, not yet fitted."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500)


def rows(count: int) -> list[dict[str, float]]:
    """`count` rows by name, other ones than those the model has learned from."""
    values, _ = data(ROWS + count)
    return [dict(zip(FIELDS, row, strict=True)) for row in values[ROWS:].tolist()]


def as_onnx(fitted: Any) -> bytes:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    row = [("row", FloatTensorType([None, len(FIELDS)]))]
    model = to_onnx(fitted, initial_types=row, options={"zipmap": False}, target_opset=18)
    return bytes(model.SerializeToString())


def main() -> None:
    kind, place = sys.argv[1], Path(sys.argv[2])
    fitted = regression().fit(*data())
    if kind == "onnx":
        place.write_bytes(as_onnx(fitted))
    elif kind == "joblib":
        import joblib

        joblib.dump(fitted, place)
    elif kind == "mlflow":
        import mlflow
        import pandas as pd

        example = pd.DataFrame(rows(5))
        signature = mlflow.models.infer_signature(example, fitted.predict_proba(example.to_numpy()))
        mlflow.sklearn.save_model(fitted, place, signature=signature, pyfunc_predict_fn="predict_proba")
    else:
        sys.exit(json.dumps({"unknown": kind, "known": ["joblib", "onnx", "mlflow"]}))


if __name__ == "__main__":
    main()
