"""Other tables, suppliers and contracts that are wrong: told with key, line and remedy, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from commands import contents, kring
from parcels import CONTRACT, KRING, rows, write_csv

ZONES: Final = """\
  - name: zones
    properties:
      - {name: name, logicalType: string, unique: true}
      - {name: fee, logicalType: number, logicalTypeOptions: {minimum: 0}}
"""
KEYED: Final = (
    CONTRACT.replace(
        "      - name: weight\n",
        "        relationships:\n          - to: zones.name\n      - name: weight\n",
    ).rstrip("\n")
    + "\n"
    + ZONES
)

Change = Callable[[Path], object]


def tables(line: str, *, contract: str = KEYED) -> Change:
    """`[data.tables]` with this line, and a contract."""

    def make(folder: Path) -> None:
        (folder / "contract.odcs.yaml").write_text(contract)
        (folder / "kring.toml").write_text(KRING.replace("[prepare]", f"[data.tables]\n{line}\n\n[prepare]", 1))
        (folder / "zones.csv").write_text("name,fee\nnorth,1\nsouth,2\nhill,3\n")

    return make


def then(first: Change, second: Change) -> Change:
    def make(folder: Path) -> None:
        first(folder)
        second(folder)

    return make


def zones(data: bytes) -> Change:
    return then(tables('zones = "zones.csv"'), lambda folder: (folder / "zones.csv").write_bytes(data))


def supplier(name: str, *, contract: str = CONTRACT) -> Change:
    def make(folder: Path) -> None:
        (folder / "contract.odcs.yaml").write_text(contract)
        text = KRING.replace("contract =", f'supplier = "{name}"\ncontract =', 1)
        (folder / "kring.toml").write_text(text)

    return make


def role(of: str, kind: str, value: str) -> str:
    """The contract with a property of Kring on a column."""
    after = f"      - name: {of}\n"
    more = f"{after}        customProperties: [{{property: kring.{kind}, value: {value}}}]\n"
    return CONTRACT.replace(after, more, 1)


def rule(text: str) -> Change:
    """The contract with one more rule of the table."""
    return lambda folder: (folder / "contract.odcs.yaml").write_text(
        CONTRACT.replace("    quality:\n", f"    quality:\n      - {text}\n", 1)
    )


def limits(of: str, text: str) -> Change:
    changed = CONTRACT.replace(f"      - name: {of}\n", f"      - name: {of}\n        logicalTypeOptions: {text}\n", 1)
    return lambda folder: (folder / "contract.odcs.yaml").write_text(changed)


CUSTOM: Final = "{type: custom, engine: kring, implementation: %s}"
WRONG: Final[dict[str, tuple[Change, str, list[str]]]] = {
    "no such file": (tables('zones = "nowhere.csv"'), "config", ["data.tables.zones", "no such file"]),
    "a table nobody promised": (tables('zone = "zones.csv"'), "config", ["data.tables.zone", "zones"]),
    "one table": (tables('zones = "zones.csv"', contract=CONTRACT), "config", ["no table beside the feed's"]),
    "binary": (zones(bytes(range(256)) * 50), "config", ["data.tables.zones", "no text file"]),
    "empty": (zones(b""), "config", ["data.tables.zones", "empty"]),
    "a supplier that is no column": (supplier("zon"), "config", ["data.supplier", "zon"]),
    "a supplier who is a person": (supplier("zone", contract=role("zone", "personal", "true")), "config", ["personal"]),
    "another supplier": (supplier("zone", contract=role("stops", "role", "supplier")), "config", ["stops"]),
    "least above greatest": (
        limits("arrived_at", '{minimum: "2025-01-01", maximum: "2024-01-01"}'),
        "config",
        ["no value"],
    ),
    "a pattern that is none": (limits("zone", "{pattern: '(('}"), "config", ["pattern", "contract.odcs.yaml"]),
    "a format that is none": (limits("ordered_at", "{format: soon}"), "config", ["yyyy"]),
    "code in a rule": (
        rule("{type: custom, engine: python, implementation: rules.py}"),
        "unsupported",
        ["executes no"],
    ),
    "code in a kring rule": (rule(CUSTOM % "{function: 'rules.py:ok'}"), "unsupported", ["executes no code"]),
    "half a condition": (rule(CUSTOM % "{when: 'stops > 1'}"), "config", ["then"]),
    "an aggregate of texts": (rule(CUSTOM % "{aggregate: 'mean(zone)', mustBe: 1}"), "config", ["takes no string"]),
    "an aggregate without end": (rule(CUSTOM % "{aggregate: 'mean(weight)'}"), "config", ["mustBeBetween"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_told_and_nothing_is_changed(name: str, released: Path) -> None:
    make, code, words = WRONG[name]
    make(released)
    before = contents(released)
    answer = kring("check", released)
    assert (answer.exit, answer.error.get("code")) == (2, code), answer
    for word in words:
        assert word in answer.text, answer
    assert contents(released) == before


BROKEN: Final[dict[str, tuple[Change, list[str]]]] = {
    "an unknown zone": (zones(b"name,fee\nnorth,1\nsouth,2\n"), ["refer to nothing in zones.name"]),
    "a zone twice": (zones(b"name,fee\nnorth,1\nnorth,2\nsouth,2\nhill,3\n"), ["zones.name", "repeat"]),
    "its own promise": (zones(b"name,fee\nnorth,-1\nsouth,2\nhill,3\n"), ["zones.fee", "below 0"]),
    "no column": (zones(b"nam,fee\nnorth,1\n"), ["zones.name", "the column is missing"]),
    "no rows": (zones(b"name,fee\n"), ["refer to nothing"]),
    "a mean": (rule(CUSTOM % "{aggregate: 'mean(weight)', mustBeGreaterThan: 1000}"), ["mean(weight) is 14"]),
    "a condition": (rule(CUSTOM % "{when: \"zone == 'hill'\", then: 'weight > 900'}"), ["break not (zone == 'hill')"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_contract_is_a_report(name: str, released: Path) -> None:
    make, words = BROKEN[name]
    make(released)
    answer = kring("check", released)
    assert (answer.exit, answer.object["snapshot"]) == (1, None), answer
    for word in words:
        assert word in answer.text, answer


def test_good_tables_pass_and_are_told_with_their_digest(released: Path) -> None:
    tables('zones = "zones.csv"')(released)
    answer = kring("check", released)
    assert answer.exit == 0, answer
    (table,) = answer.object["report"]["tables"]
    assert (table["name"], table["source"], table["rows"], len(table["source_digest"])) == ("zones", "zones.csv", 3, 64)


def by_zone(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    supplier("zone")(folder)
    table = rows()
    for one in table:
        change(one)
    write_csv(folder / "feed.csv", table)


def test_the_bad_supplier_is_held_back_and_the_others_pass(released: Path) -> None:
    by_zone(released, lambda row: row.update(stops="-4") if row["zone"] == "hill" else None)
    answer = kring("check", released)
    assert answer.exit == 0, answer
    report, snapshot = answer.object["report"], answer.object["snapshot"]
    assert (report["result"], report["supplier"]) == ("warn", "zone")
    assert {one["name"]: one["result"] for one in report["suppliers"]} == {
        "hill": "fail",
        "north": "pass",
        "south": "pass",
    }
    assert snapshot["rows"] == report["rows"] - report["held"] < report["rows"]
    assert "those of hill" in answer.told
    zone = next(one for one in snapshot["columns"] if one["name"] == "zone")
    assert {value for value, _ in zone["top"]} == {"north", "south"}


def test_nobody_passes(released: Path) -> None:
    by_zone(released, lambda row: row.update(stops="-4"))
    answer = kring("check", released)
    assert (answer.exit, answer.object["snapshot"]) == (1, None), answer
    assert {one["result"] for one in answer.object["report"]["suppliers"]} == {"fail"}


def test_who_names_nobody_is_a_supplier_too(released: Path) -> None:
    by_zone(released, lambda row: row.update(zone="") if row["zone"] == "hill" else None)
    answer = kring("check", released)
    assert answer.exit == 0, answer
    assert {one["name"]: one["result"] for one in answer.object["report"]["suppliers"]}["(missing)"] == "fail"
