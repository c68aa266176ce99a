"""Tensors of the Open Inference Protocol, as HTTP and gRPC carry them: one per field, or one for all fields."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from kring.api.native import MOST_ROWS
from kring.api.tables import Kind, Raws, from_columns, from_values, outputs_of
from kring.errors import UserError
from kring.record.answer import Answer
from kring.record.decision import Value
from kring.serve.line import Line
from kring.serve.reading import HasReader

INTEGERS: Final = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS: Final = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
NUMPY: Final = {name: f"<{'u' if name[0] == 'U' else 'i'}{int(name.lstrip('UINT')) // 8}" for name in INTEGERS} | FLOATS
DATATYPES: Final = ("BOOL", *sorted(NUMPY), "BYTES")
OF_KIND: Final[dict[Kind, str]] = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "text": "BYTES"}
MOST_AXES: Final = 8
CONTENT_TYPES: Final = ("pd", "np", "str")
SHOWN: Final = 80


class Shaped(Protocol):
    """What is said of a tensor before its elements."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> Sequence[int]: ...


class Tensor(msgspec.Struct, frozen=True):
    """`data` holds the elements one after the other, row by row; BYTES are texts."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any]


def tensor(name: str, shape: Sequence[int], datatype: str, data: object) -> Tensor:
    """A tensor whose data, nested or flat, fits its shape and datatype. `UserError` else."""
    elements = _elements(name, shape, data)
    return Tensor(name, tuple(shape), datatype, _typed(name, datatype, elements))


def unpacked(name: str, shape: Sequence[int], datatype: str, raw: bytes) -> Tensor:
    """A tensor out of bytes: little-endian numbers, one byte per BOOL, a length of 4 bytes before each of BYTES."""
    count = _count(name, shape)
    if datatype == "BYTES":
        data: list[Any] = _texts(name, raw, count)
    else:
        width = 1 if datatype == "BOOL" else np.dtype(NUMPY[_known(name, datatype)]).itemsize
        if len(raw) != count * width:
            raise _unfit(name, f"{len(raw):,} bytes", f"{count * width:,} bytes for shape {list(shape)} of {datatype}")
        data = np.frombuffer(raw, NUMPY.get(datatype, "u1")).tolist()
        if datatype == "BOOL":
            data = [_truth(name, one) for one in data]
    return Tensor(name, tuple(shape), datatype, data)


def packed(given: Tensor) -> bytes:
    """The bytes of a tensor, see `unpacked`."""
    if given.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(raw)) + raw for raw in (str(text).encode() for text in given.data))
    return np.array(given.data, NUMPY.get(given.datatype, "?")).tobytes()


def require_rows(line: HasReader, inputs: Sequence[Shaped]) -> None:
    """`UserError` unless tensors of these names and shapes can hold rows, as `rows_of` wants them. To be asked before
    an element is read: of what does not fit there may be many."""
    names = line.reader.names
    if len(inputs) > len(names):
        raise UserError(
            "these are more inputs than the contract has fields",
            got=f"{len(inputs):,}",
            allowed=", ".join(names)[:SHOWN],
            key="inputs",
        )
    if len(inputs) == 1 and inputs[0].name not in names:
        _require_matrix(line, inputs[0])
        return
    seen = set[str]()
    for one in inputs:
        if one.name in seen:
            raise UserError("two inputs have the same name", got=one.name[:SHOWN], allowed="one tensor per field")
        seen.add(one.name)
        if _count(one.name, one.shape) != one.shape[0] or len(one.shape) > 2:
            raise _unfit(one.name, f"shape {list(one.shape)}", "[n] or [n, 1] for n rows")


def require_size(name: str, shape: Sequence[int], size: int) -> None:
    """`UserError` unless so many elements fill the shape."""
    if size != (count := _count(name, shape)):
        raise _unfit(name, f"{size:,} elements", f"{count:,} for shape {list(shape)}")


def rows_of(line: HasReader, tensors: Sequence[Tensor]) -> Raws:
    """Rows out of one tensor per field, of shape [n] or [n, 1]; or out of one tensor [n, k] with any other name, whose
    columns are the k fields that a caller has to name, in the contract's order. Their names and shapes are such as
    `require_rows` lets through."""
    if len(tensors) == 1 and tensors[0].name not in line.reader.names:
        return _matrix(line, tensors[0])
    return from_columns({one.name: one.data for one in tensors})


def outputs(line: Line, answers: Sequence[Answer], *, asked: Sequence[str] = ()) -> list[Tensor]:
    """A tensor of shape [n] for each output, or for those that are `asked`. A text that some row lacks is empty there;
    a number that some row lacks is left out for all rows, since no number says "none"."""
    columns = outputs_of(line)
    names = [column.name for column in columns]
    unknown = next((name for name in asked if name not in names), None)
    if unknown is not None:
        raise UserError("there is no such output", got=unknown[:SHOWN], allowed=", ".join(names), key="outputs")
    made = [_output(name, kind, answers) for name, kind in columns if not asked or name in asked]
    return [one for one in made if one is not None]


def parameters(answers: Sequence[Answer]) -> dict[str, str]:
    """Where the answers are on record, one id per row; and the version, one per row if rows differ."""
    versions = [one.version for one in answers]
    told = {
        "decision_ids": ",".join(one.id for one in answers),
        "versions": ",".join(versions if len(set(versions)) > 1 else versions[:1]),
    }
    fallback = next((one.fallback for one in answers if one.fallback), "")
    return told | ({"fallback": fallback} if fallback else {})


def require_content_type(name: str, content_type: object) -> None:
    """Of the content types that MLServer's clients name, those that change nothing here."""
    if content_type not in (None, *CONTENT_TYPES):
        raise _unfit(name, f"content_type {content_type!r}", ", ".join(CONTENT_TYPES))


