"""Where the frames of a segment that somebody else writes lie, roughly: what was walked once is not walked again."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Final

from kring.errors import IntegrityError
from kring.record.decision import Outcomes
from kring.stores.segment import FRAME_BYTES, HOLDS, MARK_EVERY, OUTCOMES, Frame, decode, unpack

MOST: Final = 64
"""Outlines of one writer's segments that are kept."""


class Outline:
    """`marks` are sequence and offset of a frame about every 256 KiB, as beside a sealed segment; `next` is the
    sequence after the last one seen. Of outcomes it keeps 8 bytes each, by which to tell between which marks those of
    a decision may lie. It `is_complete` once it is that of a sealed segment. The segment `begins` with
    its head and the head of its first frame, which no other one does."""

    def __init__(self, begins: bytes) -> None:
        self.begins = begins
        self.marks: list[tuple[int, int]] = []
        self.next = self.end = 0
        self.is_complete = False
        self._told: list[array[int]] = []

    def forget_last(self) -> int:
        """Where the last mark was: from there on the frames have to be looked at again."""
        if not self.marks:
            return 0
        self._told.pop()
        return self.marks.pop()[1]

    def note(self, frame: Frame, about: Iterable[bytes]) -> None:
        """The next frame, and the decisions that its outcomes are about."""
        if not self.marks or frame.offset - self.marks[-1][1] >= MARK_EVERY:
            self.marks.append((frame.first, frame.offset))
            self._told.append(array("q"))
        self._told[-1].extend(map(hash, about))
        self.next = frame.first + (frame.rows if frame.kind in HOLDS else 0)
        self.end = frame.end

    def about(self, ids: Collection[bytes]) -> list[tuple[int, int]]:
        """From where to where outcomes of these decisions may lie."""
        wanted = set(map(hash, ids))
        ends = [*(offset for _, offset in self.marks[1:]), self.end]
        spans = zip(self.marks, ends, self._told, strict=True)
        return [(begin, end) for (_, begin), end, told in spans if not wanted.isdisjoint(told)]


class Outlines:
    """Those of the segments of `writer`. May be used from any thread.

    A segment is known by its first `begins` bytes: it may have been put back from a copy. `take` gives bytes of a
    segment, by offset and length, `frames` its whole frames from an offset on, each with its payload.
    """

    def __init__(
        self,
        writer: int,
        *,
        begins: int,
        take: Callable[[int, int, int], bytes],
        frames: Callable[[int, int], Iterator[tuple[Frame, memoryview]]],
    ) -> None:
        self._writer = writer
        self._begins = begins
        self._take = take
        self._frames = frames
        self._known: dict[int, Outline] = {}
        self._lock = Lock()

    def marks(self, number: int, sequence: int) -> list[tuple[int, int]]:
        """The marks of a segment, as far as they are needed to find a sequence."""
        with self._lock:
            outline = self._outline(number)
            if sequence >= outline.next:
                with suppress(IntegrityError):  # told when what is looked for lies there
                    self._follow(number, outline)
            return outline.marks[:]

    def about(self, number: int, ids: Collection[bytes], *, is_complete: bool) -> list[tuple[int, int]]:
        """From where to where outcomes of these decisions may lie in a segment; a sealed one `is_complete`."""
        with self._lock:
            outline = self._outline(number)
            if not (is_complete and outline.is_complete):
                self._follow(number, outline)
                outline.is_complete = is_complete
            return outline.about(ids)

    def _outline(self, number: int) -> Outline:
        begins = self._take(number, 0, self._begins)
        known = self._known.get(number)
        if known is None or known.begins != begins:
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            known = self._known[number] = Outline(begins)
        return known

    def _follow(self, number: int, outline: Outline) -> None:
        """Bring the outline up to now. What lay behind the last mark is walked again, and more where no frame begins
        any longer: its writer may have cut it off when its disk was full."""
        while offset := outline.forget_last():
            if unpack(self._take(number, offset, FRAME_BYTES), 0, offset=offset) is not None:
                break
        for frame, found in self._frames(number, offset):
            record = decode(frame, found, name=f"{self._writer}-{number}") if frame.kind == OUTCOMES else None
            outline.note(frame, record.ids if isinstance(record, Outcomes) else ())
