"""The bytes of one segment of the decision log.

```
segment   head  magic "KRINGLOG" · format u16 · writer u16 · number u32 · length u16 · system · crc32
          frame frame frame …
frame     magic "KRfr" · kind u8 · length u32 · rows u32 · first u64 · at u64 · group u64 · crc32 of the payload
          crc32 of the above, seeded with the frame's offset
          payload, `length` bytes: msgpack of Decisions, Outcomes, Closed or Exposure, columns as lists, or of
          PackedDecisions, columns as bytes
```
Big endian throughout. `first` is the sequence of the first decision (the next one, for what comes afterwards),
`at` microseconds UTC, `group` the size of the segment when the group was written that holds this
frame: everything before it was durable by then. The seed ties a frame to its place, so that bytes
inside a payload are never taken for a frame. Packed decisions came with format 2, how streams ended
(and idempotency keys, and sealed columns) with format 3, exposures with format 4; else they are the same as format 1.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from kring.errors import DataError, IntegrityError, NewerFormat
from kring.metrics.packing import unpacked
from kring.record.decision import Closed, Decisions, Outcomes, PackedDecisions
from kring.record.event import Segment
from kring.record.exposure import Exposure

FORMAT: Final = 4
HEAD: Final = struct.Struct(">8sHHIH")
HEAD_MAGIC: Final = b"KRINGLOG"
CRC: Final = struct.Struct(">I")
FRAME: Final = struct.Struct(">4sBIIQQQI")
FRAME_MAGIC: Final = b"KRfr"
FRAME_BYTES: Final = FRAME.size + CRC.size
LARGEST: Final = 1 << 30
MARK_EVERY: Final = 1 << 18
NEVER: Final = 1 << 63

DECISIONS: Final = 1
OUTCOMES: Final = 2
PACKED: Final = 3
CLOSED: Final = 4
EXPOSED: Final = 5
HOLDS: Final = (DECISIONS, PACKED)
"""The kinds that take up sequences; the others speak of decisions that were made."""

Record = Decisions | PackedDecisions | Outcomes | Closed | Exposure

_OUTLINE: Final = struct.Struct(">4sBIIQ")
_encoder = msgspec.msgpack.Encoder()
_decisions = msgspec.msgpack.Decoder(Decisions)
_outcomes = msgspec.msgpack.Decoder(Outcomes)
_packed = msgspec.msgpack.Decoder(PackedDecisions)
_closed = msgspec.msgpack.Decoder(Closed)
_exposed = msgspec.msgpack.Decoder(Exposure)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What a frame's header says; `offset` is where it begins, `end` where the next one does."""

    offset: int
    kind: int
    length: int
    rows: int
    first: int
    at: int
    group: int
    crc: int

    @property
    def end(self) -> int:
        return self.offset + FRAME_BYTES + self.length


def encode(record: Record) -> bytes:
    """The payload of `record`; `DataError` for values that no log can hold."""
    try:
        payload = _encoder.encode(record)
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise DataError(
            "this record can't be written to the decision log",
            got=str(error),
            allowed="booleans, integers of 64 bits, floats, valid text and None",
        ) from error
    if len(payload) > LARGEST:
        raise DataError(
            "this batch is too large for one frame of the decision log",
            got=f"{len(payload)} bytes",
            allowed=f"{LARGEST} bytes",
            next="record it in smaller batches",
        )
    return payload


def decode(frame: Frame, payload: bytes | memoryview, *, name: str) -> Decisions | Outcomes | Closed | Exposure:
    """The record in `payload`, whose checksum fits; `IntegrityError` when it is no record."""
    try:
        if frame.kind == PACKED:
            return unpacked(_packed.decode(payload))
        if frame.kind == CLOSED:
            return _closed.decode(payload)
        if frame.kind == EXPOSED:
            return _exposed.decode(payload)
        return _decisions.decode(payload) if frame.kind == DECISIONS else _outcomes.decode(payload)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise damaged(name, frame.offset, str(error)) from error


def pack(frame: Frame) -> bytes:
    """The header of `frame`."""
    head = FRAME.pack(FRAME_MAGIC, frame.kind, frame.length, frame.rows, frame.first, frame.at, frame.group, frame.crc)
    return head + CRC.pack(_seeded(head, frame.offset))


def unpack(data: bytes, position: int, *, offset: int) -> Frame | None:
    """The header at `position` of `data`, which lies at `offset` of the segment; None when there is none."""
    if len(data) - position < FRAME_BYTES:
        return None
    magic, kind, length, rows, first, at, group, crc = FRAME.unpack_from(data, position)
    (sum,) = CRC.unpack_from(data, position + FRAME.size)
    if magic != FRAME_MAGIC or sum != _seeded(data[position : position + FRAME.size], offset):
        return None
    return Frame(offset, kind, length, rows, first, at, group, crc)


def walk(data: bytes, *, offset: int, position: int = 0) -> Iterator[Frame]:
    """Headers of the frames in `data`, which lies at `offset`, from `position` up to the first that does not fit."""
    while frame := unpack(data, position, offset=offset + position):
        yield frame
        position += FRAME_BYTES + frame.length


def near(data: bytes, sequence: int) -> int:
    """Position in `data` of the header that says it holds `sequence`, -1 when there is none. Checks no checksums,
    which makes it several times as fast as `walk`."""
    position, last = 0, len(data) - FRAME_BYTES
    read = _OUTLINE.unpack_from
    while position <= last:
        magic, kind, length, rows, first = read(data, position)
        if magic != FRAME_MAGIC or first > sequence:
            break
        if kind in HOLDS and sequence < first + rows:
            return position
        position += FRAME_BYTES + length
    return -1


