"""Keys: made, listed and ended on the ledgers of the systems for which they hold.

A key for several systems is one id on each of their ledgers: it holds in a system when that system's ledger says so
and no other ledger in sight has ended it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from kring.access.keys import id_in, is_weak, make_key, require_strong
from kring.access.roles import may_mint, may_revoke
from kring.errors import Conflict, DataError, Forbidden, KringError, NotFound, UserError
from kring.flow import adapters, history
from kring.flow.project import Project
from kring.ports.ledger import Ledger
from kring.record.access import AccessList, ApiKey, Env, Principal, Role, TokenKeys

LONGEST: Final = 100
ATTEMPTS: Final = 5
DEV_LABEL: Final = "development key of the first start"


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key and the `secret` text to hand over: shown here and never again."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"NewKey(key={self.key!r})"


def create_key(
    projects: Sequence[Project],
    *,
    role: Role,
    label: str,
    owner: str,
    lasts_us: int = 0,
    env: Env = "live",
    by: Principal | None = None,
    expect: Mapping[str, int] | None = None,
) -> NewKey:
    """A new key with `role` in the systems of `projects`, for `lasts_us` microseconds (0: for ever).

    `by` is who asks for it through a server: `Forbidden` when the key would be wider than theirs. Without it the
    caller owns the ledgers, and may. `expect` is where each ledger ends on which this was decided: `Conflict` when
    one has moved on. Either all ledgers hold the key, or none of them a live one.
    """
    systems = _names(projects)
    _require_label(label)
    now = projects[0].clock.now()
    expires = now + lasts_us if lasts_us else 0
    if by is not None and not may_mint(by, role=role, systems=systems, expires=expires):
        raise Forbidden(
            f"{by.name} may not make this key",
            got=f"{role} in {', '.join(systems)}",
            allowed="a key that is no wider than one's own: in role, in systems, in time",
            next="ask for less, or ask an admin of all these systems",
        )
    key, secret = make_key(
        projects[0].random, env=env, role=role, systems=systems, label=label, owner=owner, created=now, expires=expires
    )
    _append_everywhere(projects, key, actor=owner, expect=expect or {})
    return NewKey(key=key, secret=secret)


def list_keys(projects: Sequence[Project]) -> tuple[ApiKey, ...]:
    """Every key on the ledgers, ended ones too, oldest first; `systems` are those of `projects` in which it is."""
    _names(projects)
    found: dict[str, ApiKey] = {}
    for project in projects:
        with project.ledger() as ledger:
            for key in keys_on(ledger):
                other = found.get(key.id)
                systems = (*(other.systems if other else ()), project.system.name)
                revoked = max(key.revoked, other.revoked if other else 0)
                found[key.id] = msgspec.structs.replace(key, systems=systems, revoked=revoked)
    return tuple(sorted(found.values(), key=lambda key: (key.created, key.id)))


def revoke_key(projects: Sequence[Project], id: str, *, owner: str, by: Principal | None = None) -> ApiKey:
    """End the key `id` on every ledger of `projects` that has it; ending it twice changes nothing. The whole key will
    do as well.

    `NotFound` when none has it, or `by` may not know that one does.
    """
    _names(projects)
    id = id_in(id)
    ended: ApiKey | None = None
    for project in projects:
        with project.ledger() as ledger:
            key = history.newest_with(ledger, ApiKey, id)
            if key is None or (by is not None and not may_revoke(by, systems=(project.system.name,))):
                continue
            if not key.revoked:
                key = msgspec.structs.replace(key, revoked=project.clock.now())
                ledger.append([history.entry(key, id=id, actor=owner, at=key.revoked)])
            ended = key
    if ended is None:
        raise NotFound(
            "there is no such key on these ledgers",
            got=repr(id[:60]),
            allowed="the id of a key, as kring key list shows it",
            next="kring key list",
        )
    return ended


def ensure_dev_key(projects: Sequence[Project]) -> NewKey | None:
    """At the first start of systems that have no key yet, one that may do all, for this machine only; later None.

    Of two that start at once, one gets it.
    """
    for attempt in range(ATTEMPTS):
        heads: dict[str, int] = {}
        for project in projects:
            with project.ledger() as ledger:
                head = ledger.head().seq
                if not keys_on(ledger):
                    heads[project.system.name] = head
        first = [project for project in projects if project.system.name in heads]
        if not first:
            return None
        try:
            return create_key(first, role="admin", label=DEV_LABEL, owner="first start", env="dev", expect=heads)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
    return None


def published(held: Mapping[str, Iterable[ApiKey]], *, now: int) -> tuple[ApiKey, ...]:
    """The keys that live at `now`, by what the ledger of each system holds; what is ended on one of them is ended.

    `systems` of a key are those whose own ledger holds it for them. An id that stands for different keys on two
    ledgers is none.
    """
    found: dict[str, list[ApiKey]] = {}
    for system, keys in held.items():
        for key in keys:
            if system in key.systems:
                found.setdefault(key.id, []).append(msgspec.structs.replace(key, systems=(system,)))
    live = []
    for held_by in found.values():
        same = len({(key.digest, key.env, key.role, key.expires) for key in held_by}) == 1
        ended = any(key.revoked or (key.expires and now >= key.expires) for key in held_by)
        if same and not ended:
            systems = tuple(system for key in held_by for system in key.systems)
            live.append(msgspec.structs.replace(held_by[0], systems=systems))
    return tuple(sorted(live, key=lambda key: key.id))


def access_list(
    projects: Sequence[Project], held: Mapping[str, Iterable[ApiKey]], *, now: int, before: AccessList | None = None
) -> AccessList:
    """All that the workers have to know of access: the keys that the ledgers hold, policies, and the key sets of the
    issuers.

    At the start `Refused` or `DataError` for a key with a secret that anybody could know, or an issuer's keys that
    can't be believed. Later, with what was known `before`, nothing keeps a key from being ended: a weak key is left
    out, and of an issuer whose file is broken the keys of before go on until they are too old.
    """
    keys = published(held, now=now)
    token_keys: dict[str, TokenKeys | None] = {}
    for project in projects:
        system = project.system.name
        try:
            token_keys[system] = token_keys_of(project)
        except KringError:
            if before is None:
                raise
            token_keys[system] = before.token_keys.get(system)
    if before is None:
        require_strong(keys)
    return AccessList(
        keys=tuple(key for key in keys if not is_weak(key)),
        policies={project.system.name: project.system.access for project in projects},
        token_keys={system: found for system, found in token_keys.items() if found is not None},
    )


def token_keys_of(project: Project) -> TokenKeys | None:
    """The issuer's keys in the file that `access.oidc.jwks` names, as old as the file; None without tokens.

    `DataError` when there is no such set of keys, `Refused` when it holds a secret or a weak key.
    """
    oidc = project.system.access.oidc
    if oidc is None:
        return None
    path = project.folder / oidc.jwks
    try:
        since = int(path.stat().st_mtime * 1e6)
    except OSError as error:
        raise DataError(
            "the key set of the issuer is not there",
            file=str(path),
            key="access.oidc.jwks",
            next=f"fetch it from the jwks_uri of {oidc.issuer} into this file",
        ) from error
    keys = TokenKeys(jwks=project.files.read(path), since=min(since, project.clock.now()))
    try:
        adapters.require_signers(keys.jwks)
    except KringError as error:
        error.file, error.key = str(path), "access.oidc.jwks"
        raise
    return keys


def keys_on(ledger: Ledger) -> tuple[ApiKey, ...]:
    """The last word on each key."""
    return tuple({key.id: key for key in history.all_of(ledger, ApiKey)}.values())


def _append_everywhere(projects: Sequence[Project], key: ApiKey, *, actor: str, expect: Mapping[str, int]) -> None:
    """Append to each ledger; when one refuses, end the key where it stands already."""
    done: list[Project] = []
    try:
        for project in projects:
            with project.ledger() as ledger:
                record = history.entry(key, id=key.id, actor=actor, at=key.created)
                ledger.append([record], expect_seq=expect.get(project.system.name))
            done.append(project)
    except KringError:
        for project in done:
            with suppress(KringError):
                revoke_key([project], key.id, owner=actor)
        raise


def _names(projects: Sequence[Project]) -> tuple[str, ...]:
    names = tuple(project.system.name for project in projects)
    if not names or len(set(names)) < len(names):
        raise UserError(
            "each system is named once",
            got=", ".join(names)[:80] or "none",
            allowed="the folders of different systems",
            next="leave out the folder that stands twice",
        )
    return names


def _require_label(label: str) -> None:
    if not label.strip() or len(label) > LONGEST or not label.isprintable():
        raise UserError(
            "a key has a name that says whose it is",
            got=repr(label[:LONGEST]),
            allowed=f"a line of 1 to {LONGEST} characters",
            next='--name "till 4"',
        )
