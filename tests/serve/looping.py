"""A graph that goes on for hours: it can only be stopped."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from kring.record.version import Link

HOURS = 10**10
LOOPING = Link(kind="onnx", file="links/looping.onnx", inputs=("x",))


def looping(turns: int = HOURS) -> bytes:
    """Answers the absolute value of `x`, found out again `turns` times."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go on"], ["goes on"]),
            helper.make_node("Mul", ["a", "a"], ["square"]),
            helper.make_node("Sqrt", ["square"], ["b"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [None]),
        ],
        [
            helper.make_tensor_value_info("goes on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [None]),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "flat"], ["v"]),
            helper.make_node("Loop", ["turns", "yes", "v"], ["value"], body=body),
        ],
        "looping",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None])],
        [
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat"),
            numpy_helper.from_array(np.array(turns, dtype=np.int64), "turns"),
            numpy_helper.from_array(np.array(True), "yes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())
