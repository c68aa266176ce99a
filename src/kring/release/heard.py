"""What was heard of a log between two looks: frames of rows, put in the order of their moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Bits = NDArray[np.uint32]


class Frame(NamedTuple):
    """Rows decided together; `order` tells them from all others: the moment first, then the writer."""

    order: tuple[int, ...]
    at: int
    is_new: bool
    units: Numbers
    bits: Bits | int
    alone: bool = False


class Rows(NamedTuple):
    """Rows of decisions, (n,): their units, when they were decided, whether the new version was to answer, what they
    are bad in, whether they were asked alone, and by which writer they were recorded."""

    units: Numbers
    at: Numbers
    is_new: Flags
    bits: Bits
    alone: Flags
    writers: Numbers


def in_order(frames: Sequence[Frame]) -> Rows:
    """The rows of all frames, in the order of their moments."""
    if not frames:
        whole, flags = np.zeros(0, np.int64), np.zeros(0, np.bool_)
        return Rows(whole, whole, flags, np.zeros(0, np.uint32), flags, whole)
    frames = sorted(frames, key=lambda frame: frame.order)
    sizes = [len(frame.units) for frame in frames]
    if all(isinstance(frame.bits, int) for frame in frames):
        bits = np.repeat(np.array([frame.bits for frame in frames], np.uint32), sizes)
    else:
        bits = np.concatenate([np.broadcast_to(np.uint32(frame.bits), len(frame.units)) for frame in frames])
    return Rows(
        np.concatenate([frame.units for frame in frames]),
        np.repeat(np.array([frame.at for frame in frames], np.int64), sizes),
        np.repeat(np.array([frame.is_new for frame in frames], np.bool_), sizes),
        bits,
        np.repeat(np.array([frame.alone for frame in frames], np.bool_), sizes),
        np.repeat(np.array([frame.order[1] for frame in frames], np.int64), sizes),
    )


def united(units: Numbers, bits: Bits) -> tuple[Numbers, Bits]:
    """Each unit once, with all the bits of its rows."""
    if not len(units):
        return units, bits
    order = np.argsort(units, kind="stable")
    units, bits = units[order], bits[order]
    starts = np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]]))
    return units[starts], np.bitwise_or.reduceat(bits, starts)
