"""Older contracts: nothing that they promise is lost on the way to v3.1 without being named."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.contracts.odcs_old_keys import OLD_SHAPES
from kring.contracts.odcs_upgrade import TYPES
from kring.errors import ConfigError, KringError, Unsupported
from kring.record.contract import Bound, Contract

OLD = """\
datasetKind: virtualDataset
version: 1.1.0
kind: DataContract
apiVersion: v2.2.2
uuid: 53581432-6c55-4ba2-a65f-72344a91553a
type: tables
status: current
datasetDomain: sales
quantumName: sales quantum
datasetName: sales of the shop
description:
  purpose: views on sales
username: reader
password: not to be told
productDl: sales@example.org
dataset:
  - table: sales
    dataGranularity: one row per sale
    columns:
      - {column: sold_on, isNullable: false, logicalType: date, physicalType: date}
      - column: number
        isPrimaryKey: true
        primaryKeyPosition: 1
        logicalType: bigint
        physicalType: bigint
        clusterStatus: true
      - {column: code, isUnique: true, isNullable: true, logicalType: varchar(10), physicalType: varchar(10)}
      - column: amount
        isNullable: true
        logicalType: decimal
        physicalType: decimal(10,2)
        customProperties:
          - {property: kring.role, value: target}
        quality:
          - {code: not negative, templateName: RangeCheck, toolName: Elevate, dimension: accuracy, severity: Medium}
stakeholders:
  - {username: anna, role: owner}
  - {role: nobody yet}
slaDefaultColumn: sales.sold_on
slaProperties:
  - {property: latency, value: 4, unit: d, column: sales.sold_on}
  - {property: retention, value: 3, unit: y}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "old.odcs.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return read(written(tmp_path, OLD))


def test_columns_keep_name_type_and_line(contract: Contract) -> None:
    told = [(field.name, field.type, field.required, field.unique, field.primary_key) for field in contract.fields]
    assert told == [
        ("sold_on", "date", True, False, False),
        ("number", "integer", True, False, True),
        ("code", "string", False, True, False),
        ("amount", "number", False, False, False),
    ]
    for field in contract.fields:
        assert f"column: {field.name}" in OLD.splitlines()[field.line - 1]
    assert (contract.name, contract.table, contract.target) == ("sales of the shop", "sales", "amount")
    assert contract.purpose == "views on sales"


def test_service_levels_become_rules(contract: Contract) -> None:
    rules = {rule.name: rule for rule in contract.rules}
    assert rules["freshness"].max_age_us == 4 * 86_400_000_000
    assert rules["freshness"].columns == ("sold_on",)
    assert rules["primaryKey"].columns == ("number",)


def test_what_has_no_place_is_named_and_no_secret_told(contract: Contract) -> None:
    told = "\n".join(contract.notes)
    for word in ("v2.2.2", "datasetKind", "password", "clusterStatus", "stakeholder without", "Elevate", "retention"):
        assert word in told
    assert "not to be told" not in told
    line = OLD.splitlines().index("password: not to be told") + 1
    assert f"password (line {line})" in told


def test_the_version_may_be_left_out(tmp_path: Path) -> None:
    contract = read(written(tmp_path, OLD.replace("apiVersion: v2.2.2\n", "")))
    assert len(contract.fields) == 4


