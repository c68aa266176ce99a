"""The Kring systems of this benchmark, made with the ordinary commands.

    python benchmarks/serve/system.py a FOLDER    30 numbers with ranges, the same logistic regression
    python benchmarks/serve/system.py b FOLDER    and an outlier score, and two texts that are personal

Everything that a system does by itself is on: ranges, prepare, route, fallback, policy, record, durability.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from model import FIELDS, REACH, SEED, data, rows
from servers import NoServer

Kind = Literal["a", "b"]
KEY = "key.txt"
"""Beside kring.toml: the key of the benchmark's caller."""

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: benchmark-{name}
name: benchmark {name}
version: 1.0.0
status: active
schema:
  - name: rows
    physicalType: table
    properties:
{fields}      - {{name: yes, logicalType: boolean}}
"""
FIELD = """      - name: {name}
        logicalType: number
        required: true
        logicalTypeOptions: {{minimum: -{reach}, maximum: {reach}}}
"""
PERSONAL = """      - name: {name}
        logicalType: string
        required: true
        classification: restricted
        logicalTypeOptions: {{maxLength: 80}}
        customProperties: [{{property: kring.personal, value: true}}]
"""
SYSTEM = """[system]
name = "{name}"
goal = "Measure"
task = "classification"
owner = "Nobody"

[frame]
decision = "none"
cost = {{ false_positive = 1.0, false_negative = 1.0, currency = "EUR" }}
default = "false"
feedback = "none"

[data]
source = "feed.parquet"
contract = "contract.odcs.yaml"
target = "yes"
outcome_after = "0s"
split = {{ by = "order", test = 0.3 }}

[prepare]
{prepare}

[[candidate]]
name = "prior"
baseline = true
builtin = "prior"

[[candidate]]
name = "regression"
fit = "models.py:regression"

[gate]
min_rows = 50
"lift_over_baseline.roc_auc" = "> 0"

[guard]
out_of_contract = "reject"
{guard}"""
MODELS = '''"""The model that every server of the benchmark answers with."""

from sklearn.linear_model import LogisticRegression


def regression(spec):
    return LogisticRegression(max_iter=500)
'''
TEXTS = ("name", "email")


def make(kind: Kind, folder: Path, *, name: str = "") -> Path:
    """The system, trained and released, in `folder`, which is made. `NoServer` with what Kring said."""
    folder.mkdir(parents=True)
    name = name or f"path-{kind}"
    values, yes = data()
    feed = pl.DataFrame(dict(zip(FIELDS, values.T, strict=True)))
    fields = "".join(FIELD.format(name=field, reach=REACH) for field in FIELDS)
    if kind == "b":
        feed = feed.with_columns(**{text: pl.Series(personal(text, len(feed))) for text in TEXTS})
        fields += "".join(PERSONAL.format(name=text) for text in TEXTS)
    feed.with_columns(yes=pl.Series(yes)).write_parquet(folder / "feed.parquet")
    prepare = "\n".join(f'{field} = "{field}"' for field in FIELDS)
    guard = 'outliers = "flag"\n' if kind == "b" else ""
    (folder / "contract.odcs.yaml").write_text(CONTRACT.format(name=name, fields=fields))
    (folder / "kring.toml").write_text(SYSTEM.format(name=name, prepare=prepare, guard=guard))
    (folder / "models.py").write_text(MODELS)
    told("go", folder)
    secret = json.loads(told("key", "create", folder, "--role", "caller", "--name", "benchmark", "--json"))["secret"]
    (folder / KEY).write_text(secret)
    return folder


def told(*words: object) -> str:
    """What one command of Kring wrote to stdout. `NoServer` when it failed."""
    command = [sys.executable, "-m", "kring", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise NoServer(f"kring {' '.join(map(str, words))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def personal(text: str, count: int) -> list[str]:
    chance = np.random.default_rng([SEED, *text.encode()])
    numbers = chance.integers(0, 10_000_000, count).tolist()
    return [f"person {n}" if text == "name" else f"person.{n}@example.org" for n in numbers]


def personal_rows(count: int) -> list[dict[str, float | str]]:
    """What path B is asked: the rows of the others, with a name and an address."""
    texts = zip(*(personal(text, count) for text in TEXTS), strict=True)
    return [{**row, **dict(zip(TEXTS, pair, strict=True))} for row, pair in zip(rows(count), texts, strict=True)]


def main() -> None:
    kind, folder = sys.argv[1:]
    if kind not in ("a", "b"):
        sys.exit("usage: system.py a|b FOLDER")
    print(make("a" if kind == "a" else "b", Path(folder)))


if __name__ == "__main__":
    main()
