"""When somebody was last answered, read from the ends of a real log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kring.flow.lately import last_asked
from kring.flow.project import Project, open_project
from kring.metrics.ids import decision_ids, decision_raw
from kring.record.decision import Decisions, Outcomes
from kring.stores import newest
from kring.stores.file import FileLog, open_log
from systems import kring, write_loans
from worlds import answered

START = 1_700_000_000_000_000
SECOND = 1_000_000


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return open_project(write_loans(tmp_path / "loans"))


def log_of(project: Project, writer: int = 0) -> FileLog:
    return open_log(project.home.log, files=project.files, writer=writer, system="loans")


def asked(second: int, kind: str = "online", **changes: object) -> Decisions:
    one = answered("v_1", "v_1", "ada", at=START + second * SECOND)
    return msgspec.structs.replace(one, kind=kind, **changes)


def test_without_a_log_or_decisions_nothing_tells(project: Project) -> None:
    assert last_asked(project) == 0
    log_of(project).close()
    assert last_asked(project) == 0


def test_the_newest_of_all_writers_counts_while_they_write(project: Project) -> None:
    first, second = log_of(project), log_of(project, 7)
    first.append(asked(1))
    second.append(asked(5))
    first.append(asked(3))
    for log in (first, second):
        log.commit()
    assert last_asked(project) == START + 5 * SECOND
    second.seal()
    first.append(asked(9))
    assert last_asked(project) == START + 5 * SECOND, "what is not committed is not on record"
    first.close()
    assert last_asked(project) == START + 9 * SECOND
    second.close()


def test_batches_shadows_and_outcomes_are_no_requests(project: Project) -> None:
    """Nor are they in a segment of their own behind the one with the request."""
    log = log_of(project)
    place = log.append(asked(1, "streamed"))
    log.append(asked(2, "shadow", arm="shadow"))
    log.seal()
    raw = decision_raw(decision_ids(place, 1)[0])
    for second in range(3, 40):
        log.append(Outcomes(system="loans", at=START + second * SECOND, ids=[raw] * 900, values=["KRfr"] * 900))
    log.append(asked(50, "batch"))
    log.close()
    assert last_asked(project) == START + SECOND


@pytest.mark.parametrize("piece", [1, 61, 4096])
def test_each_decision_is_found_once_wherever_pieces_end(
    project: Project, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(project)
    for second in range(9):
        log.append(asked(second, subjects=["KRfr" * second or "ada"]))
    log.close()
    monkeypatch.setattr(newest, "PIECE", piece)
    monkeypatch.setattr(newest, "PIECES", 1 << 20)
    (found,) = newest.newest_decisions(project.home.log)
    assert [one.at for one in found] == [START + second * SECOND for second in reversed(range(9))]


def test_only_the_end_of_a_long_log_is_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(project)
    log.append(asked(1))
    for second in range(2, 9):
        log.append(asked(second, "batch"))
    log.close()
    monkeypatch.setattr(newest, "PIECE", 64)
    monkeypatch.setattr(newest, "PIECES", 4)
    assert last_asked(project) == 0


@pytest.mark.parametrize("damage", [b"", b"no log at all", b"KRfr" * 999, b"\0" * 4096])
def test_what_is_torn_or_damaged_is_left_out(project: Project, damage: bytes) -> None:
    log = log_of(project)
    log.append(asked(1))
    log.commit()
    log.append(asked(2))
    log.close()
    path = project.home.log / "0-1.log"
    whole = path.read_bytes()
    assert last_asked(project) == START + 2 * SECOND
    path.write_bytes(whole[:-3] + damage)
    assert last_asked(project) == START + SECOND
    path.write_bytes(damage)
    assert last_asked(project) == 0


def test_status_says_it_of_what_answers(project: Project) -> None:
    told = kring("status", project.folder).out
    assert "decisions" not in told, "nothing answers yet"
    assert "operator  none runs; one is needed as soon as a version answers" in told
    assert kring("status", project.folder, "--json").json["last_asked"] is None