@pytest.mark.parametrize("version", ["v2.2.0", "v2.2.1", "v2.2.2"])
def test_every_2_2_is_read(tmp_path: Path, version: str) -> None:
    assert len(read(written(tmp_path, OLD.replace("v2.2.2", version))).fields) == 4


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("uuid: 53581432-6c55-4ba2-a65f-72344a91553a\n", "", "uuid", ["missing"]),
        ("quantumName: sales quantum\n", "", "quantumName", ["missing"]),
        ("isPrimaryKey: true", "isPrimarykey: true", "dataset[0].columns[1].isPrimarykey", ["isPrimaryKey"]),
        ("isNullable: false", "isNullable: no", "dataset[0].columns[0].isNullable", ["true or false"]),
        ("table: sales", "name: sales", "dataset[0].table", ["missing"]),
        ("        logicalType: bigint\n", "", "dataset[0].columns[1]", ["missing"]),
        ("toolName: Elevate, ", "", "dataset[0].columns[3].quality[0].toolName", ["missing"]),
        ("logicalType: decimal", "logicalType: blob", "schema[0].properties[3].logicalType", ["unknown logicalType"]),
    ],
)
def test_an_invalid_one_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, key: str, words: list[str]
) -> None:
    assert old in OLD
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, OLD.replace(old, new, 1)))
    faults = [fault for fault in caught.value.faults if fault.key.startswith(key.partition(" ")[0][:18])]
    assert faults, str(caught.value)
    assert all(fault.line > 0 for fault in faults)
    assert any(word in str(fault) for fault in faults for word in words)


def test_older_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"v2\.1\.0") as caught:
        read(written(tmp_path, OLD.replace("v2.2.2", "v2.1.0")))
    assert caught.value.line == 4


def columns() -> st.SearchStrategy[list[dict[str, Any]]]:
    names = st.text("abcdefghij_", min_size=1, max_size=8)
    kinds = sorted(word for word, kind in TYPES.items() if kind not in ("time", "array", "object"))
    flags = st.fixed_dictionaries(
        {"logicalType": st.sampled_from(kinds), "physicalType": st.just("any")},
        optional={"isNullable": st.booleans(), "isUnique": st.booleans(), "isPrimaryKey": st.booleans()},
    )
    return st.lists(st.tuples(names, flags), min_size=1, max_size=6, unique_by=lambda one: one[0]).map(
        lambda pairs: [{"column": name, **more} for name, more in pairs]
    )


