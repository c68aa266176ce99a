"""`kring key`: made and shown once, listed without secrets, ended; and every wrong way to ask for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kring.access.keys import parse
from kring.flow.keys import list_keys
from kring.flow.project import open_project
from systems import Told, kring, write_loans, write_parcels

KEY = re.compile(r"kring_(live|dev)_[a-z2-7]{16}_[a-z2-7]{32}[0-9a-f]{8}")


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    return write_loans(tmp_path / "loans")


@pytest.fixture
def parcels(tmp_path: Path) -> Path:
    return write_parcels(tmp_path / "parcels")


def make(*words: object) -> dict:
    told = kring("key", "create", *words, "--json")
    assert told.code == 0, told
    return told.json


def test_people_see_the_key_once_on_stdout(loans: Path, parcels: Path) -> None:
    told = kring("key", "create", "--role", "caller", "--name", "till 4", loans, parcels)
    assert told.code == 0
    found = KEY.search(told.out)
    assert found
    assert len(KEY.findall(told.out)) == 1
    assert told.out.splitlines()[0] == found[0], "a line of its own, to be copied or piped"
    assert "caller in loans, parcels, until 20" in told.out
    assert not KEY.search(told.err)
    listed = kring("key", "list", loans, parcels)
    secret = parse(found[0]).secret
    for text in (listed.out, listed.err):
        assert secret not in text
        assert "till 4" in listed.out
    assert parse(found[0]).id in listed.out


def test_programs_get_the_key_in_the_one_object_and_nowhere_else(loans: Path) -> None:
    told = kring(
        "key", "create", "--role", "admin", "--name", "ann", "--expires", "never", "--by", "Bob", loans, "--json"
    )
    made = told.json
    secret = parse(made["secret"]).secret
    assert secret not in told.err
    assert made["key"]["role"] == "admin"
    assert made["key"]["owner"] == "Bob"
    assert made["key"]["expires"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", made["key"]["created"])
    assert "digest" not in made["key"]
    listed = kring("key", "list", loans, "--json")
    assert listed.json == {"keys": [made["key"]]}
    assert secret not in listed.out + listed.err
    (key,) = list_keys([open_project(loans)])
    assert key.digest not in told.out + told.err + listed.out + listed.err


def test_a_key_lasts_a_year_unless_told_otherwise(loans: Path) -> None:
    make("--role", "viewer", "--name", "a", loans)
    make("--role", "viewer", "--name", "b", "--expires", "90d", loans)
    year, quarter = list_keys([open_project(loans)])
    assert year.expires - year.created == 365 * 86_400_000_000
    assert quarter.expires - quarter.created == 90 * 86_400_000_000


def test_revoking(loans: Path, parcels: Path) -> None:
    id = make("--role", "caller", "--name", "till 4", loans, parcels)["key"]["id"]
    half = kring("key", "revoke", id, loans, "--json")
    assert half.code == 1, "it is not ended everywhere"
    assert half.json["left"] == ["parcels"]
    assert "parcels" in half.err
    whole = kring("key", "revoke", id, loans, parcels)
    assert whole.code == 0
    assert id in whole.out
    assert "revoked" in kring("key", "list", loans).out


def test_the_current_folder_when_none_is_named(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(loans)
    assert kring("key", "list").code == 0
    assert make("--role", "viewer", "--name", "a")["key"]["systems"] == ["loans"]


def test_no_key_yet(loans: Path) -> None:
    told = kring("key", "list", loans)
    assert told.code == 0
    assert "kring key create" in told.out
    assert kring("key", "list", loans, "--json").json == {"keys": []}


WRONG = {
    "no words": ("key",),
    "another word": ("key", "delete"),
    "no role": ("key", "create", "--name", "x", "DIR"),
    "a role that is none": ("key", "create", "--role", "boss", "--name", "x", "DIR"),
    "a role in capitals": ("key", "create", "--role", "ADMIN", "--name", "x", "DIR"),
    "two roles": ("key", "create", "--role", "admin,viewer", "--name", "x", "DIR"),
    "no name": ("key", "create", "--role", "viewer", "DIR"),
    "an empty name": ("key", "create", "--role", "viewer", "--name", "", "DIR"),
    "a name of two lines": ("key", "create", "--role", "viewer", "--name", "a\nb", "DIR"),
    "a name that speaks to terminals": ("key", "create", "--role", "viewer", "--name", "\x1b[2J", "DIR"),
    "an endless name": ("key", "create", "--role", "viewer", "--name", "x" * 5000, "DIR"),
    "no time": ("key", "create", "--role", "viewer", "--name", "x", "--expires", "0d", "DIR"),
    "a time that is none": ("key", "create", "--role", "viewer", "--name", "x", "--expires", "soon", "DIR"),
    "a time before": ("key", "create", "--role", "viewer", "--name", "x", "--expires", "-1d", "DIR"),
    "too long a time": ("key", "create", "--role", "viewer", "--name", "x", "--expires", "9999999999w", "DIR"),
    "a moment": ("key", "create", "--role", "viewer", "--name", "x", "--expires", "2030-01-01", "DIR"),
    "one system twice": ("key", "create", "--role", "viewer", "--name", "x", "DIR", "DIR"),
    "no system": ("key", "create", "--role", "viewer", "--name", "x", "DIR/nowhere"),
    "a system and none": ("key", "create", "--role", "viewer", "--name", "x", "DIR", "DIR/nowhere"),
    "a file": ("key", "create", "--role", "viewer", "--name", "x", "DIR/feed.csv"),
    "list of nothing": ("key", "list", "DIR/nowhere"),
    "list of one twice": ("key", "list", "DIR", "DIR"),
    "revoke nothing": ("key", "revoke"),
    "revoke nobody": ("key", "revoke", "aaaaaaaaaaaaaaaa", "DIR"),
    "revoke a word": ("key", "revoke", "' OR 1=1 --", "DIR"),
    "revoke a path": ("key", "revoke", "../../etc/passwd", "DIR"),
    "revoke without an id": ("key", "revoke", "", "DIR"),
}


def asked(name: str, folder: Path) -> Told:
    return kring(*(word.replace("DIR", str(folder)) for word in WRONG[name]), "--json")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use(name: str, loans: Path) -> None:
    told = asked(name, loans)
    assert told.code == 2, told
    error = told.json["error"]
    assert error["code"] in ("use", "not_found", "config", "data")
    assert error["next"] or error["allowed"] or error["faults"][0]["next"], error
    assert list_keys([open_project(loans)]) == ()


def test_the_whole_key_ends_it_too_and_is_not_repeated(loans: Path) -> None:
    """Whoever has found a key somewhere pastes it."""
    made = make("--role", "viewer", "--name", "x", loans)
    secret = parse(made["secret"]).secret
    cut = kring("key", "revoke", made["secret"].replace(made["key"]["id"], "a" * 16), loans, "--json")
    told = kring("key", "revoke", made["secret"], loans, "--json")
    assert (cut.code, told.code) == (2, 0)
    assert told.json["key"]["revoked"]
    for one in (cut, told):
        assert secret not in one.out + one.err


def test_a_ledger_that_can_not_be_written(loans: Path) -> None:
    (loans / ".kring").write_text("in the way")
    told = kring("key", "create", "--role", "viewer", "--name", "x", loans, "--json")
    assert told.code == 3
    assert told.json["error"]["code"] == "storage"
    assert not KEY.search(told.out + told.err)
