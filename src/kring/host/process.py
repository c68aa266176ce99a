"""Another program, run within bounds of time, memory and output, and never left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from kring.errors import Unavailable
from kring.host.files import storage_error

CHUNK: Final = 1 << 16
GRACE_S: Final = 0.5
LIMITS: Final = 'ulimit -c 0; ulimit -d "$1" 2>/dev/null; shift; exec "$@"'
"""A limit that can't be set is above one that was set for us already."""


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended. `code` is its exit code, or minus the number of the signal that ended it.

    `output` is the end of what it wrote to stdout and stderr together, `dropped` the bytes before
    that. `timed_out` says that it was killed for its time.
    """

    code: int
    output: bytes
    dropped: int
    seconds: float
    timed_out: bool


def run_bounded(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    timeout_s: float,
    memory_mb: int,
    output_limit: int,
    cwd: Path,
    env: Mapping[str, str],
) -> Completed:
    """Run `argv` to its end, or kill it with all the processes of its group.

    At most `timeout_s` seconds, `memory_mb` MiB of private memory per process (RLIMIT_DATA), no
    core dump, and `output_limit` bytes of output kept. On return and on any exception, Ctrl-C
    included, the program is dead and reaped. `Unavailable` when it can't be started.
    """
    started = time.monotonic()
    with _holding(stdin or b"") as source:
        process = _start(argv, memory_mb=memory_mb, stdin=source.fileno(), cwd=cwd, env=env)
    tail = _Tail(output_limit)
    try:
        timed_out = _watch(process, tail, started + timeout_s)
    finally:
        _kill(process)
        _drain(process, tail)
    return Completed(
        code=process.returncode,
        output=tail.bytes(),
        dropped=tail.dropped,
        seconds=time.monotonic() - started,
        timed_out=timed_out,
    )


def _holding(data: bytes) -> IO[bytes]:
    """A nameless file with `data`, open at its start: a pipe could fill up while nobody reads it."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(data)
        file.seek(0)
    except OSError as error:
        raise storage_error("write a temporary file in", Path(tempfile.gettempdir()), error) from error
    return file


class _Tail:
    """The last `limit` bytes of a stream, and how many came before them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * self._limit:
            self._cut()

    def bytes(self) -> bytes:
        self._cut()
        return bytes(self._kept)

    def _cut(self) -> None:
        excess = max(0, len(self._kept) - self._limit)
        del self._kept[:excess]
        self.dropped += excess


def _start(
    argv: Sequence[str], *, memory_mb: int, stdin: int, cwd: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """The shell sets the limits on itself and becomes the program: no code of ours between fork and exec."""
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", LIMITS, "sh", str(memory_mb * 1024), *argv],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise Unavailable(
            f"could not start {Path(argv[0]).name}", got=str(error), next="check the machine's limits and try again"
        ) from error


def _watch(process: subprocess.Popen[bytes], tail: _Tail, deadline: float) -> bool:
    """Read until the program has ended (its children may hold the pipe longer); True when time ran out."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return True
            if selector.select(min(left, 0.05)) and not _read(process, tail):
                selector.unregister(process.stdout)
                return _wait(process, deadline)
    return False


def _wait(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return True
    return False


def _read(process: subprocess.Popen[bytes], tail: _Tail) -> bool:
    assert process.stdout is not None
    data = os.read(process.stdout.fileno(), CHUNK)
    tail.add(data)
    return bool(data)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group, also when its leader has ended but is followed by children; then reap."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _drain(process: subprocess.Popen[bytes], tail: _Tail) -> None:
    """What is still in the pipe; a process that left the group may hold it open, so not for ever."""
    assert process.stdout is not None
    until = time.monotonic() + GRACE_S
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < until and selector.select(max(0.0, until - time.monotonic())):
            if not _read(process, tail):
                return
