"""A scoring that is killed hands out nothing, and the log stays whole."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import polars as pl
import pytest
from commands import Spawned, kring

from kring.flow import adapters
from kring.flow.project import open_project

COPIES = 300


@pytest.fixture
def many(released: Path, tmp_path: Path) -> Path:
    """A file that takes a while."""
    feed = pl.read_csv(released / "feed.csv", infer_schema=False).drop("late", "arrived_at")
    pl.concat([feed] * COPIES).write_csv(tmp_path / "many.csv")
    return tmp_path / "many.csv"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_scoring_that_is_ended_hands_out_nothing(released: Path, many: Path, tmp_path: Path, number: int) -> None:
    out, system = tmp_path / "out.csv", open_project(released).system.name
    log = adapters.read_log(released / ".kring" / "log", system=system)
    spawned = Spawned(["score", str(many), str(released), "--out", str(out)], tmp_path / "said")
    until = time.monotonic() + 60
    while next(log.read(), None) is None and time.monotonic() < until:
        time.sleep(0.01)
    spawned.signal(number)
    code = spawned.ended()
    assert code in (-number, 130, 0)
    if code:
        assert not out.exists()
    found = [one.record for one in log.read()]
    assert found
    again = kring("score", many, released, "--out", out, "--force")
    assert again.exit == 0, again
    assert again.object["scored"]["rows"] == 1500 * COPIES
    assert not out.with_name(".out.csv.part").exists()
    last = again.object["scored"]["last_id"]
    assert [node["kind"] for node in kring("trace", last, released).object["nodes"]][:2] == ["decision", "batch"]
