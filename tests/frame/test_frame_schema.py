from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from kring.frame.durations import LONGEST_US, PATTERN, fits, microseconds
from kring.frame.reference import reference
from kring.frame.schema import schema
from kring.frame.tables import File

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("file", [SAMPLES / "small.toml", SAMPLES / "full.toml", ROOT / "examples/flights/kring.toml"])
def test_the_schema_accepts_what_the_reader_accepts(file):
    Draft202012Validator(schema()).validate(tomllib.loads(file.read_text()))


def test_every_table_is_closed_and_every_key_described():
    made = schema()
    tables = [made, *made["$defs"].values()]
    for table in tables:
        assert "additionalProperties" in table, table
        assert table["description"]
        for name, key in table["properties"].items():
            assert "description" in key or "$ref" in key or table is made, name
    assert set(made["properties"]) == set(File.__struct_fields__)


def test_the_reference_page_is_up_to_date():
    page = ROOT / "docs" / "kring-toml.md"
    made = reference()
    assert page.read_text() == made, (
        "python -c 'from kring.frame.reference import reference; print(reference(), end=\"\")'"
    )


def test_the_reference_names_every_key():
    made = reference()
    for table in schema()["$defs"].values():
        for name in table["properties"]:
            assert f"`{name}`" in made or f".{name}`" in made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0),
        ("90s", 90_000_000),
        ("15m", 900_000_000),
        ("2h", 7_200_000_000),
        ("1d", 86_400_000_000),
        ("2w", 1_209_600_000_000),
    ],
)
def test_durations(text, expected):
    assert microseconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "d", "1 d", "01d", "1.5h", "-1d", "1D", "1mo", "1d\n", "١d", "36526d", "5218w"]
)
def test_no_durations(text):
    assert not fits(text)
    with pytest.raises(ValueError, match="duration"):
        microseconds(text)


def test_the_longest_duration():
    assert microseconds("36525d") == LONGEST_US
    assert PATTERN.startswith("^")
