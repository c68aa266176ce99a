"""Which rows break the contract, which of its rules, and the rows without the values that do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from kring.contracts.columns import MARK, Reading
from kring.contracts.row_rules import fields_of_rules
from kring.contracts.rules import polars_predicates
from kring.decide.impute import Fired, Imputer, broken_in, told
from kring.record.contract import Contract


def frame_guard(
    contract: Contract, *, fields: Sequence[str], made: Mapping[str, Reading] | None = None
) -> Callable[[pl.DataFrame], Mapping[int, list[str]]]:
    """A guard for many rows at once: broken rules by row number, in the contract's order.

    Only rules over `fields` are looked at: what is known when a decision is made. The frame has the contract's
    types; or `made` says how its columns were read, and a value that could not be read breaks its rule.
    """
    known = set(fields)
    chosen = [
        (name, bad)
        for name, _, bad in polars_predicates(contract, made)
        if {root.partition(MARK)[0] for root in bad.meta.root_names()} <= known
    ]
    names = [name for name, _ in chosen]
    broken = [bad.fill_null(False).alias(str(i)) for i, (_, bad) in enumerate(chosen)]
    anything = pl.any_horizontal(broken) if broken else pl.lit(False)

    def guard(frame: pl.DataFrame) -> Mapping[int, list[str]]:
        rows = frame.select(anything.arg_true()).to_series().to_list()
        if not rows:
            return {}
        flags = frame[rows].select(broken).rows()
        return {
            row: [name for name, bad in zip(names, one, strict=True) if bad]
            for row, one in zip(rows, flags, strict=True)
        }

    return guard


def frame_imputer(contract: Contract) -> Imputer[pl.DataFrame]:
    """As `kring.decide.impute.row_imputer`, for many rows at once."""
    fields = fields_of_rules(contract)

    def impute(rows: pl.DataFrame, fired: Fired) -> tuple[pl.DataFrame, Fired]:
        if not fired:
            return rows, fired
        changed = [
            rows[name].scatter(places, None)
            for name, places in broken_in(fired, fields).items()
            if name in rows.columns
        ]
        return rows.with_columns(changed), told(fired, fields)

    return impute
