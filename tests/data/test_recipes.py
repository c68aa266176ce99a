"""The recipe as a file: what was written is read back, and faults of the hand that edited it are told by line."""

from __future__ import annotations

from functools import partial
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.data.recipes import FILE, Head, Key, RecipeFile, decode, encode, hold_against
from kring.errors import ConfigError
from kring.frame.places import places
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

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.lists(TEXT, max_size=4).map(tuple)
NAMES = TEXT.filter(bool)
COMMON = {"why": TEXT, "cells": st.integers(0, 10**9), "rows": st.integers(0, 10**9)}
REPAIRS = st.one_of(
    st.builds(Text, id=TEXT, column=NAMES, steps=st.just(("space", "unicode")), **COMMON),
    st.builds(Missing, id=TEXT, column=NAMES, spellings=WORDS, **COMMON),
    st.builds(Unit, id=TEXT, column=NAMES, suffixes=WORDS, keep=TEXT, **COMMON),
    st.builds(Decimal, id=TEXT, column=NAMES, **COMMON),
    st.builds(Dates, id=TEXT, column=NAMES, forms=st.just(("d.m.y",)), **COMMON),
    st.builds(Values, id=TEXT, column=NAMES, table=st.dictionaries(TEXT.map("a".__add__), TEXT.map("b".__add__))),
    st.builds(Scale, id=TEXT, column=NAMES, low=st.just(1e3), high=st.just(1e4), factor=st.just(1e-3), **COMMON),
    st.builds(Split, id=TEXT, column=NAMES.map("a".__add__), into=NAMES.map("b".__add__), tails=WORDS, **COMMON),
    st.builds(
        Dependency,
        id=TEXT,
        column=NAMES.map("a".__add__),
        by=st.dictionaries(NAMES.map("b".__add__), st.dictionaries(TEXT, TEXT, max_size=3), max_size=2),
        fill=st.booleans(),
        signs=TEXT,
        known=WORDS,
    ),
    st.builds(Duplicates, id=TEXT, key=WORDS, **COMMON),
)


def line_of(text: str):
    return places(text).line


def read(text: str | bytes) -> RecipeFile:
    data = text.encode() if isinstance(text, str) else text
    return decode(data, file=FILE, line_of=line_of)


@given(NAMES, NAMES, st.lists(REPAIRS, max_size=4, unique_by=lambda one: one.id))
def test_what_is_written_is_read_back(system: str, contract: str, repairs: list[Repair]) -> None:
    made = RecipeFile(Head(system=system, contract=contract, version=3), tuple(repairs))
    again = read(encode(made))
    assert again == made
    assert again.digest == made.digest


def test_every_kind_is_written() -> None:
    assert len(get_args(Repair)) == 10


GOOD = """[recipe]
system = "loans"
contract = "loans-contract"
version = 1

[[repair]]
kind = "values"
id = "values.region"
column = "region"

[repair.table]
"nrth" = "north"
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "said"),
    [
        ('kind = "values"', 'kind = "magic"', 7, "repair[0].kind", "magic"),
        ('kind = "values"', "", 6, "repair[0]", "kind"),
        ('column = "region"', "column = 3", 9, "repair[0].column", "str"),
        ('column = "region"', 'colum = "region"', 9, "repair[0].colum", "colum"),
        ('"nrth" = "north"', '"nrth" = 1', 11, "repair[0].table", "str"),
        ('"nrth" = "north"', '"a" = "b"\n"b" = "c"', 12, "repair[0].table.a", "itself replaced"),
        ("version = 1", 'version = "one"', 4, "recipe.version", "int"),
        ("version = 1", "", 1, "recipe", "version"),
        ("[recipe]", "[receipt]", 1, "receipt", "no such key"),
        ("[[repair]]", "[repair]", 6, "repair", "not a list"),
        ('"values.region"', '"values.region', 8, "", "not TOML"),
    ],
)
def test_a_fault_is_told_with_its_line_and_key(old: str, new: str, line: int, key: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        read(GOOD.replace(old, new))
    faults = told.value.faults or (told.value,)
    assert any(one.line == line and one.key.startswith(key) and said in one.message for one in faults), str(told.value)


ONE = '[recipe]\nsystem = "s"\ncontract = "c"\nversion = 1\n[[repair]]\nid = "a"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE + 'kind = "scale"\ncolumn = "a"\nlow = nan\nhigh = 2.0\nfactor = 0.1', "finite"),
        (ONE + 'kind = "scale"\ncolumn = "a"\nlow = 5.0\nhigh = 2.0\nfactor = 0.1', "below high"),
        (ONE + 'kind = "scale"\ncolumn = "a"\nlow = 1.0\nhigh = 200.0\nfactor = 0.1', "moved again"),
        (ONE + 'kind = "split"\ncolumn = "a"\ninto = "a"\ntails = ["x"]', "into itself"),
        (ONE + 'kind = "dependency"\ncolumn = "a"\n[repair.by.a]\nx = "y"', "decide itself"),
        (ONE + 'kind = "decimal"\ncolumn = "a"\n[[repair]]\nid = "a"\nkind = "decimal"\ncolumn = "b"', "share the id"),
        (
            ONE
            + 'kind = "dependency"\ncolumn = "a"\nover = "any"\n[repair.by.b]\nx = "y"\n'
            + '[[repair]]\nid = "b"\nkind = "dependency"\ncolumn = "b"\nover = "any"\n[repair.by.a]\nx = "y"',
            "over any value",
        ),
        (b"\xff\xfe", "UTF-8"),
        ("[" * 2000, "not TOML"),
        ("", "missing required field"),
    ],
)
def test_what_types_can_not_say_is_refused_too(text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(text)


def test_a_recipe_of_another_system_or_with_other_columns_is_refused() -> None:
    recipe = read(GOOD)

    def line(key: Key) -> int:
        return places(GOOD).line(key)

    hold_against(recipe, system="loans", contract="loans-contract", columns=["region"], later=[], file=FILE, line=line)
    with pytest.raises(ConfigError) as told:
        hold_against(recipe, system="other", contract="another", columns=["amount"], later=[], file=FILE, line=line)
    assert [(one.line, one.key) for one in told.value.faults] == [
        (2, "recipe.system"),
        (3, "recipe.contract"),
        (9, "repair[0].column"),
    ]


def test_no_column_is_mended_by_what_is_known_only_later() -> None:
    repairs = (
        Dependency(id="income", column="income", by={"repaid": {"true": "1200"}}, fill=True),
        Dependency(id="region", column="region", by={"city": {"Delft": "west"}}, fill=True),
    )
    recipe = RecipeFile(head=Head(system="loans", contract="loans-contract", version=1), repairs=repairs)
    hold = partial(
        hold_against,
        recipe,
        system="loans",
        contract="loans-contract",
        columns=["income", "repaid", "region", "city"],
        file=FILE,
        line=lambda _: 7,
    )
    hold(later=["settled_at"])
    with pytest.raises(ConfigError, match="repaid is not known yet") as told:
        hold(later=["repaid", "settled_at"])
    assert [(one.key, one.next) for one in told.value.faults] == [("repair[0].by", "delete the repair income")]
