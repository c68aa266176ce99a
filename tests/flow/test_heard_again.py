"""What is overheard and shown of decisions, when a disk is full and when somebody only ever asks for the newest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kring.errors import NoRoom
from kring.flow import adapters
from kring.flow.project import open_project
from kring.flow.recording import sealing_for
from kring.flow.serving.overhearing import Asked, Overhearing
from kring.flow.serving.own_logs import OwnLogs
from kring.flow.serving.publish import served
from kring.flow.viewing.decisions import Follower
from kring.host.clock import SimulatedClock
from kring.host.faults import FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.record.decision import Decisions
from kring.testing.decision_log import START, decisions
from systems import kring, write_loans

LOAN = {"email": "ada@example.org", "region": "north", "amount": 120.0, "income": 61.5}
MINUTE = 60_000_000


def test_a_pair_that_could_not_be_written_waits_for_its_repetition(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    assert kring("go", folder).code == 0
    plan = Plan(0)
    project = replace(open_project(folder), files=FaultyFiles(LocalFiles(), plan))
    with project.ledger() as ledger:
        logs = OwnLogs(sealing_for, page=None, say=print)
        over = Overhearing(project, served(project, ledger), logs=logs)
    asked = Asked(over.reader.read([LOAN]), 0)
    answered = over.answer({"": [0.25]}, at=0, version="")
    assert over.hear("one", asked, size=10, version="").heard == "waiting"
    plan.nth = plan.count + 1
    with pytest.raises(NoRoom):
        over.hear("one", answered, size=10, version="")
    assert over.hear("one", answered, size=10, version="").heard == "recorded"
    assert over.hear("one", answered, size=10, version="").heard == "known"
    over.close()
    logs.close()
    history = adapters.read_log(project.home.log, system=project.system.name)
    assert [one.record.n for one in history.read() if isinstance(one.record, Decisions)] == [1]


def test_counts_of_the_last_hour_are_forgotten_by_whoever_reads_on(tmp_path: Path) -> None:
    clock = SimulatedClock(START)
    project = replace(open_project(write_loans(tmp_path / "loans")), clock=clock)
    follower = Follower(project)
    log = adapters.free_writer(project.home.log, files=project.files, system=project.system.name)
    for minute in range(200):
        at = START + minute * MINUTE
        log.append(msgspec.structs.replace(decisions(1, at=at), system=project.system.name))
        log.commit()
        clock.advance(at + 1)
        assert follower.newest(1)
    assert len(follower._counts) == 60
    assert follower.lately().decided == 60
    log.close()
