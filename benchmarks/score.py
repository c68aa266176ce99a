"""How fast a file is scored, against a script by hand that reads, runs the same ONNX graph and writes.

    python benchmarks/score.py                5 million rows, `linear` and `boosted`, Parquet and CSV
    python benchmarks/score.py --rows 500000 --rounds 3

`kring score` types eight columns, holds them to their contract, prepares and decides them, records every decision
durably and writes the columns with decision, probability, version and id. `hand` scans with polars, feeds the columns
to ONNX Runtime with all cores and writes them with decision, probability, an id and the version: no contract, no record
of the decisions, and all rows in memory at once. Both run
in a fresh process, in turn; starting Python is part of both, with modules that are compiled as after an installation.

Prints rows of the table of results: command, date, rate of ours as a share of the other, rows per second and peaks of
memory.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NUMBERS = ("x0", "x1", "x2", "x3", "amount", "count", "age")
NAMES = ("north", "east", "south", "west", "hill")
LEARN = 40_000
PART = 250_000
FORMATS = ("parquet", "csv")
CANDIDATES = ("linear", "boosted")

ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

FIELD = "      - {{name: {name}, logicalType: {kind}}}\n"
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: benchmark
name: benchmark
version: 1.0.0
status: active
schema:
  - name: benchmark
    physicalType: table
    properties:
"""
SYSTEM = """[system]
name = "benchmark"
goal = "Measure"
task = "classification"
owner = "Nobody"

[frame]
decision = "none"
cost = {{ false_positive = 1.0, false_negative = 3.0, currency = "EUR" }}

[data]
source = "feed.parquet"
contract = "contract.odcs.yaml"
target = "late"
outcome_after = "0s"
split = {{ by = "order", test = 0.3 }}

[prepare]
{prepare}

[[candidate]]
name = "prior"
baseline = true
builtin = "prior"

[[candidate]]
name = "{name}"
builtin = "{name}"

[gate]
min_rows = 50
"lift_over_baseline.roc_auc" = "> 0"
"""


def set_up(folder: Path, rows: int) -> None:
    """The files to score, and a released system for each candidate; from a fixed seed."""
    import numpy as np
    import polars as pl

    chance = np.random.default_rng(20_131_101)

    def made(n: int) -> pl.DataFrame:
        columns: dict[str, object] = {f"x{place}": chance.normal(0, 1, n).round(4) for place in range(4)}
        columns["amount"] = chance.exponential(100, n).round(2)
        columns["count"] = chance.integers(0, 1000, n)
        columns["age"] = chance.integers(18, 90, n)
        columns["region"] = chance.choice(NAMES, n)
        return pl.DataFrame(columns)

    parts = pl.concat([made(min(PART, rows - at)) for at in range(0, rows, PART)])
    parts.write_parquet(folder / "in.parquet")
    parts.write_csv(folder / "in.csv")
    feed = made(LEARN)
    score = feed["x0"] - 0.5 * feed["x1"] + 0.004 * (feed["amount"] - 100) + (feed["region"] == "hill") - 0.3
    feed = feed.with_columns(late=pl.Series(chance.random(LEARN) < 1 / (1 + np.exp(-score.to_numpy()))))
    kinds = {name: "integer" if name in ("count", "age") else "number" for name in NUMBERS}
    for name in CANDIDATES:
        system = folder / name
        system.mkdir()
        feed.write_parquet(system / "feed.parquet")
        fields = {**kinds, "region": "string", "late": "boolean"}
        lines = "".join(FIELD.format(name=field, kind=kind) for field, kind in fields.items())
        (system / "contract.odcs.yaml").write_text(CONTRACT + lines)
        prepare = "\n".join(f'{field} = "{field}"' for field in (*NUMBERS, "region"))
        (system / "kring.toml").write_text(SYSTEM.format(prepare=prepare, name=name))
        kring = [sys.executable, "-m", "kring"]
        subprocess.run([*kring, "go", str(system)], check=True, capture_output=True, env=ENVIRON)
        first = [*kring, "score", str(system / "feed.parquet"), str(system), "--out", str(folder / "first.csv")]
        subprocess.run([*first, "--force"], check=True, capture_output=True, env=ENVIRON)


def by_hand(folder: Path, name: str, format: str) -> None:
    """What somebody would write for this one model. Imports stand inside: only this process pays for them."""
    import numpy as np
    import onnxruntime
    import polars as pl

    (model,) = (folder / name / ".kring" / "versions").glob("v_*/links/*.onnx")
    session = onnxruntime.InferenceSession(str(model))
    path = str(folder / f"in.{format}")
    frame = (pl.scan_parquet(path) if format == "parquet" else pl.scan_csv(path)).collect()
    probability = np.empty(frame.height)
    for at in range(0, frame.height, PART):
        part = frame[at : at + PART]
        feed = {}
        for node in session.get_inputs():
            column = part[node.name].to_numpy()
            feed[node.name] = (column.astype(np.float32) if "float" in node.type else column).reshape(-1, 1)
        probability[at : at + PART] = session.run(["probability"], feed)[0].reshape(-1)
    frame = frame.with_columns(
        decision=pl.when(pl.Series(probability) >= 0.25).then(pl.lit("true")).otherwise(pl.lit("false")),
        probability=pl.Series(probability),
        id=pl.format("{}-{}", pl.lit("2026-11-22T06:00:00Z"), pl.int_range(pl.len())),
        version=pl.lit("2026-11-20-linear-3"),
    )
    getattr(frame, f"write_{format}")(folder / f"hand.{format}")


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak megabytes of one fresh process."""
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, *command], ENVIRON)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compared(folder: Path, name: str, format: str, *, rounds: int) -> list[list[float]]:
    """The medians of ours and of the other's seconds, CPU seconds and megabytes."""
    order = [str(folder / f"in.{format}"), str(folder / name), "--out", str(folder / f"out.{format}"), "--force"]
    hand = [__file__, "--hand", str(folder), name, format]
    quiet = ["-c", "import sys; from kring.cli.app import run; sys.stderr = open('/dev/null', 'w'); "]
    quiet[1] += "sys.stdout = open('/dev/null', 'w'); sys.exit(run(sys.argv[1:]))"
    found = [(measured([*quiet, "score", *order]), measured(hand)) for _ in range(rounds)]
    return [[statistics.median(one[side][what] for one in found) for what in range(3)] for side in (0, 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--hand", nargs=3)
    given = parser.parse_args()
    if given.hand:
        by_hand(Path(given.hand[0]), *given.hand[1:])
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if not os.fork():  # its memory does not count as the children's
            set_up(folder, given.rows)
            os._exit(0)
        if os.wait()[1]:
            sys.exit("the set-up failed")
        for name in CANDIDATES:
            for format in FORMATS:
                ours, hand = compared(folder, name, format, rounds=given.rounds)
                print(
                    f"| `python benchmarks/score.py`, {given.rows:,} rows, {name}, {format} | {datetime.date.today()} "
                    f"| {hand[0] / ours[0]:.0%} of the rate of read + ONNX Runtime + write "
                    f"({hand[1] / ours[1]:.0%} by CPU time) "
                    f"| {given.rows / ours[0]:,.0f} rows/s; {ours[2]:,.0f} MB against {hand[2]:,.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
