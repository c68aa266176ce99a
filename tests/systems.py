"""Three tiny systems, complete with contract and feed, that a test can write into a folder of its own."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from kring.cli.app import run
from kring.record.system import Candidate, Data, Frame, System

DAY = 86_400_000_000
START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: float) -> int:
    """That many days after the feeds begin, in microseconds UTC."""
    return int(START.timestamp()) * 1_000_000 + int(number * DAY)


BARE = System(
    name="s",
    goal="g",
    task="t",
    owner="o",
    frame=Frame(decision="d"),
    data=Data(source="x", contract="c", target="y"),
    candidates=(Candidate(name="b", baseline=True, rule="x"),),
)
"""A system that says nothing but what every system must."""


@dataclass(frozen=True)
class Told:
    """What a command line came to: exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one object on stdout."""
        assert self.out.count("\n") == 1, self.out
        assert self.out.endswith("\n")
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def kring(*words: object) -> Told:
    """Run one command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(word) for word in words])
    return Told(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def made_live(folder: Path) -> Path:
    """The folder, once a first version of its system is live."""
    told = kring("go", folder)
    assert told.code == 0, told.err
    return folder


@dataclass(frozen=True)
class SmallSystem:
    """How one of the systems is written, and what its winner is called."""

    name: str
    write: Callable[[Path], Path]
    winner: str
    timed: bool


def replaced(text: str, parts: Mapping[str, str]) -> str:
    """The text with other parts, each of which stands in it."""
    for old, new in parts.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def contract(name: str, fields: str) -> str:
    return f"""apiVersion: v3.1.0
kind: DataContract
id: {name}-contract
name: {name}
version: 1.0.0
status: active
schema:
  - name: {name}
    physicalType: table
    properties:
{fields}
customProperties:
  - property: kring.owner
    value: Feed Team
"""


def field(name: str, type: str, *, required: bool = True, more: str = "", **roles: str) -> str:
    lines = [f"      - name: {name}", f"        logicalType: {type}"]
    lines += ["        required: true"] if required else []
    lines += [f"        {line}" for line in more.splitlines()]
    if roles:
        lines.append("        customProperties:")
    for key, value in roles.items():
        lines += [f"          - property: kring.{key}", f"            value: {value}"]
    return "\n".join(lines)


LOANS_FIELDS = "\n".join(
    [
        field("asked_at", "timestamp", role="time"),
        field("email", "string", identifier="true"),
        field("region", "string"),
        field("amount", "number", more="logicalTypeOptions:\n  minimum: 0\n  maximum: 1000"),
        field("income", "number", required=False),
        field("repaid", "boolean", required=False, role="target"),
        field("settled_at", "timestamp", required=False, role="outcome_time"),
    ]
)

LOANS = """[system]
name = "loans"
goal = "Lend to those who will repay"
task = "classification"
owner = "Credit"

[people]
data = {{ accountable = "Keeper of the Feed" }}
experiment = {{ accountable = "Lead Scientist" }}
release = {{ accountable = "Head of Release" }}
operate = {{ accountable = "Night Duty" }}

[frame]
decision = "lend or not"
cost = {{ false_positive = 2.0, false_negative = 1.0, currency = "EUR" }}
default = "false"
feedback = "none"

[data]
source = "feed.csv"
contract = "contract.odcs.yaml"
target = "repaid"
time = "asked_at"
outcome_at = "settled_at"
split = {{ by = "time", test = "12d" }}

[lookup.by_region]
key = ["region"]
value = "repaid"
prior = 10

[prepare]
amount = "amount"
income = "income"
region = "region"
region_rate = 'lookup("by_region", key=[region])'

[[candidate]]
name = "by-region"
baseline = true
rule = "region_rate"

[[candidate]]
name = "linear"
builtin = "linear"
{candidates}
[gate]
min_rows = 100
"lift_over_baseline.roc_auc" = "> 0"

[rollout]
shadow = "2d"
bake = "1d"

[guard]
out_of_contract = "{out_of_contract}"

[watch]
window = "1d"
maturity = "2d"
quality_over = "10d"
min_windows = 6
violations = 0.2

[learn]
retrain_on = ["quality", "schedule"]
every = "9d"
cooldown = "4d"
"""


def loans_feed(rows: int = 3000, *, days: int = 60, turns_on: float = 1000) -> pl.DataFrame:
    """Requests of `days` days; each outcome is known after one to forty hours, some never. From day `turns_on`
    on, what spoke for repaying speaks against it."""
    chance = np.random.default_rng(7)
    at = np.sort(chance.uniform(0, days, rows))
    amount = chance.uniform(0, 1000, rows).round(2)
    income = chance.normal(50, 15, rows).round(1)
    region = chance.choice(["north", "south", "west"], rows)
    turned = np.where(at < turns_on, 1.0, -1.0)
    score = 0.5 + turned * (0.12 * (income - 50) - 0.004 * (amount - 500)) + np.where(region == "north", 0.4, -0.2)
    repaid = chance.random(rows) < 1 / (1 + np.exp(-score))
    known = at + chance.uniform(1, 40, rows) / 24
    never = chance.random(rows) < 0.04
    moments = [START + timedelta(days=float(one)) for one in at]
    settled = [None if gone else START + timedelta(days=float(one)) for gone, one in zip(never, known, strict=True)]
    return pl.DataFrame(
        {
            "asked_at": pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
            "email": [f"person{number % 900}@example.org" for number in range(rows)],
            "region": region,
            "amount": amount,
            "income": [None if gap else value for gap, value in zip(chance.random(rows) < 0.05, income, strict=True)],
            "repaid": [None if gone else bool(one) for gone, one in zip(never, repaid, strict=True)],
            "settled_at": pl.Series(settled, dtype=pl.Datetime("us", "UTC")),
        }
    )


def write_loans(
    folder: Path, *, feed: pl.DataFrame | None = None, candidates: str = "", out_of_contract: str = "flag"
) -> Path:
    """Yes or no, with a time column, late outcomes, a lookup, a direct identifier and a CSV feed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kring.toml").write_text(LOANS.format(candidates=candidates, out_of_contract=out_of_contract))
    (folder / "contract.odcs.yaml").write_text(contract("loans", LOANS_FIELDS))
    write_csv(folder, loans_feed() if feed is None else feed)
    return folder


def write_csv(folder: Path, feed: pl.DataFrame) -> None:
    feed.write_csv(folder / "feed.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")


PARCELS_FIELDS = "\n".join(
    [
        field("booked_at", "timestamp", role="time"),
        field("booked_on", "date"),
        field("distance", "number"),
        field("weight", "integer"),
        field("express", "boolean"),
        field("minutes", "number", required=False, role="target"),
    ]
)

PARCELS = """[system]
name = "parcels"
goal = "Say when a parcel will arrive"
task = "regression"
owner = "Logistics"

[frame]
decision = "the promised minutes"
cost = { over = 1.0, under = 3.0, currency = "EUR" }
default = 60.0

[data]
source = "feed.parquet"
contract = "contract.odcs.yaml"
target = "minutes"
time = "booked_at"
outcome_after = "20m"
split = { by = "time", test = "5d" }

[prepare]
distance = "distance"
weight = "weight"
express = "express"

[[candidate]]
name = "by-distance"
baseline = true
rule = "20 + 2 * distance"

[[candidate]]
name = "linear"
builtin = "linear"

[gate]
min_rows = 50
"lift_over_baseline.mae" = "> 0"

[watch]
min_windows = 5
quality_over = "7d"
maturity = "1h"
"""


def parcels_feed(rows: int = 1200, *, days: int = 24) -> pl.DataFrame:
    chance = np.random.default_rng(11)
    at = np.sort(chance.uniform(0, days, rows))
    distance, weight = chance.uniform(1, 40, rows).round(2), chance.integers(1, 30, rows)
    express = chance.random(rows) < 0.3
    minutes = 12 + 2.2 * distance + 0.8 * weight - 10 * express + chance.normal(0, 5, rows)
    moments = [START + timedelta(days=float(one)) for one in at]
    return pl.DataFrame(
        {
            "booked_at": pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
            "booked_on": [moment.date() for moment in moments],
            "distance": distance,
            "weight": weight,
            "express": express,
            "minutes": minutes,
        }
    )


def write_parcels(folder: Path, *, feed: pl.DataFrame | None = None) -> Path:
    """A number, with a time column, outcomes twenty minutes later and a Parquet feed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kring.toml").write_text(PARCELS)
    (folder / "contract.odcs.yaml").write_text(contract("parcels", PARCELS_FIELDS))
    (parcels_feed() if feed is None else feed).write_parquet(folder / "feed.parquet")
    return folder


UP_OR_DOWN = "logicalTypeOptions:\n  pattern: ^(UP|DOWN)$"
PRICES_FIELDS = "\n".join(
    [
        field("demand", "number"),
        field("transfer", "number"),
        field("weekday", "integer", more="logicalTypeOptions:\n  minimum: 1\n  maximum: 7"),
        field("class", "string", more=UP_OR_DOWN, role="target"),
    ]
)

PRICES = """[system]
name = "prices"
goal = "Say whether the price goes up"
task = "classification"
owner = "Trading"

[frame]
decision = "buy now or wait"

[data]
source = "feed.csv"
contract = "contract.odcs.yaml"
target = "class"
positive = "UP"
outcome_after = "0s"
split = { by = "order", test = 0.3 }

[prepare]
demand = "demand"
transfer = "transfer"
weekday = "weekday"

[[candidate]]
name = "prior"
baseline = true
builtin = "prior"

[[candidate]]
name = "linear"
builtin = "linear"

[[candidate]]
name = "boosted"
builtin = "boosted"
params = { max_iter = 20 }

[gate]
min_rows = 50
"lift_over_baseline.roc_auc" = "> 0"
"""


def prices_feed(rows: int = 1500) -> pl.DataFrame:
    chance = np.random.default_rng(13)
    demand, transfer = chance.random(rows), chance.random(rows)
    up = chance.random(rows) < 1 / (1 + np.exp(-(4 * demand - 3 * transfer - 0.5)))
    return pl.DataFrame(
        {
            "demand": demand.round(4),
            "transfer": transfer.round(4),
            "weekday": [number % 7 + 1 for number in range(rows)],
            "class": np.where(up, "UP", "DOWN"),
        }
    )


PRICES_STEPS = """
[rollout]
shadow = "0s"
steps = [20, 50]
guardrails = ["error", "fallback"]
min_units = 200
floor = 0.02
step_for = "30d"
"""
"""A rollout without a shadow, which goes on after a few hundred units."""


def write_prices(folder: Path, *, feed: pl.DataFrame | None = None, more: str = "") -> Path:
    """Yes or no in texts, without a time column, split by order, with a CSV feed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kring.toml").write_text(PRICES + more)
    (folder / "contract.odcs.yaml").write_text(contract("prices", PRICES_FIELDS))
    write_csv(folder, prices_feed() if feed is None else feed)
    return folder


LOANS_SYSTEM = SmallSystem("loans", write_loans, winner="linear", timed=True)
PARCELS_SYSTEM = SmallSystem("parcels", write_parcels, winner="linear", timed=True)
PRICES_SYSTEM = SmallSystem("prices", write_prices, winner="linear", timed=False)
ALL = (LOANS_SYSTEM, PARCELS_SYSTEM, PRICES_SYSTEM)
