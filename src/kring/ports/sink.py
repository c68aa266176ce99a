"""Where the rows of an answer go: one file, written once from its beginning to its end."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import polars as pl


class Target(Protocol):
    """What bytes are written to, one after the other."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data`, and say how many bytes that were."""
        ...

    def flush(self) -> None:
        """Nothing is promised by it."""
        ...


class Table(Protocol):
    """A table that is being written. What its target raises comes out of the call that notices it."""

    def write(self, rows: pl.DataFrame, *, sure: Collection[str] = ()) -> None:
        """Append `rows`, which have the schema that the table was opened with. The texts of the columns in `sure`
        are numbers or ids: they hold nothing that a format has to guard, and need not be looked at."""
        ...

    def finish(self) -> None:
        """Write what is still to come; the target has the whole table when this returns."""
        ...

    def abandon(self) -> None:
        """Stop; what the target has is of no use then. Nothing happens to a table that is finished."""
        ...


class Sink(Protocol):
    """One format of files."""

    most_rows: int
    """What a file can hold under its headings; 0 for any number."""

    def unfit(self, schema: pl.Schema) -> dict[str, str]:
        """The columns that the format can't hold, and why."""
        ...

    def open_table(self, target: Target, *, schema: pl.Schema) -> Table:
        """Begin a table with the names of `schema` as headings. No text is ever a formula to a program that
        opens the file, and numbers come back as the same numbers."""
        ...
