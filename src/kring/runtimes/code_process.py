"""One process that runs a code link: started from bytes, asked within a deadline, dead when it does not keep it."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

import kring
from kring.errors import Unavailable
from kring.runtimes.code_child import CHUNK, HEAD, Answered, Failed, Ready

PASSED_ON: Final = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""The variables of this process that code sees."""

ONE_THREAD: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
KEPT: Final = 1024
"""Bytes of what it printed last that are kept for the reason."""

MOST_ANSWERED: Final = 64 << 20
REAPED_S: Final = 0.02


UNREAPED: Final[list[subprocess.Popen[bytes]]] = []
"""Processes that were killed and took longer than `REAPED_S` to be gone."""

_frames: Final = msgspec.msgpack.Decoder(Answered | Failed | Ready)


class Lost(Unavailable):
    """The process is dead, or was killed for what it did."""


class Prints:
    """The end of what a process prints; the rest goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._kept = b""
        os.set_blocking(descriptor, False)

    def take_in(self) -> bool:
        """Read what is there; False once there will be nothing more."""
        if self.descriptor < 0:
            return False
        try:
            data = os.read(self.descriptor, CHUNK)
        except BlockingIOError:
            return True
        self._kept = (self._kept + data)[-KEPT:]
        if not data:
            self.descriptor = -1
        return bool(data)

    def text(self) -> str:
        """In one line."""
        return " ".join(self._kept.decode(errors="replace").split())


class Process:
    """Frames in, frames out. Not for several threads at once."""

    def __init__(self, job: int, *, folder: Path, link: str) -> None:
        """Start it on the job in the file `job`; it is not waited for. `Lost` when it can't be started."""
        self.denied: tuple[str, ...] = ()
        self._used = -1
        self._owed, self._by = 0, 0.0
        self._link = link
        self._buffer = bytearray()
        self.alive = False
        ours, theirs = socket.socketpair()
        lives_theirs, lives = os.pipe()
        printed, prints = os.pipe()
        try:
            os.lseek(job, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                _command(theirs.fileno(), lives_theirs),
                stdin=job,
                stdout=prints,
                stderr=prints,
                pass_fds=(theirs.fileno(), lives_theirs),
                cwd=folder,
                env=_environment(folder),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            _close(lives, printed)
            raise Lost(f"the process of {link} can't be started", got=str(error)) from error
        finally:
            theirs.close()
            _close(lives_theirs, prints)
        ours.setblocking(False)
        self.alive, self.since = True, time.monotonic()
        self._socket, self._talks, self.prints = ours, ours.fileno(), Prints(printed)
        self._poll = select.poll()
        self._poll.register(self._talks, select.POLLIN)
        self._poll.register(printed, select.POLLIN)
        self._end = weakref.finalize(self, _ended, os.getpid(), self._process, ours, (lives, printed))

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self, *, until: float) -> bool:
        """Whether it can be asked by the moment `until`. `Lost` with the reason when it never will be."""
        if self._used < 0:
            try:
                told = self.receive(0, until=until)
            except TimeoutError:
                return False
            if isinstance(told, Failed):
                self.kill()
                raise Lost(f"{self._link} can't be opened: {raised(told)}", got=joined(said(told), self.prints.text()))
            if isinstance(told, Answered):
                raise self._out_of_turn("an answer to no question")
            self._used, self.denied = told.used, tuple(told.denied)
        return True

    def share(self, used: int, *, cap: int) -> float:
        """How much of the memory that was free when it was ready is taken, with `used` of at most `cap` bytes."""
        return (used - self._used) / max(cap - self._used, 1)

    def leave(self, number: int, *, by: float) -> None:
        """Wait no longer for the answer to question `number`, which it has until the moment `by` to give."""
        self._owed, self._by = number, by

    def settle(self, *, until: float) -> bool:
        """Take in an answer that nobody waited for; False when it is not there by the moment `until`. `TimeoutError`
        when its own time is over, `Lost` when the process is."""
        if not self._owed:
            return True
        try:
            self.receive(self._owed, until=min(until, self._by))
        except TimeoutError:
            if time.monotonic() >= self._by:
                raise
            return False
        self._owed = 0
        return True

    def send(self, number: int, data: bytes, *, until: float) -> None:
        """Send one frame. `TimeoutError` when it was not taken by the moment `until`; `Lost` when nobody takes it."""
        left = memoryview(HEAD.pack(len(data), number) + data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._poll.modify(self._talks, select.POLLIN | select.POLLOUT)
                try:
                    self._wait(until)
                finally:
                    self._poll.modify(self._talks, select.POLLIN)
            except OSError as error:
                raise self._lost() from error

    def receive(self, number: int, *, until: float) -> Answered | Failed | Ready:
        """What it says to question `number`. `TimeoutError` when that is not there by the moment `until`; `Lost`
        when the process is, or when it speaks out of turn: then it is killed."""
        while (size := self._size(number)) < 0:
            self._wait(until)
            self._read()
        data, self._buffer = memoryview(self._buffer)[HEAD.size : HEAD.size + size], bytearray()
        try:
            told: Answered | Failed | Ready = _frames.decode(data)
        except msgspec.MsgspecError as error:
            raise self._out_of_turn(str(error)) from error
        return told

    def _size(self, number: int) -> int:
        """The length of the frame that is here as a whole, -1 while it is not."""
        if len(self._buffer) < HEAD.size:
            return -1
        size, found = HEAD.unpack_from(self._buffer)
        if found != number or size > MOST_ANSWERED or len(self._buffer) > HEAD.size + size:
            raise self._out_of_turn(f"{size:,} bytes to question {found}")
        return size if len(self._buffer) == HEAD.size + size else -1

    def _out_of_turn(self, got: str) -> Lost:
        self.kill()
        return Lost(
            f"{self._link} spoke out of turn and was stopped",
            got=got,
            allowed=f"one answer to each question, of at most {MOST_ANSWERED:,} bytes",
        )

    def end(self) -> None:
        """Have it die; who waits for its answer finds it `Lost`. For any thread."""
        self._process.kill()

    def kill(self) -> None:
        """End it now, whatever it is doing; nothing of it is left."""
        if self.alive:
            self.alive = False
            self._end()

    def _wait(self, until: float) -> None:
        """Wait for the socket, and take in what is printed meanwhile."""
        while True:
            left = until - time.monotonic()
            for descriptor, _ in (ready := self._poll.poll(max(0.0, left) * 1000)):
                if descriptor != self._talks and not self.prints.take_in():
                    self._poll.unregister(descriptor)
            if any(descriptor == self._talks for descriptor, _ in ready):
                return
            if left <= 0:
                raise TimeoutError

    def _read(self) -> None:
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise self._lost() from error
        if not data:
            raise self._lost()
        self._buffer += data

    def _lost(self) -> Lost:
        """What became of a process that hung up."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(REAPED_S)
        self.prints.take_in()
        code = self._process.returncode
        self.kill()
        how = (
            "hung up" if code is None else f"ended with code {code}" if code >= 0 else f"was ended by {_signal(-code)}"
        )
        return Lost(f"the process of {self._link} {how}", got=self.prints.text())


def raised(told: Failed) -> str:
    """What happened, in a few words that hold none of the data."""
    return f"it raised {told.kind}" if told.kind else "what it gives is no answer"


def said(told: Failed) -> str:
    """What the error says, and where."""
    return joined(told.said, f"({told.where})" if told.where else "")


def joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _command(talks: int, lives: int) -> list[str]:
    return [sys.executable, "-s", "-P", "-B", "-m", "kring.runtimes.code_child", str(talks), str(lives)]


def _environment(folder: Path) -> dict[str, str]:
    """What code needs to run anywhere, and nothing that anybody keeps secret."""
    own = {"PYTHONHASHSEED": "0", "PYTHONPATH": str(Path(kring.__file__).parents[1]), "TMPDIR": str(folder)}
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, **own, **dict.fromkeys(ONE_THREAD, "1")}


def _ended(owner: int, process: subprocess.Popen[bytes], ours: socket.socket, descriptors: tuple[int, ...]) -> None:
    """Kill and reap; also when nobody did so before the end of this process. A copy made by fork leaves it alone."""
    if os.getpid() != owner:
        return
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    ours.close()
    _close(*descriptors)
    UNREAPED[:] = [one for one in UNREAPED if one.poll() is None]
    try:
        process.wait(REAPED_S)
    except subprocess.TimeoutExpired:
        UNREAPED.append(process)


@atexit.register
def _reaped() -> None:
    """Take leave of what was killed last."""
    for process in UNREAPED:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
