from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from kring.errors import IntegrityError, Unavailable
from kring.frameworks import sklearn as framework
from kring.metrics.numbers import numbers_of
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.version import Link, Output
from kring.runtimes.onnx import OnnxRuntime, open_onnx
from kring.testing.framework import COLUMNS, LABELS, labels_of, rows, truth
from kring.testing.runtime import RuntimeConformance

LINK = Link(kind="onnx", file="links/model.onnx", inputs=tuple(column.name for column in COLUMNS))


def trained(output: Output) -> bytes:
    batch = rows(300, seed=1)
    estimator = framework.builtin("boosted", output=output, columns=COLUMNS, params={"max_iter": 5}, seed=0)
    fitted = framework.fit(estimator, batch, truth(batch, output, seed=2), labels=labels_of(output))
    return framework.export(fitted, COLUMNS)


OUTPUTS: tuple[Output, ...] = ("probability", "value", "probabilities")
MODELS: dict[Output, bytes] = {output: trained(output) for output in OUTPUTS}


class TestProbabilities(RuntimeConformance):
    output = "probability"

    def runtime(self) -> Runtime:
        return open_onnx(MODELS["probability"], LINK, output="probability")

    def batch(self) -> Batch:
        return rows(40, seed=3)


class TestValues(RuntimeConformance):
    output = "value"

    def runtime(self) -> Runtime:
        return open_onnx(MODELS["value"], LINK, output="value")

    def batch(self) -> Batch:
        return rows(40, seed=3)


class TestSeveralLabels(RuntimeConformance):
    output = "probabilities"
    labels = LABELS

    def runtime(self) -> Runtime:
        return open_onnx(MODELS["probabilities"], LINK, output="probabilities", labels=LABELS)

    def batch(self) -> Batch:
        return rows(40, seed=3)


@pytest.mark.parametrize("output", OUTPUTS)
def test_numbers_side_by_side_are_answered_as_their_columns_are(output: Output) -> None:
    batch = rows(7, seed=4)
    names = [column.name for column in COLUMNS if column.kind == "number"]
    lists = {name: np.asarray(batch.columns[name]).tolist() for name in names}
    side = Batch(batch.n, batch.columns, numbers_of(lists, names[::-1]))
    labels = LABELS if output == "probabilities" else 0
    runtime = open_onnx(MODELS[output], LINK, output=output, labels=labels)
    answers, others = (np.asarray(runtime.answer(one).columns[output]) for one in (batch, side))
    np.testing.assert_array_equal(answers, others)


def beside(*names: str) -> OnnxRuntime:
    """A graph that answers its columns side by side, as the probabilities of as many labels."""
    graph = helper.make_graph(
        [helper.make_node("Concat", list(names), ["probabilities"], axis=1)],
        "kring",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in names],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(names)])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    link = Link(kind="onnx", inputs=names)
    return open_onnx(model.SerializeToString(), link, output="probabilities", labels=len(names))


@pytest.mark.parametrize(
    "row",
    [
        (0.5, 0.5, float("nan")),
        (float("inf"), 0.0, 0.0),
        (1.2, -0.2, 0.0),
        (0.5, 0.5, 0.002),
        (0.3, 0.3, 0.3),
        (0.0, 0.0, 0.0),
    ],
)
def test_a_row_that_is_no_distribution_is_no_answer_and_leaves_its_neighbours_theirs(row: tuple[float, ...]) -> None:
    fine = (0.25, 0.25, 0.5)
    columns = {
        name: np.array(values, dtype=np.float32)
        for name, values in zip("abc", np.transpose([fine, row, fine]), strict=True)
    }
    answers = np.asarray(beside("a", "b", "c").answer(Batch(3, dict(columns))).columns["probabilities"])
    np.testing.assert_array_equal(answers, [fine, [np.nan] * 3, fine])


def test_a_small_overshoot_of_a_distribution_is_clipped() -> None:
    columns = {"a": np.array([1.0000005], np.float32), "b": np.array([-0.0000005], np.float32)}
    answers = np.asarray(beside("a", "b").answer(Batch(1, dict(columns))).columns["probabilities"])
    np.testing.assert_array_equal(answers, [[1.0, 0.0]])


def test_another_number_of_labels_is_refused() -> None:
    for labels in (0, LABELS - 1, LABELS + 1):
        with pytest.raises(IntegrityError, match="another number of labels"):
            open_onnx(MODELS["probabilities"], LINK, output="probabilities", labels=labels)


