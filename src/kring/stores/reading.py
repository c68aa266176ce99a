"""Reads the segments of the decision log, of one writer or of all; needs no lock and changes nothing."""

from __future__ import annotations

import heapq
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from kring.errors import NotFound, StorageError
from kring.metrics.ids import decision_place, decision_raw
from kring.ports.decision_log import Logged
from kring.record.decision import Closed, Decisions, Outcomes, Place
from kring.record.event import Segment
from kring.stores.outline import Outlines
from kring.stores.segment import (
    CLOSED,
    FRAME_BYTES,
    HOLDS,
    OUTCOMES,
    Frame,
    Sealed,
    check_head,
    damaged,
    decode,
    head_bytes,
    near,
    payload,
    torn,
    unpack,
    walk,
)

CHUNK: Final = 1 << 20
APART_US: Final = 3_600_000_000
"""How far the clock of who reports an outcome may be behind that of the decision, and more."""

BEGINNING: Final[Mapping[int, tuple[int, int]]] = MappingProxyType({})


def read_log(folder: Path, *, system: str) -> WholeLog:
    """A reader of all writers of a log, which may be writing meanwhile. It sees what has reached the
    files; a writer alone knows what has been made durable. The same one for all of a process: it knows its way."""
    return _whole(folder, system)


def read_writer(folder: Path, *, system: str, writer: int) -> LogReader:
    """As `read_log`, of one writer alone."""
    return LogReader(folder, system=system, writer=writer)


def writers_in(folder: Path) -> list[int]:
    """Numbers of the writers that have segments in `folder`, rising."""
    found = {path.stem.partition("-")[0] for path in folder.glob("*-*.log")}
    return sorted(int(writer) for writer in found if writer.isdigit())


def segment_numbers(folder: Path, writer: int, *, ending: str = "log") -> list[int]:
    """Numbers of the writer's segments in `folder`, rising."""
    numbers = (path.stem.partition("-")[2] for path in folder.glob(f"{writer}-*.{ending}"))
    return sorted(int(number) for number in numbers if number.isdigit())


class WholeLog:
    """Fulfils `kring.ports.decision_log.DecisionHistory`. May be used from any thread."""

    def __init__(self, folder: Path, *, system: str) -> None:
        self._folder = folder
        self._system = system
        self._readers: dict[int, LogReader] = {}

    def read(self, after: Mapping[int, tuple[int, int]] = BEGINNING, *, until: int | None = None) -> Iterator[Logged]:
        writers = [
            self._writer(writer).read(after.get(writer, (0, 0)), until=until) for writer in writers_in(self._folder)
        ]
        return heapq.merge(*writers, key=lambda logged: logged.record.at)

    def find(self, id: str) -> tuple[Decisions, int]:
        return self._writer(decision_place(decision_raw(id)).writer).find(id)

    def closed(self, id: str) -> tuple[Closed, int] | None:
        return self._writer(decision_place(decision_raw(id)).writer).closed(id)

    def outcomes(self, id: str) -> list[tuple[Outcomes, int]]:
        return self.outcomes_of({decision_raw(id)})

    def outcomes_of(self, ids: Set[bytes]) -> list[tuple[Outcomes, int]]:
        found = [one for writer in writers_in(self._folder) for one in self._writer(writer).outcomes_of(ids)]
        return sorted(found, key=lambda one: one[0].at)

    def _writer(self, writer: int) -> LogReader:
        known = self._readers.get(writer)
        return known or self._readers.setdefault(writer, LogReader(self._folder, system=self._system, writer=writer))


_whole: Final = lru_cache(256)(lambda folder, system: WholeLog(folder, system=system))


