"""Direct identifiers become keyed tokens before anything is stored (law 11)."""

from __future__ import annotations

import polars as pl

from kring.ports.vault import Vault
from kring.record.contract import Contract


def tokenise(frame: pl.DataFrame, contract: Contract, vault: Vault) -> pl.DataFrame:
    """`frame` with the columns that the contract calls identifiers as tokens of `vault` (text).

    Missing stays missing; a value has one token, in whatever column it stands and whether it is a
    number or a text. Columns the frame does not have are left to the check.
    """
    wanted = [field.name for field in contract.fields if field.identifier and field.name in frame.columns]
    if not wanted:
        return frame
    texts = frame.select(pl.col(wanted).cast(pl.String))
    values = pl.concat([texts[name].rename("value") for name in wanted]).drop_nulls().unique(maintain_order=True)
    tokens = pl.DataFrame({"value": values, "token": pl.Series(vault.tokens(values.to_list()), dtype=pl.String)})
    hidden = [
        texts.select(pl.col(name).alias("value")).join(tokens, on="value", how="left", maintain_order="left")["token"]
        for name in wanted
    ]
    return frame.with_columns(column.alias(name) for name, column in zip(wanted, hidden, strict=True))
