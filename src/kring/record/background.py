"""The rows that a version's answers are explained against."""

from __future__ import annotations

import msgspec

from kring.record.decision import Value


class Background(msgspec.Struct, frozen=True, kw_only=True):
    """`background.json` of a version: `n` of the rows that were learned from, as prepared columns; a missing number
    is None. `withheld` names the columns that read personal fields: they are not kept."""

    n: int
    columns: dict[str, list[Value]]
    withheld: tuple[str, ...] = ()
