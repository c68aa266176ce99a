"""The sealed log as Delta tables: whole, once, whatever dies on the way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from kring.errors import Busy, IntegrityError
from kring.flow import adapters, history
from kring.flow.compacting import TABLES, compact
from kring.flow.project import Project, open_project
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_bytes, decision_id, decision_ids
from kring.record.compaction import Compacted
from kring.record.decision import Decisions, Outcomes
from kring.record.event import Segment
from kring.testing.decision_log import START
from systems import write_loans

SYSTEM = "loans"


def decided(n: int, at: int) -> Decisions:
    return Decisions(
        system=SYSTEM,
        version="v_1",
        answered_by="v_1",
        arm="live",
        kind="online",
        at=at,
        n=n,
        inputs={"row": [*range(n)], "region": ["north", None, *["Zoë"] * n][:n]},
        outputs={"probability": [0.5] * n},
        latency_us=7,
        cost=0.5 * n,
        guards={0: ["range"]},
        subjects=[f"t_{row}" for row in range(n)],
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(f"os.{name}", lambda descriptor: None)
    project = open_project(write_loans(tmp_path / "loans"))
    for turn in range(2):
        record(project, turn)
    return project


def record(project: Project, turn: int) -> None:
    """A sealed segment with decisions and outcomes, on the ledger."""
    log = adapters.free_writer(project.home.log, files=project.files, system=SYSTEM)
    for number in range(3):
        at = START + turn * 1_000_000 + number
        place = log.append(decided(4, at))
        log.append(Outcomes(system=SYSTEM, at=at + 9, ids=[decision_bytes(place)], values=[number % 2 == 0]))
    with project.ledger() as ledger:
        known = {one.id for one in history.all_of(ledger, Segment)}
        new = [one for one in log.seal() if one.id not in known]
        ledger.append([history.entry(one, id=one.id, actor="test", at=START) for one in new])
    log.close()


def table(project: Project, name: str) -> pl.DataFrame:
    return pl.read_delta(str(project.home.root / TABLES / name)).sort("at", "id")


def check_whole(project: Project) -> None:
    frames = list(adapters.read_log(project.home.log, system=SYSTEM).read())
    ids = [id for one in frames if isinstance(one.record, Decisions) for id in decision_ids(one.place, one.record.n)]
    assert table(project, "decisions")["id"].to_list() == ids
    said = [one.record for one in frames if isinstance(one.record, Outcomes)]
    assert table(project, "outcomes")["id"].to_list() == [decision_id(one.ids[0]) for one in said]
    with project.ledger() as ledger:
        noted = [one.segment for one in history.all_of(ledger, Compacted)]
    assert len(noted) == len(set(noted)) == len({one.place.segment for one in frames})


def test_every_sealed_row_is_in_the_tables_once(project: Project) -> None:
    done = compact(project, now=START + 5)
    assert [(one.segment, one.decisions, one.outcomes) for one in done] == [("0-1", 12, 3), ("0-2", 12, 3)]
    check_whole(project)
    row = table(project, "decisions").row(2, named=True)
    assert json.loads(row["inputs"]) == {"row": 2, "region": "Zoë"}
    assert (row["subject"], row["version"], row["segment"]) == ("t_2", "v_1", "0-1")
    assert (row["latency_us"], row["cost"]) == (7, 0.5)
    assert compact(project, now=START + 6) == ()
    record(project, 2)
    assert [one.segment for one in compact(project, now=START + 7)] == ["0-3"]
    check_whole(project)


def test_a_table_of_before_gains_what_it_lacks(project: Project) -> None:
    """One that was made when nothing said what a decision costs."""
    [first, *_] = compact(project, now=START + 5)
    path = project.home.root / TABLES / "decisions"
    older = pl.read_delta(str(path)).filter(pl.col("segment") == first.segment).drop("cost")
    shutil.rmtree(path)
    older.write_delta(str(path), delta_write_options={"partition_by": ["segment"]})
    record(project, 2)
    compact(project, now=START + 7)
    costs = table(project, "decisions").group_by("segment").agg(pl.col("cost").unique()).sort("segment")
    assert costs.rows() == [("0-1", [None]), ("0-3", [0.5])]


def operations() -> Iterator[int]:
    yield from range(1, 60)


def test_a_process_that_dies_anywhere_is_followed_by_one_that_ends_it(project: Project, tmp_path: Path) -> None:
    for nth in operations():
        folder = Path(shutil.copytree(project.folder, tmp_path / f"copy{nth}"))
        copy = open_project(folder)
        try:
            compact(replace(copy, files=FaultyFiles(LocalFiles(), Plan(nth, crash=True))), now=START)
        except Crash:
            compact(copy, now=START)
            check_whole(copy)
            shutil.rmtree(folder)
        else:
            check_whole(copy)
            assert nth > 6
            return
    pytest.fail("compacting has no end")


def test_rows_that_were_put_and_not_noted_are_put_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*some: object, **more: object) -> None:
        raise Crash(f"{len(some) + len(more)}")

    with monkeypatch.context() as patched:
        patched.setattr("kring.flow.compacting.history.entry", dies)
        with pytest.raises(Crash):
            compact(project, now=START)
    assert table(project, "decisions").height == 12
    compact(project, now=START)
    check_whole(project)


def test_a_damaged_segment_does_not_reach_the_tables(project: Project) -> None:
    path = project.home.log / "0-1.log"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="0-1"):
        compact(project, now=START)
    assert not (project.home.root / TABLES / "decisions").exists()


def test_one_process_at_a_time(project: Project) -> None:
    held = project.files.append(project.home.root / TABLES / ".lock")
    with pytest.raises(Busy):
        compact(project, now=START)
    held.close()
    assert len(compact(project, now=START)) == 2
