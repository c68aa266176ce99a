"""The process in which a code link runs: `python -m kring.runtimes.code_child TALKS LIVES < JOB`.

It takes its code from the job and from nowhere else, gives up what it does not need, and then answers questions on
the socket TALKS, one after the other, until that is closed. LIVES is a pipe that nobody writes to: when its other
end is gone, so is whoever started this, and the kernel ends this process too.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import select
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, Final

import msgspec
import numpy as np

from kring.record.version import Output
from kring.runtimes.confine import confine

HEAD: Final = struct.Struct("<II")
"""Before every frame: its length, and the number of the question it belongs to."""

CHUNK: Final = 1 << 16
SAID: Final = 300
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
LOAD: Final = "load"
SELDOM: Final = 16
"""Memory is looked at once in so many questions, and after each while it grows."""

WORDS: Final = ("answer", "citations")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is run: `function` of `file`, with its `files` by name, sources among them. `numbers` and `texts` are its
    input columns."""

    file: str
    function: str
    files: dict[str, bytes]
    inputs: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    output: Output
    labels: tuple[str, ...]
    memory_mb: int


class Question(msgspec.Struct, array_like=True):
    """`n` rows: the columns of numbers as float32, one after the other, and those of texts."""

    n: int
    numbers: bytes
    texts: list[list[str]]


class Ready(msgspec.Struct, array_like=True, tag="ready"):
    """It can be asked. `used` is the memory that is taken, in bytes; `denied` what it can't do, in words."""

    used: int
    denied: list[str]


class Answered(msgspec.Struct, array_like=True, tag="answered"):
    """float64 of `shape`, and for answers in words the texts and their citations."""

    used: int
    shape: tuple[int, ...]
    numbers: bytes
    texts: list[list[str]]


class Failed(msgspec.Struct, array_like=True, tag="failed"):
    """What was raised: its class, what it says, and where in the version's code."""

    used: int
    kind: str
    said: str
    where: str = ""


class Misfit(Exception):
    """What the function gave is no answer."""


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules from the bytes of a version, before those of any folder: the sources beside `file` and below."""

    def __init__(self, files: Mapping[str, bytes], *, file: str) -> None:
        self._folder = file[: file.rfind("/") + 1]
        self._files = {name: data for name, data in files.items() if name.endswith(".py")}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        place = self._place(fullname)
        if f"{place}.py" in self._files or f"{place}/__init__.py" in self._files:
            return importlib.util.spec_from_loader(fullname, self, is_package=f"{place}.py" not in self._files)
        if any(name.startswith(f"{place}/") for name in self._files):
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._files[self._name(fullname)])

    def get_code(self, fullname: str) -> CodeType:
        name = self._name(fullname)
        source = self.get_source(fullname)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        return compile(source, name, "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return not self._name(fullname).endswith(f"{fullname.rpartition('.')[2]}.py")

    def _place(self, fullname: str) -> str:
        return self._folder + fullname.replace(".", "/")

    def _name(self, fullname: str) -> str:
        place = self._place(fullname)
        return f"{place}.py" if f"{place}.py" in self._files else f"{place}/__init__.py"


class Asked:
    """The function of a job, asked with columns."""

    def __init__(self, job: Job) -> None:
        self._job = job
        module = importlib.import_module(job.file.rpartition("/")[2].removesuffix(".py"))
        found = getattr(module, job.function, None)
        if not callable(found):
            raise Misfit(f"{job.file} has no function {job.function}")
        load = getattr(module, LOAD, None)
        self._function: Callable[[dict[str, Any], object], object] = found
        self._loaded = load(dict(job.files)) if callable(load) and load is not found else dict(job.files)

    def answer(self, question: Question, *, used: Callable[[], int]) -> Answered:
        """The function's answer to every row, as columns. Whatever it raises; `Misfit` for what is no answer."""
        job, n = self._job, question.n
        numbers = np.frombuffer(bytearray(question.numbers), np.float32).reshape(len(job.numbers), n)
        found: dict[str, Any] = dict(zip(job.numbers, numbers, strict=True))
        for name, texts in zip(job.texts, question.texts, strict=True):
            found[name] = np.array(texts, dtype=object)
        result = self._function({name: found[name] for name in job.inputs}, self._loaded)
        if job.output == "answer":
            support, words = _worded(result, n)
            return Answered(used(), support.shape, support.tobytes(), words)
        values = _numbers(_beside(result, job.labels) if isinstance(result, dict) else result)
        return Answered(used(), values.shape, values.tobytes(), [])


def _beside(result: dict[Any, Any], labels: tuple[str, ...]) -> Any:
    """A column for each label, in the order of the labels."""
    if not labels or set(result) != set(labels):
        got = ", ".join(str(name) for name in result)[:SAID]
        raise Misfit(f"it gives {got or 'nothing'}, allowed is {', '.join(labels) or 'an array'}")
    return np.stack([_numbers(result[label]) for label in labels], axis=-1)


