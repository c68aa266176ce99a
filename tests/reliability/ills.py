"""Systems whose newest version has one fault for each mood of a row, and is as good as the one before it in every
other; for each thing that a rollout can guard."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl
from released import Released, released

from systems import PRICES, contract, field, kring, prices_feed, write_csv

FINE: Final = 0.0
FAILS: Final = 1.0
"""No answer."""
SLOW: Final = 2.0
UNSURE: Final = 3.0
WRONG: Final = 4.0
"""The opposite."""
LOST: Final = 5.0
"""Nobody answers such a row, whichever version is asked."""
TOO_MUCH: Final = 1.5
"""A demand that breaks the contract."""

SLOW_S: Final = 0.02

CODE: Final = """
import time

import numpy as np

IS_ILL = {is_ill}


def score(columns, files):
    moods = columns["mood"]
    said = 1 / (1 + np.exp(-(4 * columns["demand"] - 3 * columns["transfer"] - 0.5)))
    if IS_ILL:
        time.sleep({slow_s} * bool((moods == 2).any()))
        said = np.where(moods == 1, np.nan, said)
        said = np.where(moods == 3, 0.5, said)
        said = np.where(moods == 4, 1 - said, said)
    return np.where(moods == 5, np.nan, said)
"""

FIELDS: Final = "\n".join(
    [
        field("customer", "string"),
        field("demand", "number", more="logicalTypeOptions:\n  minimum: 0\n  maximum: 1"),
        field("transfer", "number"),
        field("mood", "number"),
        field("class", "string", more="logicalTypeOptions:\n  pattern: ^(UP|DOWN)$", role="target"),
    ]
)

ROLLOUT: Final = """
[policy]
abstain = "probability > 0.49 and probability < 0.51"

[rollout]
min_units = 100
floor = 0.1
label_after = "3s"
{more}

[gate]"""

CANDIDATE: Final = """
[[candidate]]
name = "ill"
code = "ill.py:score"
timeout = "20s"
"""


def write(folder: Path, rollout: str, *, subject: bool = False, feedback: str = "", price: str = "") -> Path:
    """Yes or no in texts, by code that is well, with `rollout` in its table of that name, at that `price`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = PRICES.replace('name = "prices"', f'name = "{folder.name}"').replace('weekday = "weekday"', 'mood = "mood"')
    text = text.replace('builtin = "prior"', 'rule = "0.5 + mood"')
    text = text[: text.index('[[candidate]]\nname = "linear"')] + CANDIDATE + text[text.index("\n[gate]") :]
    text = text.replace("\n[gate]", ROLLOUT.format(more=rollout))
    text = text.replace('target = "class"', 'target = "class"\nsubject = "customer"') if subject else text
    text = (
        text.replace('decision = "buy now or wait"', f'decision = "buy now or wait"\nfeedback = "{feedback}"')
        if feedback
        else text
    )
    (folder / "kring.toml").write_text(f"{text}\n[price]\n{price}\n" if price else text)
    (folder / "contract.odcs.yaml").write_text(contract(folder.name, FIELDS))
    fall_ill(folder, is_ill=False)
    feed = prices_feed(600).drop("weekday")
    mood, who = pl.lit(FINE).alias("mood"), pl.int_range(pl.len()).cast(pl.String).alias("customer")
    write_csv(folder, feed.with_columns(mood, who))
    return folder


def fall_ill(folder: Path, *, is_ill: bool = True) -> None:
    """From the next training on."""
    (folder / "ill.py").write_text(CODE.format(is_ill=is_ill, slow_s=SLOW_S))


def train_at(folder: Path, price: str) -> None:
    """Another training, for which another price holds: the version has it, and nothing that was made before."""
    config = folder / "kring.toml"
    text = config.read_text()
    config.write_text(f"{text[: text.index('[price]')]}[price]\n{price}\n")
    told = kring("train", folder, "--candidate", "ill")
    assert told.code == 0, told.err


def made(folder: Path, rollout: str, **how: str | bool) -> Released:
    """With a version that answers, and a training of one that is ill: `kring release` starts its rollout."""
    system = released(write(folder, rollout, **how), ("go",))
    fall_ill(folder)
    told = kring("train", folder, "--candidate", "ill")
    assert told.code == 0, told.err
    return system


def rows(mood: float, count: int = 100, *, first: int = 0, demand: float | None = None) -> list[dict[str, object]]:
    """Rows in that mood, each of another customer and different for each number."""
    return [
        {
            "customer": f"c{number}",
            "demand": round(0.1 + number % 8000 / 10_000, 4) if demand is None else demand,
            "transfer": 0.25,
            "mood": mood,
        }
        for number in range(first, first + count)
    ]


def truth(row: dict[str, object]) -> str:
    """What the version that is well says of a row."""
    demand, transfer = float(str(row["demand"])), float(str(row["transfer"]))
    return "UP" if 4 * demand - 3 * transfer > 0.5 else "DOWN"
