"""Code of a version, in a process of its own: what it does wrong costs an answer, never the process that asks.

The process is started from the verified bytes, gives up what it does not need (`confine`), is killed at its
deadline, and replaced when it is lost or before its memory is full (`code_keeper`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.errors import IntegrityError, KringError, Late, Overloaded, Unavailable
from kring.record.batch import Batch, Column
from kring.record.prepare import ColumnKind
from kring.record.version import CODE_FOLDER, Link, Output
from kring.runtimes.answers import OVERSHOOT, answered, nothing
from kring.runtimes.code_child import Answered, Failed, Job, Question, Ready
from kring.runtimes.code_keeper import Keeper
from kring.runtimes.code_process import Lost, Process, joined, raised, said

PIECE: Final = 1024
"""Rows of one question; each has the whole of the link's time."""

PATIENCE_S: Final = 30.0
EARLY_S: Final = 0.01
"""A question that came so little late has had its whole time."""

SLICE_S: Final = 0.01
"""How often a question that waits for its turn looks whether anybody still waits for it."""

SINGLE: Final = np.dtype(np.float32)


class CodeRuntime:
    """Asks the process; safe to share between threads, which take turns."""

    def __init__(self, job: Job, *, link: str, timeout_s: float, patience_s: float) -> None:
        self._job = job
        self._output: Output = job.output
        self._width = len(job.labels)
        self._link = link
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._turn = threading.Lock()
        self._stopping = threading.Lock()
        self._asking = 0
        self._inside: set[int] = set()
        self._stopped: set[int] = set()
        self._number = 0
        self._keeper = Keeper(msgspec.msgpack.encode(job), memory_mb=job.memory_mb, link=link)

    def open(self) -> tuple[str, ...]:
        """Wait until the process is ready; what it can't do here, in words. `Unavailable` with the reason when it
        never is."""
        with self._turn:
            return self._keeper.up(math.inf).denied

    def answer(self, batch: Batch) -> Batch:
        """`probability` or `value`: float64, shape (n,), `probabilities`, (n, labels), or the columns of an answer in
        words; NaN for a row without a usable answer.

        A question waits for its turn and its answer no longer than the link's time, and for no process that is only
        starting; with patience, longer for its turn and for the process to be there. `Unavailable` with the reason
        for whatever goes wrong in the code.
        """
        if batch.n <= PIECE:
            return self._answer(batch)
        return _one_below_the_other([self._answer(_part(batch, first)) for first in range(0, batch.n, PIECE)])

    def stop(self, thread: int) -> None:
        """End the wait of `thread` for its turn, or the process if it waits for that: its answer is `Late` then."""
        with self._stopping:
            if thread in self._inside:
                self._stopped.add(thread)
            if thread == self._asking:
                self._keeper.end()

    def close(self) -> None:
        """End the process, once the question that it is asked has its answer. Questions that wait for it fail."""
        self._keeper.closed = True
        with self._turn:
            self._keeper.close()

    def _answer(self, batch: Batch) -> Batch:
        question, began, me = self._question(batch), time.monotonic(), threading.get_ident()
        with self._stopping:
            self._inside.add(me)
            self._stopped.discard(me)
        try:
            self._wait_for_turn(me, until=began + max(self._patience_s, self._timeout_s))
            try:
                process = self._keeper.up(time.monotonic() + self._patience_s)
                if not batch.n:
                    return self._read(_no_rows(self._output, self._width), 0)
                until = (time.monotonic() if self._patience_s else began) + self._timeout_s
                told = self._asked(process, question, n=batch.n, until=until)
            finally:
                self._turn.release()
        finally:
            with self._stopping:
                self._inside.discard(me)
        return self._read(told, batch.n)

    def _wait_for_turn(self, thread: int, *, until: float) -> None:
        """`Overloaded` when it does not come by the moment `until`, `Late` when nobody waits any more."""
        while not self._turn.acquire(timeout=max(0.0, min(SLICE_S, until - time.monotonic()))):
            if thread in self._stopped:
                raise Late(f"{self._link} was busy with other questions", next="ask again later")
            if time.monotonic() >= until:
                raise self._busy()

    def _asked(self, process: Process, question: bytes, *, n: int, until: float) -> Answered:
        """What the process says, or why it doesn't. The process is lost with whatever breaks off in the middle."""
        self._ask(threading.get_ident())
        try:
            told = self._exchanged(process, question, until=until)
        except TimeoutError:
            raise self._late(n, process) from None
        except Lost as error:
            stopped = threading.get_ident() in self._stopped
            raise self._late(n, process) if stopped else self._keeper.lost(error) from error
        except KringError:
            raise
        except BaseException:
            self._keeper.replace(start=False)
            raise
        finally:
            self._ask(0)
        if isinstance(told, Failed):
            if told.kind == "MemoryError":
                self._keeper.replace()
            raise Unavailable(f"{self._link}: {raised(told)}", got=joined(said(told), process.prints.text()))
        if isinstance(told, Ready):
            self._keeper.replace()
            raise Unavailable(f"{self._link} spoke out of turn and was stopped")
        self._keeper.answered(told.used)
        return told

    def _exchanged(self, process: Process, question: bytes, *, until: float) -> Answered | Failed | Ready:
        """What the process says. It is not to blame when the question came late: then it keeps its whole time, and
        the next question waits for it. `TimeoutError` when its own time is over."""
        if not process.settle(until=until):
            raise self._busy()
        by = time.monotonic() + self._timeout_s
        self._number = self._number % 0xFFFF_FFFF + 1
        process.send(self._number, question, until=by)
        try:
            return process.receive(self._number, until=until)
        except TimeoutError:
            if time.monotonic() >= by - EARLY_S:
                raise
            process.leave(self._number, by=by)
            raise self._busy() from None

    def _busy(self) -> Overloaded:
        return Overloaded(f"{self._link} is busy with other questions", next="ask again later")

    def _ask(self, thread: int) -> None:
        """Note who waits for an answer: nobody, when it is 0."""
        with self._stopping:
            self._asking = thread

    def _late(self, n: int, process: Process) -> Unavailable:
        time_s = "" if threading.get_ident() in self._stopped else f"within {self._timeout_s * 1000:g} ms "
        late = Late(
            f"{self._link} did not answer {time_s or 'in time '}and was stopped",
            got=joined(f"{n} rows", process.prints.text()),
            next="make it faster, or give it more time: timeout in [[candidate]]",
        )
        return self._keeper.lost(late)

    def _read(self, told: Answered, n: int) -> Batch:
        """The answer, checked as if anybody had sent it."""
        if math.prod(told.shape) * 8 != len(told.numbers) or min(told.shape, default=0) < 0:
            raise Unavailable(f"{self._link} answers what is no answer", got=f"shape {told.shape}")
        values = np.frombuffer(told.numbers, np.float64).reshape(told.shape)
        if self._output == "answer":
            return _worded(values, told.texts, n=n, link=self._link)
        usable = answered(values, n=n, output=self._output, link=self._link, labels=self._width)
        return Batch(n, {self._output: usable})

    def _question(self, batch: Batch) -> bytes:
        columns = batch.columns
        numbers = b"".join(
            [
                column.tobytes()
                if isinstance(column := columns.get(name), np.ndarray) and column.dtype == SINGLE
                else self._column(batch, name).tobytes()
                for name in self._job.numbers
            ]
        )
        texts = [self._column(batch, name) for name in self._job.texts]
        return msgspec.msgpack.encode(Question(batch.n, numbers, texts))

    def _column(self, batch: Batch, name: str) -> Any:
        """float32, or a list of texts."""
        if name not in batch.columns:
            raise Unavailable(
                f"{self._link} needs the column {name}", got=", ".join(batch.columns) or "no columns", key=name
            )
        column, number = batch.columns[name], name in self._job.numbers
        values = _as_numbers(column) if number else _as_texts(column)
        if values is None:
            raise Unavailable(
                f"{self._link} needs another kind of column {name}",
                got=type(column[0]).__name__,
                allowed="numbers" if number else "texts",
                key=name,
            )
        return values


