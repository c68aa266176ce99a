"""Every kind of broken feed, to the commands that decide or mend it: each row told, or none and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from commands import contents, kring
from feeds import FEEDS, Bad, every, with_rows
from parcels import BEGIN, Row, rows

NO_DECISIONS: Final = {"a name missing"}
"""Feeds that are a table, and lack what a decision needs."""

FLAGGED: Final = {
    "all missing": 1500,
    "times missing": 22,
    **dict.fromkeys(("infinite", "not a number", "too large for a float", "too large for an integer"), 215),
    **dict.fromkeys(("a word for a number", "the year 9999", "the year 1", "the 30th of February"), 215),
}
"""Rows that break the contract: they are decided all the same, and marked."""


def delivered(folder: Path) -> Path:
    return next((path for path in [folder / "feed.parquet"] if path.exists()), folder / "feed.csv")


@pytest.mark.parametrize("name", FEEDS)
def test_a_broken_file_is_decided_row_by_row_or_not_at_all(name: str, released: Path, tmp_path: Path) -> None:
    bad = FEEDS[name]
    bad.make(released)
    before, out = contents(released), tmp_path / "out.csv"
    answer = kring("score", delivered(released), released, "--out", out)
    if bad.exit == 2 or name in NO_DECISIONS:
        assert (answer.exit, answer.error["code"]) == (2, "data"), answer
        assert bad.word.rpartition(":")[0] in answer.text, answer
        assert answer.error["next"], answer
        assert contents(released) == before
        assert not out.exists()
        return
    scored = answer.object["scored"]
    told = pl.read_csv(out, infer_schema=False)
    assert answer.exit == 0, answer
    assert (
        scored["rows"] == scored["decided"] == len(told) == len(pl.read_csv(released / "feed.csv", infer_schema=False))
    )
    assert scored["flagged"] == FLAGGED.get(name, 0)
    assert told["decision"].null_count() == 0
    assert kring("status", released, "--verify").exit == 0


@pytest.mark.parametrize("name", FEEDS)
def test_what_can_not_be_read_is_not_mended(name: str, released: Path) -> None:
    bad = FEEDS[name]
    bad.make(released)
    before = contents(released)
    answer = kring("clean", released, "--accept", "safe")
    if bad.exit == 2:
        assert (answer.exit, answer.error["code"]) == (2, "data"), answer
        assert bad.word in answer.text, answer
    else:
        assert answer.exit == 0, answer
    if bad.exit == 2 or answer.object["recipe"] is None:
        assert contents(released) == before
    else:
        assert {one["repair"] for one in answer.object["recipe"]["changes"]}
        assert kring("check", released).exit in (0, 1)


def shifted(year: str) -> Callable[[Path], object]:
    def change(_: int, row: Row) -> None:
        for name in ("ordered_at", "arrived_at"):
            row[name] = row[name].replace(f"{BEGIN.year}-", f"{year}-").replace(f"{year}-02-29", f"{year}-02-28")

    return with_rows(change)


ODD: Final[dict[str, tuple[Callable[[Path], object], int, str]]] = {
    "before 1970": (shifted("1931"), 0, "pass"),
    "far ahead": (shifted("2194"), 0, "pass"),
    "two ways to write a day": (
        with_rows(lambda n, row: row.update(ordered_at=row["ordered_at"][:10].replace("-", "/")) if n % 7 == 0 else 0),
        1,
        "can't be read as timestamp",
    ),
    "days and seconds": (every(7, ordered_at="1704088800"), 1, "can't be read as timestamp"),
    "an outcome in other words": (every(7, late="perhaps"), 1, "can't be read as boolean"),
    "another unit": (
        with_rows(lambda _, row: row.update(weight=str(float(row["weight"]) * 1000))),
        1,
        "above 1000",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_read_or_told(name: str, released: Path) -> None:
    make, code, word = ODD[name]
    make(released)
    answer = kring("check", released)
    assert answer.exit == code, answer
    assert word in answer.text, answer
    if not code:
        went = kring("train", released)
        assert went.exit == 0, went
        assert {one["run"]["state"] for one in went.object["runs"]} == {"done"}


UNANSWERABLE: Final[dict[str, tuple[Callable[[Path], object], str, str]]] = {
    "constant": (every(1, late="true"), "data", "the same outcome"),
    "given away": (
        with_rows(lambda _, row: row.update(stops="1" if row["late"] == "true" else "0")),
        "candidate",
        "gives the outcome away",
    ),
    "one moment": (every(1, ordered_at="2024-01-01T00:00:00+00:00"), "data", "the train part is too small"),
}


@pytest.mark.parametrize("name", UNANSWERABLE)
def test_targets_that_teach_nothing_are_told_before_any_run(name: str, released: Path) -> None:
    make, code, word = UNANSWERABLE[name]
    make(released)
    assert kring("check", released).exit == 0
    before = contents(released)
    answer = kring("train", released)
    assert (answer.exit, answer.error["code"]) == (2, code), answer
    assert word in answer.text
    assert answer.error["next"]
    assert contents(released) == before


def test_the_table_of_feeds_is_the_one_of_check() -> None:
    """What is flagged here is a feed of that table: a name that is gone would be passed over."""
    assert {*FLAGGED, *NO_DECISIONS} <= {name for name, bad in FEEDS.items() if isinstance(bad, Bad)}
    assert len(rows()) == max(FLAGGED.values())
