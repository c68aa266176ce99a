"""What watching over a version costs, and how soon a run that never ends is back after its deadline.

    python benchmarks/guards.py

What a deadline, a breaker, and both as a worker has them (the deadline also stands on the control page) add to a
runtime that answers at once, over one answer of a small graph to one row; in turn, best of several rounds of each.
Then a graph that would loop for hours, with a deadline of 200 ms. Prints rows for the table of results: command, date,
ratio, microseconds.
"""

from __future__ import annotations

import datetime
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from kring.errors import Late
from kring.host.page import new_page
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.version import Link
from kring.runtimes.onnx import OnnxRuntime, open_onnx
from kring.serve.breaker import Breaker, BreakerRuntime
from kring.serve.deadline import DeadlineRuntime, Watchdog

ROUNDS, CALLS = 60, 2_000
DEADLINE_S, RUNS = 0.2, 15
COMMAND = "python benchmarks/guards.py"


def turning(turns: int) -> OnnxRuntime:
    """A graph that halves a number and doubles it again, `turns` times."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go on"], ["goes on"]),
            helper.make_node("Mul", ["a", "half"], ["less"]),
            helper.make_node("Add", ["less", "less"], ["b"]),
        ],
        "turn",
        [
            info("turn", TensorProto.INT64, []),
            info("go on", TensorProto.BOOL, []),
            info("a", TensorProto.FLOAT, [None]),
        ],
        [info("goes on", TensorProto.BOOL, []), info("b", TensorProto.FLOAT, [None])],
        [numpy_helper.from_array(np.array([0.5], dtype=np.float32), "half")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "flat"], ["v"]),
            helper.make_node("Loop", ["turns", "yes", "v"], ["value"], body=body),
        ],
        "turning",
        [info("x", TensorProto.FLOAT, [None, 1])],
        [info("value", TensorProto.FLOAT, [None])],
        [
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat"),
            numpy_helper.from_array(np.array(turns, dtype=np.int64), "turns"),
            numpy_helper.from_array(np.array(True), "yes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return open_onnx(model.SerializeToString(), Link(kind="onnx", file="turning.onnx", inputs=("x",)), output="value")


class Immediate:
    """Answers with what it has."""

    def __init__(self) -> None:
        self._answer = Batch(1, {"value": np.ones(1)})

    def answer(self, batch: Batch) -> Batch:
        del batch
        return self._answer

    def close(self) -> None:
        """Nothing is held."""


def microseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - began) / CALLS * 1e6


def best(runtimes: dict[str, Runtime], batch: Batch) -> dict[str, float]:
    """Microseconds of one answer, in the best round of each; the rounds go in turn."""
    rounds = [
        {name: microseconds(lambda one=one: one.answer(batch)) for name, one in runtimes.items()} for _ in range(ROUNDS)
    ]
    return {name: min(one[name] for one in rounds) for name in runtimes}


def back_after(runtime: Runtime, batch: Batch) -> float:
    """Seconds until a run that never ends is given up."""
    began = time.monotonic()
    try:
        runtime.answer(batch)
    except Late:
        return time.monotonic() - began
    raise SystemExit("a graph that loops for hours has answered")


def main() -> None:
    batch = Batch(1, {"x": np.array([2.0], dtype=np.float32)})
    with tempfile.TemporaryDirectory() as folder:
        page = new_page(Path(folder) / "page", workers=1)
        alone, published = Watchdog(time.monotonic), Watchdog(time.monotonic, publish=page.seats[0].work)
        bare = Immediate()
        guarded = {
            "a deadline": DeadlineRuntime(bare, alone, seconds=DEADLINE_S),
            "a breaker": BreakerRuntime(bare, Breaker(time.monotonic)),
            "both, and the page": BreakerRuntime(
                DeadlineRuntime(bare, published, seconds=DEADLINE_S), Breaker(time.monotonic)
            ),
        }
        taken = best({"bare": bare, "graph": turning(1), **guarded}, batch)
        endless = DeadlineRuntime(turning(10**10), published, seconds=DEADLINE_S)
        back = [back_after(endless, batch) for _ in range(RUNS)]
        alone.close()
        published.close()
        page.close()
    today = datetime.date.today()
    for name in guarded:
        more = taken[name] - taken["bare"]
        print(
            f"| `{COMMAND}`, {name} | {today} | {more / taken['graph']:.3f}x a run of a small graph "
            f"| {more:.2f} µs beside {taken['graph']:.1f} µs |"
        )
    print(
        f"| `{COMMAND}`, a run that never ends | {today} | {statistics.median(back) / DEADLINE_S:.3f}x its deadline of "
        f"{DEADLINE_S * 1000:.0f} ms | latest {max(back) * 1000:.1f} ms |"
    )


if __name__ == "__main__":
    main()
