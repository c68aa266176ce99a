"""A verdict for each supplier: whoever breaks the contract is held back and named, the others pass."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.data.check import check
from kring.data.suppliers import MISSING, MOST, accepted
from kring.errors import DataError
from kring.record.contract import Contract
from kring.record.finding import CheckReport

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: readings
version: 1.0.0
status: active
schema:
  - name: readings
    quality:
      - {metric: rowCount, mustBeGreaterThan: 2}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [id]}}
      - {type: custom, engine: kring, implementation: {when: "kind == 'x'", then: "value > 1"}}
      - {type: custom, engine: kring, name: level, implementation: {aggregate: "mean(value)", mustBeLessThan: 1000}}
    properties:
      - {name: by, logicalType: string}
      - {name: id, logicalType: integer}
      - {name: kind, logicalType: string}
      - name: value
        logicalType: number
        logicalTypeOptions: {minimum: 0}
        quality:
          - {metric: nullValues, mustBeLessOrEqualTo: 50, unit: percent}
          - {metric: invalidValues, mustBe: 0, arguments: {maximum: 500}, severity: warning}
"""
SCHEMA = {"by": pl.String, "id": pl.Int64, "kind": pl.String, "value": pl.Float64}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("suppliers") / "c.odcs.yaml"
    path.write_text(CONTRACT)
    return read(path)


def checked(contract: Contract, frame: pl.DataFrame, *, supplier: str = "by") -> CheckReport:
    return check(frame.lazy(), contract, source="r", source_digest="", at=0, as_of=0, supplier=supplier)


def feed(*rows: tuple[str | None, int | None, str | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def of(report: CheckReport) -> dict[str, str]:
    return {one.name: one.result for one in report.suppliers}


row = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.one_of(st.none(), st.integers(0, 30)),
    st.sampled_from(["x", "y", None]),
    st.one_of(st.none(), st.sampled_from([-1.0, 0.5, 2.0, 9.0, 9.0, 9.0])),
)


@settings(max_examples=40)
@given(rows=st.lists(row, min_size=1, max_size=25))
def test_a_supplier_is_judged_as_if_alone(contract: Contract, rows: list[tuple]) -> None:
    """By the rules about rows, and by what it repeats itself; what remains is judged as a feed of its own."""
    frame = feed(*rows)
    report = checked(contract, frame)
    about_rows = {"type", "finite", "range", "nullValues", "duplicateValues", "when"}
    names = frame["by"].fill_null(MISSING)
    fail = set()
    for name in names.unique():
        alone = checked(contract, frame.filter(names == name), supplier="")
        if any(one.result == "fail" and one.rule in about_rows for one in alone.findings):
            fail.add(name)
    assert {name for name, result in of(report).items() if result == "fail"} == fail
    assert set(of(report)) == set(names)
    rest = frame.filter(~names.is_in(list(fail)))
    assert report.held == frame.height - rest.height
    assert accepted(frame.lazy(), report).collect().equals(rest)
    if fail and rest.height:
        remaining = checked(contract, rest, supplier="")
        assert report.result == ("warn" if remaining.result == "pass" else remaining.result)
        assert sum(one.rule == "supplier" for one in report.findings) == len(fail)


GOOD = [("a", number, "y", 5.0) for number in range(5)]


def test_the_bad_one_is_held_back_and_named(contract: Contract) -> None:
    report = checked(contract, feed(*GOOD, ("b", 7, "y", -3.0), ("b", 8, "y", 3.0), (None, 9, "y", 4.0)))
    assert (report.result, report.rows, report.held) == ("warn", 8, 2)
    assert of(report) == {MISSING: "pass", "a": "pass", "b": "fail"}
    (named,) = [one for one in report.findings if one.rule == "supplier"]
    assert named.result == "warn"
    assert named.message.startswith("b: all 2 rows held back: value: 1 of 2 rows are below 0")
    assert named.examples == ("row 5: -3.0",), "row numbers are those of the feed"


def test_nobody_passes(contract: Contract) -> None:
    report = checked(contract, feed(("a", 1, "y", -3.0), ("b", 2, "y", -3.0), ("b", 3, "y", 1.0)))
    assert (report.result, report.held) == ("fail", 3)
    assert of(report) == {"a": "fail", "b": "fail"}


def test_what_is_nobodys_is_judged_on_what_remains(contract: Contract) -> None:
    few = checked(contract, feed(*GOOD[:2], ("b", 7, "y", -3.0)))
    assert few.result == "fail", "two rows are not more than two"
    both = checked(contract, feed(*GOOD, ("b", 2, "y", 3.0)))
    assert (both.result, of(both)) == ("fail", {"a": "pass", "b": "pass"}), "each repeats nothing of its own"
    apart = checked(contract, feed(*GOOD, ("b", 2, "y", -3.0)))
    assert apart.result == "warn", "whoever is held back repeats nothing"
    level = checked(contract, feed(*GOOD, ("b", 7, "y", 90_000.0)))
    assert (level.result, of(level)) == ("fail", {"a": "pass", "b": "pass"}), "a mean belongs to nobody"


def test_a_share_is_that_of_the_suppliers_own_rows(contract: Contract) -> None:
    report = checked(contract, feed(*GOOD, ("b", 7, "y", None), ("b", 8, "y", None), ("b", 9, "y", 1.0)))
    assert of(report) == {"a": "pass", "b": "fail"}
    assert report.result == "warn"


def test_a_supplier_of_zeros(contract: Contract) -> None:
    zeros = [("b", 100 + number, "y", 0.0) for number in range(100)]
    report = checked(contract, feed(*GOOD, *zeros))
    assert of(report) == {"a": "pass", "b": "fail"}


def test_a_warning_holds_nobody_back(contract: Contract) -> None:
    report = checked(contract, feed(*GOOD, ("b", 7, "y", 600.0)))
    assert (report.result, report.held, of(report)) == ("warn", 0, {"a": "pass", "b": "pass"})


def test_an_id_is_no_supplier(contract: Contract) -> None:
    frame = pl.DataFrame({"by": [str(n) for n in range(MOST + 1)], "id": range(MOST + 1)}).with_columns(
        kind=pl.lit("y"), value=pl.lit(-1.0)
    )
    with pytest.raises(DataError, match="10,001 suppliers"):
        checked(contract, frame)


def test_a_feed_without_the_column_is_judged_whole(contract: Contract) -> None:
    report = checked(contract, feed(*GOOD).drop("by"))
    assert (report.result, report.suppliers) == ("fail", ())


def test_a_column_of_lists_names_no_supplier(contract: Contract) -> None:
    frame = feed(*GOOD).with_columns(by=pl.Series([[number] for number in range(5)]))
    report = checked(contract, frame)
    assert (report.result, report.suppliers) == ("fail", ())
    assert "by: 5 of 5 rows can't be read as string" in str(report.findings)