@settings(max_examples=40, deadline=None)
@given(found=columns())
def test_any_columns_keep_their_promises(found: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    tree = yaml.safe_load(OLD)
    tree["dataset"][0]["columns"] = found
    del tree["slaProperties"], tree["slaDefaultColumn"]
    contract = read(written(tmp_path_factory.mktemp("old"), yaml.safe_dump(tree, sort_keys=False)))
    assert [field.name for field in contract.fields] == [one["column"] for one in found]
    for field, one in zip(contract.fields, found, strict=True):
        assert field.type == TYPES[one["logicalType"]]
        assert field.required == (not one.get("isNullable", False) or one.get("isPrimaryKey", False))
        assert (field.unique, field.primary_key) == (one.get("isUnique", False), one.get("isPrimaryKey", False))


def as_in_2_2_1(text: str) -> str:
    """Where v2.2.1 wants texts."""
    text = text.replace("isPrimaryKey: true", 'isPrimaryKey: "true"').replace("value: 4", 'value: "4"')
    return text.replace("value: 3", 'value: "3"').replace("{property: kring.role, value: target}", "{property: theirs}")


def test_texts_of_2_2_1_are_flags_and_numbers(tmp_path: Path) -> None:
    price = 'price: {priceAmount: "9.95", priceCurrency: EUR}\n'
    text = as_in_2_2_1(OLD).replace("v2.2.2", "v2.2.1").replace("{property: theirs}", "{property: theirs, value: 1}")
    contract = read(written(tmp_path, price + text))
    assert [field.name for field in contract.fields if field.primary_key] == ["number"]
    assert [rule.max_age_us for rule in contract.rules if rule.name == "freshness"] == [4 * 86_400_000_000]
    with pytest.raises(ConfigError, match="true or false"):
        read(written(tmp_path, text.replace('"true"', '"yes"')))


def test_every_key_of_2_2_is_known(shared: Path) -> None:
    for version in ("2.2.1", "2.2.2"):
        schema = json.loads((shared / f"data/spec_odcs/schema/odcs-json-schema-v{version}.json").read_text())
        text = OLD if version == "2.2.2" else as_in_2_2_1(OLD)
        jsonschema.Draft201909Validator(schema).validate(yaml.safe_load(text))
        names = {
            "dataset 2": "Dataset",
            "column 2": "Column",
            "quality 2": "DataQuality",
            "price 2": "Pricing",
            "stakeholder 2": "Stakeholder",
        }
        for shape, definition in names.items():
            ours = {key.rstrip("!") for key in OLD_SHAPES[shape]}
            assert ours >= set(schema["$defs"][definition]["properties"]), shape
            required = {key.rstrip("!") for key in OLD_SHAPES[shape] if key.endswith("!")}
            assert required == set(schema["$defs"][definition].get("required", ())), shape
        assert {key.rstrip("!") for key in OLD_SHAPES["contract 2"]} >= set(schema["properties"])
        required = {key.rstrip("!") for key in OLD_SHAPES["contract 2"] if key.endswith("!")}
        assert required == set(schema["required"])


NEWER = """\
apiVersion: v3.0.2
kind: DataContract
id: x
version: 1.0.0
status: active
schema:
  - name: t
    quality: [{rule: rowCount, mustBeGreaterThan: 3}]
    properties:
      - name: a
        logicalType: string
        quality:
          - {type: library, rule: duplicateCount, mustBeLessThan: 10, unit: percent}
          - {rule: nullCheck}
team:
  - {username: anna, role: owner, dateIn: "2024-01-01"}
"""


KEYED = """\
apiVersion: v3.1.0
kind: DataContract
id: x
version: 1.0.0
status: active
schema:
  - name: t
    customProperties: [{property: kring.feed, value: true}]
    relationships: [{from: [t.n], to: [u.n]}]
    quality:
      - {type: custom, engine: kring, implementation: {aggregate: "mean(n) / max(n)", mustBeLessThan: 3}}
      - {type: custom, engine: kring, implementation: {when: "n > 3", then: "n < 9"}}
    properties:
      - {name: customer, logicalType: string, relationships: [{to: u.id}]}
      - {name: n, logicalType: integer}
  - name: u
    properties: [{name: id, logicalType: string}, {name: n, logicalType: integer}]
"""


def test_rules_of_3_0_are_metrics(tmp_path: Path) -> None:
    rules = {rule.metric: rule for rule in read(written(tmp_path, NEWER)).rules}
    assert rules["duplicateValues"].bound == Bound(high=10, exclude_high=True)
    assert rules["nullValues"].bound == Bound(low=0, high=0), "nullCheck without an operator means none"
    assert rules["rowCount"].bound == Bound(low=3, exclude_low=True)
    assert rules["nullValues"].line == 14


def test_an_unknown_rule_of_3_0_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown metric"):
        read(written(tmp_path, NEWER.replace("rule: nullCheck", "rule: nulCheck")))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_text_makes_it_fall(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from([OLD, NEWER, KEYED])).split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        cut = data.draw(st.integers(0, len(line)))
        signs = data.draw(st.sampled_from(["[", "]", "{", "}", ": ", "- ", "'", "1", "true", "~", ""]))
        kinds = [line[:cut], line[cut:], line + line, line.replace("- ", ""), f"{line[:cut]}{signs}{line[cut:]}"]
        lines[place] = data.draw(st.sampled_from(kinds))
    with contextlib.suppress(KringError):
        read(written(tmp_path_factory.mktemp("fuzz"), "\n".join(lines)))


def test_a_key_of_a_column_that_is_left_out_is_told(tmp_path: Path) -> None:
    text = KEYED.replace("customer, logicalType: string", "customer, logicalType: object")
    contract = read(written(tmp_path, text))
    assert [one.columns for one in contract.references] == [("n",)]
    assert "a key of customer" in "\n".join(contract.notes)