def payload(data: bytes, frame: Frame, *, offset: int) -> memoryview | None:
    """The payload of `frame` in `data`, which lies at `offset`; None when it is cut or its checksum does not fit."""
    found = memoryview(data)[frame.offset + FRAME_BYTES - offset : frame.end - offset]
    return found if len(found) == frame.length and zlib.crc32(found) == frame.crc else None


def whole(data: bytes, *, offset: int) -> list[Frame]:
    """The frames in `data`, which lies at `offset`, up to the first one that is not whole."""
    frames = []
    for frame in walk(data, offset=offset):
        if payload(data, frame, offset=offset) is None:
            break
        frames.append(frame)
    return frames


def torn(data: bytes, *, offset: int) -> bool:
    """Is `data`, from the first frame that does not fit (at `offset`) to the end, only a last group
    that was not written to its end? No, when a whole frame follows that was written after `offset`
    had become durable: then what does not fit was damaged later."""
    position = data.find(FRAME_MAGIC, 1)
    while position >= 0:
        frame = unpack(data, position, offset=offset + position)
        if frame and offset < frame.group <= frame.offset and payload(data, frame, offset=offset) is not None:
            return False
        position = data.find(FRAME_MAGIC, position + 1)
    return True


def damaged(name: str, offset: int, got: str) -> IntegrityError:
    """The error that names a segment and the place in it."""
    return IntegrityError(
        f"segment {name} of the decision log is damaged at byte {offset}",
        got=got,
        next="put back a copy of this segment; nothing after this place was read",
        file=f"{name}.log",
    )


def head_of(system: str, *, writer: int, number: int) -> bytes:
    """The first bytes of a segment."""
    name = system.encode()
    head = HEAD.pack(HEAD_MAGIC, FORMAT, writer, number, len(name)) + name
    return head + CRC.pack(zlib.crc32(head))


def head_bytes(system: str) -> int:
    """Length of the head of a segment of `system`."""
    return HEAD.size + len(system.encode()) + CRC.size


def check_head(data: bytes, *, system: str, writer: int, number: int) -> int:
    """Length of the head at the start of `data`; 0 when it is not whole.

    `NewerFormat` for a later format, `IntegrityError` for the segment of another log."""
    if len(data) < HEAD.size or data[:8] != HEAD_MAGIC:
        return 0
    _, format, found_writer, found_number, length = HEAD.unpack_from(data)
    size = HEAD.size + int(length)
    if len(data) < size + CRC.size or CRC.unpack_from(data, size)[0] != zlib.crc32(data[:size]):
        return 0
    name = f"{writer}-{number}"
    if format > FORMAT:
        raise NewerFormat(
            f"segment {name} was written by a newer Kring",
            got=f"format {format}",
            allowed=f"format {FORMAT}",
            next="install the newer Kring",
        )
    found = (data[HEAD.size : size].decode(errors="replace"), found_writer, found_number)
    if found != (system, writer, number):
        raise damaged(name, 0, f"the head of segment {found[1]}-{found[2]} of the system {found[0]!r}")
    return size + CRC.size


def _seeded(head: bytes, offset: int) -> int:
    return zlib.crc32(head, offset & 0xFFFFFFFF)


class Tally:
    """Counts over the frames of one segment, and the digest over its bytes. It `began` with its first frame; outcomes
    don't count there, which may have become known at any time."""

    def __init__(self, name: str, *, writer: int, number: int, head: bytes) -> None:
        self.name = name
        self.writer = writer
        self.number = number
        self.format: int = HEAD.unpack_from(head)[1]
        self.size = len(head)
        self.next = 0
        self.began = NEVER
        self.frames = 0
        self.marks: list[tuple[int, int]] = []
        self._decisions = 0
        self._outcomes = 0
        self._span: tuple[int, int] | None = None
        self._sha = hashlib.sha256(head)

    def add(self, frames: list[Frame], data: bytes) -> None:
        """`frames` follow what is counted already, and `data` are their bytes."""
        for frame in frames:
            if not self.marks or frame.offset - self.marks[-1][1] >= MARK_EVERY:
                self.marks.append((frame.first, frame.offset))
            if frame.kind in HOLDS:
                self.next = frame.first + frame.rows
                self._decisions += frame.rows
            if frame.kind == OUTCOMES:
                self._outcomes += frame.rows
            else:
                self.began = min(self.began, frame.at)
            low, high = self._span or (frame.at, frame.at)
            self._span = min(low, frame.at), max(high, frame.at)
        self.frames += len(frames)
        self.size += len(data)
        self._sha.update(data)

    def sealed(self) -> Sealed:
        """What is known about the segment when nothing more is appended to it."""
        first, last = self._span or (0, 0)
        segment = Segment(
            id=self.name,
            writer=self.writer,
            number=self.number,
            first=first,
            last=last,
            frames=self.frames,
            decisions=self._decisions,
            outcomes=self._outcomes,
            bytes=self.size,
            digest=self._sha.hexdigest(),
        )
        return Sealed(segment=segment, marks=self.marks)


class Sealed(msgspec.Struct, frozen=True):
    """The small file beside a sealed segment: its description, and (sequence, offset) of a frame
    about every 256 KiB, so that an id is found in a short walk."""

    segment: Segment
    marks: list[tuple[int, int]]

    def to_bytes(self) -> bytes:
        text = msgspec.json.encode(self, order="sorted")
        return b"%s\n%08x\n" % (text, zlib.crc32(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> Sealed | None:
        """None when the bytes were damaged; the segment itself has all that they say."""
        text, _, sum = data.partition(b"\n")
        if sum != b"%08x\n" % zlib.crc32(text):
            return None
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError:
            return None
