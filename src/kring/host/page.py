"""The control page: one memory-mapped file of 64-bit slots, shared by the processes of a serving machine.

A slot is written and read by one instruction each, so no number is ever torn. What is counted, and the one text,
are written under a lock on the file, which the system gives back when its holder dies; the text carries a checksum.

    slots 0-3     magic, format, number of seats, -
          4-7     generations: pointers, keys, limits, forgotten
          8-11    read-only, length and checksum of the reason, draining, ledger last seen (seconds)
    bytes 256     the reason
          1024    the seats, 128 bytes each: pid, start, heartbeat, began, deadline, rss, in flight, ready
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

from kring.errors import IntegrityError, NewerFormat, NotFound, UserError
from kring.host.files import FILE_MODE, make_folder, storage_error
from kring.ports.page import Kind, Vitals

MAGIC: Final = int.from_bytes(b"KringPg\n", "little")
FORMAT: Final = 1
SEATS: Final = 256
"""More workers than this are not started on one machine."""

COUNT, GENERATIONS, READ_ONLY, REASON, DRAINING, LEDGER = 2, 4, 8, 9, 10, 11
TEXT, TEXT_LIMIT = 256, 768
FIRST, WIDTH = 1024, 128
KINDS: Final = {kind: GENERATIONS + place for place, kind in enumerate(get_args(Kind))}
PID, START, HEARTBEAT, BEGAN, DEADLINE, RSS, IN_FLIGHT, READY = range(8)


class MappedSeat:
    """One worker's 128 bytes: no other worker's share a cache line with them."""

    def __init__(self, view: memoryview) -> None:
        self._numbers = view.cast("Q")
        self._seconds = view.cast("d")

    def claim(self, pid: int, *, start: int) -> None:
        self.clear()
        self._numbers[START] = start
        self._numbers[PID] = pid

    def beat(self, at: float, *, rss: int, in_flight: int, ready: bool) -> None:
        """The heartbeat goes last: what belongs to it stands there already."""
        numbers = self._numbers
        numbers[RSS] = rss
        numbers[IN_FLIGHT] = in_flight
        numbers[READY] = ready
        self._seconds[HEARTBEAT] = at

    def work(self, began: float, deadline: float) -> None:
        seconds = self._seconds
        seconds[BEGAN] = began
        seconds[DEADLINE] = deadline

    def idle(self) -> None:
        seconds = self._seconds
        seconds[DEADLINE] = 0.0
        seconds[BEGAN] = 0.0

    def clear(self) -> None:
        for slot in range(READY + 1):
            self._numbers[slot] = 0

    def vitals(self) -> Vitals:
        numbers, seconds = self._numbers, self._seconds
        heartbeat = seconds[HEARTBEAT]
        return Vitals(
            pid=numbers[PID],
            start=numbers[START],
            heartbeat=heartbeat,
            began=seconds[BEGAN],
            deadline=seconds[DEADLINE],
            rss=numbers[RSS],
            in_flight=numbers[IN_FLIGHT],
            ready=bool(numbers[READY]),
        )

    def release(self) -> None:
        self._numbers.release()
        self._seconds.release()


class MappedPage:
    """The page as one process sees it. Its methods may be called from any thread."""

    def __init__(self, descriptor: int, memory: mmap.mmap) -> None:
        self._descriptor = descriptor
        self._memory = memory
        self._lock = threading.Lock()
        self._bytes = memoryview(memory)
        self._numbers = self._bytes.cast("Q")
        self._seconds = self._bytes.cast("d")
        places = (FIRST + WIDTH * seat for seat in range(self._numbers[COUNT]))
        self.seats = tuple(MappedSeat(self._bytes[place : place + WIDTH]) for place in places)

    def generation(self, kind: Kind) -> int:
        return self._numbers[KINDS[kind]]

    def bump(self, kind: Kind) -> int:
        with self._alone():
            self._numbers[KINDS[kind]] += 1
            return self._numbers[KINDS[kind]]

    @property
    def read_only(self) -> str:
        return self._reason() or "the reason was not written down" if self._numbers[READ_ONLY] else ""

    def set_read_only(self, reason: str) -> None:
        """The flag first: whatever becomes of this process, nobody acknowledges any more."""
        self._numbers[READ_ONLY] = 1
        with self._alone():
            if not self._reason():
                text = _short(reason)
                self._bytes[TEXT : TEXT + len(text)] = text
                self._numbers[REASON] = len(text) << 32 | zlib.crc32(text)

    @property
    def draining(self) -> bool:
        return self._numbers[DRAINING] != 0

    def drain(self) -> None:
        self._numbers[DRAINING] = 1

    def ledger_seen(self, at: float = 0.0) -> float:
        if at:
            self._seconds[LEDGER] = at
        return self._seconds[LEDGER]

    def close(self) -> None:
        """Closing twice is allowed."""
        if self._descriptor < 0:
            return
        for seat in self.seats:
            seat.release()
        for view in (self._numbers, self._seconds, self._bytes):
            view.release()
        self._memory.close()
        os.close(self._descriptor)
        self._descriptor = -1

    def _reason(self) -> str:
        size, checksum = divmod(self._numbers[REASON], 1 << 32)
        text = bytes(self._bytes[TEXT : TEXT + min(size, TEXT_LIMIT)])
        return text.decode("utf-8", "replace") if zlib.crc32(text) == checksum else ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def new_page(path: Path, *, workers: int) -> MappedPage:
    """A page with nothing on it and a seat for each of `workers`, in place of one that is there.

    Who still has the old one open goes on with that: it is another file. Its blocks are taken now, since a disk
    that fills up later must not end who writes to it. `UserError` for more workers than `SEATS`, `StorageError`
    when the disk refuses.
    """
    if not 0 <= workers <= SEATS:
        raise UserError("the page has no seats for so many workers", got=str(workers), allowed=f"0 to {SEATS}")
    size = FIRST + WIDTH * workers
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        make_folder(path.parent)
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            os.posix_fallocate(descriptor, 0, size)
            head = (MAGIC, FORMAT, workers)
            os.pwrite(descriptor, b"".join(number.to_bytes(8, "little") for number in head), 0)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error("make", path, error) from error
    return open_page(path, writer=True)


def open_page(path: Path, *, writer: bool) -> MappedPage:
    """The page that the supervisor made. Without `writer` every method that writes is a `TypeError`.

    `NotFound` without a page, `IntegrityError` for a file that is none, `NewerFormat` for a later Kring's.
    """
    try:
        descriptor = os.open(path, (os.O_RDWR if writer else os.O_RDONLY) | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(
            "there is no control page here", got=str(path), next="start the server with `kring serve`"
        ) from error
    except OSError as error:
        raise storage_error("open", path, error) from error
    try:
        return MappedPage(descriptor, _mapped(descriptor, path, writer=writer))
    except OSError as error:
        os.close(descriptor)
        raise storage_error("map", path, error) from error
    except BaseException:
        os.close(descriptor)
        raise


def _mapped(descriptor: int, path: Path, *, writer: bool) -> mmap.mmap:
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, 24, 0)
    magic, format_, seats = (int.from_bytes(head[place : place + 8], "little") for place in (0, 8, 16))
    if magic != MAGIC or (format_ == FORMAT and size != FIRST + WIDTH * seats):
        raise IntegrityError(
            f"{path.name} is not a control page", got=f"{size} bytes", next="start the server again", file=str(path)
        )
    if format_ != FORMAT:
        raise NewerFormat(
            f"{path.name} was made by another Kring",
            got=f"format {format_}",
            allowed=f"format {FORMAT}",
            next="start the server again with one Kring",
            file=str(path),
        )
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_WRITE if writer else mmap.ACCESS_READ)


def _short(reason: str) -> bytes:
    """At most as many bytes as there is room for, never empty and never half a character."""
    text = reason.encode("utf-8", "replace")[:TEXT_LIMIT].decode("utf-8", "ignore") or "no reason was given"
    return text.encode("utf-8")
