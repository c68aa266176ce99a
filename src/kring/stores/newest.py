"""The ends of a decision log, read from the last record on backwards: in bounded time, however long the log is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kring.record.decision import Decisions
from kring.stores.reading import segment_numbers, writers_in
from kring.stores.segment import FRAME_BYTES, FRAME_MAGIC, HOLDS, decode, payload, unpack

PIECE: Final = 1 << 18
PIECES: Final = 32
"""Pieces of a segment, each of `PIECE` bytes, that are looked at from its end on."""


def newest_decisions(folder: Path) -> Iterator[Iterator[Decisions]]:
    """For each writer its decisions from the last one on backwards, as far as the last few megabytes of its two newest
    segments hold them. `OSError` for a segment that was dropped meanwhile, `IntegrityError` for a damaged one."""
    for writer in writers_in(folder):
        yield _backwards([folder / f"{writer}-{number}.log" for number in segment_numbers(folder, writer)[:-3:-1]])


def _backwards(paths: list[Path]) -> Iterator[Decisions]:
    for path in paths:
        with path.open("rb", buffering=0) as file:
            yield from _decisions(file.fileno(), name=path.stem)


def _decisions(file: int, *, name: str) -> Iterator[Decisions]:
    """The decisions in the last pieces of a segment, the last one first."""
    for offset, head in _marked(file):
        frame = unpack(head, 0, offset=offset)
        if frame is None or frame.kind not in HOLDS:
            continue
        found = payload(os.pread(file, frame.end - offset, offset), frame, offset=offset)
        record = decode(frame, found, name=name) if found is not None else None
        if isinstance(record, Decisions):
            yield record


def _marked(file: int) -> Iterator[tuple[int, bytes]]:
    """Where each mark of a frame stands in the last pieces of a file, with the frame's head, the last one first."""
    end = os.fstat(file).st_size
    for _ in range(PIECES):
        begin = max(0, end - PIECE)
        data = os.pread(file, end - begin + FRAME_BYTES, begin)
        place = end - begin + len(FRAME_MAGIC) - 1
        while (place := data.rfind(FRAME_MAGIC, 0, place)) >= 0:
            yield begin + place, data[place : place + FRAME_BYTES]
        end = begin
