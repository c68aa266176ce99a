"""Fitted estimators as ONNX graphs: data that is computed with, never code that is run (law 5)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnxruntime

from kring.errors import IntegrityError, Late, Unavailable
from kring.record.batch import Batch, Column
from kring.record.version import Link, Output
from kring.runtimes.answers import answered, nothing

FATAL_ONLY: Final = 4
KINDS: Final = {"tensor(float)": "number", "tensor(string)": "category"}


class OnnxRuntime:
    """One session with one thread; safe to share between threads, each of which can be stopped by itself."""

    def __init__(self, session: Any, names: tuple[str, ...], *, output: Output, link: str, labels: int) -> None:
        self._session = session
        self._output = output
        self._labels = labels
        self._link = link
        self._inputs = [
            (node.name, name, KINDS[node.type]) for node, name in zip(session.get_inputs(), names, strict=True)
        ]
        self._runs: dict[int, Any] = {}

    def answer(self, batch: Batch) -> Batch:
        """`probability` or `value`: float64, shape (n,), or `probabilities`, (n, labels); NaN for a row without a
        usable answer.

        Reads the columns of its link; others may be there. `Unavailable` when it can't be run on them, `Late` when
        it was stopped.
        """
        if self._session is None:
            raise Unavailable(f"{self._link} is closed", next="open the version again")
        if batch.n == 0:
            return Batch(0, {self._output: nothing(self._output, labels=self._labels)})
        run = self._run_of_this_thread()
        feed = {node: self._column(batch, name, kind) for node, name, kind in self._inputs}
        try:
            values = self._session.run([self._output], feed, run)[0]
        except Exception as error:  # the model boundary: whatever the engine raises, the model has no answer
            if run.terminate:
                raise Late(f"{self._link} was stopped at its deadline", got=f"{batch.n} rows") from error
            raise Unavailable(
                f"{self._link} failed on {batch.n} rows", got=" ".join(str(error).split())[:400], key=self._output
            ) from error
        numbers = np.asarray(values, dtype=np.float64)
        usable = answered(numbers, n=batch.n, output=self._output, link=self._link, labels=self._labels)
        return Batch(batch.n, {self._output: usable})

    def stop(self, thread: int) -> None:
        run = self._runs.get(thread)
        if run is not None:
            run.terminate = True

    def close(self) -> None:
        self._session = None

    def _run_of_this_thread(self) -> Any:
        """The options of one run, as they were when new: a thread has one run at a time."""
        thread = threading.get_ident()
        run = self._runs.get(thread)
        if run is None:
            run = self._runs[thread] = onnxruntime.RunOptions()
            run.log_severity_level = FATAL_ONLY
        run.terminate = False
        return run

    def _column(self, batch: Batch, name: str, kind: str) -> Any:
        if name not in batch.columns:
            raise Unavailable(
                f"{self._link} needs the column {name}", got=", ".join(batch.columns) or "no columns", key=name
            )
        make = _numbers if kind == "number" else _texts
        values = make(batch.columns[name])
        if values is None:
            raise Unavailable(
                f"{self._link} needs another kind of column {name}",
                got=f"{type(batch.columns[name][0]).__name__}",
                allowed="numbers" if kind == "number" else "texts",
                key=name,
            )
        return values


def open_onnx(data: bytes, link: Link, *, output: Output, labels: int = 0) -> OnnxRuntime:
    """A runtime over the bytes of `link`.

    Its inputs are `link.inputs` in order, each of shape (n, 1), float32 or text; its output is
    called `output`, and `probabilities` have a column for each of `labels`. `IntegrityError` for bytes
    that are no such graph.
    """
    name = link.file or "the model"
    try:
        session = onnxruntime.InferenceSession(data, _options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # the model boundary
        raise IntegrityError(
            f"{name} is not an ONNX graph that can be loaded",
            got=" ".join(str(error).split())[:400],
            allowed="ONNX; pickles are never loaded",
            next="train the candidate again and release it",
        ) from error
    _require_inputs(session.get_inputs(), link.inputs, name)
    _require_output(session.get_outputs(), output, labels, link=name)
    return OnnxRuntime(session, link.inputs, output=output, link=name, labels=labels)


def _options() -> Any:
    """One thread, in order. The arena is off: batches differ in size, and it would keep the largest for ever."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = FATAL_ONLY
    return options


def _require_inputs(nodes: Sequence[Any], names: tuple[str, ...], link: str) -> None:
    got = [node.name for node in nodes]
    swapped = [name for node, name in zip(got, names, strict=False) if node != name and node in names]
    if len(got) != len(names) or swapped:
        raise IntegrityError(
            f"{link} has other inputs than its link says", got=", ".join(got), allowed=", ".join(names)
        )
    for node in nodes:
        if node.type not in KINDS:
            raise IntegrityError(
                f"{link} has an input of a kind that columns don't have",
                got=f"{node.name}: {node.type}",
                allowed=", ".join(KINDS),
            )


def _require_output(nodes: Sequence[Any], output: Output, labels: int, *, link: str) -> None:
    got = [node.name for node in nodes]
    if got != [output]:
        raise IntegrityError(f"{link} gives another output", got=", ".join(got), allowed=output)
    if output == "probabilities" and nodes[0].shape[1:] != [labels]:
        raise IntegrityError(
            f"{link} tells another number of labels apart", got=f"shape {nodes[0].shape}", allowed=f"(n, {labels})"
        )


def _numbers(column: Column) -> Any:
    values = np.asarray(column)
    if values.dtype.kind == "O":
        if not {type(value) for value in values.tolist()} <= {int, float, bool, type(None)}:
            return None
    elif values.dtype.kind not in "fiub":
        return None
    return values.astype(np.float32, copy=False).reshape(-1, 1)


def _texts(column: Column) -> Any:
    values = np.asarray(column, dtype=object)
    if set(map(type, values.tolist())) != {str}:
        return None
    return values.reshape(-1, 1)
