from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import DataError
from kring.experiment.split import split
from kring.record.system import Split

HOUR = 3_600_000_000
DAY = 24 * HOUR


def frame(n: int = 240, *, late_us: int = HOUR, per_moment: int = 1) -> pl.DataFrame:
    """One decision an hour from the epoch on, its outcome known `late_us` later."""
    time = [(row // per_moment) * HOUR for row in range(n)]
    return pl.DataFrame(
        {"time": time, "known": [at + late_us for at in time], "late": [row % 3 == 0 for row in range(n)]}
    )


def last_day(**options: object) -> Split:
    return Split(by="time", test_us=DAY, **options)  # type: ignore[arg-type]


def test_the_last_span_is_held_out() -> None:
    train, test, parts = split(frame(), time="time", known_at="known", target="late", split=last_day())
    assert test["time"].to_list() == [hour * HOUR for hour in range(216, 240)]
    assert train["time"].to_list() == [hour * HOUR for hour in range(216)]
    assert [(part.name, part.rows, part.first, part.last) for part in parts] == [
        ("train", 216, 0, 215 * HOUR),
        ("test", 24, 216 * HOUR, 239 * HOUR),
    ]
    assert parts[0].dropped == ()


def test_outcomes_that_were_not_known_at_the_cut_are_not_learned_from() -> None:
    data = frame(late_us=10 * HOUR)
    train, test, parts = split(data, time="time", known_at="known", target="late", split=last_day())
    cut = parts[1].first
    assert train["known"].max() <= cut  # type: ignore[operator]
    assert train.height == 207
    assert parts[0].dropped == (("outcome not known at the cut", 9),)
    assert test.height == 24


def test_rows_without_outcome_are_not_learned_from_but_stay_held_out() -> None:
    data = frame().with_columns(
        late=pl.when(pl.col("time") % (10 * HOUR) == 0).then(None).otherwise(pl.col("late")),
        known=pl.when(pl.col("time") % (40 * HOUR) == 0).then(None).otherwise(pl.col("known")),
    )
    train, test, parts = split(data, time="time", known_at="known", target="late", split=last_day())
    assert train["late"].null_count() == 0
    assert test["late"].null_count() == 2
    assert dict(parts[0].dropped) == {"outcome not known at the cut": 6, "no outcome": 16}
    assert parts[1].dropped == ()


def test_not_a_number_is_no_outcome() -> None:
    data = frame().with_columns(late=pl.Series([float(row) if row % 5 else float("nan") for row in range(240)]))
    train, test, parts = split(data, time="time", known_at="known", target="late", split=last_day())
    assert train["late"].is_nan().sum() == 0
    assert test["late"].is_nan().sum() == 4
    assert parts[0].dropped == (("no outcome", 44),)


@given(
    per_moment=st.integers(1, 30),
    share=st.floats(0.05, 0.6),
    n=st.integers(200, 400),
    seed=st.integers(0, 10),
)
@settings(max_examples=25, deadline=None)
def test_rows_of_one_moment_never_straddle(per_moment: int, share: float, n: int, seed: int) -> None:
    data = frame(n, per_moment=per_moment, late_us=0).sample(fraction=1.0, shuffle=True, seed=seed)
    train, test, parts = split(
        data, time="time", known_at="known", target="late", split=Split(by="time", test_share=share)
    )
    assert train["time"].max() < test["time"].min()  # type: ignore[operator]
    assert test.height >= n * share
    assert test.height - n * share < per_moment + 1
    assert train.height + test.height == n
    assert parts[0].last < parts[1].first
    assert train["time"].to_list() == [at for at in data["time"] if at <= parts[0].last]


def test_timestamps_are_as_good_as_microseconds() -> None:
    start = datetime(2013, 1, 1, tzinfo=UTC)
    data = frame().with_columns(
        time=pl.Series([start + timedelta(hours=row) for row in range(240)]),
        known=pl.Series([start + timedelta(hours=row + 1) for row in range(240)]),
    )
    for unit in ("us", "ms", "ns"):
        cast = data.with_columns(pl.col("time", "known").dt.cast_time_unit(unit))
        _, test, parts = split(cast, time="time", known_at="known", target="late", split=last_day())
        assert test.height == 24
        assert parts[1].first == int((start + timedelta(hours=216)).timestamp() * 1e6)


def test_rows_without_a_time_are_counted() -> None:
    data = frame().with_columns(time=pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("time")))
    _, _, parts = split(data, time="time", known_at="known", target="late", split=last_day())
    assert dict(parts[0].dropped)["no decision time"] == 7


def test_by_order_the_last_rows_are_held_out() -> None:
    data = frame(100).reverse()
    train, test, parts = split(data, time="", known_at="", target="late", split=Split(by="order", test_share=0.25))
    assert train.equals(data.head(75))
    assert test.equals(data.tail(25))
    assert [(part.first, part.last) for part in parts] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("data", "how", "said"),
    [
        (frame(0), last_day(), "too small"),
        (frame(1), last_day(), "too small"),
        (frame(12), last_day(), "train part is too small"),
        (frame(240), Split(test_us=HOUR), "test part is too small"),
        (frame(240, per_moment=240), last_day(), "too small"),
        (frame(240, per_moment=240), Split(test_share=0.25), "train part is too small"),
        (frame(240, late_us=1000 * HOUR), last_day(), "train part is too small"),
        (frame(240).with_columns(late=pl.lit(True)), last_day(), "same outcome"),
        (frame(240).with_columns(late=pl.lit(None, dtype=pl.Boolean)), last_day(), "too small"),
        (frame(240).with_columns(time=pl.lit(None, dtype=pl.Int64)), last_day(), "too small"),
        (frame(240).with_columns(time=pl.lit("noon")), last_day(), "is no time"),
        (frame(240).drop("late"), last_day(), "no column late"),
        (frame(3), Split(by="order", test_share=0.25), "too small"),
    ],
)
def test_what_can_not_be_split_is_said_in_words(data: pl.DataFrame, how: Split, said: str) -> None:
    with pytest.raises(DataError, match=said):
        split(data, time="time", known_at="known", target="late", split=how)


