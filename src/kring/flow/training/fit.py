"""candidate → fitted and exported: built-ins here, a user's own function in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.errors import CandidateError, IntegrityError
from kring.experiment.folds import Fold
from kring.experiment.spec import Spec
from kring.flow.training.fit_child import Done, Failed, Folded, Held, Job, fitted_and_exported, fold_by_fold, packed
from kring.host.clock import stopwatch
from kring.host.files import storage_error
from kring.host.process import Completed, run_bounded
from kring.ports.framework import Framework
from kring.record.batch import Batch
from kring.record.prepare import PreparedColumn
from kring.record.system import Candidate
from kring.record.version import Link, Policy
from kring.runtimes.onnx import open_onnx

OUTPUT_LIMIT: Final = 1 << 20
TAIL_LINES: Final = 12
TAIL_CHARACTERS: Final = 2000
"""How much of a candidate's output stands in an error."""


Answer = TypeVar("Answer", Done, Folded)


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """An exported candidate. `test_outputs` (float64, shape (n,) or (n, k)) are the fitted estimator's own answers
    to the held-out rows, to prove the export by; `output_tail` is the end of what it printed."""

    model: bytes
    test_outputs: NDArray[np.float64]
    seconds: float
    warnings: tuple[str, ...] = ()
    output_tail: str = ""


def fit_candidate(
    candidate: Candidate,
    *,
    framework: Framework,
    folder: Path,
    policy: Policy,
    columns: tuple[PreparedColumn, ...],
    train: Batch,
    truth: NDArray[np.float64],
    test: Batch,
    seed: int,
) -> Fitted:
    """Fit `candidate` on `train` and `truth` (shape (n,), nothing missing) and export it.

    `fit = "file.py:function"` is looked for in `folder` and runs in a child process within the
    candidate's time and memory. `CandidateError` says why it can't be fitted, exported or trusted,
    with the end of its output and what to do. A rule needs no fitting and does not belong here.
    """
    output = policy.output
    spec = Spec(
        output=output, labels=policy.labels, columns=columns, params=dict(candidate.params), seed=seed, rows=train.n
    )
    if candidate.builtin:
        estimator = framework.builtin(
            candidate.builtin, output=output, columns=columns, params=candidate.params, seed=seed
        )
        done = fitted_and_exported(framework, estimator, spec=spec, train=train, truth=truth, test=test)
        tail = ""
    else:
        file, function = _place(candidate, folder)
        job = Job(
            file=str(file), function=function, spec=spec, train=packed(train), truth=truth.tobytes(), test=packed(test)
        )
        done, tail = _in_child(candidate, job, folder, kind=Done)
    _require_output(candidate, done.model, columns, policy)
    return Fitted(
        model=done.model,
        test_outputs=np.frombuffer(done.outputs, np.float64).reshape(done.shape),
        seconds=done.seconds,
        warnings=done.warnings,
        output_tail=tail,
    )


def fold_candidate(
    candidate: Candidate,
    *,
    framework: Framework,
    folder: Path,
    policy: Policy,
    columns: tuple[PreparedColumn, ...],
    train: Batch,
    truth: NDArray[np.float64],
    folds: Sequence[Fold],
    seed: int,
) -> tuple[NDArray[np.float64], ...]:
    """For each of `folds` the answers to its rows, (rows,) or (rows, k), by `candidate` fitted on its rows to learn
    from. All folds share one child process and one budget. `CandidateError` as `fit_candidate`."""
    spec = Spec(
        output=policy.output,
        labels=policy.labels,
        columns=columns,
        params=dict(candidate.params),
        seed=seed,
        rows=train.n,
    )
    if candidate.builtin:
        parts = fold_by_fold(
            framework,
            lambda spec: framework.builtin(
                candidate.builtin, output=spec.output, columns=columns, params=candidate.params, seed=seed
            ),
            spec=spec,
            train=train,
            truth=truth,
            folds=folds,
        )
        return tuple(_in_time(parts, candidate))
    file, function = _place(candidate, folder)
    held = tuple(Held(*(part.astype(np.int64).tobytes() for part in fold)) for fold in folds)
    nothing = packed(Batch(0, {}))
    job = Job(
        file=str(file),
        function=function,
        spec=spec,
        train=packed(train),
        truth=truth.tobytes(),
        test=nothing,
        folds=held,
    )
    done, _ = _in_child(candidate, job, folder, kind=Folded)
    return tuple(np.frombuffer(data, np.float64).reshape(shape) for data, shape in done.outputs)


def _in_time(parts: Iterator[NDArray[np.float64]], candidate: Candidate) -> Iterator[NDArray[np.float64]]:
    """`parts` as long as the candidate's time lasts; it is looked at after each of them."""
    until = stopwatch() + candidate.timeout_us / 1e6
    for part in parts:
        yield part
        if stopwatch() > until:
            raise CandidateError(
                f"the folds of candidate {candidate.name} did not end within {candidate.timeout_us / 1e6:g} s",
                next="give it more time (timeout in [[candidate]]), or ask for fewer folds",
                key=f"candidate.{candidate.name}.timeout",
            )


