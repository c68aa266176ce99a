"""Smaller variants of an exported graph: its matrices kept as int8 or fp16, computed with as float32.

Only what is stored changes. Computing in int8 would scale each batch by its largest number, so that an
answer depended on the rows beside it; see docs/choices/smaller.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from kring.errors import CandidateError
from kring.frameworks import graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST: Final = 64
"""A matrix with fewer numbers than this gains nothing: what says how to read it is as long."""

LARGEST: Final = 127
HALF: Final = float(np.finfo(np.float16).max)
MULTIPLIES: Final = ("MatMul", "Gemm", "Conv")
CURE: Final = (
    "int8 and fp16 make matrices smaller, such as those of a neural network; take fewer or smaller trees instead, "
    "or remove this candidate"
)

Precision = Literal["int8", "fp16"]


def smaller(model: bytes, precision: Precision) -> bytes:
    """`model` with every matrix that it multiplies by kept in `precision`; inputs and output stay as they are.

    int8: whole numbers from -127 to 127 and a scale for each channel of the output (symmetric, as in Jacob
    et al. 2018, 2.1). `CandidateError` when the graph holds no such matrix, when a number lies beyond what
    fp16 can hold, or when the result is not smaller.
    """
    proto = onnx.load_from_string(model)
    matrices = dict(_matrices(proto))
    if not matrices:
        raise CandidateError("nothing in this graph can be made smaller", got=_ingredients(proto), next=CURE)
    kept, steps = [], []
    for tensor in proto.graph.initializer:
        if tensor.name in matrices:
            parts, step = _stored(tensor, matrices[tensor.name], precision)
            kept += parts
            steps.append(step)
        else:
            kept.append(tensor)
    nodes = list(proto.graph.node)
    for field, values in ((proto.graph.initializer, kept), (proto.graph.node, steps + nodes)):
        del field[:]
        field.extend(values)
    data = graph.sealed(proto)
    if len(data) >= len(model):
        raise CandidateError(
            f"kept as {precision}, this graph is not smaller",
            got=f"{len(data):,} bytes",
            allowed=f"fewer than the {len(model):,} bytes of the candidate it comes from",
            next=CURE,
        )
    return data


def _matrices(proto: ModelProto) -> Iterator[tuple[str, int]]:
    """The names of float32 matrices that are multiplied by, and the axis of their output channels."""
    large = {
        tensor.name
        for tensor in proto.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1 and np.prod(tensor.dims) >= LEAST
    }
    for node in proto.graph.node:
        if node.op_type not in MULTIPLIES or node.domain not in ("", "ai.onnx"):
            continue
        for position, name in enumerate(node.input[:2]):
            if name in large:
                yield name, _channels(node, position)


def _channels(node: NodeProto, position: int) -> int:
    """Which axis of an operand is left after multiplying: each index on it has numbers of its own size."""
    turned = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        return 0
    if position:
        return 0 if turned.get("transB") else -1
    return -1 if turned.get("transA") else -2


def _stored(tensor: TensorProto, axis: int, precision: Precision) -> tuple[list[TensorProto], NodeProto]:
    """What is stored instead of `tensor`, and the step that makes float32 numbers of it under its old name."""
    values = numpy_helper.to_array(tensor)
    name = f"{tensor.name}.{precision}"
    if precision == "fp16":
        _require_half(values, tensor.name)
        step = helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT)
        return [numpy_helper.from_array(values.astype(np.float16), name)], step
    axis %= values.ndim
    others = tuple(each for each in range(values.ndim) if each != axis)
    scale = np.abs(values).max(axis=others) / LARGEST
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    whole = np.rint(values / np.expand_dims(scale, others)).clip(-LARGEST, LARGEST).astype(np.int8)
    parts = [numpy_helper.from_array(whole, name), numpy_helper.from_array(scale, f"{name}.scale")]
    return parts, helper.make_node("DequantizeLinear", [name, f"{name}.scale"], [tensor.name], axis=axis)


def _require_half(values: NDArray[np.float32], name: str) -> None:
    largest = float(np.abs(values).max())
    if largest > HALF:
        raise CandidateError(
            "fp16 can't hold a number of this graph",
            got=f"{largest:g} in {name}",
            allowed=f"numbers up to {HALF:g}",
            next="scale the columns before the network, or take int8",
        )


def _ingredients(proto: ModelProto) -> str:
    """What the graph is made of, in the order of first use."""
    return ", ".join(dict.fromkeys(node.op_type for node in proto.graph.node))
