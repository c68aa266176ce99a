"""A training in a process of its own: killed anywhere it goes on, and it ends once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from kring.errors import Busy
from kring.flow import history
from kring.flow.operating.training import LOCK, MODULE, Trainer, candidates_for, run
from kring.flow.project import Project, open_project
from kring.flow.retraining import Retraining, begun, told
from kring.host.turns import alone
from kring.record.operator import Retrained
from kring.record.retraining import Training
from kring.record.snapshot import Snapshot
from kring.record.version import Version
from systems import kring, write_parcels

ID = "t_00000000000000000000000001"
STAGES = ["asked", "snapshot", "trained", "judged", "ended"]
LONG_S = 120.0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = write_parcels(tmp_path / "parcels")
    assert kring("go", folder).code == 0
    return open_project(folder)


def stages(project: Project) -> list[str]:
    with project.ledger() as ledger:
        return [one.stage for one in history.all_of(ledger, Training)]


def versions(project: Project) -> list[Version]:
    with project.ledger() as ledger:
        return list(history.all_of(ledger, Version))


def ended(trainer: Trainer, *, kill: bool = False) -> Retrained:
    """Wait for the end; with `kill` the process dies once, as soon as it has put a stage on the ledger."""
    until = time.monotonic() + LONG_S
    while time.monotonic() < until:
        if kill and len(stages(trainer.project)) > 1:
            child = trainer._child
            assert child is not None
            os.killpg(child.pid, signal.SIGKILL)
            kill = False
        found = trainer.poll()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("the training never ended")


def test_a_training_ends_with_a_version_stage_by_stage(project: Project) -> None:
    before = len(versions(project))
    training = run(project, ID)
    assert stages(project) == STAGES
    assert training.result == "pass", training.reason
    assert len(versions(project)) == before + 1
    assert versions(project)[-1].id == training.version
    assert told(training) == Retrained(
        trigger="asked for by hand", result="pass", reason="gate passed", run=training.run, version=training.version
    )
    assert run(project, ID) == training, "what has ended is not done again"
    assert len(versions(project)) == before + 1


def test_a_killed_training_goes_on_where_it_was(project: Project) -> None:
    trainer = Trainer(project)
    trainer.start("schedule", id=ID)
    trainer.start("schedule", id=ID)
    found = ended(trainer, kill=True)
    assert (found.trigger, found.result) == ("schedule", "pass")
    assert stages(project) == STAGES, "no stage twice, none left out"
    assert len({one.snapshot for one in trainings(project) if one.snapshot}) == 1
    trainer.stop()


def trainings(project: Project) -> list[Training]:
    with project.ledger() as ledger:
        return list(history.all_of(ledger, Training))


def test_what_dies_again_and_again_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kring.flow.operating.training.MODULE", "kring.no_such_module")
    assert MODULE == "kring.flow.operating.training"
    trainer = Trainer(project)
    trainer.start("drift: hour", id=ID)
    found = ended(trainer)
    assert (found.result, found.broke_at, found.version) == ("fail", "experiment", "")
    assert "died 3 times" in found.reason
    assert trainer.poll() is None


def test_doubts_end_a_training_before_anything_is_learned(project: Project) -> None:
    def doubt(_: Project, snapshot: Snapshot) -> list[str]:
        return [f"{snapshot.rows:,} rows look alike"]

    before = len(versions(project))
    training = Retraining(project, begun(project, id=ID, trigger="schedule"), doubts=[doubt]).run()
    assert stages(project) == ["asked", "ended"]
    assert (training.result, training.broke_at) == ("investigate", "data")
    assert "look alike" in training.reason
    assert training.doubts
    assert len(versions(project)) == before


def test_a_feed_that_can_t_be_read_ends_it(project: Project) -> None:
    feed = project.folder / project.system.data.source
    feed.write_bytes(b"")
    training = run(open_project(project.folder), ID)
    assert training.stage == "ended"
    assert (training.result, training.broke_at) == ("fail", "experiment"), training.reason


def test_one_training_at_a_time(project: Project) -> None:
    with alone(project.home.root / LOCK, busy="busy"), pytest.raises(Busy):
        run(project, ID)


def test_the_candidate_that_answers_is_trained_again(project: Project) -> None:
    names = candidates_for(project)
    assert len(names) == 1
    assert names[0] in {one.name for one in project.system.candidates if not one.baseline}