def doubled(constant: float, *, output: Output = "probability") -> OnnxRuntime:
    """A graph that answers its one column plus `constant`."""
    nodes = [
        helper.make_node("Add", ["x", "c"], ["sum"]),
        helper.make_node("Reshape", ["sum", "flat"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "kring",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None])],
        [
            numpy_helper.from_array(np.array([constant], dtype=np.float32), "c"),
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return open_onnx(model.SerializeToString(), Link(kind="onnx", inputs=("x",)), output=output)


def column(*values: float) -> Batch:
    return Batch(len(values), {"x": np.array(values, dtype=np.float32)})


def test_a_tiny_overshoot_is_clipped() -> None:
    answers = doubled(0.0).answer(column(1.0000001, -0.0000001, 0.5)).columns["probability"]
    assert list(answers) == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("value", [1.001, -0.1, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_probability_is_no_answer_and_leaves_its_neighbours_theirs(value: float) -> None:
    answers = doubled(0.0).answer(column(0.5, value, 1.0)).columns["probability"]
    np.testing.assert_array_equal(np.asarray(answers), [0.5, np.nan, 1.0])


def test_a_value_may_be_any_finite_number() -> None:
    answers = doubled(0.0, output="value").answer(column(-3.0, 1e30)).columns["value"]
    np.testing.assert_allclose(list(answers), [-3.0, 1e30], rtol=1e-6)
    gaps = doubled(0.0, output="value").answer(column(float("nan"), float("inf"), 2.0)).columns["value"]
    np.testing.assert_array_equal(np.asarray(gaps), [np.nan, np.nan, 2.0])


@pytest.mark.parametrize(
    ("name", "values"),
    [("distance", ["a"] * 4), ("carrier", [1.0] * 4), ("carrier", ["a", None, "a", "b"]), ("hour of day", [{}] * 4)],
)
def test_a_column_of_another_kind_is_named(name: str, values: list[object]) -> None:
    batch = rows(4, seed=0)
    wrong = Batch(4, {**batch.columns, name: values})
    with pytest.raises(Unavailable, match=name):
        open_onnx(MODELS["value"], LINK, output="value").answer(wrong)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x04nonsense", pickle.dumps({"model": 1}), MODELS["value"][:-100], b"\x00" * 1000],
    ids=["empty", "binary", "pickle", "truncated", "zeros"],
)
def test_other_bytes_are_refused(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(IntegrityError, match=r"links/model\.onnx"):
        open_onnx(data, LINK, output="value")
    assert capfd.readouterr() == ("", "")


def test_a_graph_reads_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(np.ones(1, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    for place in ("secret", str(tmp_path / "secret")):
        outside = TensorProto(
            name="c",
            data_type=TensorProto.FLOAT,
            dims=[1],
            data_location=TensorProto.EXTERNAL,
            external_data=[{"key": "location", "value": place}, {"key": "length", "value": "4"}],
        )
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "c"], ["value"])],
            "kring",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
            [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
            [outside],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        with pytest.raises(IntegrityError):
            open_onnx(model.SerializeToString(), Link(kind="onnx", inputs=("x",)), output="value")


def test_a_graph_with_other_inputs_or_outputs_is_refused() -> None:
    with pytest.raises(IntegrityError, match="other inputs"):
        open_onnx(MODELS["value"], Link(kind="onnx", inputs=LINK.inputs[1:]), output="value")
    swapped = (LINK.inputs[1], LINK.inputs[0], *LINK.inputs[2:])
    with pytest.raises(IntegrityError, match="other inputs"):
        open_onnx(MODELS["value"], Link(kind="onnx", inputs=swapped), output="value")
    with pytest.raises(IntegrityError, match="another output"):
        open_onnx(MODELS["value"], LINK, output="probability")


def test_a_closed_runtime_says_so() -> None:
    runtime = open_onnx(MODELS["value"], LINK, output="value")
    runtime.close()
    with pytest.raises(Unavailable, match="closed"):
        runtime.answer(rows(4, seed=0))


def test_a_worker_imports_nothing_heavy() -> None:
    heavy = "polars sklearn skl2onnx onnx scipy pandas litestar deltalake"
    program = (
        "import sys, kring.runtimes.chain, kring.runtimes.onnx\n"
        f"print(*[name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
