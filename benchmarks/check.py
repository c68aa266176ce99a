"""What a contract costs: ten checks over 5 million rows and 10 columns, against one hand-written polars scan.

    python benchmarks/check.py            five rounds, both in turn, each in a fresh process
    python benchmarks/check.py --rounds 3

Prints two rows for the table of results: command, date, CPU ratio of the medians, and peak memory. CPU is user
plus system time of the process; the start of Python and the import of polars are part of all. The second row is
the same check by supplier (four of them, one of which breaks a rule and is held back), against that of the whole.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROWS = 5_000_000
PART = 500_000
CODES = "^[A-Z][0-9]{5}$"
NAMES = ("north", "east", "south", "west")
AS_OF = 1_700_000_000_000_000

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: benchmark
version: 1.0.0
status: active
schema:
  - name: measured
    quality:
      - {metric: rowCount, mustBeGreaterOrEqualTo: 1000000}
      - type: custom
        engine: kring
        implementation: {expression: "low <= high"}
    properties:
      - {name: id, logicalType: integer, unique: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: low, logicalType: number, logicalTypeOptions: {minimum: 0, maximum: 1000}}
      - {name: high, logicalType: number}
      - {name: score, logicalType: number, quality: [{metric: nullValues, mustBeLessThan: 5, unit: percent}]}
      - {name: count, logicalType: integer}
      - name: side
        logicalType: string
        quality: [{metric: invalidValues, arguments: {validValues: [north, east, south, west]}, mustBe: 0}]
      - {name: code, logicalType: string, logicalTypeOptions: {pattern: "^[A-Z][0-9]{5}$"}}
      - name: amount
        logicalType: number
        quality:
          - {type: custom, engine: kring, unit: percent, implementation: {metric: zeroValues, mustBeLessThan: 40}}
      - {name: flag, logicalType: boolean}
slaProperties:
  - {property: freshness, element: measured.at, value: 3650, unit: d}
"""


def generate(folder: Path) -> None:
    """Write the feed, in parts, from a fixed seed."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(20_131_101)
    for part in range(ROWS // PART):
        low = random.uniform(0, 500, PART)
        letters = random.integers(65, 91, PART).astype(np.uint8).view("S1").astype("U1")
        digits = random.integers(10_000, 100_000, PART).astype("U5")
        score = random.normal(0, 1, PART)
        frame = pl.DataFrame(
            {
                "id": random.permutation(PART) + part * PART,
                "at": (AS_OF - random.integers(0, 10**14, PART)).astype("datetime64[us]"),
                "low": low,
                "high": low + random.exponential(100, PART),
                "score": pl.Series(score, dtype=pl.Float64).set(pl.Series(score > 2.5), None),
                "count": random.integers(0, 1_000, PART),
                "side": random.choice(NAMES, PART),
                "code": np.strings.add(letters, digits),
                "amount": np.maximum(random.normal(1, 2, PART), 0.0),
                "flag": random.integers(0, 2, PART).astype(bool),
            }
        )
        frame.write_parquet(folder / f"{part}.parquet")


def by_contract(folder: Path, *, contract: str = "contract.yaml", supplier: str = "") -> str:
    """The contract's way. Imports stand inside: neither process pays for the other's."""
    import kring.contracts.odcs
    import kring.data.check
    from kring.sources import file

    promise = kring.contracts.odcs.read(folder / contract)
    feed = file.scan(folder / "*.parquet")
    report = kring.data.check.check(
        feed, promise, source="benchmark", source_digest="", at=AS_OF, as_of=AS_OF, supplier=supplier
    )
    held = [one.name for one in report.suppliers if one.result == "fail"]
    return f"{'pass' if held == ['west'] and report.result == 'warn' else report.result} {report.rows}"


def by_supplier(folder: Path) -> str:
    """The same for each side, of which the west breaks the rule."""
    return by_contract(folder, contract="suppliers.yaml", supplier="side")


def by_hand(folder: Path) -> str:
    """The same ten questions in one scan written for them."""
    import polars as pl

    col = pl.col
    row = (
        pl.scan_parquet(folder / "*.parquet")
        .select(
            rows=pl.len(),
            expression=(col("low") > col("high")).sum(),
            repeated=pl.len() - col("id").n_unique(),
            required=col("at").null_count(),
            range_low=((col("low") < 0) | (col("low") > 1000)).sum(),
            nulls=col("score").null_count(),
            allowed=col("side").is_in(NAMES).not_().sum(),
            pattern=col("code").str.contains(CODES).not_().sum(),
            zeros=(col("amount") == 0).sum(),
            newest=col("at").max(),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    bad = row["expression"] + row["repeated"] + row["required"] + row["range_low"] + row["allowed"]
    ok = not (bad + row["pattern"]) and row["nulls"] < 0.05 * row["rows"] and row["zeros"] < 0.4 * row["rows"]
    return f"{'pass' if ok else 'fail'} {row['rows']}"


def measured(way: str, folder: Path) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one fresh process."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    child = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{way} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU and memory of a contract check against one hand-written scan")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=("contract", "hand", "supplier"))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.way:
        found = {"contract": by_contract, "hand": by_hand, "supplier": by_supplier}[given.way](given.folder)
        if found != f"pass {ROWS}":
            raise SystemExit(found)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "contract.yaml").write_text(CONTRACT)
        (folder / "suppliers.yaml").write_text(CONTRACT.replace("low <= high", "side != 'west' or low > high"))
        if not os.fork():  # its memory does not count as the children's
            generate(folder)
            os._exit(0)
        os.wait()
        ways = ("contract", "hand", "supplier")
        rounds = [tuple(measured(way, folder) for way in ways) for _ in range(given.rounds)]
    sides = [[one[place] for one in rounds] for place in range(len(ways))]
    cpu = [statistics.median(seconds for seconds, _ in side) for side in sides]
    peak = [statistics.median(megabytes for _, megabytes in side) for side in sides]
    for way, seconds, megabytes in zip(ways, cpu, peak, strict=True):
        print(f"{way} {seconds:.2f} CPU s, {megabytes:.0f} MB", file=sys.stderr)
    command = f"python benchmarks/check.py --rounds {given.rounds}"
    today = datetime.date.today()
    print(f"| `{command}` | {today} | {cpu[0] / cpu[1]:.2f}x one hand-written scan | {peak[0]:.0f} MB |")
    print(f"| `{command}`, by supplier | {today} | {cpu[2] / cpu[0]:.2f}x the check of the whole | {peak[2]:.0f} MB |")


if __name__ == "__main__":
    main()
