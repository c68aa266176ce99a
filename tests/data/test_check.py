"""A feed against its contract: planted defects are found with the right counts, clean data is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.contracts.rows_guard import row_guard
from kring.data.check import check, typed
from kring.data.findings import bound_told, span, within
from kring.errors import DataError
from kring.record.contract import Bound, Contract
from kring.record.finding import CheckReport, Finding
from kring.sources.file import scan

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: trips
name: trips of the city
version: 1.0.0
status: active
schema:
  - name: trips
    quality:
      - {metric: rowCount, mustBeBetween: [10, 100000]}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [zone, at]}, severity: warning}
      - {type: custom, engine: kring, name: order, implementation: {expression: "fare <= total"}}
      - {type: text, description: drivers are polite}
    properties:
      - {name: id, logicalType: integer, unique: true, required: true}
      - {name: zone, logicalType: string, required: true, logicalTypeOptions: {pattern: "^Z[0-9]$", maxLength: 2}}
      - {name: at, logicalType: timestamp, required: true}
      - name: fare
        logicalType: number
        logicalTypeOptions: {minimum: 0, maximum: 500}
        quality:
          - {metric: nullValues, mustBeLessThan: 20, unit: percent}
          - {type: custom, engine: kring, unit: percent, implementation: {metric: zeroValues, mustBeLessOrEqualTo: 50}}
      - {name: total, logicalType: number}
      - name: kind
        logicalType: string
        quality:
          - {metric: invalidValues, mustBeLessOrEqualTo: 1, arguments: {validValues: [day, night]}, severity: warning}
      - {name: paid, logicalType: boolean}
      - name: mail
        logicalType: string
        logicalTypeOptions: {pattern: "@"}
        customProperties: [{property: kring.identifier, value: true}]
slaProperties:
  - {property: freshness, element: trips.at, value: 2, unit: d}
"""
START = datetime(2024, 5, 1, tzinfo=UTC)
NOW = int(datetime(2024, 5, 2, 12, tzinfo=UTC).timestamp() * 1_000_000)
ROWS = 200


def clean(rows: int = ROWS) -> pl.DataFrame:
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "id": number,
            "zone": pl.select(pl.format("Z{}", number % 10)).to_series(),
            "at": (number * 60_000_000 + int(START.timestamp() * 1_000_000)).cast(pl.Datetime("us", "UTC")),
            "fare": (number % 50).cast(pl.Float64),
            "total": (number % 50).cast(pl.Float64) + 1,
            "kind": pl.select(pl.when(number % 2 == 0).then(pl.lit("day")).otherwise(pl.lit("night"))).to_series(),
            "paid": number % 3 == 0,
            "mail": pl.select(pl.format("p{}@x", number)).to_series(),
        }
    )


def as_texts(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).cast(pl.String)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("check") / "trips.odcs.yaml"
    path.write_text(CONTRACT)
    return read(path)


def checked(frame: pl.DataFrame | pl.LazyFrame, contract: Contract, *, as_of: int = NOW) -> CheckReport:
    return check(frame.lazy(), contract, source="trips.csv", source_digest="d", at=NOW, as_of=as_of)


def broken(report: CheckReport) -> dict[tuple[str, str], Finding]:
    return {(found.rule, found.column): found for found in report.findings if found.result != "pass"}


