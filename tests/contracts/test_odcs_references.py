"""Keys into other tables, and which of several tables is the feed's."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from kring.contracts.odcs import read
from kring.errors import ConfigError

GOOD = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - id: orders_table
    name: orders
    relationships:
      - {from: [orders.shop, orders.number], to: [lines.shop, lines.number]}
      - {type: foreignKey, from: orders.shop, to: schema/shops_table/properties/shop_code}
    properties:
      - {name: shop, logicalType: string, primaryKey: true}
      - {name: number, logicalType: integer, primaryKey: true}
      - name: customer
        logicalType: string
        relationships:
          - {to: customers.id}
      - {name: parent, logicalType: integer, relationships: [{to: orders.number}]}
      - {name: other, logicalType: string, relationships: [{to: "https://example.org/x.yaml#/schema/a/properties/b"}]}
  - name: lines
    properties:
      - {name: shop, logicalType: string}
      - {name: number, logicalType: number}
      - {name: of, logicalType: string, relationships: [{to: customers.id}]}
  - name: customers
    properties:
      - {name: id, logicalType: string, unique: true}
  - id: shops_table
    name: shops
    properties:
      - {id: shop_code, name: code, logicalType: string}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "c.odcs.yaml"
    path.write_text(text)
    return path


def test_it_keeps_to_the_standard(shared: Path) -> None:
    schema = json.loads((shared / "data/spec_odcs/schema/odcs-json-schema-v3.1.0.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(yaml.safe_load(GOOD))


def test_relationships_of_columns_and_tables(tmp_path: Path) -> None:
    contract = read(written(tmp_path, GOOD))
    found = {(one.columns, one.table, one.to) for one in contract.references}
    assert found == {
        (("customer",), "customers", ("id",)),
        (("parent",), "orders", ("number",)),
        (("shop", "number"), "lines", ("shop", "number")),
        (("shop",), "shops", ("code",)),
    }
    assert [one.table for one in contract.others] == ["lines", "customers", "shops"]
    assert contract.others[1].fields[0].unique
    told = "\n".join(contract.notes)
    assert "example.org" in told, "a key into another file is told as not enforced"
    assert "a relationship of lines" in told


ROLE = "customProperties: [{property: kring.role, value: target}]"


def test_the_feed_is_the_first_table_or_the_one_with_roles_or_the_one_that_says_so(tmp_path: Path) -> None:
    assert read(written(tmp_path, GOOD)).table == "orders"
    roles = GOOD.replace("logicalType: string, unique: true}", f"logicalType: string, unique: true, {ROLE}}}")
    assert read(written(tmp_path, roles)).table == "customers"
    says = roles.replace(
        "  - name: lines\n", "  - name: lines\n    customProperties: [{property: kring.feed, value: true}]\n"
    )
    assert read(written(tmp_path, says)).table == "lines"


def test_two_feeds_are_a_fault(tmp_path: Path) -> None:
    text = GOOD.replace("logicalType: number}", f"logicalType: number, {ROLE}}}")
    text = text.replace("logicalType: string, unique: true}", f"logicalType: string, unique: true, {ROLE}}}")
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, text))
    fault = caught.value.faults[0]
    assert (fault.key, fault.got) == ("schema[2]", "lines, customers")
    assert "kring.feed" in fault.next
    both = GOOD.replace(
        "  - name: lines\n", "  - name: lines\n    customProperties: [{property: kring.feed, value: 1}]\n"
    )
    with pytest.raises(ConfigError, match="not a flag"):
        read(written(tmp_path, both))


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("{to: customers.id}\n      - {name: parent", "{to: customer.id}\n      - {name: parent", "to", "customers.id"),
        (
            "{to: customers.id}\n      - {name: parent",
            "{to: customers.idd}\n      - {name: parent",
            "to",
            "customers.id",
        ),
        ("{to: customers.id}\n      - {name: parent", "{to: lines.number}\n      - {name: parent", "to", "one type"),
        ("{to: customers.id}\n      - {name: parent", "{type: foreignKey}\n      - {name: parent", "to", "two sides"),
        (
            "{to: customers.id}\n      - {name: parent",
            "{from: orders.shop, to: customers.id}\n      - {name: parent",
            "from",
            "no place",
        ),
        (
            "{to: customers.id}\n      - {name: parent",
            "{type: friend, to: customers.id}\n      - {name: parent",
            "type",
            "foreignKey",
        ),
        ("to: [lines.shop, lines.number]", "to: [lines.shop]", "to", "as many columns"),
        ("to: [lines.shop, lines.number]", "to: [lines.shop, shops.code]", "to", "one table"),
        ("from: [orders.shop, orders.number]", "from: [lines.shop, lines.number]", "from", "begins in it"),
        ("from: [orders.shop, orders.number]", "from: []", "from", "two sides"),
        ("properties/shop_code}", "properties/shop_cod}", "to", "no such column"),
    ],
)
def test_a_wrong_relationship_is_told_with_its_place(tmp_path: Path, old: str, new: str, key: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, GOOD.replace(old, new, 1)))
    (fault,) = caught.value.faults
    assert fault.key.endswith(f".{key}")
    assert "relationships[" in fault.key
    assert words in str(fault)
    assert fault.line > 8
