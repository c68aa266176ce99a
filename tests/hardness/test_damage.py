"""Bytes that somebody changed: whatever opens them says so, and nothing answers on them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import contents, kring
from parcels import LIVE_FROM, LIVE_TO

from kring.release.sign import new_key, public_of, sign

LEDGER = ".kring/ledger.db"
Damage = Callable[[Path], object]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def executed(*statements: str) -> Damage:
    def damage(folder: Path) -> None:
        connection = sqlite3.connect(folder / LEDGER)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return damage


def edited(folder: Path) -> None:
    executed("DROP TRIGGER event_stays", "UPDATE event SET actor = 'mallory' WHERE seq = 3")(folder)


LEDGERS: dict[str, tuple[Damage, str]] = {
    "of a newer Kring": (executed("PRAGMA user_version = 99"), "newer_format"),
    "no database": (lambda folder: (folder / LEDGER).write_bytes(b"hello" * 1000), "integrity"),
    "cut off": (lambda folder: (folder / LEDGER).write_bytes((folder / LEDGER).read_bytes()[:5000]), "integrity"),
    "another program's": (executed("PRAGMA application_id = 7"), "integrity"),
    "a folder": (lambda folder: ((folder / LEDGER).unlink(), (folder / LEDGER).mkdir()), "storage"),
    "gone": (lambda folder: (folder / LEDGER).unlink(), "integrity"),
}


@pytest.mark.parametrize("words", [("status",), ("check",), ("train",), ("release",), ("rollback", "--reason", "x")])
@pytest.mark.parametrize("name", LEDGERS)
def test_a_ledger_that_is_none_stops_every_command(name: str, words: tuple[str, ...], released: Path) -> None:
    damage, code = LEDGERS[name]
    damage(released)
    before = contents(released)
    answer = kring(words[0], released, *words[1:])
    assert (answer.exit, answer.error["code"]) == (3, code), answer
    assert answer.error["next"] or answer.error["got"]
    assert contents(released) == before


EVENTS: dict[str, tuple[Damage, str]] = {
    "edited": (edited, "event 3"),
    "deleted": (executed("DROP TRIGGER event_lasts", "DELETE FROM event WHERE seq = 4"), "event 4"),
    "cut at the end": (
        executed("DROP TRIGGER event_lasts", "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)"),
        "event ",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_that_was_changed_is_named(name: str, released: Path) -> None:
    damage, named = EVENTS[name]
    damage(released)
    answer = kring("status", released, "--verify")
    assert (answer.exit, answer.error["code"]) == (3, "integrity")
    assert named in answer.error["message"]


def signed_anew(version: Path) -> None:
    """As somebody else would: with a key of their own."""
    (version / "model.sig").unlink()
    (version / "model.sig").write_bytes(sign(version, key_pem=new_key()))


VERSIONS: dict[str, Damage] = {
    "one byte changed": lambda version: flip(version / "links" / "model.onnx", -9),
    "a file added": lambda version: (version / "extra.txt").write_text("hello"),
    "a file missing": lambda version: (version / "lineage.json").unlink(),
    "a pickle inside": lambda version: (version / "links" / "model.pkl").write_bytes(b"\x80\x04N."),
    "unsigned": lambda version: (version / "model.sig").unlink(),
    "signed by another key": signed_anew,
    "all of it gone": shutil.rmtree,
}


@pytest.mark.parametrize("which", ["live", "previous"])
@pytest.mark.parametrize("name", VERSIONS)
def test_a_damaged_version_is_found_and_never_gone_back_to(
    name: str, which: str, two_versions: Path, tmp_path: Path
) -> None:
    status = kring("status", two_versions).object
    ids = {"live": status["live"]["id"], "previous": status["previous"]}
    VERSIONS[name](two_versions / ".kring" / "versions" / ids[which])
    found = kring("status", two_versions, "--verify")
    assert (found.exit, found.error["code"]) == (3, "integrity"), found
    assert ids[which] in found.text
    scored = kring("score", two_versions / "feed.csv", two_versions, "--out", tmp_path / "out.csv")
    if which == "live":
        assert (scored.exit, scored.error["code"]) == (3, "integrity"), scored
        assert not (tmp_path / "out.csv").exists()
    else:
        assert scored.exit == 0, scored
        assert scored.object["scored"]["fallback"] == 0
    back = kring("rollback", two_versions, "--reason", "it is bad")
    if which == "previous":
        assert (back.exit, back.error["code"]) == (3, "integrity"), back
        assert kring("status", two_versions).object["live"]["id"] == ids["live"]
    else:
        assert back.exit == 0
        assert kring("status", two_versions).object["live"]["id"] == ids["previous"]


def other_key(folder: Path) -> None:
    key = new_key()
    (folder / ".kring/keys/signing.pem").write_bytes(key)
    (folder / ".kring/keys/signing.pub").write_bytes(public_of(key))


KEYS: dict[str, Damage] = {
    "both exchanged": other_key,
    "the public half gone": lambda folder: (folder / ".kring/keys/signing.pub").unlink(),
    "the public half of another": lambda folder: (folder / ".kring/keys/signing.pub").write_bytes(public_of(new_key())),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_are_not_the_ones_of_the_release(name: str, two_versions: Path) -> None:
    KEYS[name](two_versions)
    for words in (("status", "--verify"), ("rollback", "--reason", "x")):
        answer = kring(words[0], two_versions, *words[1:])
        assert (answer.exit, answer.error["code"]) == (3, "integrity"), answer


def test_a_lost_private_key_is_never_replaced_in_silence(released: Path) -> None:
    (released / ".kring/keys/signing.pem").unlink()
    answer = kring("release", released)
    assert (answer.exit, answer.error["code"]) == (3, "integrity"), answer
    assert not (released / ".kring/keys/signing.pem").exists()


@pytest.mark.parametrize("file", ["chain.json", "links/model.onnx", "prepare.json"])
def test_a_run_that_was_changed_is_not_released(file: str, released: Path) -> None:
    for path in (released / ".kring/runs").glob(f"*/{file}"):
        flip(path, path.stat().st_size // 2)
    answer = kring("release", released)
    assert (answer.exit, answer.error["code"]) == (3, "integrity"), answer


def part(folder: Path) -> Path:
    return next((folder / ".kring/data").glob("*/part-*.parquet"))


RESTORE = ("snapshot", "restore", "latest")
WRITE = (*RESTORE, "--out", "DIR/old.csv")
DATA: dict[str, Damage] = {
    "one byte changed": lambda folder: flip(part(folder), 4000),
    "gone": lambda folder: part(folder).unlink(),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("words", [("train",), ("status", "--verify"), RESTORE, WRITE])
def test_a_damaged_snapshot_is_not_learned_from(name: str, words: tuple[str, ...], released: Path) -> None:
    DATA[name](released)
    answer = kring(*(word.replace("DIR", str(released)) for word in words), released)
    assert not (released / "old.csv").exists()
    assert (answer.exit, answer.error["code"]) == (3, "integrity"), answer


@pytest.fixture(scope="session")
def replayed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home of a replay, and a decision in it."""
    home = tmp_path_factory.mktemp("replayed") / "home"
    answer = kring("replay", made, "--from", LIVE_FROM, "--to", LIVE_TO, "--home", home)
    assert answer.exit == 0, answer
    return home, answer.object["replay"]["trace_id"]


LOGS: dict[str, Damage] = {
    "one byte changed": lambda log: flip(log, log.stat().st_size // 2),
    "cut off": lambda log: log.write_bytes(log.read_bytes()[:-100]),
    "gone": lambda log: log.unlink(),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_damaged_log_is_found(name: str, made: Path, replayed: tuple[Path, str], tmp_path: Path) -> None:
    home = Path(shutil.copytree(replayed[0], tmp_path / "home"))
    whole = kring("trace", replayed[1], made, "--home", home)
    assert whole.exit == 0
    LOGS[name](next((home / "log").glob("*.log")))
    answer = kring("status", made, "--home", home, "--verify")
    assert (answer.exit, answer.error["code"]) == (3, "integrity"), answer
    traced = kring("trace", replayed[1], made, "--home", home)
    if traced.exit == 0:  # the damage lies elsewhere
        assert traced.object == whole.object
    else:
        assert (traced.exit, traced.error["code"]) in ((3, "integrity"), (2, "not_found")), traced