def put(column: str, values: dict[int, object]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Replaces values by row number, in a feed of texts where a value does not fit the column."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        if any(isinstance(value, str) for value in values.values()) and frame[column].dtype != pl.String:
            frame = as_texts(frame)
        old = frame[column].to_list()
        for row, value in values.items():
            old[row] = value
        return frame.with_columns(pl.Series(column, old, dtype=frame[column].dtype))

    return change


@pytest.mark.parametrize("form", [lambda frame: frame, as_texts], ids=["typed", "texts"])
def test_clean_data_is_silent(contract: Contract, form: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    report = checked(form(clean()), contract)
    assert broken(report) == {}
    assert (report.result, report.rows, report.checked) == ("pass", ROWS, len(report.findings))
    assert (report.contract, report.contract_digest, report.source) == (contract.name, contract.digest, "trips.csv")
    assert report.notes == contract.notes
    assert "drivers are polite" in report.notes[0]
    assert all(found.message and found.allowed and not found.examples for found in report.findings)


Change = Callable[[pl.DataFrame], pl.DataFrame]
DEFECTS: list[tuple[Change, tuple[str, str] | None, str, int, tuple[str, ...] | None]] = [
    # a change, the rule and column that must find it, result, rows, examples
    (put("fare", {3: "x", 9: "1,5"}), ("type", "fare"), "fail", 2, ("row 3: x", "row 9: 1,5")),
    (put("id", {4: "4.5"}), ("type", "id"), "fail", 1, ("row 4: 4.5",)),
    (put("paid", {0: "maybe"}), ("type", "paid"), "fail", 1, ("row 0: maybe",)),
    (put("at", {0: "1.5.2024"}), ("type", "at"), "fail", 1, ("row 0: 1.5.2024",)),
    (put("total", {5: float("nan"), 6: float("inf")}), ("finite", "total"), "fail", 2, ("row 5: nan", "row 6: inf")),
    (put("total", {5: "NaN", 6: "-inf"}), ("finite", "total"), "fail", 2, ("row 5: NaN", "row 6: -inf")),
    (put("zone", {1: None}), ("required", "zone"), "fail", 1, ("row 1: (nothing)",)),
    (put("at", {1: " "}), ("required", "at"), "fail", 1, ("row 1:  ",)),
    (put("fare", {7: -0.5}), ("range", "fare"), "fail", 1, ("row 7: -0.5",)),
    (put("total", dict.fromkeys(range(9), 0.5)), ("order", ""), "fail", 8, ("row 1: fare = 1.0, total = 0.5",)),
    (put("zone", {2: "z1", 5: ""}), ("pattern", "zone"), "fail", 2, ("row 2: z1", "row 5: ''")),
    (put("zone", {2: "Z11"}), ("length", "zone"), "fail", 1, ("row 2: Z11",)),
    (put("id", {2: 1, 3: 1}), ("unique", "id"), "fail", 2, ("row 1: 1", "row 2: 1", "row 3: 1")),
    (put("kind", {2: "dusk"}), None, "", 0, ()),
    (put("kind", {2: "dusk", 3: "dawn"}), ("invalidValues", "kind"), "warn", 2, ("row 2: dusk", "row 3: dawn")),
    (put("fare", dict.fromkeys(range(39))), None, "", 0, ()),
    (put("fare", dict.fromkeys(range(40))), ("nullValues", "fare"), "fail", 40, None),
    (put("fare", dict.fromkeys(range(97), 0.0)), None, "", 0, ()),
    (put("fare", dict.fromkeys(range(101), 0.0)), ("zeroValues", "fare"), "fail", 102, None),
    (
        lambda frame: pl.concat([frame, frame.head(1).with_columns(id=pl.lit(999, pl.Int64))]),
        ("duplicateValues", "zone, at"),
        "warn",
        1,
        None,
    ),
    (lambda frame: frame.head(9), ("rowCount", ""), "fail", 0, ()),
    (lambda frame: frame.drop("total"), ("columns", "total"), "fail", 0, ()),
    (lambda frame: frame.with_columns(more=1), ("columns", "more"), "warn", 0, ()),
    (lambda frame: frame.with_columns(fare=pl.concat_list("fare")), ("type", "fare"), "fail", ROWS, None),
    (lambda frame: frame.with_columns(at=pl.col("at").to_physical()), ("type", "at"), "fail", ROWS, None),
]


@pytest.mark.parametrize("number", range(len(DEFECTS)))
def test_a_planted_defect_is_found(contract: Contract, number: int) -> None:
    change, place, result, count, shown = DEFECTS[number]
    report = checked(change(clean()), contract)
    found = broken(report)
    if place is None:
        assert (report.result, found) == ("pass", {})
        return
    assert place in found, found
    finding = found[place]
    assert (finding.result, finding.rows) == (result, count)
    assert report.result == ("fail" if any(other.result == "fail" for other in found.values()) else "warn")
    assert len(finding.examples) <= 5
    assert shown is None or finding.examples[: len(shown)] == shown


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [("fare", "x", "type"), ("fare", "501", "range"), ("fare", "inf", "finite"), ("zone", None, "required")],
)
def test_one_defect_is_told_once(contract: Contract, column: str, value: str | None, rule: str) -> None:
    frame = as_texts(clean()).with_columns(total=pl.lit(None, pl.String))
    assert set(broken(checked(put(column, {3: value})(frame), contract))) == {(rule, column)}


def test_a_missing_column_leaves_the_rest_measured(contract: Contract) -> None:
    report = checked(put("id", {2: 1})(clean()).drop("fare"), contract)
    assert set(broken(report)) == {("columns", "fare"), ("unique", "id")}
    assert "fare" in broken(report)["columns", "fare"].message


def test_values_of_people_are_never_shown(contract: Contract) -> None:
    report = checked(put("mail", {3: "secret", 4: "hidden too"})(clean()), contract)
    finding = broken(report)["pattern", "mail"]
    assert finding.examples == ("row 3: (hidden)", "row 4: (hidden)")
    assert "secret" not in str(report)


def test_examples_are_few_and_short(contract: Contract) -> None:
    report = checked(clean().with_columns(zone=pl.lit("Q" * 1_000)), contract)
    examples = broken(report)["pattern", "zone"].examples
    assert len(examples) == 5
    assert max(map(len, examples)) <= 90


@pytest.mark.parametrize(
    ("hours", "result", "told"), [(0, "pass", "ahead"), (40, "pass", "1.53 days old"), (52, "fail", "2.03 days old")]
)
def test_freshness_is_measured_at_the_moment_asked_for(contract: Contract, hours: int, result: str, told: str) -> None:
    as_of = int(START.timestamp() * 1_000_000) + hours * 3_600_000_000
    report = checked(clean(), contract, as_of=as_of)
    finding = next(found for found in report.findings if found.rule == "freshness")
    assert (finding.result, told in finding.message) == (result, True), finding
    assert finding.allowed == "at most 2 days old"


def test_nothing_is_fresh_without_a_time(contract: Contract) -> None:
    report = checked(clean().with_columns(at=pl.lit(None, dtype=pl.Datetime("us"))), contract)
    assert broken(report)["freshness", "at"].result == "fail"


@pytest.mark.parametrize("kind", ["zeros", "texts", "one number", "few rows", "missing"])
def test_a_feed_of_zeros_is_stopped(contract: Contract, kind: str) -> None:
    frame = clean().with_columns(fare=pl.lit(0.0), total=pl.lit(0.0))
    if kind == "one number":
        frame = put("total", {77: 0.01})(frame)
    frame = frame.head(99) if kind == "few rows" else as_texts(frame) if kind == "texts" else frame
    if kind == "missing":
        frame = frame.with_columns(total=pl.lit(None, dtype=pl.Float64))
    found = ("constant", "") in broken(checked(frame, contract))
    assert found == (kind in ("zeros", "texts"))


@pytest.mark.parametrize("form", [lambda frame: frame, as_texts], ids=["typed", "texts"])
def test_an_empty_feed_is_stopped(contract: Contract, form: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    report = checked(form(clean()).clear(), contract)
    assert broken(report)["rows", ""].result == "fail"
    assert (report.result, report.rows) == ("fail", 0)


def test_a_feed_with_none_of_the_columns(contract: Contract) -> None:
    report = checked(pl.DataFrame({"x": [1, 2]}), contract)
    assert (report.result, report.rows) == ("fail", 2)
    assert len(broken(report)) == len(contract.fields) + 2, "each missing column, the extra one, and too few rows"


def test_a_feed_of_nothing_but_missing_values(contract: Contract) -> None:
    report = checked(clean().select(pl.lit(None).alias(name) for name in clean().columns).head(1), contract)
    assert {("required", "id"), ("required", "zone"), ("required", "at")} <= set(broken(report))


def test_damaged_pages_are_a_data_error(contract: Contract, tmp_path: Path) -> None:
    clean().write_parquet(tmp_path / "a.parquet", compression="uncompressed")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:900] = bytes(896)
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"trips\.csv can't be read"):
        checked(scan(tmp_path / "a.parquet"), contract)


