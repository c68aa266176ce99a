"""Fitted estimators as ONNX graphs: data that is computed with, never code that is run (law 5)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import onnxruntime

from kring.errors import IntegrityError, Late, Unavailable
from kring.metrics.numbers import side_by_side
from kring.record.batch import Batch, Column
from kring.record.version import NUMBERS, Link, Output
from kring.runtimes.answers import answered, nothing

FATAL_ONLY: Final = 4
SINGLE: Final = np.dtype(np.float32)
KINDS: Final = {"tensor(float)": "number", "tensor(string)": "category"}


class Input(NamedTuple):
    """One input of the graph: its name there, the columns that it is fed, and of which kind they are."""

    node: str
    columns: tuple[str, ...]
    kind: str


class OnnxRuntime:
    """One session with one thread; safe to share between threads, each of which can be stopped by itself."""

    def __init__(self, session: Any, inputs: Sequence[Input], *, output: Output, link: str, labels: int) -> None:
        self._session = session
        self._output = output
        self._labels = labels
        self._link = link
        self._inputs = inputs
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
        feed = {one.node: self._fed(batch, one) for one in self._inputs}
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

    def _fed(self, batch: Batch, one: Input) -> Any:
        """What the input gets: its column, (n, 1), or its columns side by side, (n, k)."""
        matrix = side_by_side(batch, one.columns) if len(one.columns) > 1 else None
        if matrix is not None:
            return np.ascontiguousarray(matrix.T, dtype=np.float32)
        columns = [batch.columns.get(name) for name in one.columns]
        if {getattr(column, "dtype", None) for column in columns} == {SINGLE}:
            return np.ascontiguousarray(np.array(columns).T)
        fed = [self._column(batch, name, one.kind) for name in one.columns]
        return fed[0] if len(fed) == 1 else np.concatenate(fed, axis=1)

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


def open_onnx(
    data: bytes, link: Link, *, output: Output, labels: int = 0, provider: str = "CPUExecutionProvider"
) -> OnnxRuntime:
    """A runtime over the bytes of `link`, computed by `provider`.

    Its inputs are `link.inputs` in order, each of shape (n, 1), float32 or text, or one of shape (n, k) called
    `kring_numbers` for all that are numbers, and then the texts; its output is
    called `output`, and `probabilities` have a column for each of `labels`. `IntegrityError` for bytes
    that are no such graph; `Unavailable` for a provider that does not work here.
    """
    name = link.file or "the model"
    try:
        session = onnxruntime.InferenceSession(data, _options(), providers=[provider])
    except Exception as error:  # the model boundary
        raise IntegrityError(
            f"{name} is not an ONNX graph that can be loaded",
            got=" ".join(str(error).split())[:400],
            allowed="ONNX; pickles are never loaded",
            next="train the candidate again and release it",
        ) from error
    if session.get_providers()[:1] != [provider]:
        raise Unavailable(f"{provider} does not work on this machine", got=", ".join(session.get_providers()))
    inputs = _inputs(session, link.inputs, name)
    _require_output(session.get_outputs(), output, labels, link=name)
    return OnnxRuntime(session, inputs, output=output, link=name, labels=labels)


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


def _inputs(session: Any, names: tuple[str, ...], link: str) -> list[Input]:
    """What each input of the graph is fed; `IntegrityError` when the graph has other inputs than the link says."""
    nodes = session.get_inputs()
    packed = session.get_modelmeta().custom_metadata_map.get(NUMBERS, "").split("\n")
    own = {node.name: tuple(packed) if node.name == NUMBERS else (node.name,) for node in nodes}
    unknown = next((node for node in nodes if node.type not in KINDS), None)
    if unknown is not None:
        raise IntegrityError(
            f"{link} has an input of a kind that columns don't have",
            got=f"{unknown.name}: {unknown.type}",
            allowed=", ".join(KINDS),
        )
    said = [name for part in own.values() for name in part]
    column_of = {name: next((c for c in (name, name.removesuffix("_")) if c in names), "") for name in said}
    inputs = [Input(node.name, tuple(column_of[name] for name in own[node.name]), KINDS[node.type]) for node in nodes]
    ordered = [[name for name in names if name in one.columns] == list(one.columns) for one in inputs]
    if sorted(column_of.values()) != sorted(names) or not all(ordered):
        raise IntegrityError(
            f"{link} has other inputs than its link says", got=", ".join(said), allowed=", ".join(names)
        )
    return inputs


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
