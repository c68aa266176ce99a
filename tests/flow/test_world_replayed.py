"""Public data through `kring replay`: what changed in them leads to alarms with their evidence; shuffled, to none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from systems import contract, field, kring

START: Final = datetime(1996, 5, 7, tzinfo=UTC)
INPUTS: Final = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
BEGAN: Final = ("vicprice", "vicdemand", "transfer")
"""What was not reported before May 1997, but stood still."""

CONFIG: Final = """[system]
name = "power"
goal = "Say whether the price goes up"
task = "classification"
owner = "Trading"

[frame]
decision = "buy now or wait"

[data]
source = "feed.parquet"
contract = "contract.odcs.yaml"
target = "class"
positive = "UP"
time = "at"
outcome_after = "30m"
split = { by = "time", test = "30d" }

[[candidate]]
name = "prior"
baseline = true
builtin = "prior"

[[candidate]]
name = "boosted"
builtin = "boosted"
params = { max_iter = 20 }

[gate]
min_rows = 50
"lift_over_baseline.roc_auc" = "> 0"

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

[prepare]
"""


def write_power(folder: Path, rows: pl.DataFrame) -> Path:
    """Half-hours of two electricity markets, in the order that `rows` have."""
    folder.mkdir()
    at = pl.Series([START + timedelta(minutes=30 * number) for number in range(rows.height)])
    up = pl.when(pl.col("class") == 1).then(pl.lit("UP")).otherwise(pl.lit("DOWN"))
    rows.with_columns(up.alias("class"), at.cast(pl.Datetime("us", "UTC")).alias("at")).write_parquet(
        folder / "feed.parquet"
    )
    target = field("class", "string", required=False, more="logicalTypeOptions:\n  pattern: ^(UP|DOWN)$", role="target")
    fields = [field("at", "timestamp", role="time"), *(field(name, "number") for name in INPUTS), target]
    (folder / "contract.odcs.yaml").write_text(contract("power", "\n".join(fields)))
    (folder / "kring.toml").write_text(CONFIG + "".join(f'{name} = "{name}"\n' for name in INPUTS))
    return folder


@pytest.fixture(scope="module")
def rows(shared: Path) -> pl.DataFrame:
    return pl.read_csv(shared / "data" / "elec2" / "elec.csv").drop("period")[:23_000]


def alarms(folder: Path, *, end: str) -> list[dict[str, Any]]:
    """What rings after a replay from December 1996 on."""
    home = folder / "home"
    told = kring("replay", folder, "--from", "1996-12-01", "--to", end, "--home", home, "--json")
    assert told.code == 0, told.err + told.out
    rung = kring("alarms", folder, "--home", home, "--json")
    assert rung.code == 0, rung.err
    return list(rung.json["alarms"])


def drifted(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["feature"]: one for one in found if one["kind"] == "drift"}


def test_a_market_that_begins_to_report_is_told_within_two_weeks(tmp_path: Path, rows: pl.DataFrame) -> None:
    """By name, with the week in which it began, how sure that is, and on how many rows."""
    found = drifted(alarms(write_power(tmp_path / "power", rows), end="1997-06-01"))
    assert {*BEGAN, "nswprice"} <= set(found)
    for name in BEGAN:
        since = datetime.fromisoformat(found[name]["since"])
        assert datetime(1997, 4, 24, tzinfo=UTC) <= since <= datetime(1997, 5, 8, tzinfo=UTC)
        assert "where 0.0% were expected" in found[name]["what"]
        assert found[name]["sure"].startswith("e-value")
        assert found[name]["low"] > 0.5
        assert found[name]["rows"] > 300


def in_any_order(folder: Path, rows: pl.DataFrame, *, seed: int, end: str) -> None:
    """The same rows shuffled by a seed: one in twenty may ring falsely within 1,000 windows; of these none does."""
    order = np.random.default_rng(seed).permutation(rows.height)
    assert drifted(alarms(write_power(folder, rows[order]), end=end)) == {}, f"seed {seed}"


def test_in_any_order_nothing_drifts(tmp_path: Path, rows: pl.DataFrame) -> None:
    in_any_order(tmp_path / "power", rows, seed=1, end="1997-02-15")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 7))
def test_in_any_order_nothing_drifts_for_long(tmp_path: Path, rows: pl.DataFrame, seed: int) -> None:
    in_any_order(tmp_path / "power", rows, seed=seed, end="1997-08-20")
