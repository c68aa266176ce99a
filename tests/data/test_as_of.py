"""The past as it was known: no row and no outcome from later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kring.data.as_of import as_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.none() | st.integers(0, 50)
ROWS = st.lists(st.tuples(MOMENTS, MOMENTS, st.none() | st.booleans()), max_size=20)
Row = tuple[int | None, int | None, bool | None]


def feed(rows: list[Row]) -> pl.LazyFrame:
    def moments(values: list[int | None]) -> pl.Series:
        made = [None if value is None else EPOCH + timedelta(microseconds=value) for value in values]
        return pl.Series(made, dtype=pl.Datetime("us", "UTC"))

    return pl.LazyFrame(
        {
            "number": range(len(rows)),
            "time": moments([row[0] for row in rows]),
            "known": moments([row[1] for row in rows]),
            "outcome": pl.Series([row[2] for row in rows], dtype=pl.Boolean),
        },
        schema_overrides={"number": pl.Int64},
    )


def past(rows: list[Row], moment: int, window: int = 0) -> pl.DataFrame:
    return as_of(
        feed(rows),
        time=pl.col("time"),
        known=pl.col("known"),
        later=["outcome"],
        moment=moment,
        window_us=window,
    ).collect()


@given(ROWS, st.integers(0, 50), st.integers(0, 30))
def test_only_what_had_been_decided_and_only_what_was_known(rows: list[Row], moment: int, window: int) -> None:
    found = past(rows, moment, window)
    first = moment - window if window else -1
    kept = [i for i, (time, _, _) in enumerate(rows) if time is None or first < time <= moment]
    assert found["number"].to_list() == kept
    told = [rows[i][2] if rows[i][1] is not None and (rows[i][1] or 0) <= moment else None for i in kept]
    assert found["outcome"].to_list() == told


@given(ROWS, ROWS, st.integers(0, 50))
def test_the_future_changes_nothing(rows: list[Row], later: list[Row], moment: int) -> None:
    """Other outcomes and further rows from after the moment are not seen in it."""
    changed = [(time, known, not value if known is None or known > moment else value) for time, known, value in rows]
    more = [(moment + 1 + (time or 0), known, value) for time, known, value in later]
    assert past(rows, moment).equals(past([*changed, *more], moment))


@given(ROWS, st.integers(0, 50), st.integers(0, 50))
def test_what_was_seen_then_can_be_seen_from_later(rows: list[Row], one: int, other: int) -> None:
    early, late = sorted([one, other])
    again = as_of(
        past(rows, late).lazy(),
        time=pl.col("time"),
        known=pl.col("known"),
        later=["outcome"],
        moment=early,
        window_us=0,
    ).collect()
    assert again.equals(past(rows, early))


def test_outcomes_that_need_no_time_stay() -> None:
    rows: list[Row] = [(1, None, True), (9, None, False)]
    found = as_of(feed(rows), time=pl.col("time"), known=None, later=["outcome"], moment=5, window_us=0).collect()
    assert found["outcome"].to_list() == [True]
