"""A tiny system that tells three labels apart, beside those of `systems`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from systems import START, contract, field, write_csv

FRUIT_FIELDS = "\n".join(
    [
        field("picked_at", "timestamp", role="time"),
        field("width", "number"),
        field("weight", "number", required=False),
        field("orchard", "string"),
        field("kind", "string", required=False, role="target"),
    ]
)

FRUIT = """[system]
name = "fruit"
goal = "Put each fruit into the right box"
task = "multiclass"
owner = "Packing"

[frame]
decision = "which box"
cost = {{ apple = 1.0, pear = 1.0, "quince, ripe" = 3.0, currency = "EUR" }}

[data]
source = "feed.csv"
contract = "contract.odcs.yaml"
target = "kind"
time = "picked_at"
outcome_after = "1h"
protected = ["orchard"]
split = {{ by = "time", test = "6d" }}

[prepare]
width = "width"
weight = "weight"
orchard = "orchard"

[price]
decision = 0.001
second = 0.01

[[candidate]]
name = "by-width"
baseline = true
rule = 'where(width > 9, "quince, ripe", where(width > 7, "pear", "apple"))'

[[candidate]]
name = "prior"
builtin = "prior"

[[candidate]]
name = "linear"
builtin = "linear"
price = 0.002

[[candidate]]
name = "boosted"
builtin = "boosted"
params = {{ max_iter = 10 }}

[[candidate]]
name = "forest"
builtin = "forest"
params = {{ n_estimators = 10 }}
{more}
[gate]
min_rows = 50
"lift_over_baseline.expected_cost" = "> 0"
"recall.*" = ">= 0.3"

[watch]
min_windows = 5
quality_over = "7d"
maturity = "2h"
"""


def fruit_feed(rows: int = 900, *, days: int = 24) -> pl.DataFrame:
    chance = np.random.default_rng(17)
    at = np.sort(chance.uniform(0, days, rows))
    place = chance.choice(3, rows, p=[0.5, 0.35, 0.15])
    kind = np.array(["apple", "pear", "quince, ripe"])[place]
    weight = [
        None if gap else float(one) for gap, one in zip(chance.random(rows) < 0.05, place * 40 + 100, strict=True)
    ]
    noise = chance.normal(0, 25, rows).round(1)
    moments = [START + timedelta(days=float(one)) for one in at]
    return pl.DataFrame(
        {
            "picked_at": pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
            "width": (6 + 1.5 * place + chance.normal(0, 1.2, rows)).round(2),
            "weight": [None if one is None else one + more for one, more in zip(weight, noise, strict=True)],
            "orchard": chance.choice(["hill", "valley"], rows),
            "kind": [None if gone else str(one) for gone, one in zip(chance.random(rows) < 0.02, kind, strict=True)],
        }
    )


def write_fruit(folder: Path, *, feed: pl.DataFrame | None = None, more: str = "") -> Path:
    """Which of three, with a time column, a price for missing each, a rule that names labels and a CSV feed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kring.toml").write_text(FRUIT.format(more=more))
    (folder / "contract.odcs.yaml").write_text(contract("fruit", FRUIT_FIELDS))
    write_csv(folder, fruit_feed() if feed is None else feed)
    return folder
