"""What the recipe of a feed does to requests: the same as to the rows of a file, with a word for each value."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from served import Server, serving
from systems import contract, field, kring

FIELDS = "\n".join(
    [
        field("id", "integer", more="primaryKey: true"),
        field("size", "number", required=False, more="logicalTypeOptions:\n  minimum: 0\n  maximum: 40"),
        field("zip", "string"),
        field("city", "string", more="logicalTypeOptions:\n  pattern: ^(Amsterdam|Rotterdam|Utrecht|Groningen)$"),
        field("buyer", "string", required=False, personal="true"),
        field("paid", "boolean", required=False, role="target"),
    ]
)
CONFIG = """[system]
name = "shop"
goal = "Know which orders will be paid"
task = "classification"
owner = "Sales"

[frame]
decision = "send now or wait for the money"

[data]
source = "orders.csv"
contract = "contract.odcs.yaml"
target = "paid"
outcome_after = "0s"
split = { by = "order", test = 0.3 }

[prepare]
odds = "where(city == 'Amsterdam', 0.9, coalesce(size, 0) / 40)"

[[candidate]]
name = "half"
baseline = true
rule = "0.5"

[[candidate]]
name = "odds"
rule = "odds"

[guard]
out_of_contract = "reject"

[gate]
roc_auc = ">= 0.2"
min_rows = 50
"""
TOWNS = {"1011": "Amsterdam", "3011": "Rotterdam", "3511": "Utrecht", "9711": "Groningen"}
SLIPS = {7: "Groningxn", 41: "Roterdam", 80: " Amsterdam "}
REQUESTS: list[dict[str, Any]] = [
    {"id": 1001, "size": "13 oz.", "zip": "1011", "city": " Amsterdam ", "buyer": " Ann "},
    {"id": 1002, "size": "N/A", "zip": "3011", "city": "Roterdam", "buyer": None},
    {"id": 1003, "size": 20.5, "zip": "3511", "city": "Utrecht", "buyer": "Bea"},
    {"id": 1004, "size": "18 Ounces", "zip": "9711", "city": "Groningxn", "buyer": "Cas"},
]
NOTES = [
    ["repaired: size '13 oz.' → '13'", "repaired: city ' Amsterdam ' → 'Amsterdam'", "repaired: buyer"],
    ["repaired: size 'N/A' → nothing", "repaired: city 'Roterdam' → 'Rotterdam'"],
    [],
    ["repaired: size '18 Ounces' → '18'", "repaired: city 'Groningxn' → 'Groningen'"],
]


def write_orders(folder: Path) -> Path:
    folder.mkdir()
    (folder / "kring.toml").write_text(CONFIG)
    (folder / "contract.odcs.yaml").write_text(contract("shop", FIELDS))
    lines = ["id,size,zip,city,buyer,paid"]
    for number in range(400):
        zip = list(TOWNS)[number % 4]
        unit = " oz." if number % 3 else " Ounces"
        size = "N/A" if number == 12 else f"{12 + number % 9}{unit}"
        buyer = f" buyer {number % 50}" if number % 90 == 0 else f"buyer {number % 50}"
        lines.append(f"{number},{size},{zip},{SLIPS.get(number, TOWNS[zip])},{buyer},{int(number * 7919 % 13 < 6)}")
    lines.append(lines[-1])
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_orders(tmp_path_factory.mktemp("repaired") / "shop")
    for words in (("clean", folder, "--accept", "all", "--by", "Ada"), ("go", folder)):
        told = kring(*words)
        assert told.code == 0, told.err
    return folder


@pytest.fixture(scope="module")
def server(shop: Path) -> Iterator[Server]:
    with serving([shop]) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


def decided(server: Server, inputs: object) -> Any:
    told = server.ask("POST", "/api/decisions", {"inputs": inputs})
    assert told.status == 200, told.body
    return told.json


def test_a_request_is_repaired_as_a_file_is(server: Server, shop: Path, tmp_path: Path) -> None:
    answers = decided(server, REQUESTS)["decisions"]
    assert [one["guards"] for one in answers] == NOTES
    path, out = tmp_path / "rows.csv", tmp_path / "answers.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(REQUESTS[0]))
        writer.writeheader()
        writer.writerows(REQUESTS)
    assert kring("score", path, shop, "--out", out).code == 0
    scored = pl.read_csv(out)
    assert [one["outputs"]["probability"] for one in answers] == pytest.approx(scored["probability"].to_list())
    assert [one["decision"] for one in answers] == [str(one).lower() for one in scored["decision"].to_list()]
    alone = [decided(server, row) for row in REQUESTS]
    assert [(one["guards"], one["outputs"]) for one in alone] == [(one["guards"], one["outputs"]) for one in answers]


def test_what_was_decided_on_is_on_record_with_what_was_got(server: Server) -> None:
    answer = decided(server, REQUESTS[0])
    told = server.ask("GET", f"/api/decisions/{answer['id']}").json
    assert (told["inputs"]["size"], told["inputs"]["city"], told["inputs"]["buyer"]) == (13.0, "Amsterdam", "Ann")
    assert told["guards"] == NOTES[0]
    page = server.ask("GET", f"/decisions/{answer['id']}", headers={"accept": "text/html"}).body.decode()
    assert "13 oz." in page
    assert "Ann " not in json.dumps(told["guards"])


def test_other_protocols_are_repaired_alike(server: Server) -> None:
    told = server.ask("POST", "/invocations", {"dataframe_records": REQUESTS[1:2]})
    assert told.status == 200, told.body
    columns, row = list(REQUESTS[0]), [str(value or "") for value in REQUESTS[1].values()]
    body = f"{','.join(columns)}\n{','.join(row)}\n".encode()
    read = server.ask("POST", "/invocations", body, headers={"content-type": "text/csv"})
    assert read.status == 200, read.body
    one, other = told.json["predictions"][0], read.json["predictions"][0]
    assert (one["decision"], one["probability"]) == (other["decision"], other["probability"])


def test_what_no_repair_mends_is_refused_in_the_words_for_what_was_got(server: Server) -> None:
    for row, key, got in (
        ({**REQUESTS[0], "city": " Paris "}, "city", "' Paris '"),
        ({**REQUESTS[0], "size": "50 oz."}, "size", "'50 oz.'"),
        ({**REQUESTS[0], "size": {"oz": 5}}, "size", "oz"),
    ):
        told = server.ask("POST", "/api/decisions", {"inputs": row})
        assert told.status == 422, told.body
        assert told.json["error"]["key"] == key
        assert got in told.json["error"]["got"]


def test_a_repaired_value_is_no_broken_promise_and_no_label(server: Server) -> None:
    decided(server, REQUESTS[1])
    text = server.ask("GET", "/metrics").body.decode()
    guards = set(re.findall(r'kring_guards_fired_total\{[^}]*guard="([^"]*)"', text))
    assert guards == {"repaired"}
    assert server.ask("GET", "/api/systems/shop").json["lately"]["guarded"] == 0


def test_what_needs_the_whole_feed_is_named_when_a_server_starts(server: Server) -> None:
    assert "shop: the repair duplicates compares rows, so no request is repaired by it" in server.log.read_text()
