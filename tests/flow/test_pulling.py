"""A rollback that the ledger can't be told of: one file holds whatever becomes of the ledger, which hears later."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kring.errors import IntegrityError, StorageError, Unavailable
from kring.flow import history
from kring.flow.operating.asking import record_pulled, roll_back
from kring.flow.operating.operator import open_operator
from kring.flow.project import Project, open_project
from kring.flow.pulling import MOST, PullFile, next_to_pull, without
from kring.host.clock import SimulatedClock
from kring.host.files import LocalFiles
from kring.host.random import SeededRandom
from kring.record.operator import OperatorState
from kring.record.pulled import Pulled
from kring.record.rollout import Pointer
from systems import day, write_loans
from worlds import PLAN, passed

LIVE = Pointer(system="loans", live="v_2", previous="v_1", generation=5, rollout="ro", at=1)
SHARED = msgspec.structs.replace(LIVE, canary="v_3", share=0.2, salt="s")
BAKING = msgspec.structs.replace(LIVE, canary="v_1", share=0.05, salt="s", highest=True)


def said(version: str, *, told: int = 0) -> Pulled:
    return Pulled(version=version, at=1, by="Night Duty", reason="complaints", told=told)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A live version, and one that answers a share."""
    own = open_project(write_loans(tmp_path / "loans"))
    system = msgspec.structs.replace(own.system, rollout=PLAN)
    made = replace(own, system=system, clock=SimulatedClock(day(1)), random=SeededRandom(0))
    with made.ledger() as ledger:
        operator = open_operator(made, ledger, holder="one", retrain=None, right="one")
        operator.step([passed("v_1")])
        made.clock.advance(day(3))  # type: ignore[attr-defined]
        operator.step([passed("v_2")])
        assert pointer_of(operator.state).canary == "v_2"
    return made


def pointer_of(state: OperatorState) -> Pointer:
    assert state.pointer is not None
    return state.pointer


def state_of(project: Project) -> OperatorState:
    with project.ledger() as ledger:
        return history.get(ledger, OperatorState, "operator")


def gone(project: Project) -> bytes:
    """Put a folder in the place of the ledger; what it was."""
    kept = project.home.ledger.read_bytes()
    project.home.ledger.unlink()
    project.home.ledger.mkdir()
    return kept


def back(project: Project, kept: bytes) -> None:
    shutil.rmtree(project.home.ledger)
    project.home.ledger.write_bytes(kept)


def test_who_answers_while_a_version_is_pulled() -> None:
    for pointer, pulled, answers in (
        (SHARED, ["v_3"], ("v_2", "")),
        (SHARED, ["v_2"], ("v_1", "")),
        (SHARED, ["v_3", "v_2"], ("v_1", "")),
        (LIVE, ["v_2"], ("v_1", "")),
        (LIVE, ["v_2", "v_1"], ("v_2", "")),
        (BAKING, ["v_2"], ("v_1", "")),
        (LIVE, ["v_9"], ("v_2", "")),
        (SHARED, ["v_9"], ("v_2", "v_3")),
    ):
        after = without(pointer, [said(one) for one in pulled])
        assert (after.live, after.canary) == answers
        assert without(after, [said(one) for one in pulled]) == after
        assert bool(after.share) == bool(after.canary)
    assert without(LIVE, [said("v_2", told=5)]) == LIVE
    assert without(LIVE, [said("v_2", told=6)]).live == "v_1"
    assert [next_to_pull(one) for one in (SHARED, LIVE, BAKING)] == ["v_3", "v_2", "v_2"]
    assert next_to_pull(msgspec.structs.replace(LIVE, previous="")) == ""


