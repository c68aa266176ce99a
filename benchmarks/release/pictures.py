"""Draws the pictures of docs/guarantees.md from seeded rollouts, judged by the formulas that ship.

python benchmarks/release/pictures.py
"""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
from detection import by_others
from false_rollbacks import ALPHA, of_others
from numpy.typing import NDArray
from promotion import RULES
from simulated import Logs, Stream, drawing, walked
from told import SEED

from kring.charts.evidence import Rule, Track, evidence, two_kinds_of_error
from kring.charts.render import svg
from kring.charts.theme import PAPER, Spec
from kring.metrics.e_values import HARM, SAFE_WEIGHTS, mixed, safe

FOLDER = Path(__file__).parents[2] / "docs" / "images"
ROLLOUTS, POINTS, SHARE = 60, 90, 0.2
LINE = 1 / ALPHA


def many(generator: np.random.Generator, *, batches: int, new_rate: float, title: str) -> Spec:
    """Sixty rollouts side by side, until they end."""
    stream = drawing(generator, batches=batches, share=SHARE, new_rate=new_rate, old_rate=0.01)(ROLLOUTS)
    paths = Logs(HARM).path(stream)
    tracks = [_track(str(run), path, step=max(1, batches // POINTS)) for run, path in enumerate(paths)]
    tracks.sort(key=lambda track: track.series != KEPT)
    return evidence(tracks, line=LINE, words="rolled back here", title=title)


KEPT, OUT = "goes on", "rolled back"


def _track(name: str, path: NDArray[np.float64], *, step: int) -> Track:
    over = np.flatnonzero(path >= log(LINE))
    end = int(over[0]) if over.size else len(path) - 1
    places = [*range(0, end, step), end]
    return Track(name, OUT if over.size else KEPT, [((at + 1) * 100.0, float(path[at])) for at in places])


def one_walk(generator: np.random.Generator) -> Spec:
    """An equal version from 1 % to full traffic: the proof of each step."""
    told: list[tuple[Stream, int]] = []
    walked(generator, RULES, runs=1, rates=(0.01, 0.01), most=3000, told=lambda s, at: told.append((s, int(at[0]))))
    told = [each for each in told if each[1] > 0]
    stream = Stream(*(np.concatenate([each[0][table] for each in told], axis=1) for table in range(4)))
    proofs = {
        margin: mixed(np.cumsum(Logs(safe(margin)).of(stream)[0], axis=0), SAFE_WEIGHTS) for margin in RULES.margins
    }
    tracks, marks = [], {}
    for step, margin in zip(RULES.steps, RULES.margins, strict=True):
        batches = [at for at, each in enumerate(told) if each[1] == step]
        if not batches:
            continue
        marks[f"{step} %"] = batches[0] * 100.0
        if step > 1:
            points = [((at + 1) * 100.0, float(proofs[margin][at])) for at in [*batches[::5], batches[-1]]]
            tracks.append(Track(f"{step}", f"less than {margin:g} times as bad", points))
    title = "One version on its way: what has to be proven gets stricter as it gets more traffic"
    return evidence(tracks, line=1 / RULES.beta, words="proven", marks=marks, title=title)


WORDS = {
    "Kring": "Kring",
    "1.2x the live rate, window 5000": "1.2 times the old one's errors, once",
    "repeated z-test": "a significance test, repeated",
    "Mann-Whitney": "comparing intervals (Mann-Whitney)",
    "mSPRT, pooled variance": "mixture test, approximate",
    "asymptotic confidence sequence": "confidence sequence, approximate",
}


def rules() -> Spec:
    """How often each rule rolls back a version that is no worse, and one that has a third more errors."""
    accused = {each.name: each.value for each in of_others(1000, 1000)}
    found = {each.name: each.value for each in by_others(runs=1000)}
    return two_kinds_of_error(
        [
            Rule(
                words,
                accused[f"rolled back by {name}, no difference, share 20%"],
                found[f"rolled back by {name}, 1 → 1.3 %, share 20%"],
            )
            for name, words in WORDS.items()
        ],
        limit=ALPHA,
        words="what Kring promises",
        titles=("rolls back a version that is no worse", "rolls back one with a third more errors"),
    )


def main() -> None:
    generator = np.random.default_rng(SEED + 50)
    pictures = {
        "guarantees-equal": many(
            generator, batches=1000, new_rate=0.01, title="Sixty rollouts of a version that is no worse"
        ),
        "guarantees-worse": many(
            generator, batches=150, new_rate=0.02, title="Sixty rollouts of a version with twice as many errors"
        ),
        "guarantees-proof": one_walk(generator),
        "guarantees-rules": rules(),
    }
    for name, spec in pictures.items():
        text = svg(spec | {"background": PAPER, "padding": 14}, prefix=name)
        (FOLDER / f"{name}.svg").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
