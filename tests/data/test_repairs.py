"""Repairs applied: the same to a feed and to a row, and nothing more the second time."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.data.repairs import apply, changes
from kring.decide.repairs import mend_row
from kring.metrics.near import distance, masked, slips
from kring.record.recipe import (
    Dates,
    Decimal,
    Dependency,
    Duplicates,
    Missing,
    Repair,
    Scale,
    Split,
    Text,
    Unit,
    Values,
)

RECIPE: list[Repair] = [
    Values(id="values", column="city", table={"Amsterdm": "Amsterdam", "Pairs": "Paris"}),
    Text(id="text", column="city", steps=("invisible", "unicode", "space")),
    Missing(id="missing", column="city", spellings=("N/A", "-")),
    Unit(id="unit", column="size", suffixes=(" oz", "oz.")),
    Unit(id="unit-2", column="size", suffixes=(" ox",), keep=" oz"),
    Decimal(id="decimal", column="size"),
    Scale(id="scale", column="size", low=500, high=5000, factor=0.01),
    Dates(id="dates", column="day", forms=("d.m.y", "d/m/y")),
    Split(id="split", column="city", into="state", tails=("NL", "FR", "N/A")),
    Missing(id="missing-2", column="state", spellings=("N/A",)),
    Dependency(id="by-zip", column="city", by={"zip": {"1": "Amsterdam", "2": "Paris"}}, fill=True, known=("Nice",)),
    Dependency(id="by-city", column="zip", by={"city": {"Amsterdam": "1", "Paris": "2"}}, fill=True, signs="x"),
    Dependency(id="state", column="state", by={"city": {"Amsterdam": "NL", "Paris": "FR"}}, over="any"),
]
COLUMNS = ("city", "state", "zip", "size", "day")
PIECES = {
    "city": [
        "Amsterdam",
        "Amsterdm",
        "Amstxrdam",
        "Paris",
        "Pariss",
        "Nice",
        " Paris ",
        "Paris FR",
        "N/A NL",
        "-",
        "e\u0301",
    ],
    "state": ["NL", "FR", "N/A", "XX", "Amsterdam"],
    "zip": ["1", "2", "x", "3"],
    "size": ["12 oz", "12oz.", "12 ox", "1,5", "1.234,5 oz", "1200", "12", "1200 oz", "oz"],
    "day": ["31.12.2024", "1/2/2024", "31.2.2024", "2024-12-31", "1.2.2024 10:00"],
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | st.sampled_from(PIECES[name]) | st.text(max_size=6) for name in COLUMNS}),
    max_size=12,
)
SCHEMA = dict.fromkeys(COLUMNS, pl.String())


@settings(max_examples=150, deadline=None)
@given(ROWS, st.permutations(RECIPE))
def test_a_row_and_a_feed_come_to_the_same_and_a_second_time_changes_nothing(
    rows: list[dict[str, str | None]], recipe: list[Repair]
) -> None:
    feed = pl.DataFrame(rows, schema=SCHEMA).lazy()
    once = apply(feed, recipe).collect(engine="streaming")
    assert once.schema == pl.Schema(SCHEMA)
    assert once.to_dicts() == [mend_row(row, recipe) for row in rows]
    assert apply(once.lazy(), recipe).collect().equals(once)
    assert all(change.cells == 0 for change in changes(once.lazy(), recipe))


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_a_repair_alone_is_counted_by_the_cells_it_changes(rows: list[dict[str, str | None]]) -> None:
    feed = pl.DataFrame(rows, schema=SCHEMA)
    for repair in RECIPE:
        after = apply(feed.lazy(), [repair]).collect()
        moved = feed.select(pl.any_horizontal(pl.col(name).ne_missing(after[name]) for name in COLUMNS))
        assert changes(feed.lazy(), [repair])[0].cells == (moved.to_series().sum() if rows else 0)


@pytest.mark.parametrize(
    ("repair", "before", "after"),
    [
        (Text(id="a", column="a", steps=("space",)), " x  y ", "x  y"),
        (Text(id="a", column="a", steps=("space",)), " \t", None),
        (Text(id="a", column="a", steps=("unicode",)), "e\u0301", "é"),
        (Text(id="a", column="a", steps=("invisible",)), "a\u200bb\u00a0c", "ab c"),
        (Missing(id="a", column="a", spellings=("n/a",)), "n/a", None),
        (Missing(id="a", column="a", spellings=("n/a",)), "N/A", "N/A"),
        (Unit(id="a", column="a", suffixes=(" oz.",)), "-12.50 oz.", "-12.50"),
        (Unit(id="a", column="a", suffixes=(" oz.",)), "12 kg", "12 kg"),
        (Unit(id="a", column="a", suffixes=("x",), keep="%"), "80x", "80%"),
        (Decimal(id="a", column="a"), "-1.234,50", "-1234.50"),
        (Decimal(id="a", column="a"), "1.23,5", "1.23,5"),
        (Dates(id="a", column="a", forms=("m/d/y", "d/m/y")), "12/31/2024", "2024-12-31"),
        (Dates(id="a", column="a", forms=("d/m/y",)), "31/2/2024", "31/2/2024"),
        (Dates(id="a", column="a", forms=("d.m.y",)), "1.2.1924 09:30", "1924-02-01 09:30"),
        (Values(id="a", column="a", table={"x": "y"}), "x", "y"),
        (Scale(id="a", column="a", low=1000, high=5000, factor=0.001), "-1750", "-1.75"),
        (Scale(id="a", column="a", low=1000, high=5000, factor=0.001), "5000", "5000"),
    ],
)
def test_what_each_repair_of_a_text_does(repair: Repair, before: str, after: str | None) -> None:
    assert mend_row({"a": before, "b": None}, [repair]) == {"a": after, "b": None}
    assert apply(pl.LazyFrame({"a": [before]}), [repair]).collect()["a"].to_list() == [after]


def test_numbers_of_a_parquet_feed_are_scaled_and_texts_that_are_missing_stay() -> None:
    feed = pl.LazyFrame({"a": [1.5, 1500.0, None], "b": pl.Series([None, None, None], dtype=pl.String)})
    repairs: list[Repair] = [
        Scale(id="s", column="a", low=1000, high=5000, factor=0.001),
        Missing(id="m", column="b", spellings=("x",)),
        Text(id="gone", column="no such column", steps=("space",)),
    ]
    assert apply(feed, repairs).collect().to_dict(as_series=False) == {"a": [1.5, 1.5, None], "b": [None] * 3}
    assert [change.cells for change in changes(feed, repairs)] == [1, 0, 0]


def test_a_repeated_row_goes_after_everything_else_was_repaired() -> None:
    feed = pl.LazyFrame({"id": ["1", "1 ", "2"], "a": ["x", "x", "x"]})
    repairs: list[Repair] = [Duplicates(id="d", key=("id",)), Text(id="t", column="id", steps=("space",))]
    assert apply(feed, repairs).collect()["id"].to_list() == ["1", "2"]
    assert {change.repair: change.cells for change in changes(feed, repairs)} == {"d": 1, "t": 1}


def test_a_known_value_is_never_overwritten_unless_any_may_be() -> None:
    table = {"1": "Amsterdam"}
    careful = Dependency(id="d", column="city", by={"zip": table}, known=("Amsterdom",))
    assert mend_row({"zip": "1", "city": "Amsterdom"}, [careful])["city"] == "Amsterdom"
    assert mend_row({"zip": "1", "city": "Amsterdum"}, [careful])["city"] == "Amsterdam"
    assert mend_row({"zip": "1", "city": "Rotterdam"}, [careful])["city"] == "Rotterdam"
    assert mend_row({"zip": "1", "city": None}, [careful])["city"] is None
    bold = Dependency(id="d", column="city", by={"zip": table}, over="any")
    assert mend_row({"zip": "1", "city": "Rotterdam"}, [bold])["city"] == "Amsterdam"
    assert mend_row({"zip": "9", "city": "Rotterdam"}, [bold])["city"] == "Rotterdam"


def test_most_votes_decide() -> None:
    repair = Dependency(id="d", column="c", by={"x": {"1": "one"}, "y": {"1": "two"}, "z": {"1": "two"}}, over="any")
    assert mend_row({"c": "none", "x": "1", "y": "1", "z": "1"}, [repair])["c"] == "two"
    assert mend_row({"c": "none", "x": "1", "y": "1", "z": None}, [repair])["c"] == "one"


def naive(left: str, right: str) -> int:
    """The distance by its definition."""
    if not left or not right:
        return len(left) + len(right)
    found = min(
        naive(left[1:], right) + 1, naive(left, right[1:]) + 1, naive(left[1:], right[1:]) + (left[0] != right[0])
    )
    if left[:2] == right[1::-1] and len(left) > 1 and len(right) > 1:
        found = min(found, naive(left[2:], right[2:]) + 1)
    return found


@settings(max_examples=100, deadline=None)
@given(st.text("abx", max_size=5), st.text("abx", max_size=5), st.integers(0, 5))
def test_the_distance_is_the_least_number_of_slips(left: str, right: str, limit: int) -> None:
    assert distance(left, right, limit=limit) == min(naive(left, right), limit + 1)


def test_two_numbers_are_never_a_slip_apart_from_each_other() -> None:
    assert slips("10018", "10019") == 0
    assert slips("al_ami-1", "al_ami-2") == 0
    assert slips("birmingxam", "birmingham") == 1
    assert slips("ab", "ac") == 0
    assert masked("100x9", "10039", signs="x")
    assert not masked("100x9", "10038", signs="x")
    assert not masked("xx", "al", signs="x")


def test_no_text_takes_long_to_repair() -> None:
    recipe: list[Repair] = [
        Text(id="t", column="a", steps=("invisible", "unicode", "space")),
        Unit(id="u", column="a", suffixes=(" oz",)),
        Decimal(id="d", column="a"),
        Dates(id="y", column="a", forms=("d.m.y",)),
        Scale(id="s", column="a", low=1, high=9, factor=10),
    ]
    for text in ("a" + "\u0300\u0316" * 500_000, "1" * 1_000_000, "1" * 1_000_000 + ".", "1." * 500_000):
        assert mend_row({"a": text}, recipe) == {"a": text}
    long = "e\u0301" * 1000
    assert mend_row({"a": long}, recipe) == {"a": "é" * 1000}
