"""Parquet: columns with their types."""

from __future__ import annotations

from typing import IO, Final, cast

import polars as pl

from kring.ports.sink import Table, Target
from kring.sinks.streaming import StreamedTable


class ParquetSink:
    """Types and values come back as they are; there are no formulas in Parquet."""

    most_rows = 0

    def unfit(self, schema: pl.Schema) -> dict[str, str]:
        return {name: "Python objects" for name, dtype in schema.items() if dtype == pl.Object}

    def open_table(self, target: Target, *, schema: pl.Schema) -> Table:
        return StreamedTable(target, schema=schema, write=_write)


def _write(rows: pl.LazyFrame, target: Target) -> None:
    rows.sink_parquet(cast(IO[bytes], target), compression="zstd", compression_level=1, maintain_order=True)


SINK: Final = ParquetSink()