def test_typed_gives_the_contracts_columns_types_and_order(contract: Contract) -> None:
    frame = as_texts(clean()).select(sorted(clean().columns)).with_columns(extra=pl.lit("x"))
    found = typed(put("total", {0: "inf", 1: "x"})(frame).lazy(), contract).collect()
    assert found.schema == clean().schema
    assert found["total"][:3].to_list() == [None, None, 3.0]
    assert found.drop("total").equals(clean().drop("total"))
    with pytest.raises(DataError, match="no column zone, mail"):
        typed(frame.drop("zone", "mail").lazy(), contract)


def test_local_time_is_read_in_the_contracts_zone(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    plain = "{name: at, logicalType: timestamp, required: true}"
    local = (
        "{name: at, logicalType: timestamp, customProperties: [{property: kring.timezone, value: America/New_York}]}"
    )
    path.write_text(CONTRACT.replace(plain, local))
    feed = pl.DataFrame({"at": ["2013-07-01 18:00", "2013-03-10 02:30", "2013-07-01T18:00Z"]})
    others = pl.DataFrame({name: [None] * 3 for name in clean().columns if name != "at"}, schema_overrides={})
    found = typed(pl.concat([others, feed], how="horizontal").lazy(), read(path)).collect()["at"]
    assert found.dt.strftime("%H:%M").to_list() == ["22:00", None, "18:00"]


VALUES = {
    "id": st.sampled_from(["1", "2", "3", "", "x"]),
    "zone": st.sampled_from(["Z1", "Z2", "Z10", "q", ""]),
    "at": st.sampled_from(["2024-05-01T00:00Z", "2024-05-01", "2024-05-01 01:00", "", "soon"]),
    "fare": st.sampled_from(["0", "1", "501", "-1", "", "nan", "many"]),
    "total": st.sampled_from(["0", "2", "", "inf"]),
    "kind": st.sampled_from(["day", "night", "dusk", ""]),
    "paid": st.sampled_from(["true", "0", "", "2"]),
    "mail": st.sampled_from(["a@b", "ab", ""]),
}


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({name: values | st.none() for name, values in VALUES.items()}), min_size=1, max_size=15
    )
)
def test_counts_equal_those_of_a_loop_over_rows(contract: Contract, rows: list[dict[str, str | None]]) -> None:
    feed = pl.DataFrame(rows, schema=dict.fromkeys(VALUES, pl.String()), orient="row")
    report = checked(feed, contract)
    counts = {(found.rule, found.column): found.rows for found in report.findings}

    guard = row_guard(contract, fields=list(VALUES))
    expected = Counter(name for row in rows for name in guard(row))
    for field in contract.fields:
        for rule in ("type", "finite", "required", "range", "pattern", "length"):
            if (rule, field.name) in counts:
                assert counts[rule, field.name] == expected[f"{field.name}.{rule}"], (rule, field.name)
    assert counts["order", ""] == expected["order"]
    assert counts["invalidValues", "kind"] == sum(row["kind"] not in (None, "day", "night") for row in rows)
    assert counts["nullValues", "fare"] == sum(row["fare"] in (None, "") for row in rows)
    assert counts["zeroValues", "fare"] == sum(row["fare"] == "0" for row in rows)

    def repeated(keys: list[object]) -> int:
        whole = [key for key in keys if key is not None]
        return len(whole) - len(set(whole))

    assert counts["unique", "id"] == repeated([row["id"] if row["id"] in ("1", "2", "3") else None for row in rows])
    moments = {"2024-05-01T00:00Z": 0, "2024-05-01": 0, "2024-05-01 01:00": 1}
    keys = [
        (row["zone"], moments[row["at"]]) if row["zone"] is not None and row["at"] in moments else None for row in rows
    ]
    assert counts["duplicateValues", "zone, at"] == repeated(keys)
    assert report.rows == len(rows)


