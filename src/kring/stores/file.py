"""The decision log in append-only segment files, one writer each: `<writer>-<number>.log`.

`append` gathers frames, `commit` writes them with one write and one fsync, and only then are they
acknowledged. A segment that has grown past its size, or is too old, is sealed, with a small file beside it
that describes it; the next append begins the next segment.

What may go wrong, and what happens then:

- the process or the machine dies: whatever was not written to its end is cut off when the log is
  opened again. The bytes that were cut are kept beside the segment as `<name>-<offset>.torn`, since
  a damaged last group looks the same as a torn one;
- the disk is full, or no file can be opened (`NoRoom`): the group fails, what reached the file of it is
  cut off again, and the log goes on when there is room. Its ids are not given out a second time before
  the log is closed;
- the process dies with zeros behind its last group, which lie ready for the next ones: they are cut off;
- any other failed write, and any failed fsync, also for want of space: the log is read-only until it is
  opened anew (`ReadOnly`);
- damage before the last group: an `IntegrityError` with segment and offset, and no step further.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from kring.errors import Busy, NoRoom, StorageError
from kring.metrics.ids import SEGMENT_BITS, SEQUENCE_BITS, WRITER_BITS, decision_number
from kring.metrics.packing import length_of
from kring.ports.decision_log import Logged
from kring.ports.files import Appender, Files
from kring.record.decision import Closed, Decisions, PackedDecisions, Place
from kring.record.event import Segment
from kring.record.exposure import Exposure
from kring.stores.reading import LogReader, segment_numbers, writers_in
from kring.stores.recovery import describe, recover
from kring.stores.segment import (
    CLOSED,
    DECISIONS,
    EXPOSED,
    FORMAT,
    FRAME_BYTES,
    HOLDS,
    NEVER,
    OUTCOMES,
    PACKED,
    Frame,
    Record,
    Tally,
    encode,
    head_of,
    pack,
)
from kring.stores.stopping import Stop

SEGMENT_BYTES: Final = 64 << 20

SEGMENT_AGE_US: Final = 86_400_000_000
"""How long after the first record of a segment its last one may come, where decisions are only kept for a while."""

AHEAD_BYTES: Final = 1 << 18
"""Zeros that lie ready behind the open segment: then a group is durable after one wait for the disk."""


class Ends(NamedTuple):
    """When a segment ends: when it holds so many `bytes`, and with the first record that comes `age_us` (microseconds)
    after its first one; 0: whatever its age."""

    bytes: int = SEGMENT_BYTES
    age_us: int = 0


BY_SIZE: Final = Ends()
DAILY: Final = Ends(age_us=SEGMENT_AGE_US)


class Part(NamedTuple):
    """What one writer has of a log to itself, for as long as it holds the `lock`: the files `WRITER-NUMBER.log`."""

    folder: Path
    system: str
    writer: int
    files: Files
    lock: Appender


def open_log(
    folder: Path, *, files: Files, system: str, writer: int = 0, ends: Ends = BY_SIZE, kind: type[FileLog] | None = None
) -> FileLog:
    """The log of `writer` (0 to 4095) in `folder`, recovered, ready to append; of the class `kind`.

    `Busy` while another process has it open, `IntegrityError` when a segment is damaged or missing,
    `NewerFormat` when a newer Kring wrote it, `StorageError` when the disk refuses.
    """
    if not 0 <= writer < 1 << WRITER_BITS:
        raise ValueError(f"writer {writer} does not fit into {WRITER_BITS} bits")
    lock = files.append(folder / f"{writer}.lock")
    try:
        return (kind or FileLog)(Part(folder, system, writer, files, lock), ends=ends)
    except BaseException:
        lock.close()
        raise


def free_writer(
    folder: Path, *, files: Files, system: str, first: int = 0, ends: Ends = DAILY, kind: type[FileLog] | None = None
) -> FileLog:
    """As `open_log`, for the first writer from `first` on that no process has open; `Busy` when there is none."""
    for writer in range(first, 1 << WRITER_BITS):
        try:
            return open_log(folder, files=files, system=system, writer=writer, ends=ends, kind=kind)
        except Busy:
            continue
    raise Busy(
        "every writer of the decision log is taken",
        got=f"writers {first} to {(1 << WRITER_BITS) - 1}",
        next="end some of the processes that record decisions of this system",
        file=str(folder),
    )


def seal_left(folder: Path, *, files: Files, system: str, before: int) -> list[Segment]:
    """Seal the segments that were written last before the moment (microseconds UTC) by writers that nobody has open;
    they may never be opened again."""
    sealed = []
    for writer in writers_in(folder):
        newest = folder / f"{writer}-{segment_numbers(folder, writer)[-1]}.log"
        if newest.with_suffix(".seal").exists() or newest.stat().st_mtime * 1e6 >= before:
            continue
        try:
            log = open_log(folder, files=files, writer=writer, system=system)
        except Busy:
            continue
        try:
            sealed += [one for one in log.seal() if one.id == newest.stem]
        finally:
            log.close()
    return sealed


class FileLog:
    """Fulfils `kring.ports.decision_log.DecisionLog`. For one thread at a time. `writer` is the number that stands in
    the ids it gives out."""

    def __init__(self, part: Part, *, ends: Ends) -> None:
        folder, system, writer, files, self._lock = part
        self._files = files
        self.writer = writer
        self._system = system
        self._most_bytes, self._oldest_us = ends.bytes, ends.age_us or NEVER
        self._reader = LogReader(folder, system=system, writer=writer)
        found = recover(folder, writer=writer, system=system, files=files)
        self._sealed = found.sealed
        self._reader.marks.update((number, known.marks) for number, known in found.sealed.items())
        self._number = found.number
        self._tally: Tally | None = None
        self._appender: Appender | None = None
        self._frames: list[Frame] = []
        self._parts: list[bytes] = []
        self._buffered = 0
        self._next = 0
        self._durable = 0
        self._stop = Stop(folder)
        if found.left is not None:
            self._continue(found.left)

    def append(self, record: Record) -> Place:
        """A record without rows leaves no frame."""
        self._stop.check()
        kind, rows = _shape(record, self._system)
        payload = encode(record)
        tally = self._room(0 if kind == OUTCOMES else record.at)
        offset = tally.size + self._buffered
        place = Place(at_ms=record.at // 1000, writer=self.writer, segment=self._number, sequence=self._next)
        decision_number(place)  # a moment that no id can hold is refused before anything is buffered
        if not rows:
            return place
        frame = Frame(offset, kind, len(payload), rows, self._next, record.at, self._durable, zlib.crc32(payload))
        self._frames.append(frame)
        self._parts += (pack(frame), payload)
        self._buffered += FRAME_BYTES + len(payload)
        self._next += rows if kind in HOLDS else 0
        return place

    def commit(self) -> None:
        self._stop.check()
        if not self._frames or self._tally is None or self._appender is None:
            return
        frames, data = self._frames, b"".join(self._parts)
        self._frames, self._parts, self._buffered = [], [], 0
        self._stop.reason = "a write that was interrupted"
        try:
            self._appender.write(data)
        except StorageError as error:
            self._repair(error)
            if self._stop.reason:
                self._stop.check(error)
            raise
        self._make_durable(self._tally, frames, data)
        self._reader.committed[self._number] = self._tally.size
        self._stop.reason = ""

    def read(self, after: tuple[int, int] = (0, 0)) -> Iterator[Logged]:
        return self._reader.read(after)

    def find(self, id: str) -> tuple[Decisions, int]:
        return self._reader.find(id)

    def cursor(self, since: int | None = None) -> tuple[int, int]:
        tally = self._tally  # one look: another thread may be about to close the segment
        if since is not None:
            late = [number for number, known in self._sealed.items() if known.segment.last >= since]
            if late or tally is not None:
                return min(late, default=self._number), 0
        if tally is not None:
            return tally.number, tally.size
        known = self._sealed.get(self._number)
        return self._number, known.segment.bytes if known else 0

    def seal(self) -> list[Segment]:
        """Commits first. Every complete segment there is, so that a caller who compares ids with
        what it knows misses none, however often either of them died."""
        self.commit()
        if self._tally is not None and self._tally.frames:
            with self._stop.unless_it_passes():
                self._close_segment(self._tally)
        return [self._sealed[number].segment for number in sorted(self._sealed)]

    def close(self) -> None:
        try:
            if not self._stop.reason:
                self.commit()
        finally:
            self._stop.reason = self._stop.reason or "it was closed"
            self._frames, self._parts, self._buffered = [], [], 0
            if self._appender is not None:
                self._appender.close()
            self._lock.close()

    def _make_durable(self, tally: Tally, frames: list[Frame], data: bytes) -> None:
        """What was just written; counted when it is safe."""
        assert self._appender is not None
        self._stop.sync(self._appender)
        tally.add(frames, data)
        self._durable = tally.size

    def _room(self, at: int) -> Tally:
        """The open segment; a new one when there is none, or it is full or too old at the moment `at` and nothing of
        it is waiting."""
        tally = self._tally
        over = tally is not None and (tally.size >= self._most_bytes or at - tally.began >= self._oldest_us)
        if tally is None or (over and not self._frames):
            with self._stop.unless_it_passes():
                if tally is not None:
                    self._close_segment(tally)
                tally = self._tally = self._open_segment(self._number + 1)
        if self._next >> SEQUENCE_BITS:
            raise StorageError(f"segment {tally.name} holds as many decisions as ids can count")
        return tally

    def _open_segment(self, number: int) -> Tally:
        if number >> SEGMENT_BITS:
            raise StorageError(f"writer {self.writer} has used up its {1 << SEGMENT_BITS} segments")
        path = self._reader.path(number)
        head = head_of(self._system, writer=self.writer, number=number)
        self._files.remove(path)
        appender = self._files.append(path, ahead=AHEAD_BYTES)
        try:
            appender.write(head)
            self._stop.sync(appender)
        except BaseException:
            appender.close()
            raise
        self._number, self._next, self._appender = number, 0, appender
        tally = Tally(f"{self.writer}-{number}", writer=self.writer, number=number, head=head)
        self._follow(tally)
        return tally

    def _close_segment(self, tally: Tally) -> None:
        path = self._reader.path(tally.number)
        self._files.truncate(path, tally.size)
        known = describe(path, tally, files=self._files)
        self._sealed[tally.number] = known
        self._reader.marks[tally.number] = known.marks
        if self._appender is not None:
            self._appender.close()
        self._tally = self._appender = None

    def _follow(self, tally: Tally) -> None:
        self._reader.committed[tally.number] = self._durable = tally.size
        self._reader.marks[tally.number] = tally.marks

    def _repair(self, error: StorageError) -> None:
        """After a failed write: cut off what reached the file, if only room was missing."""
        self._stop.reason = str(error)
        if not isinstance(error, NoRoom) or self._tally is None:
            return
        path = self._reader.path(self._number)
        try:
            if self._appender is not None:
                self._appender.close()
            self._files.truncate(path, self._tally.size)
            self._appender = self._files.append(path, ahead=AHEAD_BYTES)
        except StorageError as second:
            self._stop.reason = str(second)
            return
        self._stop.reason = ""

    def _continue(self, tally: Tally) -> None:
        """Append to a segment that was left open; what a dead process wrote is made durable first. One of an
        older format is complete: an older Kring could not read on."""
        appender = self._files.append(self._reader.path(tally.number), ahead=AHEAD_BYTES)
        try:
            appender.sync()
        except BaseException:
            appender.close()
            raise
        self._tally, self._appender, self._next = tally, appender, tally.next
        self._follow(tally)
        if tally.format < FORMAT:
            self._close_segment(tally)


def _shape(record: Record, system: str) -> tuple[int, int]:
    """Kind and rows. A record that is not in itself consistent is a mistake of the program."""
    if isinstance(record, Decisions):
        kind, rows = DECISIONS, record.n
        lengths = set(map(len, record.inputs.values())) | set(map(len, record.outputs.values()))
        lengths.add(len(record.keys) or rows)
    elif isinstance(record, PackedDecisions):
        kind, rows = PACKED, record.n
        lengths = {length_of(column) for column in (*record.inputs.values(), *record.outputs.values())}
    elif isinstance(record, Exposure):
        kind, rows = EXPOSED, len(record.subjects)
        columns = (record.flags, record.variants, record.reasons, record.versions, record.trials)
        lengths = set(map(len, columns))
    elif isinstance(record, Closed):
        kind, rows = CLOSED, len(record.ids)
        lengths = {len(record.how), len(record.delivered), *map(len, record.outputs.values())}
    else:
        kind, rows, lengths = OUTCOMES, len(record.ids), {len(record.values)}
    if record.system != system or lengths - {rows} or record.at < 0:
        raise ValueError(f"a record of {record.system!r} with {rows} rows does not fit this log of {system!r}")
    return kind, rows
