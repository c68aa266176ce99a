"""Keys into other tables: what refers to nothing is what an anti-join leaves."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.data.check import check
from kring.data.keys import Other
from kring.record.contract import Contract
from kring.record.finding import CheckReport, Finding

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    relationships:
      - {from: [orders.shop, orders.number], to: [lines.shop, lines.number]}
    properties:
      - {name: shop, logicalType: string}
      - {name: number, logicalType: integer}
      - {name: customer, logicalType: string, relationships: [{to: customers.id}]}
      - {name: parent, logicalType: integer, relationships: [{to: orders.number}]}
      - {name: on, logicalType: date, relationships: [{to: calendar.day}]}
  - name: lines
    properties:
      - {name: shop, logicalType: string}
      - {name: number, logicalType: number}
  - name: customers
    properties:
      - {name: id, logicalType: string}
      - {name: age, logicalType: integer, logicalTypeOptions: {minimum: 0}}
  - name: calendar
    properties:
      - {name: day, logicalType: date}
"""
ORDERS = {"shop": pl.String, "number": pl.Int64, "customer": pl.String, "parent": pl.Int64, "on": pl.Date}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("keys") / "c.odcs.yaml"
    path.write_text(CONTRACT)
    return read(path)


def checked(contract: Contract, orders: pl.DataFrame, **tables: pl.DataFrame) -> CheckReport:
    others = {name: Other(frame.lazy(), f"{name}.csv", "d") for name, frame in tables.items()}
    return check(orders.lazy(), contract, source="o", source_digest="", at=0, as_of=0, tables=others)


def found(report: CheckReport, rule: str, column: str) -> Finding:
    (one,) = [one for one in report.findings if (one.rule, one.column) == (rule, column)]
    return one


shops = st.one_of(st.none(), st.sampled_from(["a", "b", "é"]))
numbers = st.one_of(st.none(), st.integers(-2, 3), st.sampled_from([2**53, 2**53 + 1]))
order_rows = st.lists(st.tuples(shops, numbers, st.one_of(st.none(), st.text(max_size=2)), numbers), max_size=20)
line_rows = st.lists(st.tuples(shops, st.one_of(st.none(), st.integers(-2, 3))), max_size=12)


@settings(max_examples=40)
@given(orders=order_rows, lines=line_rows, customers=st.lists(st.text(max_size=2), max_size=10))
def test_rows_that_refer_to_nothing_are_an_anti_join(
    contract: Contract, orders: list[tuple], lines: list[tuple], customers: list[str]
) -> None:
    frame = pl.DataFrame([(*row, None) for row in orders], schema=ORDERS, orient="row")
    line = pl.DataFrame(lines, schema={"shop": pl.String, "number": pl.Float64}, orient="row")
    people = pl.DataFrame({"id": pl.Series(customers, dtype=pl.String), "age": pl.Series([1] * len(customers))})
    report = checked(contract, frame, lines=line, customers=people)
    keyed = frame.with_columns(pl.col("number").cast(pl.Float64))
    pair = keyed.drop_nulls(["shop", "number"]).join(line, on=["shop", "number"], how="anti")
    assert found(report, "in lines", "shop, number").rows == pair.height
    one = frame.drop_nulls("customer").join(people, left_on="customer", right_on="id", how="anti")
    assert found(report, "in customers", "customer").rows == one.height
    own = frame.drop_nulls("parent").join(frame, left_on="parent", right_on="number", how="anti")
    assert found(report, "in orders", "parent").rows == own.height
    whole = line.drop_nulls()
    assert found(report, "referred key", "lines.shop, number").rows == whole.height - whole.n_unique()


def test_texts_and_numbers_of_files_mean_the_same(contract: Contract) -> None:
    orders = pl.DataFrame(
        {"shop": ["a"], "number": ["007"], "customer": ["x"], "parent": ["7.0"], "on": ["2024-02-01"]}
    )
    lines = pl.DataFrame({"shop": ["a"], "number": [7]})
    calendar = pl.DataFrame({"day": ["2024-02-01"]})
    people = pl.DataFrame({"id": ["x"], "age": [3]})
    report = checked(contract, orders, lines=lines, calendar=calendar, customers=people)
    assert report.result == "pass", [one.message for one in report.findings if one.result != "pass"]
    assert [(one.name, one.rows, one.source_digest) for one in report.tables] == [
        ("lines", 1, "d"),
        ("customers", 1, "d"),
        ("calendar", 1, "d"),
    ]


def orders_of(*customers: str | None) -> pl.DataFrame:
    n = len(customers)
    rows = {"shop": [None] * n, "number": list(range(n)), "customer": customers, "parent": [None] * n, "on": [None] * n}
    return pl.DataFrame(rows, schema=ORDERS)


def test_what_is_unknown_is_counted_and_shown(contract: Contract) -> None:
    people = pl.DataFrame({"id": ["x", "y", "y"], "age": [1, -2, 3]})
    report = checked(contract, orders_of("x", "q", None, "r"), customers=people)
    one = found(report, "in customers", "customer")
    assert (one.result, one.rows, one.examples) == ("fail", 2, ("row 1: q", "row 3: r"))
    assert one.message == "customer: 2 of 4 rows refer to nothing in customers.id; allowed: none"
    assert CONTRACT.splitlines()[one.line - 1].strip().startswith("- {name: customer")
    again = found(report, "referred key", "customers.id")
    assert (again.result, again.rows) == ("fail", 1)
    below = found(report, "range", "customers.age")
    assert (below.result, below.examples) == ("fail", ("row 1: -2",)), "the other table keeps its own promise"


def test_a_table_that_was_not_given_is_a_warning(contract: Contract) -> None:
    report = checked(contract, orders_of("x"))
    assert report.result == "warn"
    one = found(report, "in customers", "customer")
    assert (one.result, one.allowed) == ("warn", "the table as data.tables.customers")
    assert "[data.tables] customers" in one.hint


def test_a_table_without_the_column_fails(contract: Contract) -> None:
    report = checked(contract, orders_of("x"), customers=pl.DataFrame({"age": [3]}))
    assert found(report, "columns", "customers.id").result == "fail"


def test_an_empty_table_knows_no_key(contract: Contract) -> None:
    report = checked(contract, orders_of("x"), customers=pl.DataFrame({"id": [], "age": []}))
    assert found(report, "in customers", "customer").rows == 1
    assert found(report, "rows", "customers").result == "fail"
