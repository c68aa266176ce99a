"""Who may do what: keys, the people and programs behind them, and how much they may ask."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Role = Literal["viewer", "caller", "developer", "releaser", "approver", "admin", "auditor"]
Action = Literal["decide", "outcome", "observe", "explain", "flag", "release", "approve", "manage", "audit"]
Env = Literal["live", "dev"]

KeyId = Annotated[str, msgspec.Meta(pattern=r"\A[a-z2-7]{16}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key: `digest` is the SHA-256 of its secret, in hexadecimal; the secret is kept nowhere.

    `role` holds in each of `systems`; `label` says what the key is for, `owner` who made it. `expires` and `revoked`
    are 0 as long as the key does not and is not.
    """

    id: KeyId
    env: Env
    digest: Digest
    role: Role
    systems: tuple[str, ...]
    label: str
    owner: str
    created: int
    expires: int = 0
    revoked: int = 0

    def __repr__(self) -> str:
        """Without the digest: a log has no use for it."""
        return f"ApiKey(id={self.id!r}, env={self.env!r}, role={self.role!r}, systems={self.systems!r})"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody we know: `name` for the records, `roles` by system, `key` the id of the API key that was shown (empty
    for a token), `expires` when what was shown ends (0: never)."""

    name: str
    roles: dict[str, tuple[Role, ...]] = {}
    key: str = ""
    expires: int = 0

    @property
    def who(self) -> str:
        """What tells callers apart, for limits and for what is theirs alone: names are no keys, and nobody's token can
        name a key."""
        return self.key or f"token of {self.name}"


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be asked on one machine: requests per second, and requests at the same time; 0 is no limit."""

    per_second: float = 0.0
    at_once: int = 0


class Oidc(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are believed: of `issuer`, made for `audience`, signed by a key in the file `jwks` that is at the
    most `max_age_us` old. `roles` says which value of `claim` gives which role."""

    issuer: str
    audience: str
    jwks: str
    claim: str
    roles: dict[str, Role]
    max_age_us: int = 7 * 86_400_000_000


class AccessPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a system says of access: tokens besides keys, and how much each key and all together may ask."""

    oidc: Oidc | None = None
    per_key: Rate = Rate()
    per_system: Rate = Rate()


class TokenKeys(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer's public keys (a JSON Web Key Set) as they were at `since`."""

    jwks: bytes
    since: int


class AccessList(msgspec.Struct, frozen=True, kw_only=True):
    """All that whoever answers at the door has to know: live keys, and by system its policy and its issuer's keys."""

    keys: tuple[ApiKey, ...] = ()
    policies: dict[str, AccessPolicy] = {}
    token_keys: dict[str, TokenKeys] = {}
