"""The process in which a user's own candidate is fitted: `python -m kring.flow.training.fit_child ANSWER < JOB`.

It runs the user's file, fits, predicts the held-out rows and exports, and writes back nothing but
data: ONNX bytes, float64 arrays, texts. It dies with its parent.
"""

from __future__ import annotations

import ctypes
import importlib.util
import inspect
import os
import random
import signal
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.errors import CandidateError, KringError
from kring.experiment.spec import Spec
from kring.flow import adapters
from kring.host.clock import stopwatch
from kring.ports.framework import Framework
from kring.record.batch import Batch, Column

DIE_WITH_PARENT: Final = 1
TRACE_LINES: Final = 6
LIBRARIES: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


class Part(msgspec.Struct, frozen=True):
    """A batch as data: numbers as float32 bytes, categories as texts."""

    n: int
    numbers: dict[str, bytes]
    texts: dict[str, list[str]]
    order: list[str]


class Held(msgspec.Struct, frozen=True):
    """One fold: positions of the rows to learn from and of those to answer, as int64 bytes."""

    learn: bytes
    answer: bytes


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to do: fit on `train`, answer `test` and export; or, with `folds` of `train`, fit and answer each.
    `truth` is float64 bytes."""

    file: str
    function: str
    spec: Spec
    train: Part
    truth: bytes
    test: Part
    folds: tuple[Held, ...] = ()


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """What came of it. `outputs` is float64 bytes of an array of `shape`."""

    model: bytes
    outputs: bytes
    shape: tuple[int, ...]
    seconds: float
    warnings: tuple[str, ...]


class Folded(msgspec.Struct, frozen=True, kw_only=True, tag="folded"):
    """The answers of each fold: float64 bytes of an array of its shape."""

    outputs: tuple[tuple[bytes, tuple[int, ...]], ...]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """Why nothing came of it, in the words of a `CandidateError`."""

    message: str
    got: str = ""
    allowed: str = ""
    next: str = ""
    file: str = ""
    line: int = 0
    out_of_memory: bool = False


def packed(batch: Batch) -> Part:
    """`batch` as data."""
    columns = {name: np.asarray(column) for name, column in batch.columns.items()}
    numbers = {name: values.astype(np.float32).tobytes() for name, values in columns.items() if _is_number(values)}
    texts = {name: [str(text) for text in values] for name, values in columns.items() if name not in numbers}
    return Part(batch.n, numbers, texts, list(columns))


def unpacked(part: Part) -> Batch:
    """The batch that was packed."""
    columns: dict[str, Column] = {name: np.frombuffer(data, np.float32) for name, data in part.numbers.items()}
    columns |= {name: np.array(texts, dtype=object) for name, texts in part.texts.items()}
    return Batch(part.n, {name: columns[name] for name in part.order})


def fitted_and_exported(
    framework: Framework, estimator: object, *, spec: Spec, train: Batch, truth: NDArray[np.float64], test: Batch
) -> Done:
    """Fit, predict the held-out rows with the fitted estimator, export; with what was warned of on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("always", RuntimeWarning)
        began = stopwatch()
        fitted = framework.fit(estimator, train, truth, labels=len(spec.labels))
        seconds = stopwatch() - began
        outputs = framework.predict(fitted, test)
        model = framework.export(fitted, spec.columns)
    said = dict.fromkeys(map(warned, caught))
    return Done(model=model, outputs=outputs.tobytes(), shape=outputs.shape, seconds=seconds, warnings=tuple(said))


def warned(one: warnings.WarningMessage) -> str:
    """What a library says; of other code's warning its kind and its place: its words may hold a row's value, and what
    is warned of stays on the ledger."""
    if one.filename.startswith(LIBRARIES):
        return " ".join(str(one.message).split())
    return f"{one.category.__name__} ({Path(one.filename).name}, line {one.lineno})"


