"""A person is forgotten: in snapshots, keys and sealed records, wherever the process dies on the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from kring.data import snapshot as snapshots
from kring.errors import IntegrityError, Refused
from kring.flow import adapters, history
from kring.flow.checking import all_snapshots
from kring.flow.forgetting import forget
from kring.flow.project import Project, open_project
from kring.flow.recording import unsealed
from kring.flow.scoring.order import Order
from kring.flow.scoring.score import score
from kring.flow.status import status
from kring.flow.tracing import trace
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.ports.sealer import ERASED
from kring.record.decision import Decisions
from kring.record.erasure import Erased, Forgotten
from kring.record.scored import Scored
from kring.record.snapshot import Snapshot
from kring.record.version import Version
from systems import kring, loans_feed, write_loans

PERSON = "person7@example.org"
OTHER = "person8@example.org"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loans whose incomes are personal, with a live version and two snapshots, and a scored file."""
    folder = write_loans(tmp_path_factory.mktemp("forgetting") / "loans", feed=loans_feed(1500))
    contract = folder / "contract.odcs.yaml"
    text = contract.read_text()
    income = "      - name: income\n        logicalType: number\n"
    assert income in text
    more = "        customProperties:\n          - property: kring.personal\n            value: true\n"
    contract.write_text(text.replace(income, income + more))
    assert kring("go", folder).code == 0
    loans_feed(1700).write_csv(folder / "feed.csv")
    assert kring("check", folder).code == 0
    decided(open_project(folder))
    return folder


@pytest.fixture
def loans(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "loans"))


def decided(project: Project, n: int = 40) -> Scored:
    path = project.folder.parent / "in.parquet"
    loans_feed(n).drop("repaid", "settled_at").write_parquet(path)
    return score(project, Order(path=path, out=project.folder.parent / "out.parquet", force=True))


def records(project: Project) -> list[Decisions]:
    log = adapters.read_log(project.home.log, system="loans")
    return [one.record for one in log.read() if isinstance(one.record, Decisions)]


def incomes(project: Project) -> list[object]:
    return [value for record in records(project) for value in unsealed(project, record).inputs["income"]]


def bytes_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def rows_of(project: Project, token: str) -> int:
    frames = [snapshots.load(one, folder=project.home.data) for one in all_snapshots(project)]
    return sum(frame.filter(pl.col("email") == token).height for frame in frames)


def token_of(project: Project, value: str) -> str:
    vault = adapters.open_vault(project.home.vault, random=project.random)
    try:
        return vault.known(value)
    finally:
        vault.close()


# ---------------------------------------------------------------- sealed records


def test_the_log_holds_no_personal_value_and_trace_shows_it(loans: Path) -> None:
    project = open_project(loans)
    given = loans_feed(40)["income"].to_list()
    assert incomes(project) == given
    (record,) = records(project)
    assert record.sealed == ["income"]
    assert all(value is None or (isinstance(value, str) and len(value) > 30) for value in record.inputs["income"])
    assert [value is None for value in record.inputs["income"]] == [value is None for value in given]
    facts = trace(project, decided(project).first_id).nodes[0].facts
    assert f"income {given[0]:.4g}" in facts["inputs"]


def test_the_same_rows_are_sealed_alike(loans: Path) -> None:
    project = open_project(loans)
    decided(project)
    first, second = records(project)
    assert first.inputs["income"] == second.inputs["income"]


# ---------------------------------------------------------------- forgotten


def test_a_person_is_forgotten_everywhere_and_nobody_else_is(loans: Path) -> None:
    project = open_project(loans)
    token, other = token_of(project, PERSON), token_of(project, OTHER)
    before, others = rows_of(project, token), rows_of(project, other)
    counts = [snapshot.rows for snapshot in all_snapshots(project)]
    assert min(before, others) > 2
    (done,) = forget(project, PERSON)
    assert (done.rows, len(done.snapshots)) == (before, 2)
    assert (rows_of(project, token), rows_of(project, other)) == (0, others)
    assert sum(counts) - sum(snapshot.rows for snapshot in all_snapshots(project)) == before
    with project.ledger() as ledger:
        assert done.versions == tuple(version.id for version in history.all_of(ledger, Version))
    assert token.encode() not in bytes_under(project.home.data)
    assert [value for value in incomes(project) if value == ERASED] == [ERASED]
    assert sum(isinstance(value, float) for value in incomes(project)) > 30
    assert status(project, verify=True).verified
    assert PERSON.encode() not in bytes_under(loans / ".kring")
    assert kring("train", loans).code == 0


def test_a_token_says_who_is_meant_and_twice_is_too_often(loans: Path) -> None:
    project = open_project(loans)
    token = token_of(project, PERSON)
    (done,) = forget(project, token)
    assert done.rows > 2
    assert token_of(project, PERSON) == ""
    for again in (token, PERSON):
        with pytest.raises(Refused, match="knows nobody"):
            forget(project, again)