def test_a_locked_ledger_is_told_later_and_once(project: Project) -> None:
    with closing(sqlite3.connect(project.home.ledger, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        told = roll_back(project, reason="complaints", actor="Night Duty")
        held.execute("ROLLBACK")
    assert (told.canary, told.pointer.live, told.pointer.canary) == ("v_2", "v_1", "")
    assert "locked" in told.trouble
    assert pointer_of(state_of(project)).canary == "v_2"
    assert [one.version for one in record_pulled(project)] == ["v_2"]
    after = state_of(project)
    assert pointer_of(after).canary == ""
    assert after.rollout is not None
    assert (after.rollout.state, after.rollout.actor, after.rollout.reason) == (
        "rolled_back",
        "Night Duty",
        "complaints",
    )
    assert record_pulled(project) == []
    assert state_of(project) == after
    (kept,) = PullFile(project.home.root, files=project.files).read()
    assert kept.told == pointer_of(after).generation


def test_a_version_that_is_promoted_meanwhile_goes_back(project: Project) -> None:
    """Another process could write all the while, and has come further."""
    file = PullFile(project.home.root, files=project.files)
    file.add(said("v_2"))
    with project.ledger() as ledger:
        operator = open_operator(project, ledger, holder="one", retrain=None, right="one")
        promoted = msgspec.structs.replace(
            pointer_of(operator.state), live="v_2", previous="v_1", canary="", share=0.0, generation=9
        )
        operator.state = msgspec.structs.replace(operator.state, rollout=None)
        operator._commit(msgspec.structs.replace(operator.state, pointer=promoted, seq=operator.state.seq), (), ())
    assert without(promoted, file.read()).live == "v_1", "no worker ever went along"
    record_pulled(project)
    assert (pointer_of(state_of(project)).live, pointer_of(state_of(project)).generation) == ("v_1", 10)


def test_a_ledger_that_is_gone_and_was_never_served_is_said(project: Project) -> None:
    kept = gone(project)
    with pytest.raises(StorageError):
        roll_back(project, reason="complaints", actor="Night Duty")
    file = PullFile(project.home.root, files=project.files)
    assert file.read() == ()
    file.publish(msgspec.structs.replace(SHARED, live="v_1", previous="", canary="v_2"))
    assert roll_back(project, reason="complaints", actor="Night Duty").canary == "v_2"
    with pytest.raises(Unavailable):
        roll_back(project, reason="once more", actor="Night Duty")
    back(project, kept)
    assert len(record_pulled(project)) == 1


def test_back_to_a_version_that_is_not_whole_is_refused(project: Project) -> None:
    gone(project)
    file = PullFile(project.home.root, files=project.files)
    file.publish(LIVE)
    with pytest.raises(IntegrityError, match="v_1"):
        roll_back(project, reason="complaints", actor="Night Duty")
    assert file.read() == ()


def test_a_damaged_file_changes_nothing_for_who_has_read_it(tmp_path: Path) -> None:
    file = PullFile(tmp_path, files=LocalFiles())
    assert not file.has_changed()
    file.add(said("v_2"))
    assert file.has_changed()
    assert not file.has_changed()
    for damage in (b"", b"{", b'{"pulled": [5]}'):
        file.path.write_bytes(damage)
        assert not file.has_changed()
        assert [one.version for one in file.pulled] == ["v_2"]
        with pytest.raises(IntegrityError, match="can't be read"):
            file.read()
    file.path.unlink()
    assert file.has_changed()
    assert file.pulled == ()


def test_a_file_that_cannot_be_read_changes_nothing_and_is_tried_again(tmp_path: Path) -> None:
    """What belongs to somebody else, or lies on a disk that fails; here a folder in its place."""
    file = PullFile(tmp_path, files=LocalFiles())
    file.add(said("v_2"))
    assert file.has_changed()
    kept = file.path.rename(tmp_path / "kept")
    file.path.mkdir()
    assert not file.has_changed()
    assert ([one.version for one in file.pulled], "pulled.json" in file.trouble) == (["v_2"], True)
    fresh = PullFile(tmp_path, files=LocalFiles())
    assert not fresh.has_changed()
    file.path.rmdir()
    kept.rename(file.path)
    assert fresh.has_changed()
    assert ([one.version for one in fresh.pulled], fresh.trouble) == (["v_2"], "")
    file.has_changed()
    assert file.trouble == ""


def test_what_an_administrator_pulls_belongs_to_whom_the_folder_belongs_to(tmp_path: Path) -> None:
    """Workers of another user have to read it."""
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 12345, 12346)
    file = PullFile(home, files=LocalFiles())
    file.add(said("v_2"))
    file.tell(said("v_2"), generation=7)
    owner = (home.stat().st_uid, home.stat().st_gid)
    assert {(one.stat().st_uid, one.stat().st_gid) for one in home.iterdir()} == {owner}


def test_of_those_that_the_ledger_knows_some_are_kept(tmp_path: Path) -> None:
    file = PullFile(tmp_path, files=LocalFiles())
    for number in range(3 * MOST):
        one = said(f"v_{number}")
        file.add(one)
        file.tell(one, generation=number + 1)
    assert len(file.read()) == MOST + 1
    assert file.read()[-1] == said(f"v_{3 * MOST - 1}", told=3 * MOST)
