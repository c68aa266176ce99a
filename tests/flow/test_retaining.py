"""Decisions are kept as long as the system says and no longer; what is left stays whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kring.errors import NotFound
from kring.flow import adapters, history
from kring.flow.compacting import TABLES, compact
from kring.flow.explaining import explain
from kring.flow.project import Project, open_project
from kring.flow.retaining import retain
from kring.flow.serving.upkeep import remember_sealed
from kring.flow.status import status
from kring.flow.tracing import trace
from kring.flow.viewing.decisions import decision_view
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids, decision_place, decision_raw
from kring.record.compaction import Dropped
from kring.record.event import Segment
from kring.testing.decision_log import START, decisions
from systems import DAY, write_loans

SYSTEM = "loans"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Segments of four days, one a day, and three days for which decisions are kept."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(f"os.{name}", lambda descriptor: None)
    folder = write_loans(tmp_path / "loans")
    file = folder / "kring.toml"
    file.write_text(file.read_text() + '\n[govern]\nretention = "3d"\n')
    project = open_project(folder)
    for day in range(4):
        record(project, START + day * DAY)
    compact(project, now=START)
    return project


def record(project: Project, at: int) -> str:
    log = adapters.free_writer(project.home.log, files=project.files, system=SYSTEM)
    id = decision_ids(log.append(msgspec.structs.replace(decisions(3, at=at), system=SYSTEM)), 3)[0]
    with project.ledger() as ledger:
        known = {one.id for one in history.all_of(ledger, Segment)}
        new = [one for one in log.seal() if one.id not in known]
        ledger.append([history.entry(one, id=one.id, actor="test", at=at) for one in new])
    log.close()
    return id


def ids_in(project: Project) -> list[str]:
    frames = adapters.read_log(project.home.log, system=SYSTEM).read()
    return [id for one in frames for id in decision_ids(one.place, 3)]


def in_table(project: Project) -> list[str]:
    return pl.read_delta(str(project.home.root / TABLES / "decisions")).sort("at", "id")["id"].to_list()


def test_what_is_too_old_goes_from_log_and_tables(project: Project) -> None:
    before = ids_in(project)
    assert retain(project, now=START + 3 * DAY) == ()
    done = retain(project, now=START + 4 * DAY + 1)
    assert [one.segment for one in done] == ["0-1", "0-2"]
    assert ids_in(project) == in_table(project) == before[6:]
    assert retain(project, now=START + 4 * DAY + 1) == ()
    assert compact(project, now=START) == ()
    with pytest.raises(NotFound):
        adapters.read_log(project.home.log, system=SYSTEM).find(before[0])
    assert status(project, verify=True).events
    parts = [path.parent.name for path in (project.home.root / TABLES / "decisions").rglob("*.parquet")]
    assert sorted(parts) == ["segment=0-3", "segment=0-4"]


@pytest.mark.parametrize("ask", [trace, decision_view, explain])
def test_of_what_was_deleted_it_is_said(project: Project, ask: Callable[[Project, str], object]) -> None:
    before = ids_in(project)
    retain(project, now=START + 4 * DAY + 1)
    with pytest.raises(NotFound) as caught:
        ask(project, before[0])
    assert "loans has deleted this decision" in caught.value.message
    assert caught.value.got == f"{before[0]}, made 2023-11-14 22:13 UTC"
    place = decision_place(decision_raw(before[0]))
    for other in (
        msgspec.structs.replace(place, at_ms=place.at_ms + 1),  # no decision of that segment
        msgspec.structs.replace(place, segment=9),  # there is no such segment
        msgspec.structs.replace(decision_place(decision_raw(before[6])), sequence=9),  # it was never given out
    ):
        with pytest.raises(NotFound, match="not in the log"):
            ask(project, decision_ids(other, 1)[0])


def test_no_id_is_given_out_again_when_all_is_gone(project: Project) -> None:
    before = ids_in(project)
    assert len(retain(project, now=START + 30 * DAY)) == 4
    assert ids_in(project) == []
    id = record(project, START + 31 * DAY)
    assert decision_place(decision_raw(id)).segment == 5
    assert ids_in(project)[0] == id not in before
    assert len(compact(project, now=START)) == 1


def test_without_a_limit_everything_stays(project: Project) -> None:
    govern = msgspec.structs.replace(project.system.govern, retention_us=0)
    free = replace(project, system=msgspec.structs.replace(project.system, govern=govern))
    assert retain(free, now=START + 1000 * DAY) == ()
    assert len(ids_in(project)) == 12


def operations() -> Iterator[int]:
    yield from range(1, 60)


def test_a_process_that_dies_anywhere_is_followed_by_one_that_ends_it(project: Project, tmp_path: Path) -> None:
    before = ids_in(project)
    for nth in operations():
        copy = open_project(Path(shutil.copytree(project.folder, tmp_path / f"copy{nth}")))
        now = START + 4 * DAY + 1
        ended = True
        try:
            retain(replace(copy, files=FaultyFiles(LocalFiles(), Plan(nth, crash=True))), now=now)
        except Crash:
            ended = False
            retain(copy, now=now)
        assert ids_in(copy) == in_table(copy) == before[6:]
        with copy.ledger() as ledger:
            assert [one.segment for one in history.all_of(ledger, Dropped)] == ["0-1", "0-2"]
        assert status(copy, verify=True).verified
        if ended:
            assert nth > 2
            return
    pytest.fail("retaining has no end")


def test_nothing_lies_in_an_open_segment_longer_than_it_is_kept(project: Project) -> None:
    """One process that records little and never ends."""
    log = adapters.free_writer(project.home.log, files=project.files, system=SYSTEM)
    for hour in range(4 * 24, 13 * 24):
        now = START + hour * DAY // 24
        log.append(msgspec.structs.replace(decisions(1, at=now), system=SYSTEM))
        log.commit()
        if hour % 24 == 23:
            remember_sealed(project, now=now)
            retain(project, now=now)
            kept = [one.record.at for one in adapters.read_log(project.home.log, system=SYSTEM).read()]
            assert now - min(kept) <= 5 * DAY
            needed = range(max(START + 4 * DAY, now - 3 * DAY), now + 1, DAY // 24)
            assert set(needed) <= set(kept)
    log.close()
