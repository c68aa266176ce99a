"""API keys: `kring_<env>_<id>_<secret><crc32>`, made once, kept as a digest, checked in a few microseconds.

The id has 80 random bits and the secret 160, both in lower-case base 32 (RFC 4648); the CRC-32 of all before it, in
hexadecimal, tells a mistyped key or another's from a wrong one before anything is looked up. A secret of 160 random
bits needs no slow hash: SHA-256 is kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from kring.errors import Refused, Unauthenticated
from kring.ports.random import Random
from kring.record.access import ApiKey, Env, Principal, Role

PREFIX: Final = "kring_"
ID_BYTES: Final = 10
SECRET_BYTES: Final = 20
ID_LENGTH: Final = 16
SECRET_LENGTH: Final = 32
CRC_LENGTH: Final = 8
FORM: Final = "kring_<env>_<id>_<secret><crc32>"
ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
LEAST_SIGNS: Final = 9
"""Different signs of a secret at the least; by chance fewer happen once in 10¹² secrets."""

EXAMPLE: Final = "thisisanexamplenotasecret2345672"
"""The secret of the handbook's example."""

ABSENT: Final = bytes(32)
"""What a secret is compared with when there is no such key, so that it takes as long."""


class Shown(NamedTuple):
    """A well-formed key as somebody shows it; whether it is one of ours is not known yet."""

    env: str
    id: str
    secret: str


def digest(secret: str) -> str:
    """SHA-256 of a secret in hexadecimal: what is kept of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


WEAK: Final = frozenset(digest(text) for text in (EXAMPLE, ALPHABET, ALPHABET[::-1], *(32 * sign for sign in ALPHABET)))
"""Digests of secrets that anybody could guess or read."""


def make_key(
    random: Random,
    *,
    env: Env,
    role: Role,
    systems: Iterable[str],
    label: str,
    owner: str,
    created: int,
    expires: int = 0,
) -> tuple[ApiKey, str]:
    """A new key, and the text that is shown once. `Refused` when chance gives no secret worth the name."""
    id = base64.b32encode(random.bytes(ID_BYTES)).decode().lower()
    secret = base64.b32encode(random.bytes(SECRET_BYTES)).decode().lower()
    if len(set(secret)) < LEAST_SIGNS or digest(secret) in WEAK:
        raise Refused(
            "no key was made: the source of randomness gives what anybody could guess",
            got="a weak secret",
            allowed=f"{8 * SECRET_BYTES} random bits",
            next="see to the machine's source of randomness, then try again",
        )
    key = ApiKey(
        id=id,
        env=env,
        digest=digest(secret),
        role=role,
        systems=tuple(systems),
        label=label,
        owner=owner,
        created=created,
        expires=expires,
    )
    return key, written(env, id=id, secret=secret)


def written(env: str, *, id: str, secret: str) -> str:
    """The whole key as a text, with its checksum."""
    text = f"{PREFIX}{env}_{id}_{secret}"
    return f"{text}{zlib.crc32(text.encode()):08x}"


def parse(text: str) -> Shown:
    """What stands in a key. `Unauthenticated` for what is none: prefix, form and checksum, before anything else."""
    parts = text.split("_", 4)
    if len(parts) == 4 and text.isascii():
        kring, env, id, tail = parts
        right = len(id) == ID_LENGTH and len(tail) == SECRET_LENGTH + CRC_LENGTH and env in ("live", "dev")
        if kring == "kring" and right and f"{zlib.crc32(text[:-CRC_LENGTH].encode()):08x}" == tail[SECRET_LENGTH:]:
            return Shown(env, id, tail[:SECRET_LENGTH])
    raise Unauthenticated(
        "this is not an API key, or a part of it is missing",
        got="a text whose form or checksum is not that of a key",
        allowed=FORM,
        next="copy the whole key; kring key create makes a new one",
    )


def id_in(text: str) -> str:
    """The id of a key, when the whole key is given in its place: nobody has to cut it out, and no secret goes on."""
    parts = text.split("_", 3)
    return parts[2][:ID_LENGTH] if text.startswith(PREFIX) and len(parts) > 2 else text


def is_weak(key: ApiKey) -> bool:
    """Whether anybody could guess the secret, or read it in the handbook."""
    return key.digest in WEAK


def require_strong(keys: Iterable[ApiKey]) -> None:
    """`Refused` when a key has a secret that anybody could guess or read in the handbook."""
    for key in keys:
        if is_weak(key):
            raise Refused(
                f"the key {key.id} ({key.label}) has a secret that anybody knows",
                got="an example",
                allowed=f"{8 * SECRET_BYTES} random bits, as kring key create makes them",
                next=f"kring key revoke {key.id}",
            )


MOST_AGAIN: Final = 4096
"""Keys that are known again without parsing."""


class _Known(NamedTuple):
    digest: bytes
    env: str
    expires: int
    principal: Principal


class KeyTable:
    """The live keys by id. `dev` says whether development keys are taken: on loopback only."""

    __slots__ = ("_again", "_dev", "_known", "_salted")

    def __init__(self, keys: Iterable[ApiKey], *, dev: bool) -> None:
        self._dev = dev
        self._known = {key.id: _known(key) for key in keys if not key.revoked}
        self._salted = hashlib.blake2b(key=os.urandom(16), digest_size=16)
        self._again: dict[bytes, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def holder(self, text: str, *, now: int) -> Principal:
        """Who holds the key `text` at `now` (microseconds). `Unauthenticated` for nobody: in the same words, and
        after the same work, whether there is no such id or the secret is another.

        A key that was right is known again by a keyed digest of it, for as long as this table lives.
        """
        marking = self._salted.copy()
        marking.update(text.encode("utf-8", "surrogatepass"))
        mark = marking.digest()
        again = self._again.get(mark)
        if again is not None:
            return self._still(again, now=now)
        shown = parse(text)
        known = self._known.get(shown.id)
        given = hashlib.sha256(shown.secret.encode()).digest()
        same = hmac.compare_digest(given, known.digest if known else ABSENT)
        if known is None or not same or known.env != shown.env:
            raise Unauthenticated(
                "this key is not known here: wrong, revoked, or made for another system",
                allowed="a live key of a system that is served here",
                next="kring key list shows which keys there are, kring key create makes a new one",
            )
        if len(self._again) < MOST_AGAIN:
            self._again[mark] = known
        return self._still(known, now=now)

    def holder_of(self, id: str, *, now: int) -> Principal:
        """Who holds the key with that id, of which a session remembers that it was shown; `Unauthenticated` once it
        is gone."""
        known = self._known.get(id)
        if known is None:
            raise Unauthenticated("the key of this session is gone", next="sign in with another one")
        return self._still(known, now=now)

    def _still(self, known: _Known, *, now: int) -> Principal:
        """The holder of a key that lives at `now` and may be shown here."""
        if known.expires and now >= known.expires:
            raise Unauthenticated("this key has expired", next="kring key create makes a new one")
        if known.env == "dev" and not self._dev:
            raise Unauthenticated(
                "a development key opens nothing that is reached from other machines",
                got="a key that begins with kring_dev_",
                allowed="a key that begins with kring_live_",
                next="kring key create makes one",
            )
        return known.principal


def _known(key: ApiKey) -> _Known:
    principal = Principal(
        name=key.label, roles=dict.fromkeys(key.systems, (key.role,)), key=key.id, expires=key.expires
    )
    return _Known(bytes.fromhex(key.digest), key.env, key.expires, principal)
