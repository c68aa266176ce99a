"""Every kind of broken feed, and how to make it in a folder of parcels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from parcels import HEADER, KRING, Row, rows, write_csv


@dataclass(frozen=True)
class Bad:
    """How the feed is broken, and a word that the answer must hold; by command where they differ.

    2 is a file that is no feed, 1 a feed that breaks its contract, 0 one that is right after all.
    """

    make: Callable[[Path], object]
    exit: int
    word: str
    replay_exit: int | None = None
    replay_word: str = ""


def raw(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "feed.csv").write_bytes(data)


def recoded(encoding: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        text = (folder / "feed.csv").read_text().replace("hill", "山坡上的小镇")
        (folder / "feed.csv").write_bytes(text.encode(encoding)[:-1])

    return make


def with_rows(change: Callable[[int, Row], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        table = rows()
        for number, row in enumerate(table):
            change(number, row)
        write_csv(folder / "feed.csv", table)

    return make


def every(n: int, **values: str) -> Callable[[Path], object]:
    return with_rows(lambda number, row: row.update(values) if number % n == 0 else None)


def named(*header: str) -> Callable[[Path], object]:
    return lambda folder: write_csv(folder / "feed.csv", rows(), header=header)


def parquet(cut: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        pl.read_csv(folder / "feed.csv").write_parquet(folder / "feed.parquet")
        (folder / "feed.parquet").write_bytes(cut((folder / "feed.parquet").read_bytes()))
        (folder / "kring.toml").write_text(KRING.replace("feed.csv", "feed.parquet"))

    return make


def as_folder(folder: Path) -> None:
    (folder / "feed.csv").unlink()
    (folder / "feed.csv").mkdir()


def dangling(folder: Path) -> None:
    (folder / "feed.csv").unlink()
    (folder / "feed.csv").symlink_to("/nowhere/at/all.csv")


def ragged(folder: Path) -> None:
    with (folder / "feed.csv").open("a") as file:
        file.write("2024-03-01T06:00:00+00:00,north\n")


FEEDS: Final = {
    "missing": Bad(lambda folder: (folder / "feed.csv").unlink(), 2, "no such file"),
    "a folder": Bad(as_folder, 2, "holds no files"),
    "a link to nowhere": Bad(dangling, 2, "no such file"),
    "empty": Bad(raw(b""), 2, "empty"),
    "header only": Bad(lambda folder: write_csv(folder / "feed.csv", []), 1, "0 rows", 2, "nothing to decide"),
    "binary": Bad(raw(bytes(range(256)) * 100), 2, "no text file"),
    "a picture": Bad(raw(b"\x89PNG\r\n" + bytes(100)), 2, "a picture"),
    "a spreadsheet": Bad(raw(b"PK\x03\x04" + bytes(100)), 2, "spreadsheet"),
    "UTF-16 cut off": Bad(recoded("utf-16"), 2, "UTF-16"),
    "a double byte set": Bad(recoded("gb18030"), 2, "not in UTF-8"),
    "ragged": Bad(ragged, 2, "number of fields"),
    "one row": Bad(lambda folder: write_csv(folder / "feed.csv", rows(1)), 1, "1 rows", 2, "nothing to decide"),
    "all missing": Bad(every(1, **dict.fromkeys(HEADER, "")), 1, "missing", 2, "nothing to decide"),
    "no outcome": Bad(every(1, late="", arrived_at=""), 1, "late"),
    "a name twice": Bad(named("ordered_at", "zone", "weight", "weight", "late", "arrived_at"), 2, "share a name"),
    "an odd name": Bad(named("ordered_at", "zone", "weight", "st\x07ops", "late", "arrived_at"), 2, "can't be seen"),
    "a name missing": Bad(
        named("ordered_at", "zone", "weight", "Stops ", "late", "arrived_at"),
        1,
        "stops: the column is missing",
        2,
        "stops",
    ),
    "infinite": Bad(every(7, weight="inf"), 1, "infinite"),
    "not a number": Bad(every(7, weight="nan"), 1, "NaN"),
    "too large for a float": Bad(every(7, weight="1e400"), 1, "weight"),
    "too large for an integer": Bad(every(7, stops="9" * 40), 1, "stops"),
    "a word for a number": Bad(every(7, stops="many"), 1, "can't be read as integer"),
    "the year 9999": Bad(every(7, ordered_at="9999-12-31T00:00:00+00:00"), 1, "ordered_at"),
    "the year 1": Bad(every(7, ordered_at="0001-01-01T00:00:00+00:00"), 1, "ordered_at"),
    "the 30th of February": Bad(every(7, ordered_at="2024-02-30T00:00:00+00:00"), 1, "ordered_at"),
    "times missing": Bad(every(70, ordered_at=""), 1, "ordered_at"),
    "Parquet cut off": Bad(parquet(lambda data: data[: len(data) // 2]), 2, "cut off"),
    "Parquet without its end": Bad(parquet(lambda data: data[:100] + data[-4:]), 2, "can't be read"),
    "Parquet with a hole": Bad(parquet(lambda data: data[:5000] + bytes(500) + data[5500:]), 2, "can't be read"),
    "Parquet empty": Bad(parquet(lambda data: b""), 2, "empty"),
    "Parquet that is text": Bad(parquet(lambda data: b"a,b\n1,2\n"), 2, "not a Parquet file"),
}
