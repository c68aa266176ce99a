from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from kring.errors import Refused
from kring.indexes.sqlite import build_index
from kring.record.passage import Ranking
from kring.release.contents import check_contents
from kring.testing.index import DOCUMENTS, PASSAGES

Change = Callable[[onnx.ModelProto], object]


def outside(tensor: onnx.TensorProto, place: str = "weights.bin") -> None:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)


def custom_node(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Run", ["hour"], ["x"], domain="com.example"))


def custom_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def hidden_initializer(model: onnx.ModelProto) -> None:
    outside(model.graph.initializer[0])


def escaping_initializer(model: onnx.ModelProto) -> None:
    outside(model.graph.initializer[0], "../../../../etc/passwd")


def hidden_sparse(model: onnx.ModelProto) -> None:
    outside(model.graph.sparse_initializer.add().values)


def hidden_attribute(model: onnx.ModelProto) -> None:
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.5])
    outside(value)
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))


def branch(model: onnx.ModelProto) -> onnx.GraphProto:
    """A graph inside a graph inside a node."""
    inner = helper.make_graph([helper.make_node("Identity", ["hour"], ["y"])], "inner", [], [])
    middle = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner)], "middle", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=middle))
    return model.graph.node[-1].attribute[0].g.node[0].attribute[0].g


def hidden_in_a_branch(model: onnx.ModelProto) -> None:
    outside(branch(model).initializer.add())


def custom_in_a_branch(model: onnx.ModelProto) -> None:
    branch(model).node.append(helper.make_node("Run", [], ["x"], domain="com.example"))


def function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="local")


def training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def no_version(model: onnx.ModelProto) -> None:
    model.ClearField("ir_version")


def no_opset(model: onnx.ModelProto) -> None:
    model.ClearField("opset_import")


BAD: dict[str, Change] = {
    change.__name__: change
    for change in (
        custom_node, custom_opset, hidden_initializer, escaping_initializer, hidden_sparse, hidden_attribute,
        hidden_in_a_branch, custom_in_a_branch, function, training, no_graph, no_version, no_opset,
    )
}  # fmt: skip


@pytest.mark.parametrize("which", sorted(BAD))
def test_a_model_with_more_than_standard_data_is_refused(which: str, model: Callable[..., onnx.ModelProto]) -> None:
    changed = model()
    BAD[which](changed)
    with pytest.raises(Refused) as caught:
        check_contents("links/a.onnx", changed.SerializeToString())
    assert caught.value.file == "links/a.onnx"
    assert caught.value.next


def test_graphs_inside_graphs_are_allowed_when_they_are_plain(model: Callable[..., onnx.ModelProto]) -> None:
    changed = model()
    branch(changed)
    check_contents("links/a.onnx", changed.SerializeToString())


@pytest.mark.parametrize("behind", [b"\xfa\x3f\x04abcd", b"\xf8\x3f\x01"], ids=["bytes", "number"])
def test_bytes_in_a_field_that_onnx_does_not_have_are_refused(
    behind: bytes, model: Callable[..., onnx.ModelProto]
) -> None:
    data = model().SerializeToString()
    assert onnx.load_model_from_string(data + behind).graph.output
    with pytest.raises(Refused, match="does not belong") as caught:
        check_contents("links/a.onnx", data + behind)
    assert "no field" in caught.value.got


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"\x08\x0a", b"\xff" * 40], ids=repr)
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        check_contents("links/a.onnx", data)


def test_a_truncated_model_is_refused(model: Callable[..., onnx.ModelProto]) -> None:
    data = model().SerializeToString()
    for end in range(len(data)):
        with pytest.raises(Refused):
            check_contents("links/a.onnx", data[:end])


@pytest.mark.parametrize("estimator", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=3)])
def test_what_scikit_learn_exports_is_allowed_and_runs(estimator: LogisticRegression) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    fitted = estimator.fit(rows, rows[:, 0] > 0)
    data = to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString()
    check_contents("links/a.onnx", data)
    assert onnxruntime.InferenceSession(data).run(None, {"X": rows[:1]})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b""),
        ("a.json", b"{"),
        ("a.json", b"NaN"),
        ("a.json", b"\xff"),
        ("a.json", b'"\xff"'),
        ("a.json", b"[" * 200_000),
        ("a.yaml", b""),
        ("a.yaml", b"- a\n"),
        ("a.yaml", b"a: [\n"),
        ("a.yaml", b"a: !!python/object/apply:os.system ['true']\n"),
        ("a.yaml", b"a: !mine 1\n"),
        ("a.yaml", b"a: " + b"[" * 100_000),
        ("a.yaml", b"a: 1\n" * 300_000),
        ("a.yaml", b"a: \xff\n"),
        ("a.yaml", b"a: 2013-99-99\n"),
        ("a.txt", b"\xff\xfe"),
        ("a.txt", b"a\x00b"),
        ("a.md", b"\x1b[31mred"),
        ("a.safetensors", b"{}"),
        ("a.h5", b"{}"),
        ("a.pb", b"{}"),
        ("a.py", b"print(1)\n"),
        ("a.JSON", b"{}"),
        ("a", b"{}"),
        ("json", b"{}"),
    ],
)
def test_what_is_not_its_kind_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        check_contents(name, data)
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'{"a": [1, 2.5, null, "x"]}'),
        ("a.yaml", b"# contract\nid: a\nschema: [{name: x}]\nwhen: 2013-01-01\n"),
        ("a.txt", "Grüße\n".encode()),
        ("a.md", b"# Title\r\n\ttext\n"),
    ],
)
def test_what_is_its_kind_is_allowed(name: str, data: bytes) -> None:
    check_contents(name, data)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:], lambda data: b""]
)
def test_an_index_is_one_whole_database(change: Callable[[bytes], bytes]) -> None:
    data = build_index(PASSAGES, documents=DOCUMENTS, ranking=Ranking())
    check_contents("links/index.sqlite", data)
    with pytest.raises(Refused, match=r"index\.sqlite"):
        check_contents("links/index.sqlite", change(data))
