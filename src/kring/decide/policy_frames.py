"""The expressions of a policy over frames; equals `kring.decide.policy.row_masks` on every row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from kring.contracts.columns import MARK
from kring.contracts.to_polars import compile, typed
from kring.decide.policy import Bools, Masks, expressions_of, names_of, outputs_of, read_by
from kring.record.batch import Batch, Column
from kring.record.contract import LogicalType
from kring.record.prepare import ColumnKind
from kring.record.version import Policy

PLACE = f"{MARK}row"


def frame_masks(
    policy: Policy, *, types: Mapping[str, LogicalType], kinds: Mapping[str, ColumnKind]
) -> Masks[pl.DataFrame] | None:
    """As `row_masks`, for many rows at once. `DataError` when a frame lacks a raw field that is read."""
    expressions = expressions_of(policy)
    if not expressions:
        return None
    known, said = names_of(policy, types=types, kinds=kinds), outputs_of(policy)
    compiled = [
        compile(one, types=known, tables={}).fill_null(False).alias(f"{MARK}{number}")
        for number, one in enumerate(expressions)
    ]
    names = read_by(expressions)
    raw = [name for name in names if name not in said and name in types]

    def masks(rows: pl.DataFrame, prepared: Batch, outputs: Batch) -> list[Bools]:
        columns = typed(rows, types, fields=raw).get_columns() if raw else []
        for name in names:
            if name not in raw:
                source = outputs if name in said else prepared
                columns.append(_series(name, source.columns[name], known[name]))
        frame = pl.DataFrame([pl.int_range(outputs.n, eager=True).alias(PLACE), *columns]).with_columns(compiled)
        return [frame[f"{MARK}{number}"].to_numpy() for number in range(len(compiled))]

    return masks


def _series(name: str, column: Column, kind: LogicalType) -> pl.Series:
    if kind == "number":
        return pl.Series(name, np.asarray(column, dtype=np.float64))
    return pl.Series(name, list(column), dtype=pl.String, strict=False)
