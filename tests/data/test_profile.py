"""What a profile keeps of each column, and what it never keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kring.data.profile import profile
from kring.record.contract import Contract, Field

FIELDS = (
    Field(name="n", type="number"),
    Field(name="i", type="integer"),
    Field(name="s", type="string"),
    Field(name="b", type="boolean"),
    Field(name="d", type="date"),
    Field(name="t", type="timestamp"),
    Field(name="wage", type="number", personal=True),
    Field(name="mail", type="string", identifier=True),
)
CONTRACT = Contract(id="c", name="c", version="1", table="t", fields=FIELDS)
FRAME = pl.DataFrame(
    {
        "n": [0.0, 1.0, None, 3.0],
        "i": [0, 0, 5, None],
        "s": ["b", "a", "b", None],
        "b": [True, False, True, None],
        "d": [date(2024, 1, 2), date(2024, 1, 1), None, None],
        "t": [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None, None, None],
        "wage": [1000.0, 2000.0, 0.0, None],
        "mail": ["a@b", "a@b", "c@d", None],
    },
    schema_overrides={"t": pl.Datetime("us", "UTC")},
)


def test_what_is_kept() -> None:
    columns = {column.name: column for column in profile(FRAME, CONTRACT)}
    n, i, s, b, d, t = (columns[name] for name in "nisbdt")
    assert [(c.rows, c.missing, c.distinct, c.zeros) for c in (n, i, s)] == [(4, 1, 3, 1), (4, 1, 2, 2), (4, 1, 2, 0)]
    assert (n.minimum, n.maximum, n.mean) == (0.0, 3.0, 4 / 3)
    assert len(n.quantiles) == 11
    assert (n.quantiles[0], n.quantiles[5], n.quantiles[10]) == (0.0, 1.0, 3.0)
    assert s.top == (("b", 2), ("a", 1))
    assert b.top == (("true", 2), ("false", 1))
    assert (d.minimum, d.maximum, d.top) == ("2024-01-01", "2024-01-02", (("2024-01-01", 1), ("2024-01-02", 1)))
    assert (t.minimum, t.maximum, t.top) == (1_000_000, 1_000_000, ())


def test_of_people_only_counts_are_kept() -> None:
    wage, mail = profile(FRAME, CONTRACT)[-2:]
    assert (wage.missing, wage.distinct, wage.zeros) == (1, 3, 1)
    assert (wage.mean, wage.minimum, wage.maximum, wage.quantiles, wage.top) == (None, None, None, (), ())
    assert (mail.missing, mail.distinct, mail.top, mail.minimum) == (1, 2, (), None)


def test_empty_and_missing_columns() -> None:
    for frame in (FRAME.clear(), FRAME.select(pl.lit(None, dtype=dtype).alias(n) for n, dtype in FRAME.schema.items())):
        for column in profile(frame, CONTRACT):
            assert (column.distinct, column.mean, column.minimum, column.quantiles, column.top) == (
                0,
                None,
                None,
                (),
                (),
            )
    assert [column.name for column in profile(FRAME.select("s", "n"), CONTRACT)] == ["n", "s"]


@given(st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=1, max_size=50))
def test_deciles_are_ordered_and_within_the_ends(values: list[float | None]) -> None:
    frame = pl.DataFrame({"n": values}, schema={"n": pl.Float64})
    column = profile(frame, CONTRACT)[0]
    assert list(column.quantiles) == sorted(column.quantiles)
    if column.quantiles:
        assert (column.quantiles[0], column.quantiles[-1]) == (column.minimum, column.maximum)