def test_whoever_comes_back_is_somebody_else(loans: Path) -> None:
    project = open_project(loans)
    token = token_of(project, PERSON)
    forget(project, PERSON)
    decided(project)
    assert token_of(project, PERSON) not in ("", token)
    found = incomes(project)
    assert found[:40].count(ERASED) == 1
    assert found[40:] == loans_feed(40)["income"].to_list()


def test_the_newest_snapshot_stays_the_newest(loans: Path) -> None:
    """Only the older one holds the person: what is checked next is held against the newer one all the same."""
    project = open_project(loans)
    gone = loans_feed(1700).filter(pl.col("email") != PERSON)
    gone.write_csv(loans / "feed.csv")
    assert kring("check", loans).code == 0
    newest = all_snapshots(project)[-1]
    forget(project, PERSON)
    assert all_snapshots(project)[-1] == newest
    assert kring("check", loans, "--json").json["snapshot"]["digest"] == newest.digest
    assert snapshots.load(all_snapshots(project)[0], folder=project.home.data).height < 1500


def test_a_process_that_dies_anywhere_is_followed_by_one_that_ends_it(loans: Path, tmp_path: Path) -> None:
    for nth in operations():
        folder = Path(shutil.copytree(loans, tmp_path / f"copy{nth}"))
        project = open_project(folder)
        token, before = token_of(project, PERSON), rows_of(project, token_of(project, PERSON))
        faulty = replace(project, files=FaultyFiles(LocalFiles(), Plan(nth, crash=True)))
        try:
            forget(faulty, PERSON)
        except Crash:
            (done,) = forget(project, PERSON)
            assert done.rows == before
            check_forgotten(project, token)
            shutil.rmtree(folder)
        else:
            check_forgotten(project, token)
            assert nth > 8
            return
    pytest.fail("forgetting has no end")


def operations() -> Iterator[int]:
    yield from range(1, 100)


def check_forgotten(project: Project, token: str) -> None:
    assert rows_of(project, token) == 0
    assert token.encode() not in bytes_under(project.home.data)
    assert ERASED in incomes(project)
    assert status(project, verify=True).verified
    with project.ledger() as ledger:
        assert len(list(history.all_of(ledger, Forgotten))) == 1


@pytest.mark.parametrize("when", ["before the ledger hears of a snapshot", "before the keys go", "before it is told"])
def test_a_process_that_dies_between_two_stores(loans: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    project = open_project(loans)
    token, before = token_of(project, PERSON), rows_of(project, token_of(project, PERSON))
    with monkeypatch.context() as patched:
        if when == "before the keys go":
            patched.setattr("kring.stores.vault.SqliteVault.forget", dies)
        else:
            kind = Erased if when.startswith("before the ledger") else Forgotten
            real = history.entry

            def entry(record: object, **more: object) -> object:
                return dies() if isinstance(record, kind) else real(record, **more)  # type: ignore[arg-type]

            patched.setattr("kring.flow.forgetting.history.entry", entry)
        with pytest.raises(Crash):
            forget(project, PERSON)
    assert (token_of(project, PERSON) == "") == (when == "before it is told")
    (done,) = forget(project, PERSON)
    assert done.rows == before
    check_forgotten(project, token)


def dies(*some: object) -> object:
    raise Crash(f"here {len(some)}")


# ---------------------------------------------------------------- what is refused


def test_a_snapshot_that_was_replaced_without_an_erasure_is_found(loans: Path) -> None:
    project = open_project(loans)
    first, last = all_snapshots(project)
    with project.ledger() as ledger:
        forged = Snapshot(**{name: getattr(first, name) for name in first.__struct_fields__} | {"digest": last.digest})
        ledger.append([history.entry(forged, id=first.id, actor="somebody", at=1)])
    with pytest.raises(IntegrityError, match="no erasure says so"):
        status(project, verify=True)


@pytest.mark.parametrize("subject", ["", "nobody@example.org", "t_", "t_" + "0" * 26, "\ud800", "x" * 100_000, "a\0b"])
def test_an_unknown_person_changes_nothing(loans: Path, subject: str) -> None:
    project = open_project(loans)
    before = bytes_under(project.home.data), all_snapshots(project)
    with pytest.raises(Refused, match="knows nobody") as refused:
        forget(project, subject)
    assert not subject or len(subject) < 5 or subject not in str(refused.value)
    assert (bytes_under(project.home.data), all_snapshots(project)) == before


def test_a_system_without_state_knows_nobody(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    told = kring("forget", PERSON, folder)
    assert told.code == 1
    assert not (folder / ".kring").exists()


def test_the_command_says_what_it_did_and_names_nobody(loans: Path) -> None:
    told = kring("forget", PERSON, loans, "--json")
    assert told.code == 0
    (done,) = told.json["forgotten"]
    assert done["rows"] > 2
    assert done["versions"]
    assert PERSON not in told.out + told.err
    assert "learned from them" in told.err
    again = kring("forget", PERSON, loans)
    assert again.code == 1
    assert kring("forget").code == 2
    assert kring("forget", PERSON, loans / "nowhere").code == 2
