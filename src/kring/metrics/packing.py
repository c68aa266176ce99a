"""Columns as bytes and back: what makes the record of a million decisions small and quick to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from kring.record.decision import Decisions, Packed, PackedDecisions, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTHS: Final = (np.int8, np.int16, np.int32, np.int64)


def packed(
    values: NDArray[np.generic], *, known: NDArray[np.bool_] | None = None, words: Sequence[str] | None = None
) -> Packed:
    """The column `values`, (n,), of truth values, integers of at most 64 bits or floats; with `words` they are
    places in it. `known`, (n,), says where there is a value (None: everywhere).

    Numbers become as narrow as they can without another value.
    """
    data = np.ascontiguousarray(_narrow(values))
    bits = b"" if known is None or known.all() else np.packbits(known).tobytes()
    return Packed(data.dtype.str, data.tobytes(), bits, None if words is None else list(words))


def length_of(column: Packed) -> int:
    """The number of its rows."""
    return len(column.data) // np.dtype(column.dtype).itemsize


def values_of(column: Packed) -> list[Value]:
    """The column as plain values; None where there is none."""
    values: list[Value] = np.frombuffer(column.data, dtype=column.dtype).tolist()
    known = [1] * len(values)
    if column.known:
        known = np.unpackbits(np.frombuffer(column.known, dtype=np.uint8), count=len(values)).tolist()
    if column.words is not None:
        words = column.words
        return [words[int(value or 0)] if there else None for value, there in zip(values, known, strict=True)]
    return [value if there else None for value, there in zip(values, known, strict=True)] if column.known else values


def unpacked(record: PackedDecisions) -> Decisions:
    """The same decisions with columns as lists."""
    inputs = {name: values_of(column) for name, column in record.inputs.items()}
    return Decisions(
        system=record.system,
        version=record.version,
        answered_by=record.answered_by,
        arm=record.arm,
        kind=record.kind,
        at=record.at,
        n=record.n,
        inputs=inputs,
        outputs={name: values_of(column) for name, column in record.outputs.items()},
        latency_us=record.latency_us,
        cost=record.cost,
        fallback=record.fallback,
        guards=record.guards,
        subjects=[str(value) for value in inputs[record.subject]] if record.subject else [],
        batch=record.batch,
        rows=_places(record),
        sealed=record.sealed,
    )


def _places(record: PackedDecisions) -> list[int]:
    if record.rows is not None:
        return [int(place) for place in np.frombuffer(record.rows.data, dtype=record.rows.dtype)]
    return list(range(record.first, record.first + record.n)) if record.batch else []


def _narrow(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """The same values in the narrowest type that holds them."""
    if values.dtype.kind == "f" and values.dtype.itemsize > 4:
        with np.errstate(over="ignore"):
            half = values.astype(np.float32)
        return half if np.array_equal(half, values, equal_nan=True) else values
    if values.dtype.kind == "i" and len(values):
        low, high = int(values.min()), int(values.max())
        return values.astype(next(kind for kind in WIDTHS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max))
    return values
