"""Rows as the prediction protocols write them, and their answers as these protocols tell them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from kring.api.native import MOST_ROWS
from kring.errors import NotFound, UserError
from kring.record.answer import Answer
from kring.record.contract import LogicalType
from kring.record.decision import OUTLIER, Value
from kring.record.version import Output, Policy
from kring.serve.line import Line
from kring.serve.reading import HasReader, Rows, named_rows

Kind = Literal["number", "integer", "boolean", "text"]
Raws = list[dict[str, object]]
Body = TypeVar("Body")
Item = TypeVar("Item")

KINDS: Final[dict[LogicalType, Kind]] = {"number": "number", "integer": "integer", "boolean": "boolean"}
"""Every other type is written as a text."""

MOST_SHOWN: Final = 80
OUTPUTS: Final[Mapping[Output, tuple[tuple[str, Kind], ...]]] = {
    "probability": (("decision", "text"), ("probability", "number")),
    "value": (("decision", "number"), ("value", "number")),
    "probabilities": (("decision", "text"),),
    "answer": (("decision", "text"), ("answer", "text"), ("citations", "text"), ("support", "number")),
}


class Column(NamedTuple):
    """One column of what is asked or answered."""

    name: str
    kind: Kind


def inputs_of(line: Line) -> list[Column]:
    """The raw fields that a row may hold, in the contract's order."""
    return [Column(field.name, KINDS.get(field.type, "text")) for field in line.reader.fields]


def policy_of(line: Line) -> Policy:
    """How the outputs of the live version become decisions; those of its baseline when it could not be opened."""
    decider = line.decider
    return decider.versions.get(decider.pointer.live, decider.baseline).policy


def outputs_of(line: Line) -> list[Column]:
    """What every answer of the live version is told with: the decision first."""
    policy = policy_of(line)
    columns = [Column(*pair) for pair in OUTPUTS[policy.output]]
    if policy.output == "probabilities":
        columns += [Column(f"probability.{label}", "number") for label in policy.labels]
    columns += [Column("reason", "text")] if policy.rules else []
    return columns + ([Column(OUTLIER, "number")] if policy.outliers != "off" else [])


def require_version(line: Line, version: str) -> None:
    """`NotFound` for any version but the live one: which version answers is the rollout's to say, not the caller's."""
    pointer = line.served.pointer
    if not version or version == pointer.live:
        return
    parts = [(pointer.canary, "which answers a share"), (pointer.previous, "which answered before")]
    parts += [(shadow, "which is in shadow") for shadow in line.served.shadows]
    part = next((text for id, text in parts if id == version), "")
    raise NotFound(
        f"{line.name} can't be asked by this version",
        got=f"{version[:MOST_SHOWN]}{', ' if part else ''}{part}",
        allowed=pointer.live,
        next="ask without a version, or by the live one: who answers a share is the rollout's to say",
    )


def decoded(body: bytes, decoder: msgspec.json.Decoder[Body]) -> Body:
    """A body in the form of its protocol. `UserError` says what does not fit, and where."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UserError("the body is not what this route reads", got=str(error)[:200], next="see /schema") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        got = str(error)[:200] if body else "an empty body"
        raise UserError("the body is not JSON", got=got, allowed="one JSON object") from error
    except RecursionError as error:
        raise UserError("the body is too deep", got="JSON in JSON in JSON …", allowed="a few levels") from error


def read(line: Line, raws: Any) -> Rows:
    """Named raw values as the line reads them: one row at the least, and not too many."""
    return line.reader.read(named_rows(raws, most=MOST_ROWS))


def few(rows: Sequence[Item]) -> Sequence[Item]:
    """Rows, or a column, as they are: asked for before anything is made of each. `UserError` when they are too many."""
    if len(rows) > MOST_ROWS:
        raise UserError(
            "these are too many rows",
            got=f"more than {MOST_ROWS:,}",
            allowed=f"1 to {MOST_ROWS:,}",
            next="send fewer rows at a time, or score a file with kring score",
        )
    return rows


def known(line: HasReader, columns: dict[str, Any]) -> dict[str, Any]:
    """Columns as they are. `UserError` when they are more than the contract has fields."""
    if len(columns) > len(line.reader.names):
        raise UserError(
            "these are more columns than the contract has fields",
            got=f"{len(columns):,}",
            allowed=", ".join(line.reader.names)[:MOST_SHOWN],
        )
    return columns


def from_columns(columns: Mapping[str, Sequence[object]]) -> Raws:
    """Rows out of columns. `UserError` unless all of them are equally long."""
    for column in columns.values():
        few(column)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise UserError("the columns are not equally long", got=told[:MOST_SHOWN], allowed="one value per row in each")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def from_table(names: Sequence[object], rows: Sequence[object]) -> Raws:
    """Rows of values under a heading. `UserError` for a name that stands there twice, or a row of another length."""
    texts = [name for name in names if isinstance(name, str)]
    if len(set(texts)) != len(names):
        raise UserError(
            "a heading has one name per column", got=repr(list(names))[:MOST_SHOWN], allowed="each name once"
        )
    return [_row(texts, row, place) for place, row in enumerate(few(rows))]


def from_values(line: HasReader, rows: Sequence[object]) -> Raws:
    """Rows of values without names, which are the fields that a caller has to name, in the contract's order. One value
    alone is a row of a system that asks for one."""
    names = line.reader.asked
    return [
        _row(names, row if isinstance(row, list) or len(names) > 1 else [row], at) for at, row in enumerate(few(rows))
    ]


def from_csv(line: Line, body: bytes) -> Raws:
    """Rows of a CSV file in UTF-8; an empty cell is a missing value. The first line is a heading if nothing but names
    of fields stands in it."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(islice(filter(None, lines), MOST_ROWS + 2))  # a heading, and one row too many
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError("the body is not CSV", got=str(error)[:200], allowed="CSV in UTF-8") from error
    table: list[list[str | None]] = [[cell or None for cell in row] for row in rows]
    if table and set(table[0]) <= set(line.reader.names):
        return from_table(table[0], table[1:])
    return from_values(line, table)


def predictions(line: Line, answers: Sequence[Answer]) -> list[dict[str, Value]]:
    """What each row is told: the decision, what the chain gave besides, the id on record and the version; None for
    what the answer does not have."""
    names = [column.name for column in outputs_of(line)][1:]
    return [
        {"decision": one.decision}
        | {name: one.outputs.get(name) for name in names}
        | {"id": one.id, "version": one.version}
        for one in answers
    ]


def _row(names: Sequence[str], row: object, place: int) -> dict[str, object]:
    if isinstance(row, dict):
        raise UserError("rows with and without names are mixed", got=f"names in row {place}", allowed="one of the two")
    if not isinstance(row, list) or len(row) != len(names):
        got = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
        raise UserError(
            f"row {place} does not fit its columns", got=got, allowed=f"{len(names)} values: {', '.join(names)}"
        )
    return dict(zip(names, row, strict=True))
