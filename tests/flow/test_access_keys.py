"""Keys on ledgers: a digest and no secret, several systems as one key, ended at once, none wider than its maker."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import get_args

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kring.access.guard import Gatekeeper
from kring.access.keys import EXAMPLE, digest, parse
from kring.errors import Conflict, DataError, Forbidden, NotFound, Refused, StorageError, Unauthenticated, UserError
from kring.flow import history
from kring.flow.keys import (
    NewKey,
    access_list,
    create_key,
    ensure_dev_key,
    keys_on,
    list_keys,
    published,
    revoke_key,
    token_keys_of,
)
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.record.access import AccessList, AccessPolicy, ApiKey, Oidc, Principal, Role
from systems import day, write_loans, write_parcels, write_prices

DAY = 86_400_000_000
ROLES = get_args(Role)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("systems")
    write_loans(root / "loans")
    write_parcels(root / "parcels")
    write_prices(root / "prices")
    return root


@pytest.fixture
def projects(written: Path, tmp_path: Path) -> list[Project]:
    """Three systems with ledgers of their own and one clock."""
    root, clock = Path(shutil.copytree(written, tmp_path / "root")), SimulatedClock(day(0))
    return [replace(open_project(root / name), clock=clock) for name in ("loans", "parcels", "prices")]


def live(projects: list[Project], *, now: int | None = None) -> tuple[ApiKey, ...]:
    with ExitStack() as stack:
        held = {project.system.name: keys_on(stack.enter_context(project.ledger())) for project in projects}
        return published(held, now=projects[0].clock.now() if now is None else now)


def opens(projects: list[Project], made: NewKey, system: str) -> bool:
    gate = Gatekeeper(dev_keys=True)
    gate.replace(keys=live(projects))
    try:
        principal = gate.authenticate({"x-api-key": made.secret}, now=projects[0].clock.now(), tick=0.0)
    except Unauthenticated:
        return False
    return system in principal.roles


def append(project: Project, key: ApiKey) -> None:
    with project.ledger() as ledger:
        ledger.append([history.entry(key, id=key.id, actor="somebody", at=project.clock.now())])


def test_a_key_for_several_systems_is_one_id_on_each_ledger(projects: list[Project]) -> None:
    loans, parcels, prices = projects
    made = create_key([loans, parcels], role="caller", label="till 4", owner="Ann", lasts_us=90 * DAY)
    for project in (loans, parcels):
        with project.ledger() as ledger:
            assert history.get(ledger, ApiKey, made.key.id) == made.key
            assert ledger.get("key", made.key.id).actor == "Ann"
            ledger.verify()
    assert made.key.systems == ("loans", "parcels")
    assert made.key.expires == day(90)
    assert opens(projects, made, "loans")
    assert opens(projects, made, "parcels")
    assert not opens(projects, made, "prices")
    assert not opens([prices], made, "prices")
    assert [key.id for key in list_keys(projects)] == [made.key.id]


def test_no_file_of_a_system_holds_the_secret(projects: list[Project]) -> None:
    made = create_key(projects, role="admin", label="ann", owner="Ann")
    secret = parse(made.secret).secret.encode()
    for project in projects:
        files = [path for path in project.folder.rglob("*") if path.is_file()]
        assert project.home.ledger in files
        for path in files:
            assert secret not in path.read_bytes(), path
        dump = "\n".join(sqlite3.connect(project.home.ledger).iterdump())
        assert secret.decode() not in dump
        assert secret.hex() not in dump.lower()
    assert secret.decode() not in repr(made) + str(made) + repr(list_keys(projects))


def test_a_key_that_is_ended_is_ended_in_every_system_in_sight(projects: list[Project]) -> None:
    loans, parcels, _ = projects
    made = create_key([loans, parcels], role="caller", label="till 4", owner="Ann")
    other = create_key([loans, parcels], role="caller", label="till 5", owner="Ann")
    ended = revoke_key([parcels], made.key.id, owner="Bob")
    assert ended.revoked == day(0)
    assert not opens(projects, made, "loans")
    assert not opens(projects, made, "parcels")
    assert opens([loans], made, "loans"), "the ledger of loans does not know"
    assert opens(projects, other, "loans")
    revoke_key([loans, parcels], made.key.id, owner="Bob")
    with parcels.ledger() as ledger:
        assert [key.revoked for key in history.all_of(ledger, ApiKey) if key.id == made.key.id] == [0, day(0)]
    assert [bool(key.revoked) for key in list_keys(projects)] == [key.id == made.key.id for key in list_keys(projects)]


def test_a_key_ends_when_it_expires(projects: list[Project]) -> None:
    made = create_key(projects, role="viewer", label="x", owner="x", lasts_us=DAY)
    forever = create_key(projects, role="viewer", label="x", owner="x")
    assert {key.id for key in live(projects, now=day(1) - 1)} == {made.key.id, forever.key.id}
    assert {key.id for key in live(projects, now=day(1))} == {forever.key.id}


@pytest.mark.parametrize("change", [{"digest": digest("x" * 32)}, {"role": "admin"}, {"expires": 5}, {"env": "dev"}])
def test_an_id_that_means_different_keys_is_none(projects: list[Project], change: dict[str, object]) -> None:
    loans, parcels, _ = projects
    made = create_key([loans, parcels], role="caller", label="x", owner="x")
    append(parcels, msgspec.structs.replace(made.key, **change))
    assert live(projects, now=1) == ()
    assert opens([loans], made, "loans")


def test_a_ledger_speaks_for_its_own_system_only(projects: list[Project]) -> None:
    loans, parcels, prices = projects
    made = create_key([loans], role="admin", label="x", owner="x")
    append(loans, msgspec.structs.replace(made.key, systems=("loans", "parcels", "prices")))
    append(prices, msgspec.structs.replace(made.key, systems=("loans",)))
    assert live(projects)[0].systems == ("loans",)
    assert parcels.system.name == "parcels"


def told(projects: list[Project], before: AccessList | None = None) -> AccessList:
    with ExitStack() as stack:
        held = {project.system.name: keys_on(stack.enter_context(project.ledger())) for project in projects}
        return access_list(projects, held, now=projects[0].clock.now(), before=before)


def test_an_example_on_a_ledger_stops_the_start_and_is_never_taken(projects: list[Project]) -> None:
    made = create_key(projects, role="admin", label="copied", owner="x")
    before = told(projects)
    append(projects[0], msgspec.structs.replace(made.key, id="a" * 16, digest=digest(EXAMPLE)))
    with pytest.raises(Refused, match="anybody knows") as caught:
        told(projects)
    assert EXAMPLE not in str(caught.value)
    assert [key.id for key in told(projects, before).keys] == [made.key.id]
    revoke_key(projects[:1], "a" * 16, owner="x")
    assert [key.id for key in told(projects).keys] == [made.key.id]


def admin(*systems: str, expires: int = 0) -> Principal:
    return Principal(name="ann", roles=dict.fromkeys(systems, ("admin",)), expires=expires)


@pytest.mark.parametrize("role", ROLES)
def test_through_a_server_nobody_makes_a_wider_key(projects: list[Project], role: Role) -> None:
    loans, parcels, _ = projects
    for maker in ROLES:
        by = Principal(name="p", roles={"loans": (maker,)})
        if maker == "admin":
            assert create_key([loans], role=role, label="x", owner="p", by=by).key.role == role
        else:
            with pytest.raises(Forbidden):
                create_key([loans], role=role, label="x", owner="p", by=by)
    for by, asked in ((admin("loans"), [parcels]), (admin("loans"), [loans, parcels]), (admin(), [loans])):
        with pytest.raises(Forbidden):
            create_key(asked, role=role, label="x", owner="p", by=by)
    assert list_keys([parcels]) == ()


def test_through_a_server_no_key_outlives_its_maker(projects: list[Project]) -> None:
    by = admin("loans", expires=day(10))
    for lasts in (0, 11 * DAY):
        with pytest.raises(Forbidden):
            create_key(projects[:1], role="caller", label="x", owner="p", lasts_us=lasts, by=by)
    assert create_key(projects[:1], role="caller", label="x", owner="p", lasts_us=10 * DAY, by=by)


def test_through_a_server_only_who_manages_ends_a_key_and_others_do_not_learn_of_it(projects: list[Project]) -> None:
    loans, parcels, _ = projects
    made = create_key([loans], role="caller", label="x", owner="x")
    told = []
    for by in (admin("parcels"), Principal(name="p", roles={"loans": ("releaser",)}), Principal(name="p")):
        for id in (made.key.id, "b" * 16):
            with pytest.raises(NotFound) as caught:
                revoke_key([loans, parcels], id, owner="p", by=by)
            told.append(str(caught.value).replace(id, "ID"))
    assert len(set(told)) == 1
    assert opens(projects, made, "loans")
    assert revoke_key([loans, parcels], made.key.id, owner="p", by=admin("loans")).revoked


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "\x1b[31m", "x" * 101])
def test_a_name_that_says_nothing(projects: list[Project], label: str) -> None:
    with pytest.raises(UserError):
        create_key(projects, role="caller", label=label, owner="x")
    assert list_keys(projects) == ()


def test_each_system_once(projects: list[Project]) -> None:
    for wrong in ([], [projects[0], projects[0]]):
        with pytest.raises(UserError):
            create_key(wrong, role="caller", label="x", owner="x")
        with pytest.raises(UserError):
            revoke_key(wrong, "a" * 16, owner="x")


@pytest.mark.parametrize("id", ["", "a" * 16, "../x", "' OR 1=1 --", "k\x00", "x" * 100_000])
def test_ids_that_there_are_not(projects: list[Project], id: str) -> None:
    with pytest.raises(NotFound) as caught:
        revoke_key(projects, id, owner="x")
    assert len(str(caught.value)) < 1000


def test_when_one_ledger_refuses_no_live_key_is_left(projects: list[Project]) -> None:
    loans, parcels, prices = projects
    prices.home.ledger.mkdir(parents=True)
    with pytest.raises(StorageError):
        create_key([loans, parcels, prices], role="admin", label="x", owner="x")
    assert live([loans, parcels]) == ()
    assert [bool(key.revoked) for key in list_keys([loans, parcels])] == [True]


def test_the_first_start_makes_one_key_for_this_machine_and_shows_it_once(projects: list[Project]) -> None:
    loans, parcels, prices = projects
    create_key([prices], role="caller", label="x", owner="x")
    made = ensure_dev_key(projects)
    assert made is not None
    assert made.secret.startswith("kring_dev_")
    assert (made.key.role, made.key.env, made.key.systems) == ("admin", "dev", ("loans", "parcels"))
    assert opens(projects, made, "loans")
    assert not opens(projects, made, "prices"), "prices had a key already"
    beyond = Gatekeeper(dev_keys=False)
    beyond.replace(keys=live(projects))
    with pytest.raises(Unauthenticated, match="development key"):
        beyond.authenticate({"x-api-key": made.secret}, now=0, tick=0.0)
    assert ensure_dev_key(projects) is None
    revoke_key([loans, parcels], made.key.id, owner="x")
    assert ensure_dev_key(projects) is None, "no second one comes by itself"


def test_there_is_no_key_that_nobody_made(projects: list[Project]) -> None:
    assert live(projects) == ()
    assert list_keys(projects) == ()


def test_a_key_that_was_decided_on_an_older_ledger_is_not_made(projects: list[Project]) -> None:
    create_key(projects, role="viewer", label="x", owner="x")
    with pytest.raises(Conflict):
        create_key(projects, role="admin", label="x", owner="x", expect={"loans": 0, "parcels": 0, "prices": 0})
    assert [key.role for key in live(projects)] == ["viewer"]


def with_tokens(project: Project) -> Project:
    oidc = Oidc(issuer="https://i.example", audience="a", jwks="jwks.json", claim="c", roles={"x": "caller"})
    return replace(project, system=msgspec.structs.replace(project.system, access=AccessPolicy(oidc=oidc)))


def write_key_set(file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    member = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key()))
    file.write_text(json.dumps({"keys": [{**member, "kid": "one"}]}))


def test_the_keys_of_an_issuer_come_from_its_file(projects: list[Project]) -> None:
    loans, parcels, _ = projects
    project = with_tokens(loans)
    with pytest.raises(DataError) as missing:
        token_keys_of(project)
    assert (missing.value.key, "jwks.json" in missing.value.file) == ("access.oidc.jwks", True)
    file = project.folder / "jwks.json"
    file.write_text("<html>")
    with pytest.raises(DataError) as wrong:
        token_keys_of(project)
    assert wrong.value.file == str(file)
    write_key_set(file)
    os.utime(file, (1_000, 1_000))
    found = token_keys_of(project)
    assert found is not None
    assert found.since == 1_000_000_000
    os.utime(file, (10**11, 10**11))
    later = token_keys_of(project)
    assert later is not None
    assert later.since == day(0), "a file is not from the future"
    assert token_keys_of(parcels) is None
    file.write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}]}))
    with pytest.raises(Refused):
        token_keys_of(project)


def test_what_the_workers_are_told(projects: list[Project]) -> None:
    made = create_key(projects, role="caller", label="x", owner="x")
    found = told(projects)
    assert set(found.policies) == {"loans", "parcels", "prices"}
    sent = msgspec.json.encode(found)
    assert parse(made.secret).secret.encode() not in sent
    assert msgspec.json.decode(sent, type=AccessList) == found


def test_a_broken_file_of_an_issuer_keeps_no_key_from_being_ended(projects: list[Project]) -> None:
    """It stops the start; later the issuer's keys of before go on, and so does everything else."""
    made = create_key(projects, role="caller", label="x", owner="x")
    project = with_tokens(projects[0])
    file = project.folder / "jwks.json"
    write_key_set(file)
    served = [project, *projects[1:]]
    before = told(served)
    assert set(before.token_keys) == {"loans"}
    revoke_key(projects, made.key.id, owner="x")
    file.write_text("half of a fi")
    with pytest.raises(DataError):
        told(served)
    later = told(served, before)
    assert later.keys == ()
    assert later.token_keys == before.token_keys
    file.unlink()
    assert told(served, AccessList()).token_keys == {}
