"""What is asked of a scoring, and what is wrong with it before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kring.contracts.expression import nearest
from kring.errors import DataError, NotFound, UserError
from kring.flow.scoring.input import Rows
from kring.flow.scoring.output import strengths
from kring.ports.sink import Sink
from kring.sources import file as source


@dataclass(frozen=True)
class Order:
    """What was asked for: decide the rows of `path`, hand out `out`, over an older file when `force` is set: all rows
    as they stand, or the `top` ones with the largest answers (where there are several: the answer `by`); with the
    columns `keep` of the file, all when empty."""

    path: Path
    out: Path
    top: int = 0
    by: str = ""
    keep: tuple[str, ...] = ()
    force: bool = False


def refuse_order(order: Order, *, home: Path) -> None:
    """`UserError` for a file of answers that can't or must not be written: nothing is handed out into `home`."""
    out, where = order.out, str(order.out)
    if order.top < 0:
        raise UserError("a work list has at least one row", got=str(order.top), next="choose --top 1 or more")
    if order.by and not order.top:
        raise UserError("only a work list has an order", got=f"--by {order.by}", next="say how many rows with --top")
    if not out.parent.is_dir():
        raise NotFound("the folder of the answers does not exist", got=str(out.parent), next="make it first")
    if out.is_dir():
        raise UserError("the answers go to a file, and this is a folder", got=where, next="name a file in it")
    if out.resolve().is_relative_to(home.resolve()):
        raise UserError("the answers would lie in the system's own state", got=where, next="choose another --out")
    if out.exists() and any(out.samefile(file) for file in given_files(order)):
        raise UserError("the answers would replace the rows they are about", got=where, next="choose another --out")
    if out.exists() and not order.force:
        raise UserError("there is a file of this name already", got=where, next="choose another --out, or --force")


def given_files(order: Order) -> list[Path]:
    """The files to decide; none when they can't be found, which is said later."""
    try:
        return source.files_of(order.path)
    except DataError:
        return []


def refuse_rows(order: Order, rows: Rows, schema: pl.Schema, *, sink: Sink) -> None:
    """`UserError` for what the format can't hold, and for names that are taken."""
    where = str(order.path)
    taken = [name for name in schema.names() if name in rows.given]
    if taken:
        raise DataError(
            f"the file has columns by the names of the answers: {', '.join(taken)}",
            allowed=f"any names but {', '.join(schema.names())}",
            next="rename them, or choose the columns to carry over with --keep",
            file=where,
        )
    unfit = sink.unfit(pl.Schema({**rows.given, **schema}))
    if unfit:
        name, why = next(iter(unfit.items()))
        raise DataError(
            f"{order.out.suffix} can't hold the column {name}",
            got=why,
            next="write .parquet, or choose the columns to carry over with --keep",
            file=where,
        )
    if order.top:
        ranked_by(order, schema)
    most = sink.most_rows
    if most and (not order.top or order.top > most) and (found := rows.count()) > most:
        raise DataError(
            f"{order.out.suffix} can't hold so many rows",
            got=f"{found:,} rows",
            allowed=f"{most:,} rows under the headings",
            next="write .csv or .parquet, or the first rows of a work list with --top",
            file=where,
        )


def ranked_by(order: Order, schema: pl.Schema) -> str:
    """The answer that a work list is ordered by; `UserError` when there is none, or a choice that was not made."""
    found = strengths(schema)
    if not found:
        raise UserError("these answers have no order", got="answers that are texts", next="leave --top out")
    if order.by and order.by not in found:
        raise UserError(
            "the answers can't be ordered by this column",
            got=order.by,
            allowed=", ".join(found),
            next=nearest(order.by, found) or "choose one of them",
        )
    if not order.by and len(found) > 1:
        raise UserError(
            "these answers can be ordered in several ways",
            allowed=", ".join(found),
            next=f'choose one, as in --by "{found[0]}"',
        )
    return order.by or found[0]


def stamps(order: Order) -> list[tuple[str, int, int]]:
    """Size and time of the last change of the files to decide."""
    found = [(str(file), file.stat()) for file in source.files_of(order.path)]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