@pytest.mark.parametrize(
    ("bound", "inside", "outside", "words"),
    [
        (Bound(high=0), [0], [1], "none"),
        (Bound(low=0, high=0), [0], [1], "none"),
        (Bound(low=3, high=3), [3], [2, 4], "3 rows"),
        (Bound(low=3, high=3, negate=True), [2, 4], [3], "not 3 rows"),
        (Bound(low=3, exclude_low=True), [4], [3], "more than 3 rows"),
        (Bound(low=3), [3], [2], "at least 3 rows"),
        (Bound(high=3, exclude_high=True), [2], [3], "less than 3 rows"),
        (Bound(high=3), [3], [4], "at most 3 rows"),
        (Bound(low=1, high=3), [1, 3], [0, 4], "1 to 3 rows"),
        (Bound(low=1, high=3, negate=True), [0, 4], [1, 3], "not 1 to 3 rows"),
    ],
)
def test_bounds(bound: Bound, inside: list[float], outside: list[float], words: str) -> None:
    assert all(within(value, bound) for value in inside)
    assert not any(within(value, bound) for value in outside)
    assert bound_told(bound, "rows") == words


def test_spans() -> None:
    assert [span(n * 1_000_000) for n in (0, 1, 90, 5_400, 86_400 * 3)] == [
        "0 seconds",
        "1 second",
        "1.5 minutes",
        "1.5 hours",
        "3 days",
    ]


def test_numbers_of_the_whole_table(contract: Contract, tmp_path: Path) -> None:
    rules = [
        "{aggregate: 'mean(fare)', mustBeBetween: [24, 25]}",
        "{aggregate: 'mean(fare)', mustBeGreaterThan: 30}",
        "{aggregate: 'max(at) > min(at) and distinct(zone) == 11'}",
        "{aggregate: 'sum(fare) / count(paid)', mustBeLessThan: 0}",
        "{when: \"zone == 'Z1'\", then: 'fare > 40'}",
    ]
    lines = "".join(f"      - {{type: custom, engine: kring, implementation: {rule}}}\n" for rule in rules)
    path = tmp_path / "c.odcs.yaml"
    path.write_text(CONTRACT.replace("    quality:\n", f"    quality:\n{lines}", 1))
    report = checked(clean(), read(path))
    parts = "distinct(zone) = 10; min(at) = 2024-05-01T00:00:00Z; max(at) = 2024-05-01T03:19:00Z"
    messages = {found.message for found in report.findings if found.result == "fail"}
    assert messages == {
        "mean(fare) is 24.5; allowed: more than 30",
        f"max(at) > min(at) and distinct(zone) == 11 is false ({parts}); allowed: true",
        "sum(fare) / count(paid) is 73.1343 (count(paid) = 67; sum(fare) = 4,900); allowed: less than 0",
        "16 of 200 rows break not (zone == 'Z1') or (fare > 40); allowed: none",
    }
    empty = checked(clean().clear(), read(path))
    assert any("has no value" in found.message for found in empty.findings)