class LogReader:
    """`read` and `find` of `kring.ports.decision_log.DecisionLog`.

    The owner of the log says in `committed` how many bytes of its open segment are durable, and in
    `marks` where some frames lie.
    """

    def __init__(self, folder: Path, *, system: str, writer: int) -> None:
        self.committed: dict[int, int] = {}
        self.marks: dict[int, list[tuple[int, int]]] = {}
        self._outlines = Outlines(
            writer,
            begins=head_bytes(system) + FRAME_BYTES,
            take=lambda number, offset, length: _part(self.path(number), offset, length),
            frames=lambda number, offset: self._frames(number, offset, newest=not self.path(number + 1).exists()),
        )
        self._sealed: dict[int, tuple[tuple[int, int], Sealed | None]] = {}
        self._folder = folder
        self._system = system
        self._writer = writer

    def path(self, number: int) -> Path:
        return self._folder / f"{self._writer}-{number}.log"

    def read(self, after: tuple[int, int] = (0, 0), *, until: int | None = None) -> Iterator[Logged]:
        """Frames after a cursor, up to the first one of a later moment than `until`."""
        number, offset = after
        if not self.path(number).exists():
            later = (found for found in segment_numbers(self._folder, self._writer) if found > number)
            number, offset = min(later, default=0), 0
        while self.path(number).exists():
            newest = not self.path(number + 1).exists()
            for frame, found in self._frames(number, offset, newest=newest):
                if until is not None and frame.at > until:
                    return
                yield self._logged(frame, found, number=number)
            if newest:
                return
            number, offset = number + 1, 0

    def outcomes_of(self, ids: Set[bytes]) -> Iterator[tuple[Outcomes, int]]:
        """Every outcome of the decisions with these 16 bytes each, whoever decided them, with its row, in the order in
        which they came. What was sealed before the first of them was decided is not read."""
        places = [decision_place(raw) for raw in ids]
        since = min(place.at_ms for place in places) * 1000 - APART_US
        begin = min(place.segment if place.writer == self._writer else 0 for place in places)
        for number in segment_numbers(self._folder, self._writer):
            known = self._described(number) if number >= begin else None
            if number < begin or (known and is_beside(self.path(number), known.segment, since=since)):
                continue
            for record in self._outcomes_in(number, ids, is_complete=known is not None):
                yield from ((record, row) for row, raw in enumerate(record.ids) if raw in ids)

    def _outcomes_in(self, number: int, ids: Set[bytes], *, is_complete: bool) -> Iterator[Outcomes]:
        """The records of one segment that may hold outcomes of these decisions."""
        spans = self._outlines.about(number, ids, is_complete=is_complete)
        with _opened(self.path(number)) as file:
            for begin, end in spans:
                data = _take(file, begin, end - begin)
                for frame in walk(data, offset=begin):
                    found = payload(data, frame, offset=begin) if frame.kind == OUTCOMES else None
                    record = decode(frame, found, name=self.path(number).stem) if found is not None else None
                    if isinstance(record, Outcomes):
                        yield record

    def closed(self, id: str) -> tuple[Closed, int] | None:
        """How the stream of a decision of this writer ended, with its row; None when nothing says that it did."""
        raw = decision_raw(id)
        begin = decision_place(raw).segment
        for number in (number for number in segment_numbers(self._folder, self._writer) if number >= begin):
            for frame, found in self._frames(number, 0, newest=not self.path(number + 1).exists()):
                if frame.kind != CLOSED or raw not in bytes(found):
                    continue
                record = decode(frame, found, name=self.path(number).stem)
                if isinstance(record, Closed):
                    return record, record.ids.index(raw)
        return None

    def find(self, id: str) -> tuple[Decisions, int]:
        place = decision_place(decision_raw(id))
        if place.writer != self._writer or not self.path(place.segment).exists():
            raise _missing(id, writer=self._writer, system=self._system)
        with _opened(self.path(place.segment)) as file:
            begin, end = self._range(file, place)
            data = _take(file, begin, end - begin)
            position = max(0, near(data, place.sequence))
            stopped = begin + position
            for frame in walk(data, offset=begin, position=position):
                if frame.kind in HOLDS and frame.first <= place.sequence < frame.first + frame.rows:
                    return self._row(file, frame, data, begin=begin, place=place)
                stopped = frame.end
            if stopped < begin + len(data):
                self._is_whole(file, place.segment, stopped)
        raise _missing(id, writer=self._writer, system=self._system)

    def _row(self, file: BinaryIO, frame: Frame, data: bytes, *, begin: int, place: Place) -> tuple[Decisions, int]:
        found = payload(data, frame, offset=begin)
        if found is None:
            self._is_whole(file, place.segment, frame.offset)
        if found is None or frame.at // 1000 != place.at_ms:
            place_told = f"sequence {place.sequence} of segment {place.segment} at {place.at_ms} ms"
            raise _missing(place_told, writer=self._writer, system=self._system)
        record = decode(frame, found, name=self.path(place.segment).stem)
        if not isinstance(record, Decisions):
            raise damaged(self.path(place.segment).stem, frame.offset, "something else where decisions were announced")
        return record, place.sequence - frame.first

    def _range(self, file: BinaryIO, place: Place) -> tuple[int, int]:
        """Where to walk for `place`: begin and end."""
        marks = self.marks.get(place.segment, [])
        if not marks and place.segment not in self.committed:  # another process writes it, or wrote it
            known = self._described(place.segment)
            marks = known.marks if known else self._outlines.marks(place.segment, place.sequence)
        at = bisect_right(marks, place.sequence, key=lambda mark: mark[0])
        begin = marks[at - 1][1] if at else self._body(file, place.segment)
        return begin, marks[at][1] if at < len(marks) else self._end(file, place.segment)

    def _described(self, number: int) -> Sealed | None:
        """What the small file beside a segment says, None as long as there is none."""
        path = self.path(number).with_suffix(".seal")
        try:
            seen = path.stat()
        except OSError:
            return None
        stamp, known = self._sealed.get(number, (None, None))
        if stamp != (seen.st_ino, seen.st_mtime_ns):
            with _opened(path) as file:
                known = Sealed.from_bytes(_take(file, 0, _size(file)))
            self._sealed[number] = (seen.st_ino, seen.st_mtime_ns), known
        return known

    def _frames(self, number: int, offset: int, *, newest: bool) -> Iterator[tuple[Frame, memoryview]]:
        """Whole frames from `offset` on, each with its payload."""
        with _opened(self.path(number)) as file:
            body = self._body(file, number)
            place, need = max(offset, body), CHUNK
            while body and place < (end := self._end(file, number)):
                base, taken = place, need
                data, need = _take(file, base, min(taken, end - base)), CHUNK
                for frame in walk(data, offset=base):
                    found = payload(data, frame, offset=base)
                    if found is None:
                        need = max(CHUNK, frame.end - frame.offset)
                        break
                    place = frame.end
                    yield frame, found
                if place == base and need <= taken and not self._is_whole(file, number, base):
                    return
            if not body and not newest:
                raise damaged(self.path(number).stem, 0, "a segment without its head")

    def _is_whole(self, file: BinaryIO, number: int, offset: int) -> bool:
        """What was read at `offset` was no whole frame; whether it is one by now. No is right only at the end of the
        newest segment of a log that another process writes, or wrote when it died: zeros lie ready there for what
        comes, until the segment is cut to its length and sealed. `IntegrityError` anywhere else."""
        newest = number not in self.committed and not self.path(number + 1).exists()
        sealed = self.path(number).with_suffix(".seal").exists()
        rest = _take(file, offset, self._end(file, number) - offset)  # now: what is sealed stays as it is
        frame = unpack(rest, 0, offset=offset)
        if frame is not None and payload(rest, frame, offset=offset) is not None:
            return True
        if rest and (sealed or not newest or not torn(rest, offset=offset)):
            raise damaged(self.path(number).stem, offset, "bytes that are no whole frame")
        return False

    def _logged(self, frame: Frame, found: memoryview, *, number: int) -> Logged:
        place = Place(at_ms=frame.at // 1000, writer=self._writer, segment=number, sequence=frame.first)
        record = decode(frame, found, name=self.path(number).stem)
        return Logged(place=place, record=record, cursor=(number, frame.end))

    def _body(self, file: BinaryIO, number: int) -> int:
        """Offset of the first frame; 0 when the head was not written to its end."""
        head = _take(file, 0, head_bytes(self._system) + (1 << 16))
        size = check_head(head, system=self._system, writer=self._writer, number=number)
        if not size and len(head.rstrip(b"\0")) > head_bytes(self._system):
            raise damaged(self.path(number).stem, 0, "bytes that are no head")
        return size

    def _end(self, file: BinaryIO, number: int) -> int:
        return self.committed.get(number) or _size(file)


def is_beside(path: Path, segment: Segment, *, since: int) -> bool:
    """Whether a sealed segment, which has to be as long as it was, holds no outcome from `since` on."""
    with _opened(path) as file:
        if (size := _size(file)) < segment.bytes:
            raise damaged(path.stem, size, f"the end of it, where {segment.bytes:,} bytes were sealed")
    return not segment.outcomes or segment.last < since


def _missing(id: str, *, writer: int, system: str) -> NotFound:
    return NotFound(
        "this decision is not in the log",
        got=id,
        allowed=f"ids that writer {writer} of {system} gave out and committed",
    )


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _take(file: BinaryIO, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`, fewer at the end of the file."""
    parts = []
    try:
        while length > 0 and (part := os.pread(file.fileno(), length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
    except OSError as error:
        raise _unreadable(str(file.name), error) from error
    return b"".join(parts) if len(parts) != 1 else parts[0]


def _part(path: Path, offset: int, length: int) -> bytes:
    with _opened(path) as file:
        return _take(file, offset, length)


def _unreadable(path: str, error: OSError) -> StorageError:
    return StorageError(
        f"could not read {Path(path).name}", got=str(error), next="check the disk and its rights", file=path
    )
