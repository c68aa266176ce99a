"""What all the evidence about one candidate costs: 1000 draws on 100,000 held-out rows, one group each.

    python benchmarks/evidence.py

Prints a row for the table of results: command, date, the time of everything (metrics, slices, fairness by three
columns, robustness, behaviour tests) over that of the task's own metrics alone, and both in seconds. Fitting is
not part of it. It fails above 15 s.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from kring.experiment.evidence import measure_evidence
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.project import open_project
from kring.flow.training.build import Built, Session, build
from kring.flow.training.material import gather
from kring.flow.training.scrutiny import scrutinised
from kring.record.evidence import Evidence

ROWS = 200_000
LIMIT_S = 15.0
NUMBERS = 12
CATEGORIES = 6
GROUPS = ("north", "east", "south", "west", "centre")

TOML = """
[system]
name = "many"
goal = "Know what evidence costs"
task = "classification"
owner = "Benchmarks"

[frame]
decision = "yes or no"

[data]
source = "feed.parquet"
contract = "contract.odcs.yaml"
target = "outcome"
outcome_after = "0s"
protected = ["c0", "c1", "x0"]
split = { by = "order", test = 0.5 }

[prepare]
%s

[[candidate]]
name = "prior"
baseline = true
builtin = "prior"

[[candidate]]
name = "boosted"
builtin = "boosted"

[evidence]
behaviours = "behaviours.toml"
[evidence.slices]
high = "x0 > 1 and c0 == 'north'"
low = "x1 < -1"
"""

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: many
version: 1.0.0
status: active
schema:
  - name: many
    properties:
%s
"""

BEHAVIOURS = """
[[invariance]]
name = "the place does not decide"
change = "c5"
to = ["north", "south"]

[[direction]]
name = "more is not less"
change = "x0"
by = 1
output = "not lower"
"""


def written(folder: Path) -> Path:
    """The system with its feed."""
    chance = np.random.default_rng(0)
    numbers = {f"x{number}": chance.normal(size=ROWS) for number in range(NUMBERS)}
    texts = {f"c{number}": chance.choice(GROUPS, ROWS) for number in range(CATEGORIES)}
    score = numbers["x0"] + 0.5 * numbers["x1"] + (texts["c0"] == "north")
    outcome = chance.random(ROWS) < 1 / (1 + np.exp(-score))
    pl.DataFrame({**numbers, **texts, "outcome": outcome}).write_parquet(folder / "feed.parquet")
    names = [*numbers, *texts]
    fields = [(name, "number") for name in numbers] + [(name, "string") for name in texts] + [("outcome", "boolean")]
    (folder / "kring.toml").write_text(TOML % "\n".join(f'{name} = "{name}"' for name in names))
    lines = "\n".join(f"      - {{name: {name}, logicalType: {kind}}}" for name, kind in fields)
    (folder / "contract.odcs.yaml").write_text(CONTRACT % lines)
    (folder / "behaviours.toml").write_text(BEHAVIOURS)
    return folder


def alone(session: Session, built: Built, baseline: Built) -> Evidence:
    """The task's own metrics."""
    material = session.material
    return measure_evidence(
        session.project.task,
        id="e_benchmark",
        run="r_boosted",
        baseline_run="r_prior",
        candidate="boosted",
        snapshot=session.snapshot.id,
        truth=material.test_truth,
        outputs=built.outputs,
        baseline=baseline.outputs,
        groups=material.groups,
        group_by=material.group_by,
        policy=material.policy,
        latency=None,
        size_bytes=0,
        draws=session.draws,
        seed=session.seed,
        at=0,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        project = open_project(written(Path(name)))
        snapshot = take_snapshot(project, check_feed(project))
        session = Session(project=project, material=gather(project, snapshot), snapshot=snapshot, seed=0, draws=1000)
        prior, boosted = project.system.candidates
        baseline, built = build(session, prior), build(session, boosted)
        began = time.perf_counter()
        evidence = alone(session, built, baseline)
        metrics = time.perf_counter() - began
        scrutinised(session, boosted, built, evidence)
        every = time.perf_counter() - began
    today = datetime.datetime.now(tz=datetime.UTC).date()
    ratio, both = f"{every / metrics:.1f}x the metrics alone", f"{every:.1f} s and {metrics:.1f} s"
    print(f"| `python benchmarks/evidence.py` | {today} | {ratio} | {both} |")
    if every > LIMIT_S:
        sys.exit(f"{every:.1f} s, allowed are {LIMIT_S:g} s")


if __name__ == "__main__":
    main()