def open_code(
    files: Mapping[str, bytes],
    link: Link,
    kinds: Mapping[str, ColumnKind],
    *,
    output: Output,
    labels: tuple[str, ...] = (),
    patience_s: float = PATIENCE_S,
) -> CodeRuntime:
    """A runtime over the code of `link`, whose verified `files` are given by their paths in the version; `kinds`
    says what each prepared column is.

    It is ready when this returns; `Unavailable` says why it is not: a file that can't be imported, a function that
    is not there, too slow a start. `IntegrityError` for a link of another form. With `patience_s` 0 a question does
    not wait for a process that is being replaced.
    """
    code, unknown = link.code, [name for name in link.inputs if name not in kinds]
    if code is None or unknown:
        raise IntegrityError(
            f"{link.file} is not a link that can be run",
            got=f"the columns {', '.join(unknown)}, which are not prepared" if unknown else "no function",
            next="train the candidate again and release it",
        )
    start = link.file.find(CODE_FOLDER) + len(CODE_FOLDER)
    runtime = CodeRuntime(
        Job(
            file=link.file[start:],
            function=code.function,
            files={name[start:]: data for name, data in files.items()},
            inputs=link.inputs,
            numbers=tuple(name for name in link.inputs if kinds[name] == "number"),
            texts=tuple(name for name in link.inputs if kinds[name] != "number"),
            output=output,
            labels=labels if output == "probabilities" else (),
            memory_mb=code.memory_mb,
        ),
        link=f"{link.file[start:]}:{code.function}",
        timeout_s=code.timeout_us / 1e6,
        patience_s=patience_s,
    )
    try:
        runtime.open()
    except BaseException:
        runtime.close()
        raise
    return runtime


