"""A tiny, complete system for the tests of hardness: parcels that arrive late or not."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

HEADER: Final = ("ordered_at", "zone", "weight", "stops", "late", "arrived_at")
ROWS: Final = 1500
DAY_ROWS: Final = 25
BEGIN: Final = datetime(2024, 1, 1, 6, tzinfo=UTC)
LIVE_FROM: Final = "2024-02-15"
LIVE_TO: Final = "2024-02-20"

KRING: Final = """\
[system]
name = "parcels"
goal = "Call the customer when a parcel will probably come late"
task = "classification"
owner = "Logistics"

[frame]
decision = "call the customer, or not"
cost = { false_positive = 1.0, false_negative = 3.0, currency = "EUR" }
default = "false"

[data]
source = "feed.csv"
contract = "contract.odcs.yaml"
target = "late"
time = "ordered_at"
outcome_at = "arrived_at"
split = { by = "time", test = "14d" }

[prepare]
zone = "zone"
weight = "weight"
stops = "stops"
far = "stops / 20"

[[candidate]]
name = "by-stops"
baseline = true
rule = "far"

[[candidate]]
name = "linear"
builtin = "linear"
columns = ["zone", "weight", "stops"]

[gate]
min_rows = 100
"lift_over_baseline.roc_auc" = "> 0"

[rollout]
shadow = "1d"
steps = []
bake = "1d"

[watch]
window = "1d"
maturity = "1d"
quality_over = "3d"
min_windows = 3
"""

OWN: Final = """
[[candidate]]
name = "own"
fit = "models.py:own"
columns = ["weight", "stops"]
timeout = "{timeout}"
memory_mb = {memory_mb}
"""

MODELS: Final = """\
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def own(spec):
    return make_pipeline(StandardScaler(), LogisticRegression())
"""

CONTRACT: Final = """\
apiVersion: v3.1.0
kind: DataContract
id: 6f0c2b9e-7b1f-4a55-9a53-3f5d3f0f2024
name: parcels
version: 1.0.0
status: active
schema:
  - name: parcels
    physicalType: table
    quality:
      - metric: rowCount
        mustBeGreaterOrEqualTo: 200
        severity: error
    properties:
      - name: ordered_at
        logicalType: timestamp
        required: true
      - name: zone
        logicalType: string
        required: true
      - name: weight
        logicalType: number
        required: true
        logicalTypeOptions:
          minimum: 0
          maximum: 1000
      - name: stops
        logicalType: integer
        required: true
        logicalTypeOptions:
          minimum: 0
          maximum: 100
      - name: late
        logicalType: boolean
        quality:
          - metric: nullValues
            mustBeLessThan: 20
            unit: percent
            severity: error
      - name: arrived_at
        logicalType: timestamp
"""

Row = dict[str, str]


def rows(n: int = ROWS) -> list[Row]:
    """`n` parcels in the order of their times; lateness follows from weight, stops and zone."""
    chance = random.Random(7)
    made = []
    for number in range(n):
        day, place = divmod(number, DAY_ROWS)
        ordered = BEGIN + timedelta(days=day, minutes=20 * place)
        zone, weight, stops = chance.choice(("north", "south", "hill")), chance.uniform(0.1, 30), chance.randint(1, 20)
        risk = 0.05 + 0.02 * weight + 0.005 * stops + (0.25 if zone == "hill" else 0.0)
        made.append(
            {
                "ordered_at": ordered.isoformat(),
                "zone": zone,
                "weight": f"{weight:.2f}",
                "stops": str(stops),
                "late": "true" if chance.random() < risk else "false",
                "arrived_at": (ordered + timedelta(hours=chance.randint(2, 20))).isoformat(),
            }
        )
    return made


def write_csv(path: Path, table: list[Row], *, header: tuple[str, ...] = HEADER) -> None:
    """`table` as a CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([row[name] for name in HEADER] for row in table)


def make(folder: Path) -> Path:
    """The system's files in `folder`, and no state."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kring.toml").write_text(KRING)
    (folder / "contract.odcs.yaml").write_text(CONTRACT)
    (folder / "models.py").write_text(MODELS)
    write_csv(folder / "feed.csv", rows())
    return folder


def with_own(folder: Path, code: str = MODELS, *, timeout: str = "60s", memory_mb: int = 2048) -> None:
    """Add a candidate of one's own to the system in `folder`."""
    config = folder / "kring.toml"
    config.write_text(KRING.replace("[gate]", OWN.format(timeout=timeout, memory_mb=memory_mb) + "\n[gate]"))
    (folder / "models.py").write_text(code)
