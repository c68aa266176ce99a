"""Drills: failures on a copy of the system; the system itself knows nothing of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kring.errors import NotFound, UserError
from kring.flow import history
from kring.flow.drilling.drill import drill, drills_of, overdue
from kring.flow.project import open_project
from kring.record.drill import Drilled
from kring.record.running import Drills
from systems import DAY, kring, write_loans


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_loans(tmp_path_factory.mktemp("drilled") / "loans")
    assert kring("go", folder).code == 0
    return folder


def files(folder: Path) -> dict[Path, bytes]:
    """Everything but the ledger, on which the drill itself stands."""
    return {
        file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and not file.name.startswith("ledger")
    }


def test_a_dead_worker_is_replaced_and_nobody_else_notices(made: Path) -> None:
    project, before = open_project(made), files(made)
    done = drill(project, "dead_worker")
    assert done.passed, done
    assert done.detected_s is not None
    assert done.recovered_s is not None
    assert 0 < done.detected_s <= done.recovered_s
    assert done.asked > 0
    assert sum(done.answered_by.values()) == done.asked
    assert files(made) == before
    with project.ledger() as ledger:
        assert drills_of(ledger)["dead_worker"] == done


def test_a_ledger_that_goes_away_costs_no_answer(made: Path) -> None:
    done = drill(open_project(made), "store_down")
    assert done.passed, done
    assert done.failed == 0
    assert done.detected_s is not None


def test_a_damaged_version_is_stood_in_for_until_its_bytes_are_back(made: Path) -> None:
    done = drill(open_project(made), "bad_release")
    assert done.passed, done
    [live] = [name for name in done.answered_by if name.startswith("v_") and "/" not in name]
    assert done.answered_by.get(f"{live}/baseline", 0) + done.answered_by.get("default", 0) >= 20
    assert "0 answers came from the changed bytes" in done.happened
    assert done.recovered_s is not None


def test_a_worker_that_stands_still_is_found_out(made: Path) -> None:
    done = drill(open_project(made), "hung_model")
    assert done.passed, done
    assert done.detected_s is not None
    assert done.recovered_s is not None
    assert done.asked > done.failed


def test_a_revoked_key_opens_nothing(made: Path) -> None:
    told = kring("drill", "leaked_key", made, "--json")
    assert told.code == 0, told.err
    assert told.json["passed"] is True
    assert told.json["recovered_s"] < 30


def test_a_bad_feed_never_becomes_a_snapshot(made: Path) -> None:
    told = kring("drill", "bad_feed", made)
    assert told.code == 0, told.err
    assert "refused" in told.out + told.err


def test_there_is_nothing_to_drill_without_a_version_or_a_name(tmp_path: Path, made: Path) -> None:
    with pytest.raises(NotFound, match="no live version"):
        drill(open_project(write_loans(tmp_path / "loans")), "dead_worker")
    with pytest.raises(UserError, match="no such drill"):
        drill(open_project(made), "flood")
    assert kring("drill", "flood", made).code == 2
    assert kring("drill").code == 2
    assert kring("drill", "bad_feed", tmp_path / "nowhere").code == 2


def test_a_drill_that_failed_or_is_old_is_overdue(tmp_path: Path) -> None:
    project = open_project(write_loans(tmp_path / "loans"))
    system = msgspec.structs.replace(project.system, drills=Drills(names=("hung_model",), every_us=10 * DAY))
    project = replace(project, system=system)
    now = project.clock.now()

    def held(at: int, *, passed: bool) -> None:
        one = Drilled(
            id=project.new_id("dr"),
            system="loans",
            name="hung_model",
            at=at,
            passed=passed,
            happened="",
            detected_s=1.0,
            recovered_s=2.0,
        )
        with project.ledger() as ledger:
            ledger.append([history.entry(one, id=one.id, actor="test", at=at)])

    def late(at: int) -> int:
        with project.ledger() as ledger:
            return len(overdue(project, ledger, now=at).breaches)

    assert late(now) == 1
    held(now, passed=False)
    assert late(now) == 1
    held(now, passed=True)
    assert late(now) == 0
    assert late(now + 11 * DAY) == 1
