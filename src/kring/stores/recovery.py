"""What a writer finds when it opens its log: sealed segments, and one that was left open."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kring.errors import IntegrityError, NotFound
from kring.ports.files import Files
from kring.stores.reading import segment_numbers
from kring.stores.segment import Sealed, Tally, check_head, damaged, head_bytes, torn, whole


class Found(NamedTuple):
    """`number` is the newest segment with a head, 0 when there is none; `left` was not sealed."""

    number: int
    sealed: dict[int, Sealed]
    left: Tally | None


def recover(folder: Path, *, writer: int, system: str, files: Files) -> Found:
    """Look at every segment of `writer`; cut a torn tail off the newest one, describe again what lost
    its description. `IntegrityError` names a segment that is damaged or missing."""
    numbers = segment_numbers(folder, writer)
    if not numbers:  # a description outlives a segment that was kept long enough: its number is never given again
        return Found(max(segment_numbers(folder, writer, ending="seal"), default=0), {}, None)
    missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    if missing:
        raise IntegrityError(
            f"segment {writer}-{missing[0]} of the decision log is missing",
            got=f"segments {numbers[0]} to {numbers[-1]}",
            next="put back a copy of this segment",
            file=str(folder),
        )
    sealed: dict[int, Sealed] = {}
    for number in numbers:
        path = folder / f"{writer}-{number}.log"
        known = _described(path, files)
        if known is None:
            newest = number == numbers[-1]
            tally = _scan(path, writer=writer, number=number, system=system, newest=newest, files=files)
            if newest:
                return Found(number if tally else number - 1, sealed, tally)
            known = describe(path, tally, files=files) if tally else None
        if known is not None:
            sealed[number] = known
    return Found(numbers[-1], sealed, None)


def describe(path: Path, tally: Tally, *, files: Files) -> Sealed:
    """Write the description of the complete segment at `path` beside it."""
    known = tally.sealed()
    files.write(path.with_suffix(".seal"), known.to_bytes())
    return known


def _described(path: Path, files: Files) -> Sealed | None:
    """What the small file beside a segment says; None when there is none that can be trusted."""
    try:
        known = Sealed.from_bytes(files.read(path.with_suffix(".seal")))
    except NotFound:
        return None
    size = path.stat().st_size
    if known is not None and size != known.segment.bytes:
        raise damaged(path.stem, min(size, known.segment.bytes), f"{size} bytes when {known.segment.bytes} were sealed")
    return known


def _scan(path: Path, *, writer: int, number: int, system: str, newest: bool, files: Files) -> Tally | None:
    """Count a segment that was not sealed; None for a newest one whose head was not written to its end."""
    data = files.read(path)
    begin = check_head(data, system=system, writer=writer, number=number)
    if not begin:
        if not newest or len(data.rstrip(b"\0")) > head_bytes(system):
            raise damaged(path.stem, 0, "bytes that are no head")
        return None
    frames = whole(data[begin:], offset=begin)
    end = frames[-1].end if frames else begin
    if end < len(data):
        rest = data[end:].rstrip(b"\0")
        if not newest or not torn(rest, offset=end):
            raise damaged(path.stem, end, "bytes that are no whole frame")
        if rest:
            files.write(path.with_name(f"{path.stem}-{end}.torn"), rest)
        files.truncate(path, end)
    tally = Tally(path.stem, writer=writer, number=number, head=data[:begin])
    tally.add(frames, data[begin:end])
    return tally
