"""A version that does what its row says: answers, fails, hangs, dies, says what is no answer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from systems import PRICES, contract, field, prices_feed, write_csv

FINE: Final = 0.0
RAISES: Final = 1.0
SAYS_NAN: Final = 2.0
SAYS_INFINITY: Final = 3.0
SAYS_TOO_MUCH: Final = 4.0
WRONG_SHAPE: Final = 5.0
WRONG_KIND: Final = 6.0
SAYS_NOTHING: Final = 7.0
HANGS: Final = 8.0
HOLDS_THE_LOCK: Final = 9.0
DIES: Final = 10.0
EXITS: Final = 11.0
LEAKS: Final = 12.0
BY_CHANCE: Final = 13.0
TAKES_ITS_TIME: Final = 20.0
"""And so many milliseconds as the mood is above it."""

MOODY: Final = """
import ctypes
import os
import time

import numpy as np

kept = []


def act(mood):
    if mood == 1:
        raise RuntimeError("in no mood to answer")
    if mood == 8:
        time.sleep(1000)
    if mood == 9:
        sum(range(10**12))
    if mood == 10:
        ctypes.string_at(0)
    if mood == 11:
        os._exit(7)
    if mood == 12:
        kept.append(bytearray(b"x" * 1_000_000))
    if mood > 20:
        time.sleep((mood - 20) / 1000)


def score(columns, files):
    moods = columns["mood"]
    for mood in moods.tolist():
        act(mood)
    said = 1 / (1 + np.exp(-(4 * columns["demand"] - 3 * columns["transfer"] - 0.5)))
    said = np.where(moods == 2, np.nan, said)
    said = np.where(moods == 3, np.inf, said)
    said = np.where(moods == 4, 7.5, said)
    said = np.where(moods == 13, np.random.default_rng().random(len(said)), said)
    if (moods == 5).any():
        return said[:-1]
    if (moods == 6).any():
        return ["yes"] * len(said)
    if (moods == 7).any():
        return None
    return said
"""

FIELDS: Final = "\n".join(
    [
        field("demand", "number"),
        field("transfer", "number"),
        field("mood", "number"),
        field("class", "string", more="logicalTypeOptions:\n  pattern: ^(UP|DOWN)$", role="target"),
    ]
)

CANDIDATE: Final = """
[[candidate]]
name = "moody"
code = "moody.py:score"
timeout = "20s"

[guard]
timeout_ms = 500

[gate]"""


def write_moody(folder: Path) -> Path:
    """Yes or no in texts, by code, with half a second for each answer and no default."""
    folder.mkdir(parents=True, exist_ok=True)
    text = PRICES.replace('name = "prices"', 'name = "moody"').replace('weekday = "weekday"', 'mood = "mood"')
    (folder / "kring.toml").write_text(text.replace("\n[gate]", CANDIDATE))
    (folder / "contract.odcs.yaml").write_text(contract("moody", FIELDS))
    (folder / "moody.py").write_text(MOODY)
    write_csv(folder, prices_feed().drop("weekday").with_columns(pl.lit(FINE).alias("mood")))
    return folder


def row(mood: float, number: int = 0) -> dict[str, float]:
    """A row in that mood, different for each number."""
    return {"demand": round(0.1 + number % 8000 / 10_000, 4), "transfer": 0.25, "mood": mood}
