"""All numbers of a row in one input of the graph: each input more costs a server as much as a small model does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from onnx import ModelProto, NodeProto, TensorProto, helper

from kring.record.version import NUMBERS

COUNTED_SPLIT: Final = 18
"""From this set of operators on, a Split is told into how many parts."""


def pack(model: ModelProto) -> None:
    """Give `model` one input for all its numbers, when it has several. Inputs of texts stay as they are."""
    graph = model.graph
    numbers = [node.name for node in graph.input if node.type.tensor_type.elem_type == TensorProto.FLOAT]
    if len(numbers) < 2:
        return
    joint = _joint(graph.node, numbers)
    if joint is None:
        graph.node.insert(0, _split(numbers, model))
    else:
        joined = joint.output[0]
        graph.node.remove(joint)
        for node in with_inner(graph.node):
            node.input[:] = [NUMBERS if name == joined else name for name in node.input]
    for node in [node for node in graph.input if node.name in numbers]:
        graph.input.remove(node)
    graph.input.insert(0, helper.make_tensor_value_info(NUMBERS, TensorProto.FLOAT, [None, len(numbers)]))
    helper.set_model_props(model, {NUMBERS: "\n".join(numbers)})


def _joint(nodes: Sequence[NodeProto], numbers: list[str]) -> NodeProto | None:
    """The node that does nothing but join all numbers in their order, when nothing else reads any of them."""
    readers = [node for node in with_inner(nodes) if set(node.input) & set(numbers)]
    if len(readers) != 1 or readers[0].op_type != "Concat" or list(readers[0].input) != numbers:
        return None
    axes = [attribute.i for attribute in readers[0].attribute if attribute.name == "axis"]
    return next((node for node in nodes if node == readers[0]), None) if axes in ([1], [-1]) else None


def _split(numbers: list[str], model: ModelProto) -> NodeProto:
    version = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    parts = len(numbers) if version >= COUNTED_SPLIT else None
    return helper.make_node("Split", [NUMBERS], numbers, axis=1, num_outputs=parts)


def with_inner(nodes: Sequence[NodeProto]) -> Iterator[NodeProto]:
    """The nodes, and those of the graphs inside them (loops, branches), which see the outer names."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from with_inner(attribute.g.node)
