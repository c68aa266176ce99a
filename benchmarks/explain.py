"""How long one decision of 30 columns takes to explain, and what the outlier score adds to an answer.

    python benchmarks/explain.py

A system of 24 numbers and 6 texts, with a boosted candidate, as `kring go` makes it. The explanation beside the one by
permutations of the package `shap`, of the same answers, with as many rows asked; then the outlier score of a batch
beside the answers to it. Prints rows for the table of results: command, date, ratio, milliseconds or microseconds.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import shap

from kring.cli.app import run
from kring.decide.outliers import surprise_of
from kring.explain.row import Asked, explain_row
from kring.explain.words import named_columns
from kring.flow.deciding import Opened, open_answerers
from kring.flow.explaining import background_of
from kring.flow.project import Project, open_project
from kring.flow.scoring.score import live_pointer
from kring.metrics.answers import numbers_of
from kring.record.batch import Batch
from kring.record.outliers import Usual
from kring.record.prepare import Prepared

ROWS, NUMBERS, TEXTS, EXPLAINED, TURNS = 6_000, 24, 6, 30, 20
BATCHES = (1, 64, 1024)
COMMAND = "python benchmarks/explain.py"


def feed() -> pl.DataFrame:
    """Outcomes that depend on most columns, and on some of them together."""
    chance = np.random.default_rng(5)
    numbers = chance.normal(size=(ROWS, NUMBERS))
    texts = chance.choice(np.array(list("abcdefgh")), (ROWS, TEXTS))
    score = numbers @ chance.normal(size=NUMBERS) / 2 + numbers[:, 0] * numbers[:, 1] + (texts[:, 0] == "a")
    yes = chance.random(ROWS) < 1 / (1 + np.exp(-score))
    columns = {f"number_{place}": numbers[:, place].round(4) for place in range(NUMBERS)}
    return pl.DataFrame({**columns, **{f"text_{place}": texts[:, place] for place in range(TEXTS)}, "target": yes})


def made(folder: Path) -> Path:
    """The system, live."""
    feed().write_csv(folder / "feed.csv")
    system = folder / "system"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run(["new", str(system), "--from", str(folder / "feed.csv"), "--target", "target"]) == 0
        config = system / "kring.toml"
        text = re.sub("(?m)^calibration_error.*$", "", config.read_text())
        config.write_text(text + '\n[guard]\noutliers = "flag"\n')
        assert run(["check", str(system)]) == 0
        assert run(["train", str(system), "--candidate", "boosted"]) == 0
        assert run(["release", str(system), "--candidate", "boosted", "--because", "measured here"]) == 0
    return system


def seconds(turn: Callable[[], object], turns: int = TURNS) -> float:
    """The median of several turns."""
    found = []
    for _ in range(turns):
        began = time.perf_counter()
        turn()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def encoder(prepared: Batch) -> tuple[np.ndarray, Callable[[np.ndarray], Batch]]:
    """The prepared rows as numbers, which is what the package takes, and the way back."""
    codes = {
        name: sorted({str(one) for one in column})
        for name, column in prepared.columns.items()
        if isinstance(column[0], str)
    }
    columns = [
        np.array([codes[name].index(str(one)) for one in column]) if name in codes else np.asarray(column)
        for name, column in prepared.columns.items()
    ]

    def back(matrix: np.ndarray) -> Batch:
        given = {
            name: np.array(codes[name], dtype=object)[matrix[:, at].astype(int)]
            if name in codes
            else matrix[:, at].astype(np.float32)
            for at, name in enumerate(prepared.columns)
        }
        return Batch(len(matrix), given)

    return np.stack(columns, axis=1).astype(np.float64), back


def row(what: str, ratio: str, beside: str) -> None:
    """One row of the table."""
    print(f"| `{COMMAND}` {what} | {datetime.datetime.now(tz=datetime.UTC).date()} | {ratio} | {beside} |")


def explained(project: Project, opened: Opened, rows: pl.DataFrame, prepared: Batch) -> None:
    """Explanations of some rows, one after the other, beside those of the package."""
    chain, background = opened.answerer, background_of(opened, folder="")
    columns = named_columns(msgspec.json.decode(opened.loaded.files["prepare.json"], type=Prepared), project.contract)
    asked = Asked("d_", "bench", None, columns)
    found = explain_row(chain, background, rows[:1], asked=asked)
    encoded, back = encoder(prepared)
    masker = shap.maskers.Independent(encoded[-background.n :], max_samples=background.n)
    explainer = shap.explainers.Permutation(
        lambda matrix: numbers_of(chain.runtime.answer(back(matrix)), "probability"), masker
    )
    most = 2 * (2 * len(columns) + 1)
    ours, theirs = [], []
    for at in range(EXPLAINED):
        one = slice(at, at + 1)
        ours.append(seconds(lambda one=one: explain_row(chain, background, rows[one], asked=asked), 1))
        theirs.append(seconds(lambda one=one: explainer(encoded[one], max_evals=most, silent=True), 1))
    mine, other = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    slowest = f"the slowest of {EXPLAINED} {max(ours) * 1e3:.0f}"
    beside = f"{mine:.0f} ms against {other:.0f}, {slowest}; {found.asked:,} rows asked"
    row(f"explain {len(columns)} columns", f"{mine / other:.2f}x the package shap", beside)


def scored(opened: Opened, prepared: Batch) -> None:
    """The outlier score of batches, beside the answers to them."""
    usual = surprise_of(msgspec.json.decode(opened.loaded.files["outliers.json"], type=Usual))
    for size in BATCHES:
        batch = Batch(size, {name: column[:size] for name, column in prepared.columns.items()})
        score = seconds(lambda batch=batch: usual(batch), 200)
        answers = seconds(lambda batch=batch: opened.answerer.runtime.answer(batch), 200)
        beside = f"{score / size * 1e6:.1f} µs a row against {answers / size * 1e6:.1f}"
        row(f"outlier score, {size} rows", f"{score / answers:.2f}x the answers", beside)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        project = open_project(made(Path(place)))
        opened = open_answerers(project, live_pointer(project).live)
        rows = feed().drop("target").tail(max(BATCHES))
        prepared = opened.answerer.prepare(rows)
        explained(project, opened, rows, prepared)
        scored(opened, prepared)


if __name__ == "__main__":
    main()
