"""From live back to the next version: what is told, and a folder that is a system."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kring.errors import DataError, NotFound
from kring.flow.briefing.brief import brief
from kring.flow.project import open_project
from lives import Lived
from systems import kring, write_loans


def test_live_tells_what_it_saw(lived: Lived, tmp_path: Path) -> None:
    found = brief(lived.project, out=tmp_path / "next")
    assert 0 < found.outcomes < found.decisions
    assert found.compared > 0
    assert found.disagreements
    assert 0 < found.failing <= 20
    assert found.end - found.start == lived.project.system.watch.quality_us
    rows = pl.read_parquet(tmp_path / "next" / "live.parquet")
    assert rows.height == found.decisions
    assert rows["outcome.repaid"].null_count() == found.decisions - found.outcomes
    assert rows["decision_id"].n_unique() == rows.height
    page = (tmp_path / "next" / "brief.md").read_text()
    assert found.version in page


def test_the_next_experiment_begins_in_the_folder(lived: Lived, tmp_path: Path) -> None:
    found = brief(lived.project, out=tmp_path / "next")
    project = open_project(tmp_path / "next")
    assert project.system.data.source == "snapshot.parquet"
    assert project.system.evidence.behaviours == "behaviours.toml"
    checked = kring("check", tmp_path / "next", "--json")
    assert checked.code == 0, checked.err
    told = kring("train", tmp_path / "next", "--json")
    assert told.code == 0, told.err
    assert found.failing > 0


def test_nothing_is_written_over(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="there already"):
        brief(lived.project, out=tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())


def test_without_a_version_there_is_nothing_to_tell(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    with pytest.raises(NotFound, match="no live version"):
        brief(open_project(folder))
    assert kring("brief", folder).code != 0