def test_a_split_by_time_needs_a_time() -> None:
    with pytest.raises(DataError, match="needs the column of decision times"):
        split(frame(), time="", known_at="", target="late", split=last_day())


def drawn(by: str, *, share: float = 0.25, rows: int = 400) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.DataFrame(
        {
            "row": range(rows),
            "yes": [number % 10 == 0 for number in range(rows)],
            "house": [number // 8 for number in range(rows)],
        }
    )
    plan = Split(by=by, test_share=share)  # type: ignore[arg-type]
    train, test, _ = split(
        frame, time="", known_at="", target="yes", group="house" if by == "group" else "", split=plan
    )
    assert sorted([*train["row"], *test["row"]]) == list(range(rows))
    return train, test


def test_rows_drawn_at_random_have_the_same_share_of_each_outcome() -> None:
    train, test = drawn("random")
    assert test.height == pytest.approx(100, abs=2)
    assert test["yes"].mean() == pytest.approx(0.1, abs=0.01)
    assert train["row"].is_sorted()
    assert test["row"].is_sorted()
    assert test["row"].to_list() != list(range(300, 400))


def test_the_same_rows_are_drawn_each_time() -> None:
    assert drawn("random")[1].equals(drawn("random")[1])
    assert drawn("group")[1].equals(drawn("group")[1])


def test_groups_are_held_out_whole() -> None:
    train, test = drawn("group")
    assert not set(train["house"]) & set(test["house"])
    assert test.height == pytest.approx(100, abs=8)


def test_numbers_are_drawn_without_looking_at_them() -> None:
    frame = pl.DataFrame({"y": [float(number) for number in range(1000)]})
    _, test, _ = split(frame, time="", known_at="", target="y", split=Split(by="random", test_share=0.2))
    assert test.height == 200
    assert 400 < test["y"].mean() < 600  # type: ignore[operator]
