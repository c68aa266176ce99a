"""ONNX graphs brought into the one form that versions hold: an input for all numbers, one for each column of texts,
and one output of shape (n,) or (n, k).

Equal models give equal bytes: no clock, no random name and no order of a hash table is left in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from kring.frameworks.packing import pack, with_inner
from kring.record.prepare import PreparedColumn
from kring.record.version import NUMBERS, Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET: Final = 18
OPSET_ML: Final = 3
IR_VERSION: Final = 8
NAME: Final = "kring"


def constant(value: NDArray[np.float64] | float, *, output: Output, columns: Sequence[PreparedColumn]) -> bytes:
    """A graph that answers `value`, a number or one for each label (k,), for every row, whatever the columns say."""
    inputs = [_input(name, column.kind) for name, column in zip(input_names(columns, output), columns, strict=True)]
    one = np.atleast_1d(np.asarray(value, dtype=np.float32))
    width = np.asarray(np.shape(value), dtype=np.int64)
    held = [numpy_helper.from_array(one, "kring_value"), numpy_helper.from_array(width, "kring_width")]
    nodes = [
        helper.make_node("Shape", [inputs[0].name], ["kring_rows"], start=0, end=1),
        helper.make_node("Concat", ["kring_rows", "kring_width"], ["kring_shape"], axis=0),
        helper.make_node("Expand", ["kring_value", "kring_shape"], [output]),
    ]
    graph = helper.make_graph(nodes, NAME, inputs, [_output(output, *np.shape(value))], held)
    return sealed(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))


def single_output(
    model: ModelProto, source: str, *, output: Output, columns: Sequence[PreparedColumn], pick: int | None = None
) -> bytes:
    """`model` with `source` as its only output, called `output`; `pick` takes one column of it.

    `model` has one input per column, in order; they get the columns' names.
    """
    if pick is None:
        held = numpy_helper.from_array(np.array([-1], dtype=np.int64), "kring_flat")
        last = helper.make_node("Reshape", ["kring_cast", "kring_flat"], [output])
    else:
        held = numpy_helper.from_array(np.array(pick, dtype=np.int64), "kring_pick")
        last = helper.make_node("Gather", ["kring_cast", "kring_pick"], [output], axis=1)
    return _ending(model, source, last, held=(held,), output=_output(output), columns=columns)


def several_outputs(
    model: ModelProto,
    source: str,
    *,
    output: Output,
    columns: Sequence[PreparedColumn],
    placed: NDArray[np.float32],
) -> bytes:
    """`model` with `source`, a column for each label that it knows, as its only output; `placed` (known, labels)
    holds a 1 where such a column belongs, and the other labels get 0."""
    shape = _output(output, placed.shape[1])
    if np.array_equal(placed, np.eye(placed.shape[1])):
        last = helper.make_node("Identity", ["kring_cast"], [output])
        return _ending(model, source, last, held=(), output=shape, columns=columns)
    held = numpy_helper.from_array(placed, "kring_placed")
    last = helper.make_node("MatMul", ["kring_cast", "kring_placed"], [output])
    return _ending(model, source, last, held=(held,), output=shape, columns=columns)


def _ending(
    model: ModelProto,
    source: str,
    last: NodeProto,
    *,
    held: Sequence[TensorProto],
    output: ValueInfoProto,
    columns: Sequence[PreparedColumn],
) -> bytes:
    """`model` cut off at `source`, which is cast to float32 and goes through `last`, which reads `held` too."""
    graph = model.graph
    _rename_inputs(model, input_names(columns, output.name))
    nodes = _needed(graph.node, source)
    if source == output.name:
        source = "kring_source"
        _rename(nodes, {output.name: source})
    nodes.append(helper.make_node("Cast", [source], ["kring_cast"], to=TensorProto.FLOAT))
    nodes.append(last)
    graph.initializer.extend(held)
    del graph.node[:]
    graph.node.extend(nodes)
    used = set().union(*(_reads(node) for node in nodes))
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.output[:]
    graph.output.append(output)
    del graph.value_info[:]
    pack(model)
    return sealed(model)


def input_names(columns: Sequence[PreparedColumn], output: str) -> list[str]:
    """The columns' names; a column called like the output gets a dash behind it, as one graph can't have both."""
    return [f"{column.name}_" if column.name == output else column.name for column in columns]


def run(data: bytes, columns: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float64]:
    """Load `data` and answer `columns` (in the graph's order); shape (n,) or (n, k). Raises what onnxruntime raises."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    values = list(columns.values())
    if NUMBERS in names:
        numbers = np.stack([column for column in values if column.dtype != object], axis=1)
        values = [numbers, *(column for column in values if column.dtype == object)]
    feed = {name: column.reshape(len(column), -1) for name, column in zip(names, values, strict=True)}
    return np.asarray(session.run(None, feed)[0], dtype=np.float64)


def _needed(nodes: Sequence[NodeProto], source: str) -> list[NodeProto]:
    wanted = {source}
    kept: list[NodeProto] = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= _reads(node)
            kept.append(node)
    return kept[::-1]


def _reads(node: NodeProto) -> set[str]:
    return {name for inner in with_inner([node]) for name in inner.input}


def _rename_inputs(model: ModelProto, names: Sequence[str]) -> None:
    graph = model.graph
    renamed = {node.name: name for node, name in zip(graph.input, names, strict=True) if node.name != name}
    for node in graph.input:
        node.name = renamed.get(node.name, node.name)
    _rename(graph.node, renamed)


def _rename(nodes: Sequence[NodeProto], renamed: Mapping[str, str]) -> None:
    """Give what nodes read and make other names."""
    for node in with_inner(nodes):
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                names[position] = renamed.get(name, name)


def _input(name: str, kind: str) -> ValueInfoProto:
    element = TensorProto.FLOAT if kind == "number" else TensorProto.STRING
    return helper.make_tensor_value_info(name, element, [None, 1])


def _output(output: Output, *width: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, *width])


def sealed(model: ModelProto) -> bytes:
    """The bytes of `model`, without anything in them that says who made them, where or when."""
    versions = sorted((entry.domain, entry.version) for entry in model.opset_import)
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in versions)
    model.ir_version = IR_VERSION
    model.graph.name = NAME
    model.producer_name = NAME
    model.producer_version = ""
    data: bytes = model.SerializeToString(deterministic=True)
    return data
