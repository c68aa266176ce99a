"""Where the frames of a segment that somebody else writes lie, roughly: what was walked once is not walked again."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable
from typing import Final

from kring.stores.segment import HOLDS, MARK_EVERY, Frame

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
