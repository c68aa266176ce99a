"""The one writer of the operator's state: what a crash leaves is done later, a second writer is kept out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kring.errors import Busy, Conflict, Refused
from kring.flow import history
from kring.flow.operating.asking import roll_back
from kring.flow.operating.operator import Operator, open_operator
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.ports.ledger import Ledger
from kring.record.alarm import Alarm
from kring.record.operator import (
    OperatorState,
    Retrain,
    Retrained,
    RollbackAsked,
    ShadowCompared,
    WindowClosed,
)
from kring.record.rollout import Pointer, Rollout
from lives import Lived
from systems import DAY, day, kring, write_loans

PASSED = Retrained(trigger="schedule", result="pass", reason="gate passed", run="r_1", version="v_2")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    own = open_project(write_loans(tmp_path / "loans"))
    return own.at(home=tmp_path / "home", clock=SimulatedClock(day(1)), random=SeededRandom(0), actor="test")


def opened(project: Project, ledger: Ledger, *, holder: str = "one", ended: Retrained = PASSED) -> Operator:
    return open_operator(project, ledger, holder=holder, retrain=lambda trigger: ended)


def with_first_version(operator: Operator) -> None:
    operator.step([Retrained(trigger="first", result="pass", reason="gate passed", run="r_0", version="v_1")])


def window(end: int) -> WindowClosed:
    return WindowClosed(start=end - DAY, end=end, decisions=100, violations=0, fallbacks=0)


def at(project: Project, moment: int) -> Project:
    return replace(project, clock=SimulatedClock(moment))


def test_state_outbox_and_records_are_one_event_sequence(project: Project) -> None:
    with project.ledger() as ledger:
        operator = opened(project, ledger)
        with_first_version(operator)
        kinds = [event.kind for event in ledger.read()]
        assert kinds == ["rollout"] * 4 + ["pointer", "operator"]
        assert history.newest(ledger, OperatorState) == operator.state
        assert [one.state for one in history.all_of(ledger, Rollout)][-1] == "baking"


def test_what_a_crash_left_undone_is_done_by_the_next(project: Project) -> None:
    """The process dies after the commit of `Retrain` and before the training has ended."""

    def dies(trigger: str) -> Retrained:
        raise Killed(trigger)

    with project.ledger() as ledger:
        with_first_version(opened(project, ledger))
        later = at(project, day(12))
        operator = open_operator(later, ledger, holder="one", retrain=dies)
        with pytest.raises(Killed, match="schedule"):
            operator.step([window(day(12))])
        state = history.newest(ledger, OperatorState)
        assert state is not None
        assert state.retraining == "schedule"
        assert Retrain(trigger="schedule", id=state.training) in state.outbox

    with project.ledger() as ledger:
        asked: list[str] = []
        again = open_operator(later, ledger, holder="one", retrain=lambda trigger: asked.append(trigger) or PASSED)
        again.resume()
        assert asked == ["schedule"]
        assert again.state.retraining == ""
        assert again.state.rollout is not None
        assert (again.state.rollout.version, again.state.rollout.state) == ("v_2", "shadow")
        events = ledger.head().seq
        assert again.resume() == []
        once_more = opened(later, ledger)
        assert once_more.resume() == []
        assert ledger.head().seq == events, "doing nothing leaves nothing"


def test_a_rollback_does_not_bury_what_was_left_undone(project: Project) -> None:
    """Rolling back after the crash heeds the person first; the system trains again afterwards."""
    with project.ledger() as ledger:
        operator = opened(project, ledger)
        with_first_version(operator)
        operator.step([PASSED])
        state = operator.state
        assert state.rollout is not None
        promoted = at(project, day(4))
        operator = opened(promoted, ledger)
        operator.step([shadowed("v_2")])
        assert operator.state.pointer is not None
        assert operator.state.pointer.previous == "v_1"
        later = at(project, day(20))
        dying = open_operator(later, ledger, holder="one", retrain=killed)
        with pytest.raises(Killed):
            dying.step([window(day(20))])
        hand = open_operator(later, ledger, holder="one", retrain=refused)
        hand.step([RollbackAsked(actor="duty", reason="complaints")])
        assert hand.state.pointer is not None
        assert hand.state.pointer.live == "v_1"
        assert hand.state.retraining == "", "or no training would ever start again"
        assert [alarm.kind for alarm in history.all_of(ledger, Alarm)] == ["release"]


def shadowed(version: str) -> ShadowCompared:
    return ShadowCompared(version=version, rows=500, failures=0, agreement=1.0, mean_difference=0.0)


def killed(trigger: str) -> Retrained:
    raise Killed(trigger)


def refused(trigger: str) -> Retrained:
    return Retrained(trigger=trigger, result="investigate", reason="run kring train", run="")


def test_a_second_operator_waits_its_turn(project: Project) -> None:
    with project.ledger() as ledger, project.ledger() as other:
        opened(project, ledger)
        with pytest.raises(Busy, match="one holds"):
            opened(project, other, holder="two")


def test_an_operator_that_was_overtaken_can_not_write(project: Project) -> None:
    """Its lease ran out while it slept; another has taken over: the fencing token keeps it out."""
    with project.ledger() as ledger, project.ledger() as other:
        slept = opened(project, ledger)
        with_first_version(slept)
        taken = opened(at(project, day(3)), other, holder="two")
        with pytest.raises(Conflict):
            slept.step([PASSED])
        taken.step([PASSED])
        assert history.newest(ledger, OperatorState) == taken.state
        assert taken.state.seq == slept.state.seq + 1


def test_two_of_the_same_name_do_not_overwrite_each_other(project: Project) -> None:
    """Two processes may share a holder's name and so a lease: what one decided on is checked all the same."""
    with project.ledger() as ledger, project.ledger() as other:
        first = opened(project, ledger)
        with_first_version(first)
        left, right = opened(project, ledger), opened(project, other)
        left.step([PASSED])
        with pytest.raises(Conflict):
            right.step([PASSED])
        assert history.newest(ledger, OperatorState) == left.state


def test_a_rollback_after_a_replay(lived: Lived, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(lived.project.home.root, home)
    words = [lived.own.folder, "--home", home]
    before = kring("status", *words, "--json").json
    assert before["previous"]
    told = kring("rollback", *words, "--reason", "complaints", "--by", "Night Duty", "--json")
    assert told.code == 0
    assert told.json["live"] == before["previous"]
    assert (told.json["previous"], told.json["generation"]) == ("", before["generation"] + 1)
    after = kring("status", *words, "--verify", "--json").json
    assert (after["live"]["id"], after["previous"]) == (before["previous"], "")
    assert after["rollout"]["state"] == "rolled_back"
    assert (after["rollout"]["actor"], after["rollout"]["reason"]) == ("Night Duty", "complaints")
    again = kring("rollback", *words, "--reason", "more complaints", "--by", "Day Duty", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "refused"), "a right that was given back keeps nobody out"
    with lived.project.ledger() as ledger:
        assert [one.generation for one in history.all_of(ledger, Pointer)][-1] == before["generation"]


def test_a_rollback_needs_something_to_go_back_to(project: Project) -> None:
    with pytest.raises(Refused, match="no previous version"):
        roll_back(project, reason="worse", actor="duty")
    with project.ledger() as ledger:
        assert ledger.head().seq == 0
