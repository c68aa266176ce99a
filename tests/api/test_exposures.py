"""Asking for a flag leaves on record who was told what: once a day, as decisions name their subjects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from kring.flow import adapters
from kring.flow.compacting import compact
from kring.flow.project import open_project
from kring.flow.serving.upkeep import remember_sealed
from kring.record.decision import Decisions
from kring.record.exposure import Exposure
from served import Server, serving_copy
from systems import LOANS_FIELDS, contract, kring, made_live, write_loans

FLAGS = "/ofrep/v1/evaluate/flags"
ROW = {"region": "north", "amount": 120.0, "income": 61.5}
SOON_S = 60.0


PERSONAL = LOANS_FIELDS.replace("kring.identifier", "kring.personal")


def written(folder: Path, fields: str) -> Path:
    write_loans(folder, out_of_contract="reject")
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace('target = "repaid"', 'target = "repaid"\nsubject = "email"'))
    (folder / "contract.odcs.yaml").write_text(contract("loans", fields))
    return made_live(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loans whose subject is a direct identifier."""
    return written(tmp_path_factory.mktemp("exposed") / "loans", LOANS_FIELDS)


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[Server]:
    with serving_copy(folder, tmp_path, workers=1) as running:
        yield running


def ask(server: Server, subject: str, *, flag: str = "") -> None:
    told = server.ask("POST", f"{FLAGS}{flag}", {"context": {"targetingKey": subject}})
    assert told.status == 200, told.body


def records(folder: Path) -> list[Exposure | Decisions]:
    log = adapters.read_log(folder / ".kring" / "log", system="loans")
    return [one.record for one in log.read() if isinstance(one.record, Exposure | Decisions)]


def exposed(server: Server, *, rows: int) -> list[tuple[str, str, str]]:
    """(subject, flag, variant) of all exposures, once there are so many."""
    end = time.monotonic() + SOON_S
    while True:
        shown = [one for one in records(server.folders[0]) if isinstance(one, Exposure)]
        found = [row for one in shown for row in zip(one.subjects, one.flags, one.variants, strict=True)]
        if len(found) >= rows:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.02)


def test_a_poll_leaves_one_exposure_for_each_flag(server: Server) -> None:
    live = kring("--json", "status", server.folders[0]).json["live"]["id"]
    for _ in range(5):
        ask(server, "ann@b.org", flag="/loans.arm")
        ask(server, "ann@b.org")
    ask(server, "bea@b.org", flag="/loans.arm")
    found = exposed(server, rows=4)
    ann, bea = found[0][0], found[-1][0]
    assert found == [
        (ann, "loans.arm", "live"),
        (ann, "loans", "live"),
        (ann, "loans.canary", "live"),
        (bea, "loans.arm", "live"),
    ]
    for one in records(server.folders[0]):
        assert isinstance(one, Exposure)
        assert (set(one.versions), set(one.reasons), set(one.trials)) == ({live}, {"STATIC"}, {""})
        assert (one.system, one.generation) == ("loans", 1)


def test_a_subject_is_written_as_its_decisions_write_it(server: Server) -> None:
    is_written_alike(server)


def test_a_personal_subject_is_written_as_its_decisions_write_it(tmp_path: Path) -> None:
    with serving_copy(written(tmp_path / "loans", PERSONAL), tmp_path / "copy", workers=1) as server:
        is_written_alike(server)


def is_written_alike(server: Server) -> None:
    ask(server, "ann@b.org", flag="/loans.arm")
    assert server.ask("POST", "/api/decisions", {"inputs": {**ROW, "email": "ann@b.org"}}).status == 200
    ((subject, _, _),) = exposed(server, rows=1)
    (decision,) = (one for one in records(server.folders[0]) if isinstance(one, Decisions))
    assert decision.subjects == [subject]
    assert "ann" not in subject
    for path in (server.folders[0] / ".kring" / "log").glob("*.log"):
        assert b"ann@b.org" not in path.read_bytes()


def test_what_is_wrong_leaves_no_exposure(server: Server) -> None:
    for flag, context in (("/nothing", {"targetingKey": "a"}), ("/loans", {}), ("/loans", {"targetingKey": 7})):
        assert server.ask("POST", f"{FLAGS}{flag}", {"context": context}).status in (400, 404)
    ask(server, "cas@b.org", flag="/loans.arm")
    assert len(exposed(server, rows=1)) == 1


def test_exposures_come_into_a_table_of_their_own(server: Server) -> None:
    ask(server, "ann@b.org")
    exposed(server, rows=3)
    server.stop()
    project = open_project(server.folders[0])
    now = project.clock.now()
    adapters.free_writer(project.home.log, files=project.files, system="loans").seal()
    remember_sealed(project, now=now)
    compact(project, now=now)
    table = pl.read_delta(str(project.home.root / "decisions" / "exposures"))
    assert table["flag"].to_list() == ["loans", "loans.arm", "loans.canary"]
    assert set(table["variant"]) == {"live"}
    assert len(set(table["subject"])) == 1