def _place(candidate: Candidate, folder: Path) -> tuple[Path, str]:
    name, _, function = candidate.fit.rpartition(":")
    key = f"candidate.{candidate.name}.fit"
    if not name or not function.isidentifier():
        raise CandidateError("this names no function", got=repr(candidate.fit), allowed='"file.py:function"', key=key)
    file = (folder / name).resolve()
    if not file.is_file():
        near = ", ".join(sorted(path.name for path in folder.glob("*.py"))) or "no Python files"
        raise CandidateError(f"there is no file {name}", allowed=f"{near} in {folder.name}", key=key)
    return file, function


def _in_child(candidate: Candidate, job: Job, folder: Path, *, kind: type[Answer]) -> tuple[Answer, str]:
    with _private_folder() as private:
        answer = Path(private) / "answer"
        completed = run_bounded(
            [sys.executable, "-P", "-m", "kring.flow.training.fit_child", str(answer)],
            stdin=msgspec.msgpack.encode(job),
            timeout_s=candidate.timeout_us / 1e6,
            memory_mb=candidate.memory_mb,
            output_limit=OUTPUT_LIMIT,
            cwd=folder,
            env=_environment(private),
        )
        result = None if completed.timed_out else _read(answer, candidate.memory_mb << 20)
    if not isinstance(result, kind):
        raise _error(candidate, job, completed, result if isinstance(result, Failed) else None)
    return result, _tail(completed)


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="kring-fit-")
    except OSError as error:
        raise storage_error("make a temporary folder in", Path(tempfile.gettempdir()), error) from error


def _environment(private: str) -> dict[str, str]:
    """This process's variables; set order does not vary, and temporary files lie in the private folder."""
    own = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own, "TMPDIR": private, "JOBLIB_TEMP_FOLDER": private}


def _read(answer: Path, limit: int) -> Done | Folded | Failed | None:
    try:
        if answer.stat().st_size > limit:
            return None
        decoded: Done | Folded | Failed = msgspec.msgpack.decode(answer.read_bytes(), type=Done | Folded | Failed)
    except (OSError, msgspec.MsgspecError):
        return None
    return decoded


def _error(candidate: Candidate, job: Job, completed: Completed, failed: Failed | None) -> CandidateError:
    """The one error of a child that did not deliver."""
    seconds, memory = candidate.timeout_us / 1e6, candidate.memory_mb
    more_memory = f"it may use {memory} MiB: give it more (memory_mb in [[candidate]]), or learn from fewer rows"
    if failed is None and completed.timed_out:
        failed = Failed(
            message=f"{candidate.fit} did not end within {seconds:g} s and was stopped",
            next="make it faster, or give it more time: timeout in [[candidate]]",
        )
    elif failed is None and completed.code < 0:
        failed = Failed(
            message=f"{candidate.fit} was ended by {_signal(-completed.code)}",
            next=f"a library crashed, or memory ran out; {more_memory}",
        )
    elif failed is None:
        failed = Failed(
            message=f"{candidate.fit} ended its process with code {completed.code} and without an answer",
            next="don't end the process in the candidate's file: return an estimator",
        )
    tail = _tail(completed)
    return CandidateError(
        f"candidate {candidate.name}: {failed.message}",
        got="\n       ".join(part for part in (failed.got, tail and f"its last output: {tail}") if part),
        allowed=failed.allowed,
        next=f"memory ran out; {more_memory}" if failed.out_of_memory else failed.next,
        file=Path(job.file).name if failed.line or failed.file else "",
        line=failed.line,
        key=f"candidate.{candidate.name}.fit",
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(completed: Completed) -> str:
    lines = completed.output.decode(errors="replace").rstrip().splitlines()[-TAIL_LINES:]
    text = "\n       ".join(lines)[-TAIL_CHARACTERS:]
    return f"{text}\n       ({completed.dropped:,} bytes before that were dropped)" if completed.dropped else text


def _require_output(candidate: Candidate, model: bytes, columns: tuple[PreparedColumn, ...], policy: Policy) -> None:
    """The export loads in the very runtime that will serve it, and answers what the system asks for."""
    link = Link(kind="onnx", inputs=tuple(column.name for column in columns))
    try:
        open_onnx(model, link, output=policy.output, labels=len(policy.labels)).close()
    except IntegrityError as error:
        cure = "use one that predicts values" if policy.output == "value" else "use an estimator with predict_proba"
        raise CandidateError(
            f"candidate {candidate.name} does not answer what the system asks for",
            got=error.got,
            allowed=error.allowed,
            next=cure,
            key=f"candidate.{candidate.name}",
        ) from error
