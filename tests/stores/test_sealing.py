"""Personal values in records: sealed for one subject, alike each time, and gone with the key."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import StorageError
from kring.host.files import LocalFiles
from kring.host.random import SeededRandom
from kring.metrics.packing import packed, unpacked
from kring.ports.sealer import ERASED
from kring.record.decision import Decisions, Value
from kring.stores.file import open_log
from kring.stores.sealing import KeyedSealer, SealingLog, unsealed
from kring.stores.vault import SqliteVault, open_vault
from kring.testing.decision_log import SYSTEM, DecisionLogSuite, decisions, outcomes, packed_decisions

VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text())


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> SqliteVault:
    return open_vault(tmp_path_factory.mktemp("vault") / "vault.db", random=SeededRandom(1))


@pytest.fixture
def sealer(vault: SqliteVault) -> KeyedSealer:
    return KeyedSealer(vault)


class TestSealingLog(DecisionLogSuite):
    """A log with nothing personal in it is a log like any other."""

    def make(self, folder: Path) -> SealingLog:
        keys = KeyedSealer(open_vault(folder.parent / "vault.db", random=SeededRandom(1)))
        inner = open_log(folder, files=LocalFiles(), system=SYSTEM)
        return SealingLog(inner, keys, fields=("age",), key_by="who", hide=False)


@given(st.lists(st.tuples(st.sampled_from(["ada", "bob", ""]), VALUES, VALUES), max_size=8))
def test_what_was_sealed_opens_with_its_type(rows: list[tuple[str, Value, Value]]) -> None:
    sealer = KeyedSealer(SHARED)
    subjects = [row[0] for row in rows]
    columns = {"a": [row[1] for row in rows], "b": [row[2] for row in rows]}
    sealed = sealer.seal(columns, subjects)
    found = KeyedSealer(SHARED).unseal(sealed, subjects)
    assert found == columns
    assert [[type(value) for value in column] for column in found.values()] == [
        [type(value) for value in column] for column in columns.values()
    ]
    assert KeyedSealer(SHARED).seal(columns, subjects) == sealed
    assert all(value is None or isinstance(value, str) for column in sealed.values() for value in column)


class Fixed:
    """A vault in memory."""

    def keys(self, values: list[str], *, make: bool = True) -> list[bytes | None]:
        del make
        return [value.encode().ljust(16, b"-") for value in values]

    def tokens(self, values: list[str]) -> list[str]:
        return values

    def known(self, value: str) -> str:
        return value

    def forget(self, value: str) -> bool:
        return bool(value)

    def close(self) -> None:
        """Nothing to let go of."""


SHARED = Fixed()


def test_only_the_subject_and_the_column_open_it(sealer: KeyedSealer) -> None:
    sealed = sealer.seal({"name": ["Ada", "Ada"], "town": ["Ada", "Ada"]}, ["ada", "bob"])
    texts = [value for column in sealed.values() for value in column]
    assert len(set(texts)) == 4
    assert not any("Ada" in str(text) for text in texts)
    assert sealer.unseal({"name": sealed["name"][::-1]}, ["ada", "bob"]) == {"name": [ERASED, ERASED]}
    assert sealer.unseal({"town": sealed["name"]}, ["ada", "bob"]) == {"town": [ERASED, ERASED]}
    assert sealer.unseal({"name": ["", "no text of ours", 7, None, str(texts[0])[:-4]]}, ["ada"] * 5) == {
        "name": [ERASED, ERASED, ERASED, None, ERASED]
    }


def test_nothing_opens_when_the_key_is_gone(sealer: KeyedSealer, vault: SqliteVault) -> None:
    columns = {"name": ["Ada", None, "Bob"]}
    subjects = ["gone", "gone", "stays"]
    sealed = sealer.seal(columns, subjects)
    assert vault.forget("gone")
    assert sealer.unseal(sealed, subjects) == columns
    sealer.forget_all()
    assert sealer.unseal(sealed, subjects) == {"name": [ERASED, None, "Bob"]}
    again = sealer.seal(columns, subjects)
    assert again["name"][2] == sealed["name"][2]
    assert again["name"][0] != sealed["name"][0]
    assert sealer.unseal(sealed, subjects) == {"name": [ERASED, None, "Bob"]}


def test_who_is_forgotten_while_another_thread_seals_stops_nobody(vault: SqliteVault) -> None:
    """The vault takes its time over a new subject; meanwhile all keys in memory are let go."""
    asked, goes_on = threading.Event(), threading.Event()

    class Slow(Fixed):
        def keys(self, values: list[str], *, make: bool = True) -> list[bytes | None]:
            if "bob" in values:
                asked.set()
                assert goes_on.wait(30)
            return vault.keys(values, make=make)

    sealer, columns = KeyedSealer(Slow()), {"name": ["Ada", "Bob"]}
    sealer.seal({"name": ["Ada"]}, ["ada"])
    with ThreadPoolExecutor(1) as beside:
        sealed = beside.submit(sealer.seal, columns, ["ada", "bob"])
        assert asked.wait(30)
        sealer.forget_all()
        goes_on.set()
        assert sealed.result(30) == KeyedSealer(vault).seal(columns, ["ada", "bob"])
    asked.clear()
    sealer.seal({"name": ["Bob"]}, ["bob"])
    assert asked.is_set(), "no key is kept of who was forgotten"


def sealing(folder: Path, *, key_by: str = "who", hide: bool = False) -> SealingLog:
    keys = KeyedSealer(open_vault(folder / "vault.db", random=SeededRandom(1)))
    inner = open_log(folder / "log", files=LocalFiles(), system=SYSTEM)
    return SealingLog(inner, keys, fields=("age", "town"), key_by=key_by, hide=hide)


def about(subjects: list[str]) -> Decisions:
    n = len(subjects)
    inputs: dict[str, list[Value]] = {"who": [*subjects], "age": [*range(n)], "town": [None, *["Delft"] * (n - 1)]}
    return msgspec.structs.replace(decisions(n), inputs={**inputs, "row": [*range(n)]}, subjects=subjects)


@pytest.mark.parametrize("hide", [False, True])
def test_records_are_sealed_on_their_way_in(tmp_path: Path, hide: bool) -> None:
    log = sealing(tmp_path, hide=hide)
    record = about(["ada", "bob", "ada"])
    who = [0, 1, 0]
    scored = msgspec.structs.replace(
        packed_decisions(3),
        inputs={
            "who": packed(np.array(who), words=["ada", "bob"]),
            "age": packed(np.arange(3)),
            "town": packed(np.array([0, 0, 0]), known=np.array([False, True, True]), words=["Delft"]),
            "row": packed(np.arange(3)),
        },
        subject="who",
    )
    for one in (record, scored, outcomes([bytes(16)])):
        log.append(one)
    log.commit()
    first, second, third = (logged.record for logged in log.read())
    assert third == outcomes([bytes(16)])
    keys = KeyedSealer(open_vault(tmp_path / "vault.db", random=SeededRandom(9)))
    for found, was in ((first, record), (second, unpacked(scored))):
        assert isinstance(found, Decisions)
        assert found.sealed == ["age", "town"]
        assert b"Delft" not in (tmp_path / "log" / "0-1.log").read_bytes()
        expected = keys.tokens(["ada", "bob", "ada"]) if hide else ["ada", "bob", "ada"]
        assert found.subjects == found.inputs["who"] == expected
        assert found.inputs["row"] == was.inputs["row"]
        opened = unsealed(found, keys)
        assert {name: opened.inputs[name] for name in ("age", "town")} == {
            name: was.inputs[name] for name in ("age", "town")
        }
        assert unsealed(opened, keys) is opened
    log.close()
    with pytest.raises(StorageError):
        log._sealer.tokens(["ada"])


def test_without_anybody_to_key_by_a_key_of_the_system_seals(tmp_path: Path) -> None:
    log = sealing(tmp_path, key_by="")
    log.append(msgspec.structs.replace(about(["ada", "bob"]), subjects=[]))
    log.commit()
    (logged,) = log.read()
    assert isinstance(logged.record, Decisions)
    keys = KeyedSealer(open_vault(tmp_path / "vault.db", random=SeededRandom(9)))
    assert unsealed(logged.record, keys).inputs["age"] == [0, 1]
    log.close()