def _as_numbers(column: Column) -> NDArray[np.float32] | None:
    values = np.asarray(column)
    if values.dtype.kind == "O":
        if not {type(value) for value in values.tolist()} <= {int, float, bool, type(None)}:
            return None
    elif values.dtype.kind not in "fiub":
        return None
    return values.astype(np.float32, copy=False)


def _as_texts(column: Column) -> list[str] | None:
    texts = list(np.asarray(column, dtype=object).tolist())
    return texts if set(map(type, texts)) <= {str} else None


def _worded(support: NDArray[np.float64], texts: Sequence[Sequence[str]], *, n: int, link: str) -> Batch:
    """Answers in words, NaN for support that is none."""
    if len(texts) != 2 or support.shape != (n,) or any(len(column) != n for column in texts):
        raise Unavailable(f"{link} does not answer row by row", got=f"support of shape {support.shape} for {n} rows")
    usable = np.isfinite(support) & (support >= -OVERSHOOT) & (support <= 1 + OVERSHOOT)
    answer, citations = (np.array([*column, None], dtype=object)[:-1] for column in texts)
    told = np.where(usable, np.clip(support, 0.0, 1.0), np.nan)
    return Batch(n, {"answer": answer, "citations": citations, "support": told})


def _no_rows(output: Output, labels: int) -> Answered:
    return Answered(0, (0,) if output == "answer" else nothing(output, labels=labels).shape, b"", [[], []])


def _part(batch: Batch, first: int) -> Batch:
    """The rows of one question."""
    last = min(first + PIECE, batch.n)
    return Batch(last - first, {name: np.asarray(column)[first:last] for name, column in batch.columns.items()})


def _one_below_the_other(parts: Sequence[Batch]) -> Batch:
    names = parts[0].columns
    joint = {name: np.concatenate([np.asarray(part.columns[name]) for part in parts]) for name in names}
    return Batch(sum(part.n for part in parts), dict(joint))
