"""Repairs of requests: what a feed would hold after them, and a note of each value that changed."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.data.joint_frames import typed
from kring.data.repairs import apply
from kring.decide.repair_rows import beyond_rows, row_mender, text_of
from kring.record.contract import Field, LogicalType
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

TYPES: dict[str, LogicalType] = {
    "city": "string",
    "state": "string",
    "zip": "integer",
    "open": "boolean",
    "size": "number",
    "grams": "integer",
    "day": "date",
}
FIELDS = [Field(name=name, type=kind) for name, kind in TYPES.items()]
RECIPE: list[Repair] = [
    Text(id="text", column="city", steps=("invisible", "unicode", "space")),
    Values(id="values", column="city", table={"Amsterdm": "Amsterdam"}),
    Missing(id="missing", column="state", spellings=("N/A",)),
    Unit(id="unit", column="size", suffixes=(" oz",)),
    Decimal(id="decimal", column="size"),
    Scale(id="scale", column="size", low=500, high=5000, factor=0.01),
    Scale(id="grams", column="grams", low=1000, high=100_000, factor=0.001),
    Dates(id="dates", column="day", forms=("d.m.y",)),
    Split(id="split", column="city", into="state", tails=("NL", "N/A")),
    Dependency(id="city", column="city", by={"zip": {"1": "Amsterdam"}, "size": {"1.5": "Paris"}}, fill=True),
    Dependency(id="zip", column="zip", by={"city": {"Paris": "2", "Nice": "six"}}, over="any", fill=True),
    Dependency(id="state", column="state", by={"open": {"true": "NL"}}, fill=True),
    Duplicates(id="twice", key=("city",)),
]
KINDS: dict[str, pl.DataType] = {
    "city": pl.String(),
    "state": pl.String(),
    "zip": pl.Int64(),
    "open": pl.Boolean(),
    "size": pl.Float64(),
    "grams": pl.Int64(),
    "day": pl.String(),
}
TYPED = {
    "city": st.sampled_from(["Amsterdam", "Amsterdm", "Paris", "Nice", " Paris\u200b", "Paris NL", "Paris N/A"]),
    "state": st.sampled_from(["NL", "N/A", "FR"]),
    "zip": st.sampled_from([1, 2, 3]),
    "open": st.booleans(),
    "size": st.sampled_from([1.5, 150.0, 4999.5, 5e3, -700.25]) | st.floats(allow_nan=False, allow_infinity=False),
    "grams": st.integers(-200_000, 200_000),
    "day": st.sampled_from(["31.12.2024", "2024-12-31", "31.2.2024"]),
}
TEXTS = {
    "zip": st.sampled_from(["1", "2", "x"]),
    "open": st.sampled_from(["true", "false", "yes"]),
    "size": st.sampled_from(["1200", "12 oz", "1,5", "1.5", "1.200,5 oz", "abc"]),
    "grams": st.sampled_from(["1500", "12"]),
}
TYPED_ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | kind for name, kind in TYPED.items()}), min_size=1, max_size=8
)
TEXT_ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | kind for name, kind in (TYPED | TEXTS).items()}), min_size=1, max_size=8
)
SINGLE = tuple(repair for repair in RECIPE if repair not in beyond_rows(RECIPE))


def held_against_a_feed(rows: list[dict[str, object]], kinds: dict[str, pl.DataType]) -> None:
    """Each row alone comes to what it comes to in the feed; the notes name exactly what changed."""
    mend = row_mender(RECIPE, fields=FIELDS)
    assert mend is not None
    feed = apply(pl.DataFrame(rows, schema=kinds).lazy(), SINGLE).collect()
    for row, wanted in zip(rows, feed.to_dicts(), strict=True):
        mended, told = mend(row)
        read = {
            name: typed(pl.Series([value]), kinds[name])[0] if isinstance(value, str) else value
            for name, value in mended.items()
        }
        assert read == wanted
        assert [note.split()[1] for note in told] == [name for name in TYPES if mended[name] != row[name]]


@settings(max_examples=60, deadline=None)
@given(TYPED_ROWS)
def test_a_row_with_numbers_comes_to_what_a_feed_with_numbers_comes_to(rows: list[dict[str, object]]) -> None:
    held_against_a_feed(rows, KINDS)


@settings(max_examples=60, deadline=None)
@given(TEXT_ROWS)
def test_a_row_of_texts_comes_to_what_a_feed_of_texts_comes_to(rows: list[dict[str, object]]) -> None:
    held_against_a_feed(rows, dict.fromkeys(KINDS, pl.String()))


@settings(max_examples=200, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(1e-6, 1e-3)
    | st.sampled_from([1e-5, -1.5e-5, 9.99e-5, 1e16, -0.0])
)
def test_a_number_is_written_as_a_table_writes_it(value: float) -> None:
    assert text_of(value) == pl.Series([value]).cast(pl.String)[0]


def test_an_absent_field_is_missing_and_may_be_filled() -> None:
    mend = row_mender(RECIPE, fields=FIELDS)
    assert mend is not None
    assert mend({"city": "Paris NL", "size": 3.0}) == (
        {"city": "Paris", "size": 3.0, "state": "NL", "zip": "2"},
        [
            "repaired: city 'Paris NL' → 'Paris'",
            "repaired: state nothing → 'NL'",
            "repaired: zip nothing → '2'",
        ],
    )
    assert mend({"city": "Nice"}) == ({"city": "Nice", "zip": "six"}, ["repaired: zip nothing → 'six'"])
    assert mend({}) == ({}, [])


def test_no_note_tells_what_is_personal_and_none_is_long() -> None:
    fields = [
        Field(name="name", type="string", personal=True),
        Field(name="key", type="string", identifier=True),
        Field(name="who", type="string"),
        Field(name="text", type="string"),
    ]
    recipe = [Text(id=one.name, column=one.name, steps=("space",)) for one in fields]
    mend = row_mender(recipe, fields=fields, subject="who")
    assert mend is not None
    row, told = mend({name: " secret" for name in ("name", "key", "who")} | {"text": " long" * 100})
    assert (row["name"], told[:3]) == ("secret", ["repaired: name", "repaired: key", "repaired: who"])
    assert told[3].startswith("repaired: text ' long")
    assert len(told[3]) < 150


@pytest.mark.parametrize("value", [True, [1500], {"a": 1}, 10**400, -(10**400), "1500 ", None])
def test_what_is_no_number_is_not_scaled(value: object) -> None:
    scale = Scale(id="s", column="grams", low=1000, high=5000, factor=0.001)
    mend = row_mender([scale], fields=FIELDS)
    assert mend is not None
    assert mend({"grams": value}) == ({"grams": value}, [])


def test_without_a_repair_for_one_row_nobody_repairs() -> None:
    twice = Duplicates(id="twice", key=("city",))
    assert row_mender([twice], fields=FIELDS) is None
    assert row_mender([Text(id="later", column="outcome", steps=("space",))], fields=FIELDS) is None
    assert beyond_rows(RECIPE) == [RECIPE[-1]]
    assert beyond_rows(SINGLE) == []
