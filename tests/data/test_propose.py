"""Proposals: planted faults are found, clean columns left alone, real dirty data is mended as its truth says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kring.data.propose import Proposals, propose
from kring.data.repairs import apply
from kring.errors import DataError
from kring.record.contract import Contract, Field
from kring.record.recipe import Repair, Trust
from kring.sources import file as source

ROWS = 600
TRUSTED: tuple[Trust, ...] = ("safe", "likely")


def promise(*fields: Field) -> Contract:
    return Contract(id="c", name="c", version="1", table="t", fields=fields)


def clean_feed() -> pl.DataFrame:
    """Columns in which there is nothing to repair, some of them with a trap."""
    chance = np.random.default_rng(5)
    zips = chance.integers(0, 40, ROWS)
    towns = [
        f"{'ABCDEFGH'[one % 8]}{'aeiou'[one % 5]}{'lmnrst'[one % 6]}town-{chr(97 + one % 20)}" for one in range(40)
    ]
    return pl.DataFrame(
        {
            "id": [str(number) for number in range(ROWS)],
            "zip": [str(10_000 + 37 * one) for one in zips.tolist()],
            "city": [towns[one] for one in zips.tolist()],
            "country": [["NL", "BE", "DE"][one % 3] for one in zips.tolist()],
            "price": [f"{value:.2f}" for value in chance.uniform(20, 80, ROWS)],
            "size": [f"{value} oz" for value in chance.choice([12, 16, 24], ROWS)],
            "day": [f"2024-{1 + number % 12:02}-{1 + number % 28:02}" for number in range(ROWS)],
            "paid": chance.choice(["yes", "no"], ROWS).tolist(),
            "house": [f"{number % 90}a" if number % 7 == 0 else str(number % 90) for number in range(ROWS)],
            "phone": [f"020-{5_550_000 + 13 * number}" for number in range(ROWS)],
            "code": [f"item-{number % 50}" for number in range(ROWS)],
        }
    )


def planted(name: str, faults: dict[int, str | None]) -> pl.DataFrame:
    frame = clean_feed()
    values = frame[name].to_list()
    for row, value in faults.items():
        values[row] = value
    return frame.with_columns(pl.Series(name, values, dtype=pl.String))


def trusted(found: Proposals) -> dict[str, Repair]:
    return {one.repair.id: one.repair for one in found.proposals if one.repair.trust in TRUSTED}


def test_nothing_trusted_is_proposed_for_clean_columns() -> None:
    found = propose(clean_feed().lazy(), promise())
    assert trusted(found) == {}
    assert {one.repair.id for one in found.proposals} <= {"unit.size"}


@pytest.mark.parametrize(
    ("name", "faults", "right", "id"),
    [
        ("city", {3: " x\u00a0y ", 9: "x\u200by"}, {3: "x y", 9: "xy"}, "text.city"),
        ("price", {5: "N/A", 6: "nan", 7: "-"}, {5: None, 6: None, 7: None}, "missing.price"),
        ("size", {row: "12 oz." for row in range(20)} | {30: "16 Ounces"}, {0: "12", 30: "16"}, "unit.size"),
        ("price", {row: f"{row + 20},5" for row in range(9)}, {0: "20.5", 8: "28.5"}, "decimal.price"),
        ("day", {4: "31.12.2023", 8: "1.2.2024"}, {4: "2023-12-31", 8: "2024-02-01"}, "dates.day"),
        ("day", {4: "12/31/2023", 8: "1/2/2024"}, {4: "2023-12-31", 8: "2024-01-02"}, "dates.day"),
        ("paid", {1: "Y", 2: "TRUE", 3: "n"}, {}, "booleans.paid"),
        ("country", {1: "nl", 2: "nl"}, {1: "NL"}, "case.country"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_planted_fault_is_found_and_mended(
    name: str, faults: dict[int, str | None], right: dict[int, str | None], id: str
) -> None:
    feed = planted(name, faults)
    repairs = trusted(propose(feed.lazy(), promise()))
    assert id in repairs
    assert repairs[id].cells >= len(right)
    assert repairs[id].why
    after = apply(feed.lazy(), [repairs[id]]).collect()[name]
    assert {row: after[row] for row in right} == right


def test_a_decimal_comma_that_the_contract_reads_is_no_fault() -> None:
    feed = planted("price", {row: f"{row + 20},5" for row in range(9)})
    field = Field(name="price", type="number", decimal=",")
    assert "decimal.price" not in {one.repair.id for one in propose(feed.lazy(), promise(field)).proposals}


def test_a_misspelling_of_a_frequent_value_is_found() -> None:
    feed = pl.DataFrame({"city": ["Amsterdam"] * 300 + ["Rotterdam"] * 299 + ["Amsterdm"]})
    repairs = trusted(propose(feed.lazy(), promise()))
    assert apply(feed.lazy(), list(repairs.values())).collect()["city"].value_counts(sort=True).rows() == [
        ("Amsterdam", 301),
        ("Rotterdam", 299),
    ]


def test_letters_replaced_by_one_sign_are_put_back_by_their_column_or_by_others() -> None:
    clean = clean_feed().select("zip", "city", "country").with_columns(town_hall=pl.col("city") + " hall")
    chance, cells = np.random.default_rng(2), {name: clean[name].to_list() for name in clean.columns}
    for row in range(0, ROWS, 8):
        name = clean.columns[row // 8 % 4]
        at = int(chance.integers(0, len(cells[name][row])))
        cells[name][row] = cells[name][row][:at] + "x" + cells[name][row][at + 1 :]
    dirty = pl.DataFrame(cells)
    repairs = trusted(propose(dirty.lazy(), promise()))
    assert {"values.city", "decided.country"} <= repairs.keys()
    after = apply(dirty.lazy(), list(repairs.values())).collect()
    left = sum(int(after[name].ne(clean[name]).sum()) for name in clean.columns)
    assert sum(int(dirty[name].ne(clean[name]).sum()) for name in clean.columns) == 75
    assert left <= 8


def test_another_column_decides_what_a_gap_or_a_stray_value_should_be() -> None:
    clean = clean_feed()
    feed = planted("city", {0: None, 1: None})
    repairs = trusted(propose(feed.lazy(), promise()))
    assert repairs["decided.city"].cells == 2
    assert apply(feed.lazy(), [repairs["decided.city"]]).collect()["city"].equals(clean["city"])
    stray = planted("city", {0: clean["city"].filter(clean["city"] != clean["city"][0])[0]})
    found = {one.repair.id: one.repair for one in propose(stray.lazy(), promise()).proposals}
    assert found["decided-against.city"].trust == "ask"
    assert apply(stray.lazy(), [found["decided-against.city"]]).collect()["city"].equals(clean["city"])


def test_a_value_that_swallowed_its_neighbour_is_parted() -> None:
    clean = clean_feed()
    rows = pl.int_range(ROWS) % 30 == 0
    feed = clean.with_columns(
        city=pl.when(rows).then(pl.col("city") + " " + pl.col("country")).otherwise("city"),
        country=pl.when(~rows).then("country"),
    )
    repairs = trusted(propose(feed.lazy(), promise()))
    assert repairs["split.city"].cells == 20
    assert apply(feed.lazy(), list(repairs.values())).collect().equals(clean)


def test_numbers_in_another_unit_are_shown_and_never_trusted() -> None:
    feed = planted("price", {0: "43200", 1: "51000"})
    found = {one.repair.id: one for one in propose(feed.lazy(), promise()).proposals}
    assert found["scale.price"].repair.trust == "ask"
    assert found["scale.price"].examples == ("'43200' → '43.2'", "'51000' → '51'")
    wide = pl.DataFrame({"n": np.exp(np.random.default_rng(1).normal(0, 3, 2000))})
    assert propose(wide.lazy(), promise()).proposals == ()


def test_repeated_rows_go_only_where_the_contract_names_a_key() -> None:
    feed = pl.concat([clean_feed(), clean_feed().head(3)])
    assert "duplicates" not in trusted(propose(feed.lazy(), promise()))
    keyed = promise(Field(name="id", type="string", primary_key=True))
    assert trusted(propose(feed.lazy(), keyed))["duplicates"].cells == 3


def test_a_contract_that_wants_a_number_makes_its_unit_a_fault() -> None:
    repairs = trusted(propose(clean_feed().lazy(), promise(Field(name="size", type="number"))))
    assert repairs["unit.size"].trust == "safe"
    assert set(apply(clean_feed().lazy(), list(repairs.values())).collect()["size"]) == {"12", "16", "24"}


def test_a_contract_that_knows_a_word_keeps_it() -> None:
    feed = pl.DataFrame({"a": ["none", "some", "N/A"] * 50})
    kept = promise(Field(name="a", type="string", allowed=("none", "some", "N/A")))
    assert propose(feed.lazy(), kept).proposals == ()
    assert {one.repair.id: one.repair.trust for one in propose(feed.lazy(), promise()).proposals} == {
        "missing.a": "safe",
        "missing-word.a": "ask",
    }


def test_units_of_two_kinds_and_days_that_may_be_months_are_nobodys_guess() -> None:
    sizes = pl.DataFrame({"size": ["12 kg", "500 g"] * 50})
    assert propose(sizes.lazy(), promise()).proposals == ()
    days = pl.DataFrame({"day": ["01/02/2024", "03/04/2024"] * 50})
    assert [one.repair.trust for one in propose(days.lazy(), promise()).proposals] == ["ask"]
    both = pl.DataFrame({"day": ["31/12/2024", "12/31/2024"] * 50})
    mended = apply(both.lazy(), [one.repair for one in propose(both.lazy(), promise()).proposals]).collect()
    assert set(mended["day"]) <= {"31/12/2024", "12/31/2024", "2024-12-31"}


@pytest.mark.parametrize(
    "feed",
    [
        pl.DataFrame({"a": []}, schema={"a": pl.String}),
        pl.DataFrame({"a": [None] * 50, "b": [None] * 50}, schema={"a": pl.String, "b": pl.Float64}),
        pl.DataFrame({"a": ["N/A"] * 50}),
        pl.DataFrame({"a": ["x" * 1_000_000, "y " * 400_000, " z"]}),
        pl.DataFrame({f"c{number}": ["1", "x", None] for number in range(5_000)}),
        pl.DataFrame({"a": [[1], [2]], "b": [{"x": 1}, {"x": 2}], "c": [b"\0", b"\xff"], "d": [True, None]}),
        pl.DataFrame({"a": [float("nan"), float("inf"), 1.0] * 60}),
        pl.DataFrame({"a b/c,d": [" x"] * 5, "a b.c,d": [" x"] * 5, "é": [" x"] * 5}),
    ],
    ids=["empty", "all missing", "all N/A", "huge texts", "5,000 columns", "no texts", "infinite", "odd names"],
)
def test_odd_feeds_are_looked_at_without_harm(feed: pl.DataFrame) -> None:
    found = propose(feed.lazy(), promise())
    repairs = [one.repair for one in found.proposals]
    assert len({repair.id for repair in repairs}) == len(repairs)
    assert all("," not in repair.id and " " not in repair.id for repair in repairs)
    once = apply(feed.lazy(), repairs).collect()
    assert once.schema == feed.schema
    assert apply(once.lazy(), repairs).collect().equals(once)


def test_what_was_accepted_is_not_proposed_again() -> None:
    feed = planted("price", {5: "N/A"})
    accepted = list(trusted(propose(feed.lazy(), promise())).values())
    assert trusted(propose(feed.lazy(), promise(), accepted=accepted)) == {}


def test_a_feed_that_breaks_while_it_is_read_is_told(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "a.parquet")
    feed = pl.scan_parquet(tmp_path / "a.parquet").with_columns(pl.col("a").cast(pl.Int64))
    with pytest.raises(DataError, match="can't be read"):
        propose(feed, promise())


def same(left: pl.Series, right: pl.Series) -> pl.Series:
    """Equal texts, both missing, or equal as numbers: `12.0` and `12` are one number written in two ways, and the
    truth writes it without the point."""
    numbers = [one.cast(pl.Float64, strict=False) for one in (left, right)]
    return left.eq_missing(right) | (numbers[0] == numbers[1]).fill_null(False)


@pytest.mark.parametrize(("name", "recall"), [("dirty_hospital", 0.93), ("dirty_beers", 0.8)])
def test_trusted_repairs_of_real_dirty_data_are_right(shared: Path, name: str, recall: float) -> None:
    """Every cell that changed counts: it is right when it holds what the truth holds."""
    folder = shared / "data" / name
    dirty, clean = (source.scan(folder / f"{one}.csv").collect() for one in ("dirty", "clean"))
    mended = apply(dirty.lazy(), list(trusted(propose(dirty.lazy(), promise())).values())).collect()
    changed = right = wrong = cured = 0
    for column in dirty.columns:
        moved, good = mended[column].ne_missing(dirty[column]), same(mended[column], clean[column])
        ill = ~same(dirty[column], clean[column])
        changed, right = changed + int(moved.sum()), right + int((moved & good).sum())
        wrong, cured = wrong + int(ill.sum()), cured + int((ill & good).sum())
    assert right >= 0.9 * changed
    assert cured >= recall * wrong


@pytest.mark.parametrize(("name", "most"), [("dirty_hospital", 0), ("dirty_beers", 2)])
def test_little_is_trusted_to_change_the_truth_itself(shared: Path, name: str, most: int) -> None:
    clean = source.scan(shared / "data" / name / "clean.csv")
    assert sum(repair.cells for repair in trusted(propose(clean, promise())).values()) <= most


def test_no_value_of_a_personal_column_or_an_identifier_is_named() -> None:
    """Repairs stand in a file, in the home and on screens: a name there outlives every request to forget it."""
    towns = clean_feed()["city"].to_list()
    people = [f"Person {'ABCDEFGHIJKLMNOPQRST'[number % 40 // 2]}{'xy'[number % 2]}" for number in range(ROWS)]
    faults = {3: "n/a", 5: people[5].upper(), 7: f" {people[7]} ", 9: people[9][:-3] + "qq" + people[9][-1]}
    names = [faults.get(row, name) for row, name in enumerate(people)]
    who = {name: number for number, name in enumerate(sorted(set(people)))}
    places = [None if row % 50 == 0 else towns[who[name]] for row, name in enumerate(people)]
    feed = pl.DataFrame({"who": names, "place": places}).lazy()
    shown = propose(feed, promise(Field(name="who", type="string")))
    assert "Person" in repr(shown)
    for hiding in ({"identifier": True}, {"personal": True}):
        found = propose(feed, promise(Field(name="who", type="string", **hiding)))
        assert "person" not in repr(found).lower()
        assert {one.repair.id for one in found.proposals} == {"text.who", "missing.who"}


def test_outcomes_neither_mend_other_columns_nor_are_mended_by_them() -> None:
    drawn = np.random.default_rng(0).integers(0, 4, ROWS).tolist()
    grades = [["low", "mid", "high", "top"][one] if row % 40 else None for row, one in enumerate(drawn)]
    ends = [["a", "b", "c", "d"][one] if row % 30 else None for row, one in enumerate(drawn)]
    feed, contract = pl.DataFrame({"end": ends, "grade": grades}).lazy(), promise(Field(name="end", type="string"))
    assert {one.repair.id for one in propose(feed, contract).proposals} == {"decided.grade", "decided.end"}
    assert propose(feed, contract, later=["end"]).proposals == ()
