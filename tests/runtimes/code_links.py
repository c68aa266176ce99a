"""Code links as a version would hold them, written in the test."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from kring.record.batch import Batch
from kring.record.prepare import ColumnKind
from kring.record.version import CODE_FOLDER, Code, Link, Output
from kring.runtimes.code import CodeRuntime, open_code

KINDS: dict[str, ColumnKind] = {"x": "number", "y": "number", "word": "category"}
FINE = Batch(2, {"x": np.array([0.25, 0.75], dtype=np.float32)})
ASKED = Batch(1, {"x": np.array([-1.0], dtype=np.float32)})
"""What a `misbehaving` function answers, and what it misbehaves on."""

MISBEHAVING = """
import ctypes, os, re, signal, sys, threading, time
import numpy as np

def deep(n):
    return deep(n + 1)

def misbehave():
    {body}

def score(columns, files):
    return misbehave() if columns["x"][0] < 0 else columns["x"]
"""


def linked(
    files: dict[str, bytes] | bytes | str,
    *,
    function: str = "score",
    inputs: tuple[str, ...] = ("x",),
    memory_mb: int = 512,
    timeout_ms: int = 5000,
    file: str = "models.py",
) -> tuple[dict[str, bytes], Link]:
    """The files by their paths in a version, and the link."""
    if not isinstance(files, dict):
        files = {file: files.encode() if isinstance(files, str) else files}
    placed = {CODE_FOLDER + name: data for name, data in files.items()}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in placed.items()}
    main = CODE_FOLDER + file
    code = Code(
        function=function,
        files={name: digest for name, digest in digests.items() if name != main},
        memory_mb=memory_mb,
        timeout_us=timeout_ms * 1000,
    )
    return placed, Link(kind="code", file=main, digest=digests[main], inputs=inputs, code=code)


def opened(
    files: dict[str, bytes] | bytes | str,
    *,
    function: str = "score",
    inputs: tuple[str, ...] = ("x",),
    memory_mb: int = 512,
    timeout_ms: int = 5000,
    file: str = "models.py",
    output: Output = "value",
    labels: tuple[str, ...] = (),
    patience_s: float = 30.0,
) -> CodeRuntime:
    placed, link = linked(
        files, function=function, inputs=inputs, memory_mb=memory_mb, timeout_ms=timeout_ms, file=file
    )
    return open_code(placed, link, KINDS, output=output, labels=labels, patience_s=patience_s)


def misbehaving(body: str, *, memory_mb: int = 512, timeout_ms: int = 5000, patience_s: float = 30.0) -> CodeRuntime:
    """A function that answers its column, and does `body` when that begins below 0."""
    source = MISBEHAVING.format(body=body.replace("\n", "\n    "))
    return opened(source, memory_mb=memory_mb, timeout_ms=timeout_ms, patience_s=patience_s)


def answers_again(runtime: CodeRuntime) -> None:
    """It answers what is fine, by a process that may have been started for it."""
    np.testing.assert_array_equal(np.asarray(runtime.answer(FINE).columns["value"]), [0.25, 0.75])


def pid_of(runtime: CodeRuntime) -> int:
    """The process that answers."""
    process = runtime._keeper._now
    assert process is not None
    return process.pid


def gone(pid: int) -> bool:
    """Whether the process has ended, or does so within a minute: it takes its time to give back its memory."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False
