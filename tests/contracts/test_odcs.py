"""Contracts in ODCS: what is read, what is refused, and how every fault is told."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.errors import ConfigError, KringError, Unsupported
from kring.record.contract import Bound, Contract

ROOT = Path(__file__).parents[2]
STANDARD = ROOT.parent / "shared" / "data" / "spec_odcs"
SCHEMA = STANDARD / "schema" / "odcs-json-schema-v3.1.0.json"

GOOD = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders of the shop
version: 1.0.0
status: active
description:
  purpose: say which orders come back
schema:
  - name: orders
    quality:
      - {metric: rowCount, mustBeGreaterThan: 10, severity: warning}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [shop, number]}}
      - {type: custom, engine: kring, name: dates in order, implementation: {expression: "ordered <= sent"}}
    properties:
      - name: shop
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 2
        logicalTypeOptions: {pattern: "^[A-Z]{2}$", minLength: 2, maxLength: 2}
      - name: number
        logicalType: integer
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {format: i16, exclusiveMinimum: 0}
      - name: ordered
        logicalType: timestamp
        logicalTypeOptions: {minimum: "2020-01-01T00:00:00Z", defaultTimezone: Europe/Amsterdam}
        customProperties:
          - {property: kring.role, value: time}
      - name: sent
        logicalType: timestamp
      - name: amount
        logicalType: number
        logicalTypeOptions: {minimum: 0, maximum: 1000.5}
        quality:
          - {metric: nullValues, mustBeLessThan: 5, unit: percent, severity: info}
          - {metric: missingValues, mustBe: 0, arguments: {missingValues: [null, "", "n/a", -1]}}
          - {metric: invalidValues, mustBe: 0, arguments: {minimum: 1, maximum: 500}}
          - {type: custom, engine: kring, implementation: {metric: zeroValues, mustBeLessOrEqualTo: 40}, unit: percent}
      - name: colour
        logicalType: string
        unique: true
        quality:
          - {metric: invalidValues, mustBeBetween: [0, 3], arguments: {validValues: [red, no, null]}}
          - {type: sql, query: "select 1", mustBe: 1, description: asks the database}
      - name: back
        logicalType: boolean
        customProperties:
          - {property: kring.role, value: target}
          - {property: kring.protected, value: false}
      - name: mail
        logicalType: string
        customProperties:
          - {property: kring.identifier, value: true}
          - {property: kring.personal, value: true}
          - {property: theirs, value: [1, {a: b}]}
      - name: day
        logicalType: date
        logicalTypeOptions: {format: dd.MM.yyyy, exclusiveMaximum: "2030-01-01"}
slaProperties:
  - {property: freshness, element: orders.ordered, value: 2, unit: d}
  - {property: retention, value: 3, unit: y}
customProperties:
  - {property: kring.owner, value: shop team}
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "contract.odcs.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def standard() -> Path:
    if not STANDARD.exists():
        pytest.skip(f"needs {STANDARD.relative_to(ROOT.parent)} beside the checkout")
    return STANDARD


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return read(written(tmp_path, GOOD))


def test_the_table_and_its_roles(contract: Contract) -> None:
    assert (contract.id, contract.name, contract.table) == ("orders", "orders of the shop", "orders")
    assert (contract.target, contract.time, contract.subject, contract.outcome_time) == ("back", "ordered", "", "")
    assert (contract.owner, contract.purpose) == ("shop team", "say which orders come back")
    assert len(contract.digest) == 64


def test_types_and_limits_of_columns(contract: Contract) -> None:
    fields = {field.name: field for field in contract.fields}
    assert list(fields) == ["shop", "number", "ordered", "sent", "amount", "colour", "back", "mail", "day"]
    shop, number, ordered, day = (fields[name] for name in ("shop", "number", "ordered", "day"))
    assert (shop.pattern, shop.min_length, shop.max_length, shop.required) == ("^[A-Z]{2}$", 2, 2, True)
    assert number.required, "a part of the primary key is never missing"
    assert (number.minimum, number.exclusive_minimum, number.maximum) == (0, True, 32767)
    assert (ordered.minimum, ordered.timezone) == (1_577_836_800_000_000, "Europe/Amsterdam")
    assert (day.maximum, day.exclusive_maximum, day.format) == (21_915, True, "dd.MM.yyyy")
    assert (fields["mail"].identifier, fields["mail"].personal, fields["back"].protected) == (True, True, False)
    assert fields["amount"].line == GOOD.split("\n").index("      - name: amount") + 1


def test_rules(contract: Contract) -> None:
    rules = {(rule.name, rule.columns): rule for rule in contract.rules}
    assert rules["primaryKey", ("number", "shop")].metric == "duplicateValues"
    assert rules["duplicateValues", ("shop", "number")].bound == Bound(low=0, high=0)
    assert rules["rowCount", ()].bound == Bound(low=10, exclude_low=True)
    assert rules["rowCount", ()].severity == "warn"
    assert rules["dates in order", ()].expression == "ordered <= sent"
    assert rules["nullValues", ("amount",)].bound == Bound(high=5, exclude_high=True)
    assert rules["nullValues", ("amount",)].unit == "percent"
    assert rules["missingValues", ("amount",)].missing_values == ("", "n/a", -1)
    assert (rules["invalidValues", ("amount",)].minimum, rules["invalidValues", ("amount",)].maximum) == (1, 500)
    assert rules["zeroValues", ("amount",)].bound == Bound(high=40)
    assert rules["zeroValues", ("amount",)].unit == "percent"
    assert rules["invalidValues", ("colour",)].valid_values == ("red", "no"), "no is a text, as in YAML 1.2"
    assert rules["invalidValues", ("colour",)].bound == Bound(low=0, high=3)
    assert rules["freshness", ("ordered",)].max_age_us == 2 * 86_400_000_000


def test_what_is_not_enforced_is_told(contract: Contract) -> None:
    notes = "\n".join(contract.notes)
    assert "asks the database" in notes
    assert "retention" in notes
    assert len(contract.notes) == 2


def test_two_rules_of_one_name_are_told_apart(tmp_path: Path) -> None:
    again = "          - {metric: invalidValues, mustBe: 0, arguments: {maximum: 400}}\n      - name: colour"
    contract = read(written(tmp_path, GOOD.replace("      - name: colour", again)))
    names = [rule.name for rule in contract.rules if rule.columns == ("amount",)]
    assert names == ["nullValues", "missingValues", "invalidValues", "zeroValues", "invalidValues 2"]


FAULTS = [
    # what is changed, into what, key of the fault, words of the fault
    ("status: active", "status: active\nstatsu: x", "statsu", ["unknown key", "status"]),
    ("status: active\n", "", "status", ["missing"]),
    ("version: 1.0.0", "version: 1.0", "version", ["1.0 (number)", "in quotes"]),
    ("kind: DataContract", "kind: Contract", "kind", ["DataContract"]),
    ("apiVersion: v3.1.0", "apiVersion: v3.1", "apiVersion", ["v3.1.0"]),
    ("metric: nullValues", "metric: nullValue", "schema[0].properties[4].quality[0].metric", ["nullValues"]),
    (
        "mustBeLessThan: 5,",
        "mustBeLessThen: 5,",
        "schema[0].properties[4].quality[0].mustBeLessThen",
        ["mustBeLessThan"],
    ),
    ("mustBeLessThan: 5,", "", "schema[0].properties[4].quality[0]", ["one operator", "none"]),
    ("mustBeLessThan: 5,", "mustBe: 1, mustNotBe: 2,", "schema[0].properties[4].quality[0]", ["mustBe, mustNotBe"]),
    ("mustBeLessThan: 5,", "mustBeLessThan: few,", "schema[0].properties[4].quality[0].mustBeLessThan", ["few"]),
    ("mustBeBetween: [0, 3]", "mustBeBetween: [3, 0]", "schema[0].properties[5].quality[0].mustBeBetween", ["first"]),
    ("mustBeBetween: [0, 3]", "mustBeBetween: 3", "schema[0].properties[5].quality[0].mustBeBetween", ["two numbers"]),
    ("unit: percent, severity", "unit: percents, severity", "schema[0].properties[4].quality[0].unit", ["percent"]),
    ("severity: info", "severity: bad", "schema[0].properties[4].quality[0].severity", ["error, info, warning"]),
    ("logicalType: boolean", "logicalType: bolean", "schema[0].properties[6].logicalType", ["boolean"]),
    ("        logicalType: boolean\n", "", "schema[0].properties[6].logicalType", ["without a logicalType"]),
    ("required: true", "required: yes", "schema[0].properties[0].required", ["yes (text)", "true or false"]),
    ("name: sent", "name: shop", "schema[0].properties[3].name", ["two columns of one name", "line 16"]),
    ("name: sent", 'name: "se\\u0007nt"', "schema[0].properties[3].name", ["can't be seen"]),
    ("minLength: 2", "minLenght: 2", "schema[0].properties[0].logicalTypeOptions.minLenght", ["minLength"]),
    ("minLength: 2", "minLength: 3", "schema[0].properties[0].logicalTypeOptions", ["no text"]),
    ("minLength: 2", "minLength: -2", "schema[0].properties[0].logicalTypeOptions.minLength", ["negative"]),
    ('"^[A-Z]{2}$"', '"(?=a)b"', "schema[0].properties[0].logicalTypeOptions.pattern", ["column 4 of the pattern"]),
    (
        "minimum: 0, maximum: 1000.5",
        "minimum: 2, maximum: 1",
        "schema[0].properties[4].logicalTypeOptions",
        ["no value"],
    ),
    ("minimum: 0,", "minimum: none,", "schema[0].properties[4].logicalTypeOptions.minimum", ["none (text)"]),
    ("2020-01-01T00:00:00Z", "soon", "schema[0].properties[2].logicalTypeOptions.minimum", ["ISO 8601"]),
    ("Europe/Amsterdam", "Amsterdam", "schema[0].properties[2].logicalTypeOptions.defaultTimezone", ["IANA"]),
    ("format: dd.MM.yyyy", "format: dd.MM.yy", "schema[0].properties[8].logicalTypeOptions.format", ["yyyy"]),
    ("format: i16", "format: i17", "schema[0].properties[1].logicalTypeOptions.format", ["i16"]),
    ("primaryKeyPosition: 1", "primaryKeyPosition: 2", "schema[0].properties[1].primaryKeyPosition", ["two columns"]),
    (
        "kring.role, value: target",
        "kring.role, value: tarqet",
        "schema[0].properties[6].customProperties[0].value",
        ["target"],
    ),
    (
        "kring.role, value: target",
        "kring.role, value: time",
        "schema[0].properties[6].customProperties[0].value",
        ["time"],
    ),
    ("kring.protected", "kring.protect", "schema[0].properties[6].customProperties[1].property", ["kring.protected"]),
    (
        "kring.personal, value: true",
        "kring.personal, value: 1",
        "schema[0].properties[7].customProperties[1].value",
        ["flag"],
    ),
    ("ordered <= sent", "ordered <= send", "schema[0].quality[2].implementation.expression", ["sent"]),
    ("ordered <= sent", "__import__('os')", "schema[0].quality[2].implementation.expression", ["__import__"]),
    ("ordered <= sent", "amount + 1", "schema[0].quality[2].implementation.expression", ["a boolean"]),
    (
        "properties: [shop, number]",
        "properties: [shop, numbr]",
        "schema[0].quality[1].arguments.properties",
        ["number"],
    ),
    ("metric: rowCount", "metric: nullValues", "schema[0].quality[0].metric", ["rule of a column"]),
    (
        "validValues: [red, no, null]",
        "validValues: [red, 3]",
        "schema[0].properties[5].quality[0].arguments.validValues",
        ["3 (number)"],
    ),
    (
        "arguments: {minimum: 1, maximum: 500}",
        "arguments: {minimum: 600, maximum: 500}",
        "schema[0].properties[4].quality[2].arguments",
        ["no value lies between"],
    ),
    (
        "arguments: {minimum: 1, maximum: 500}",
        "arguments: {validValues: [5, 5000]}",
        "schema[0].properties[4].quality[2].arguments.validValues",
        ["outside the limits of amount", "5000"],
    ),
    (
        "metric: nullValues, mustBeLessThan: 5, unit: percent,",
        "metric: duplicateValues, mustBe: 0, arguments: {properties: [shop]},",
        "schema[0].properties[4].quality[0].arguments.properties",
        ["takes no properties"],
    ),
    (
        'expression: "ordered <= sent"',
        'when: "amount > 0"',
        "schema[0].quality[2].implementation",
        ["one implementation", "then"],
    ),
    (
        'expression: "ordered <= sent"',
        'when: "amount", then: "amount > 0"',
        "schema[0].quality[2].implementation.when",
        ["a boolean"],
    ),
    (
        'expression: "ordered <= sent"',
        'aggregate: "mean(amount)"',
        "schema[0].quality[2].implementation.aggregate",
        ["what may this aggregate be", "mustBeBetween"],
    ),
    (
        'expression: "ordered <= sent"',
        'aggregate: "mean(amount) > amount"',
        "schema[0].quality[2].implementation.aggregate",
        ["outside of an aggregate", "mean(amount)"],
    ),
    (
        'expression: "ordered <= sent"',
        'aggregate: "mean(colour)", mustBe: 1',
        "schema[0].quality[2].implementation.aggregate",
        ["takes no string"],
    ),
    ("metric: zeroValues", "metric: zeros", "schema[0].properties[4].quality[3].implementation.metric", ["zeroValues"]),
    ("element: orders.ordered", "element: orders.orderd", "slaProperties[0].element", ["ordered"]),
    ("element: orders.ordered", "element: amount", "slaProperties[0].element", ["no age"]),
    ("value: 2, unit: d", "value: 2, unit: dayz", "slaProperties[0].unit", ["days"]),
    ("value: 2, unit: d", "value: -2, unit: d", "slaProperties[0].value", ["above 0"]),
    ("kring.owner", "kring.ovner", "customProperties[0].property", ["kring.owner"]),
    ("name: sent\n", "name: sent\n        name: sent2\n", "schema[0].properties[3].name", ["stands twice"]),
]


@pytest.mark.parametrize(("old", "new", "key", "words"), FAULTS, ids=[f"{row[2]}:{row[1][:20]}" for row in FAULTS])
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, key: str, words: list[str]) -> None:
    assert GOOD.count(old) >= 1
    text = GOOD.replace(old, new, 1)
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    faults = {fault.key: fault for fault in caught.value.faults}
    assert key in faults, str(caught.value)
    fault = faults[key]
    for word in words:
        assert word in str(fault)
    assert fault.file == str(path)
    changed = next((n for n, line in enumerate(text.split("\n"), start=1) if line != GOOD.split("\n")[n - 1]), 1)
    assert fault.line == 1 or abs(fault.line - changed) <= 2


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD
    for old, new, *_ in (FAULTS[0], FAULTS[5], FAULTS[14], FAULTS[41]):
        text = text.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, text))
    lines = [fault.line for fault in caught.value.faults]
    assert len(lines) == 4
    assert lines == sorted(lines)
    assert "4 faults" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("# only a remark\n", "empty"),
        ("just a text", "mapping"),
        ("- a\n- list\n", "mapping"),
        ("a: [1, 2", "not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: &x 1\nb: *x", "alias"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "alias"),
        ("[" * 5_000, "nested"),
        ("a: " + "{b: " * 200, "nested"),
        ("? [a, b]\n: c\n", "key"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: 1\n" * 300_000, "too large"),
        (b"a: \xff\xfe", "UTF-8"),
        (bytes(range(256)), ""),
        (b"\0" * 100, ""),
    ],
)
def test_files_that_are_no_contract(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("apiVersion: v3.1.0", "apiVersion: v2.1.0", "v2.2.2"),
        ("logicalType: boolean", "logicalType: object", "can't have a role"),
        ("engine: kring, name: dates in order", "engine: python, name: dates in order", "executes no code"),
        ('{expression: "ordered <= sent"}', '{function: "rules.py:check"}', "executes no code"),
        ("format: i16", "format: u128", "64 bits"),
        ("minimum: 0, maximum: 1000.5", "multipleOf: 5", "amount % 5 == 0"),
    ],
)
def test_what_is_right_but_not_built(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(Unsupported) as caught:
        read(written(tmp_path, GOOD.replace(old, new, 1)))
    assert words in str(caught.value)
    assert caught.value.next


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_text_makes_it_fall(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = GOOD.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        cut = data.draw(st.integers(0, len(line)))
        kinds = [line[:cut], line[cut:], "", line + line, line.replace(":", ": -"), f"{line[:cut]} ~"]
        lines[place] = data.draw(st.sampled_from([*kinds, line[:cut] + data.draw(st.text(max_size=12)) + line[cut:]]))
    path = tmp_path_factory.mktemp("fuzz") / "c.yaml"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    with contextlib.suppress(KringError):
        read(path)


def our_contracts() -> dict[str, str]:
    found = {"the contract of this test": GOOD}
    for path in sorted((ROOT / "examples").glob("*/*.odcs.yaml")):
        found[path.name] = path.read_text()
    page = ROOT / "docs" / "contract.md"
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
        if "apiVersion" in block:
            found[f"{page.name} {number}"] = block
    return found


@pytest.mark.parametrize("name", our_contracts())
def test_contracts_of_ours_keep_to_the_standard(name: str, tmp_path: Path) -> None:
    schema = json.loads((standard() / "schema" / SCHEMA.name).read_text())
    text = our_contracts()[name]
    jsonschema.Draft201909Validator(schema).validate(yaml.safe_load(text))
    assert read(written(tmp_path, text)).fields
