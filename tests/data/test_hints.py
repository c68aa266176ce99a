"""A contract and data that contradict each other: told with what may be the matter, its line and the remedy."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kring.contracts.odcs import read
from kring.data.check import check
from kring.record.contract import Contract
from kring.record.finding import Finding

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - {name: height, logicalType: number, logicalTypeOptions: {minimum: 0.3, maximum: 2.6}}
      - {name: price, logicalType: number, logicalTypeOptions: {maximum: 500}}
      - {name: at, logicalType: timestamp}
      - {name: day, logicalType: date}
      - {name: name, logicalType: string, required: true}
      - {name: id, logicalType: integer, unique: true}
      - {name: born, logicalType: date}
"""


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("hints") / "c.odcs.yaml"
    path.write_text(CONTRACT)
    return read(path)


def broken(contract: Contract, **columns: list) -> dict[tuple[str, str], Finding]:
    n = len(next(iter(columns.values())))
    whole: dict[str, list] = {
        "height": [1.7] * n,
        "price": [20.0 + one for one in range(n)],
        "at": ["2024-01-01T00:00:00"] * n,
        "day": ["2024-01-01"] * n,
        "name": ["x"] * n,
        "id": list(range(n)),
        "born": ["1950-01-01"] * n,
    }
    frame = pl.DataFrame(whole | columns, strict=False)
    report = check(frame.lazy(), contract, source="t", source_digest="", at=0, as_of=0)
    return {(one.rule, one.column): one for one in report.findings if one.result != "pass"}


def test_another_unit(contract: Contract) -> None:
    found = broken(contract, height=[150.0 + one for one in range(40)])
    one = found["range", "height"]
    assert "another unit? divided by 100, 100 % of the values lie within" in one.hint
    assert f"line {one.line}" in one.hint
    assert "name: height" in CONTRACT.splitlines()[one.line - 1]
    found = broken(contract, height=[1500.0 + one for one in range(40)])
    assert "divided by 1,000," in found["range", "height"].hint
    found = broken(contract, height=[0.0015] * 40)
    assert "times 1,000," in found["range", "height"].hint


def test_a_few_outside_are_no_other_unit(contract: Contract) -> None:
    found = broken(contract, height=[1.7] * 30 + [170.0] * 10)
    assert found["range", "height"].hint == ""


def test_what_no_factor_explains_is_left_alone(contract: Contract) -> None:
    found = broken(contract, height=[-5.0, -7.0, -9.0] * 5)
    assert found["range", "height"].hint == ""


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["31/12/2023", "25/06/2024"], "{format: dd/MM/yyyy} for"),
        (["12/31/2023", "06/25/2024"], "{format: MM/dd/yyyy} for"),
        (["03/04/2024", "05/06/2024"], "(or MM/dd/yyyy)"),
        (["31.12.2023", "25.06.2024"], "{format: dd.MM.yyyy}"),
        (["soon", "later"], "no row is written in ISO 8601"),
    ],
)
def test_dates_that_no_row_writes_as_the_contract_says(contract: Contract, texts: list[str], word: str) -> None:
    found = broken(contract, day=texts * 5)
    assert found["type", "day"].rows == 10
    assert word in found["type", "day"].hint


def test_times_of_another_format(contract: Contract) -> None:
    found = broken(contract, at=["31/12/2023 14:30"] * 3)
    assert "{format: dd/MM/yyyy HH:mm}" in found["type", "at"].hint


def test_required_and_never_there(contract: Contract) -> None:
    one = broken(contract, name=[None, "", " "][:1] * 9)["required", "name"]
    assert one.hint == f"no row has a value: deliver name, or take the rule out (line {one.line})"


def test_a_key_that_is_one_value(contract: Contract) -> None:
    one = broken(contract, id=[7] * 12)["unique", "id"]
    assert one.hint.startswith("every row has the same id, so it is no key")
    assert broken(contract, id=[7] * 6 + [8] * 6)["unique", "id"].hint == ""


def test_dates_before_1970_are_dates_and_mixed_formats_are_counted(contract: Contract) -> None:
    texts = ["1950-06-01", "1899-12-31", "0001-01-02", "01.06.1950", "1/6/50", "1950-13-01", "19500601", ""] * 3
    found = broken(contract, born=texts)
    one = found["type", "born"]
    assert list(found) == [("type", "born")]
    assert one.rows in (9, 12), "the year 1950 as eight digits may be a date"
    assert one.examples[0] == "row 3: 01.06.1950"
