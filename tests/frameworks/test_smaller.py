"""Matrices kept smaller: the same graph to whoever feeds it, and no row depends on the rows beside it."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kring.errors import CandidateError
from kring.frameworks import sklearn as framework
from kring.frameworks.smaller import Precision, smaller
from kring.record.batch import Batch
from kring.record.version import Link, Output
from kring.runtimes.onnx import open_onnx
from kring.testing.framework import COLUMNS, exported, rows, truth

CLOSE: dict[tuple[str, str], float] = {
    ("int8", "probability"): 0.05,
    ("fp16", "probability"): 2e-3,
    ("int8", "value"): 5.0,
    ("fp16", "value"): 0.5,
}


@cache
def network(output: Output, *, width: int = 48) -> bytes:
    kind = MLPClassifier if output == "probability" else MLPRegressor
    numbers = [column.name for column in COLUMNS if column.kind == "number"]
    categories = [column.name for column in COLUMNS if column.kind == "category"]
    parts = [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    ]
    pipeline = make_pipeline(
        ColumnTransformer(parts), kind(hidden_layer_sizes=(width, width), max_iter=8, random_state=0)
    )
    batch = rows(400, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = framework.fit(pipeline, batch, truth(batch, output, seed=2))
    return framework.export(fitted, COLUMNS)


@pytest.mark.parametrize("output", ["probability", "value"])
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_network_becomes_smaller_and_answers_nearly_the_same(precision: Precision, output: Output) -> None:
    model, batch = network(output), rows(300, seed=3)
    small = smaller(model, precision)
    assert len(small) < (0.75 if precision == "fp16" else 0.6) * len(model)
    difference = np.abs(exported(small, batch) - exported(model, batch)).max()
    assert 0 < difference < CLOSE[precision, output]
    onnx.checker.check_model(onnx.load_from_string(small))
    open_onnx(small, Link(kind="onnx", inputs=tuple(column.name for column in COLUMNS)), output=output).close()


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_no_row_depends_on_the_rows_beside_it(precision: Precision) -> None:
    """Computing in int8 would: it scales a whole batch by its largest number."""
    small, batch = smaller(network("probability"), precision), rows(60, seed=4)
    np.asarray(batch.columns["distance"])[0] = 1e6
    together = exported(small, batch)
    alone = [
        exported(small, Batch(1, {name: np.asarray(column)[row : row + 1] for name, column in batch.columns.items()}))
        for row in range(batch.n)
    ]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)


def test_equal_graphs_give_equal_bytes() -> None:
    assert smaller(network("value"), "int8") == smaller(network("value"), "int8")


@pytest.mark.parametrize("name", ["prior", "linear", "boosted", "forest"])
def test_trees_and_linear_parts_hold_no_matrix(name: str) -> None:
    batch = rows(200, seed=1)
    estimator = framework.builtin(name, output="probability", columns=COLUMNS, params={}, seed=0)
    model = framework.export(framework.fit(estimator, batch, truth(batch, "probability", seed=2)), COLUMNS)
    with pytest.raises(CandidateError, match="nothing in this graph can be made smaller") as refused:
        smaller(model, "int8")
    assert refused.value.got
    assert "remove this candidate" in refused.value.next


def multiplied(weights: np.ndarray, *, turned: bool = False) -> bytes:
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=int(turned))
    made = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, weights.shape[int(turned)]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


def weights_of(model: bytes, width: int) -> np.ndarray:
    """What a graph multiplies by, read from its answers."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.eye(width, dtype=np.float32)})[0])


@pytest.mark.parametrize("turned", [False, True])
def test_each_output_has_a_scale_of_its_own(turned: bool) -> None:
    """One large channel does not cost the small ones their digits; a channel of zeros stays zero."""
    weights = np.random.default_rng(0).normal(0, 1, (40, 40))
    weights[:, 3] *= 1000
    weights[:, 5] = 0
    got = weights_of(smaller(multiplied(weights.T if turned else weights, turned=turned), "int8"), 40)
    np.testing.assert_allclose(got, weights, atol=np.abs(weights).max(axis=0).max() / 127)
    rest = np.delete(np.arange(40), 3)
    assert np.abs(got - weights)[:, rest].max() < 4 / 127
    assert (got[:, 5] == 0).all()


def test_numbers_beyond_fp16_are_refused() -> None:
    weights = np.ones((40, 40))
    weights[1, 2] = 70_000
    with pytest.raises(CandidateError, match="fp16 can't hold") as refused:
        smaller(multiplied(weights), "fp16")
    assert "70000 in w" in refused.value.got


def test_what_gains_nothing_is_refused() -> None:
    """Small matrices are left alone, and a flat one needs more bytes for its scales than it saves."""
    with pytest.raises(CandidateError, match="nothing in this graph can be made smaller"):
        smaller(network("probability", width=4), "int8")
    with pytest.raises(CandidateError, match="is not smaller") as refused:
        smaller(multiplied(np.random.default_rng(1).normal(size=(1, 64))), "int8")
    assert refused.value.allowed