def fold_by_fold(
    framework: Framework,
    make: Callable[[Spec], object],
    *,
    spec: Spec,
    train: Batch,
    truth: NDArray[np.float64],
    folds: Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> Iterator[NDArray[np.float64]]:
    """For each (learn, answer) of `folds` what an estimator of `make` answers, fitted on the rows to learn from."""
    columns = {name: np.asarray(column) for name, column in train.columns.items()}
    for learn, answer in folds:
        rows, asked = (
            Batch(len(part), {name: column[part] for name, column in columns.items()}) for part in (learn, answer)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what there is to say is said when all rows are learned from
            warnings.simplefilter("ignore", RuntimeWarning)
            estimator = make(msgspec.structs.replace(spec, rows=rows.n))
            fitted = framework.fit(estimator, rows, truth[learn], labels=len(spec.labels))
            yield framework.predict(fitted, asked)


def main(answer: Path) -> NoReturn:
    """Read the job from stdin, do it, write `answer`, and end whatever threads are left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    try:
        result: Done | Folded | Failed = _folds(job) if job.folds else _work(job)
    except KringError as error:
        result = _failed(error)
    except BaseException as error:  # noqa: BLE001 - the edge: a user's code may raise anything
        result = _raised(error, job)
    answer.write_bytes(msgspec.msgpack.encode(result))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _work(job: Job) -> Done:
    estimator = _estimator(job, _function(job), job.spec)
    return fitted_and_exported(
        adapters.framework_of(estimator),
        estimator,
        spec=job.spec,
        train=unpacked(job.train),
        truth=np.frombuffer(job.truth, np.float64),
        test=unpacked(job.test),
    )


def _folds(job: Job) -> Folded:
    function, train, truth = _function(job), unpacked(job.train), np.frombuffer(job.truth, np.float64)
    framework = adapters.framework_of(_estimator(job, function, job.spec))
    parts = fold_by_fold(
        framework,
        lambda spec: _estimator(job, function, spec),
        spec=job.spec,
        train=train,
        truth=truth,
        folds=((np.frombuffer(fold.learn, np.int64), np.frombuffer(fold.answer, np.int64)) for fold in job.folds),
    )
    return Folded(outputs=tuple((part.tobytes(), part.shape) for part in parts))


def _estimator(job: Job, function: Callable[[Spec], object], spec: Spec) -> object:
    """What the user's function returns for `spec`, seeded."""
    seed = spec.seed % 2**32
    random.seed(seed)
    np.random.seed(seed)
    estimator = function(spec)
    _require_estimator(estimator, job)
    _seed(estimator, seed)
    return estimator


def _function(job: Job) -> Callable[[Spec], object]:
    path = Path(job.file)
    sys.path.insert(0, str(path.parent))
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise CandidateError(f"{path.name} is not a Python file", file=job.file, allowed="a file that ends in .py")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[path.stem] = module
    module_spec.loader.exec_module(module)
    function: Callable[[Spec], object] | type | None = getattr(module, job.function, None)
    if not callable(function) or isinstance(function, type):
        own = [name for name, one in vars(module).items() if inspect.isfunction(one) and one.__module__ == path.stem]
        raise CandidateError(
            f"{path.name} has no function {job.function}",
            got="a class" if isinstance(function, type) else "nothing" if function is None else repr(function)[:80],
            allowed=", ".join(own) or "no functions are defined there",
            file=job.file,
        )
    return function


def _require_estimator(estimator: object, job: Job) -> None:
    methods = ("fit", "predict", "get_params", "set_params")
    if isinstance(estimator, type) or not all(callable(getattr(estimator, name, None)) for name in methods):
        raise CandidateError(
            f"{job.function} does not return an estimator",
            got=f"the class {estimator.__name__}" if isinstance(estimator, type) else repr(estimator)[:200],
            allowed="an unfitted estimator in scikit-learn's manner, with fit and predict",
            next=f"return {estimator.__name__}(...)" if isinstance(estimator, type) else "return Pipeline([...])",
            file=job.file,
        )


def _seed(estimator: object, seed: int) -> None:
    """Give `seed` to every part that draws and has no seed of its own."""
    get, put = getattr(estimator, "get_params"), getattr(estimator, "set_params")  # noqa: B009 - any library's object
    unseeded = [name for name, value in get(deep=True).items() if name.endswith("random_state") and value is None]
    put(**dict.fromkeys(unseeded, seed))


def _failed(error: KringError) -> Failed:
    return Failed(
        message=error.message,
        got=error.got,
        allowed=error.allowed,
        next=error.next,
        file=error.file,
        line=error.line,
        out_of_memory=isinstance(error.__cause__, MemoryError),
    )


def _raised(error: BaseException, job: Job) -> Failed:
    """What the user's code raised, and the last place in the user's file on the way to it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno or 0 for frame in frames if frame.filename == job.file]
    if isinstance(error, SyntaxError) and error.filename == job.file:
        lines = [error.lineno or 0]
    said = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return Failed(
        message=f"{Path(job.file).name}:{job.function} raised {type(error).__name__}",
        got="\n       ".join(said[-TRACE_LINES:])[:1000],
        next="mend the function, or take the candidate out of kring.toml",
        file=job.file,
        line=lines[-1] if lines else 0,
        out_of_memory=isinstance(error, MemoryError),
    )


def _is_number(values: NDArray[np.generic]) -> bool:
    return values.dtype.kind in "fiub"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
