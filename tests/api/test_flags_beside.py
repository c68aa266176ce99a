"""A flag's subject that is new costs a durable write: nobody else whom the worker answers waits for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from served import Server, serving
from systems import LOANS_FIELDS, contract, kring, write_loans

FLAG = "/ofrep/v1/evaluate/flags"
PERSONAL = LOANS_FIELDS.replace("kring.identifier", "kring.personal")


@pytest.fixture(scope="module", params=["identifier", "personal"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker; its subject is a direct identifier, or personal so that the log puts a token for it."""
    folder = write_loans(tmp_path_factory.mktemp("beside") / "loans")
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace('target = "repaid"', 'target = "repaid"\nsubject = "email"'))
    if request.param == "personal":
        (folder / "contract.odcs.yaml").write_text(contract("loans", PERSONAL))
    told = kring("go", folder)
    assert told.code == 0, told.err
    with serving([folder], workers=1) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@contextmanager
def vault_held(folder: Path) -> Iterator[None]:
    """Nobody can write into the vault, or read it."""
    vault = folder / ".kring" / "vault" / "vault.db"
    with closing(sqlite3.connect(vault, isolation_level=None, timeout=30)) as held:
        held.execute("BEGIN EXCLUSIVE")
        yield
        held.execute("ROLLBACK")


def evaluate(server: Server, who: str, name: str = "") -> dict:
    told = server.ask("POST", f"{FLAG}{name}", {"context": {"targetingKey": who}})
    assert told.status == 200, told.body
    return dict(json.loads(told.body))


@pytest.mark.parametrize("name", ["/loans.arm", ""])
def test_while_a_new_subject_waits_for_the_vault_everything_else_is_answered(server: Server, name: str) -> None:
    with ThreadPoolExecutor(1) as thread:
        with vault_held(server.folders[0]):
            waiting = thread.submit(evaluate, server, f"somebody new for {name}", name)
            for _ in range(20):
                assert server.ask("GET", "/readyz", seconds=4.0).status == 200
            assert not waiting.done(), "it was answered without the vault"
        assert waiting.result()


def test_a_vault_that_stays_away_is_told_flag_by_flag(server: Server) -> None:
    with vault_held(server.folders[0]):
        assert server.ask("POST", f"{FLAG}/loans.arm", {"context": {"targetingKey": "x"}}).status == 503
        flags = evaluate(server, "y")["flags"]
    assert {one["key"] for one in flags} == {"loans", "loans.arm", "loans.canary"}
    assert {one["errorCode"] for one in flags} == {"GENERAL"}
    assert evaluate(server, "x", "/loans.arm")["value"] == "live"