def _output(name: str, kind: Kind, answers: Sequence[Answer]) -> Tensor | None:
    values = [one.decision if name == "decision" else one.outputs.get(name) for one in answers]
    shape = (len(values),)
    if kind == "text" or any(isinstance(value, str) for value in values):
        return Tensor(name, shape, "BYTES", ["" if value is None else _text(value) for value in values])
    if any(value is None or not math.isfinite(value) for value in values if not isinstance(value, str)):
        return None
    return Tensor(name, shape, OF_KIND[kind], values)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _require_matrix(line: HasReader, one: Shaped) -> None:
    asked = line.reader.asked
    _count(one.name, one.shape)
    if len(one.shape) != 2 or one.shape[1] != len(asked):
        raise _unfit(
            one.name,
            f"shape {list(one.shape)}",
            f"one tensor [n] per field, or one [n, {len(asked)}] for {', '.join(asked)}",
        )


def _matrix(line: HasReader, one: Tensor) -> Raws:
    asked = line.reader.asked
    types = {field.name: field.type for field in line.reader.fields}
    texts = [name for name in asked if types[name] not in ("number", "integer", "boolean")]
    if texts and one.datatype != "BYTES":
        raise _unfit(one.name, f"{one.datatype} for all fields", f"BYTES, since {', '.join(texts)} hold no numbers")
    width = len(asked)
    return from_values(line, [one.data[at : at + width] for at in range(0, len(one.data), width)])


def _count(name: str, shape: Sequence[int]) -> int:
    got = f"shape {list(shape[:MOST_AXES])}"[:SHOWN]
    if not shape or any(size < 1 for size in shape[:MOST_AXES]):
        raise _unfit(name, got, "sizes of at least 1, the number of rows first")
    if len(shape) > MOST_AXES or shape[0] > MOST_ROWS:
        raise _unfit(name, got, f"up to {MOST_ROWS:,} rows in up to {MOST_AXES} axes")
    return math.prod(shape)


def _elements(name: str, shape: Sequence[int], data: object) -> list[Any]:
    """The elements of `data`, which is as deep as `shape` is long, or flat."""
    count = _count(name, shape)
    if not isinstance(data, list):
        raise _unfit(name, type(data).__name__, "data: a list of elements")
    if len(data) not in (count, shape[0]):
        require_size(name, shape, len(data))
    level = data
    if any(isinstance(one, list) for one in data):
        for depth, size in enumerate(shape[1:]):
            if len(level) != math.prod(shape[: depth + 1]) or any(
                not isinstance(one, list) or len(one) != size for one in level
            ):
                raise _unfit(name, "nested data of another form", f"lists as shape {list(shape)} says, or flat data")
            level = [element for one in level for element in one]
    if len(level) != count or any(isinstance(one, list) for one in level):
        raise _unfit(name, f"{len(level):,} elements", f"{count:,} for shape {list(shape)}")
    return level


def _typed(name: str, datatype: str, elements: list[Any]) -> list[Any]:
    """The elements, all of the datatype. None stays: a missing value."""
    if datatype == "BOOL":
        return [one if one is None else _truth(name, one) for one in elements]
    if datatype == "BYTES":
        wrong = next((one for one in elements if one is not None and not isinstance(one, str)), None)
    elif _known(name, datatype) in FLOATS:
        wrong = next((one for one in elements if one is not None and not _is_number(one)), None)
    else:
        limits = np.iinfo(NUMPY[datatype])
        low, high = int(limits.min), int(limits.max)
        wrong = next((one for one in elements if one is not None and not _is_integer(one, low, high)), None)
    if wrong is not None:
        raise _unfit(name, repr(wrong)[:SHOWN], f"{datatype}: {_described(datatype)}")
    return elements


def _known(name: str, datatype: str) -> str:
    if datatype not in DATATYPES:
        raise _unfit(name, f"datatype {datatype[:SHOWN]!r}", ", ".join(DATATYPES))
    return datatype


def _described(datatype: str) -> str:
    if datatype == "BYTES":
        return "texts"
    return "numbers" if datatype in FLOATS else "whole numbers within its range"


def _is_number(one: object) -> bool:
    return isinstance(one, int | float) and not isinstance(one, bool)


def _is_integer(one: object, low: int, high: int) -> bool:
    return isinstance(one, int) and not isinstance(one, bool) and low <= one <= high


def _truth(name: str, one: object) -> bool:
    if one is True or one is False or one in (0, 1):
        return bool(one)
    raise _unfit(name, repr(one)[:SHOWN], "BOOL: true or false")


def _texts(name: str, raw: bytes, count: int) -> list[Any]:
    texts: list[Any] = []
    at = 0
    while at < len(raw) and len(texts) < count:
        (length,) = struct.unpack_from("<I", raw, at) if at + 4 <= len(raw) else (len(raw),)
        part = raw[at + 4 : at + 4 + length]
        if len(part) != length:
            break
        try:
            texts.append(part.decode())
        except UnicodeDecodeError as error:
            raise _unfit(name, f"bytes that are no UTF-8 in element {len(texts)}", "texts in UTF-8") from error
        at += 4 + length
    if at != len(raw) or len(texts) != count:
        raise _unfit(name, f"{len(texts):,} whole elements in {len(raw):,} bytes", f"{count:,} elements")
    return texts


def _unfit(name: str, got: str, allowed: str) -> UserError:
    return UserError(f"input {name[:SHOWN]!r} does not fit", got=got, allowed=allowed, key=f"inputs.{name[:SHOWN]}")