def _numbers(result: object) -> Any:
    """An array of float64; None in it is NaN."""
    values = np.asarray(result)
    plain = values.dtype.kind in "fiub" or (
        values.dtype.kind == "O" and {type(one) for one in values.ravel().tolist()} <= {int, float, bool, type(None)}
    )
    if result is None or not plain:
        raise Misfit(f"it gives {type(result).__name__} of {values.dtype}, allowed is an array of numbers")
    return np.asarray(values, dtype=np.float64, order="C")


def _worded(result: object, n: int) -> tuple[Any, list[list[str]]]:
    """Support as numbers; answers and citations as texts, without support where there is no text."""
    wanted = (*WORDS, "support")
    if not isinstance(result, dict) or set(result) != set(wanted):
        got = ", ".join(map(str, result)) if isinstance(result, dict) else type(result).__name__
        raise Misfit(f"it gives {got[:SAID]}, allowed is a dict of {', '.join(wanted)}")
    support = _numbers(result["support"]).copy()
    columns = [[_text(one) for one in result[name]] for name in WORDS]
    if support.shape != (n,) or any(len(column) != n for column in columns):
        got = ", ".join(str(len(column)) for column in columns)
        raise Misfit(f"it gives {got} texts and support of shape {support.shape} for {n} rows")
    for row in range(n):
        if any(column[row] is None for column in columns):
            support[row] = np.nan
    return support, [[one or "" for one in column] for column in columns]


def _text(value: object) -> str | None:
    """A text, or several with blanks between them; None for anything else."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        return _text(" ".join(value))
    return None


def failed(error: BaseException, files: Mapping[str, bytes], used: int) -> Failed:
    """What is told of an error: never more than a few words, and the last line of the version's own code."""
    try:
        said = " ".join(str(error).split())[:SAID].encode("utf-8", "replace").decode()
    except BaseException:  # noqa: BLE001 - the error's own words may fail too
        said = ""
    if isinstance(error, SyntaxError) and error.filename in files:
        return Failed(used, type(error).__name__, said, f"{error.filename}, line {error.lineno}")
    places = [
        f"{frame.f_code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename in files
    ]
    return Failed(used, "" if isinstance(error, Misfit) else type(error).__name__, said, places[-1] if places else "")


def read(talks: int) -> tuple[int, bytes]:
    """The next question's number and its frame. `EOFError` when nobody asks any more."""
    found = bytearray()
    missing = HEAD.size
    while missing > 0:
        data = os.read(talks, CHUNK)
        if not data:
            raise EOFError
        found += data
        missing = HEAD.size - len(found)
        if missing <= 0:
            missing = HEAD.size + HEAD.unpack_from(found)[0] - len(found)
    return HEAD.unpack_from(found)[1], bytes(memoryview(found)[HEAD.size :])


def framed(number: int, record: Ready | Answered | Failed) -> bytes:
    """One frame."""
    data = msgspec.msgpack.encode(record)
    return HEAD.pack(len(data), number) + data


def tell(talks: int, frame: bytes) -> None:
    """Send it."""
    left = memoryview(frame)
    while left:
        left = left[os.write(talks, left) :]


def serve(talks: int, job: Job, *, denied: Sequence[str], used: Callable[[], int]) -> None:
    """Open the job's function and answer until nobody asks any more. An error is an answer too."""
    decoder = msgspec.msgpack.Decoder(Question)
    try:
        asked = Asked(job)
    except BaseException as error:  # noqa: BLE001 - the boundary: whatever its code raises is told
        tell(talks, framed(0, failed(error, job.files, used())))
        return
    tell(talks, framed(0, Ready(used(), list(denied))))
    while True:
        try:
            number, data = read(talks)
        except EOFError:
            return
        question = decoder.decode(data)
        try:
            frame = framed(number, asked.answer(question, used=used))
        except BaseException as error:  # noqa: BLE001 - the boundary
            frame = framed(number, failed(error, job.files, used()))
        tell(talks, frame)


def memory() -> Callable[[], int]:
    """How many bytes are taken: what is resident, or private data if that is more."""
    try:
        opened = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return lambda: 0

    last, until_next = 0, 0

    def used() -> int:
        nonlocal last, until_next
        until_next -= 1
        if until_next <= 0:
            pages = os.pread(opened, 128, 0).split()
            now = max(int(pages[1]), int(pages[5])) * PAGE
            last, until_next = now, 1 if now > last else SELDOM
        return last

    return used


def bind(lives: int) -> None:
    """Have the kernel end this process when the other end of `lives` is gone, whatever it is doing by then."""
    if sys.platform == "linux":
        fcntl.fcntl(lives, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lives, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lives, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    gone = select.poll()
    gone.register(lives, 0)
    if gone.poll(0):
        os._exit(0)


def main(talks: int, lives: int) -> None:
    """Take the job, leave stdin, give up what is not needed, serve."""
    bind(lives)
    job = msgspec.msgpack.decode(os.pread(0, os.fstat(0).st_size, 0), type=Job)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    used = memory()
    denied = confine(memory_mb=job.memory_mb, readable=())
    sys.meta_path.insert(0, Sources(job.files, file=job.file))
    serve(talks, job, denied=denied, used=used)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
