"""Tokens of people and pipelines: JSON Web Tokens (RFC 7519) of one issuer, for one audience.

A key decides by what it is which algorithm it signs with, never the token. Keys come from the configured set alone:
what a token says of where its key may be found (`jku`, `x5u`, `jwk`) is not read.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import jwt
import msgspec

from kring.errors import DataError, Refused, Unauthenticated, Unavailable
from kring.record.access import AccessList, Oidc, Principal, Role, TokenKeys

LARGEST: Final = 8192
LARGEST_SET: Final = 262_144
LEEWAY_S: Final = 30
LONGEST_S: Final = 86_400
LEAST_RSA: Final = 2048
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
REQUIRED: Final = ("iss", "aud", "exp", "sub")
BEGINS: Final = ("nbf", "iat")
"""One of them says from when on; many issuers leave out `nbf`."""

Claims = Mapping[str, object]


class Signer(NamedTuple):
    """A public key and the one algorithm that it is used with."""

    algorithm: str
    key: jwt.PyJWK


class _Header(msgspec.Struct, frozen=True):
    """What is read of a token before its signature is known to be right."""

    alg: str
    kid: str | None = None
    crit: object = None
    b64: object = None


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    crv: str = ""
    n: str = ""
    d: str = ""


class TokenReader:
    """Believes the tokens that `oidc` describes, for one system."""

    def __init__(self, oidc: Oidc, *, keys: TokenKeys, system: str) -> None:
        self._oidc = oidc
        self._signers = signers(keys.jwks)
        self._until = keys.since + oidc.max_age_us
        self._system = system

    def principal(self, token: str, *, now: int) -> Principal:
        """Whom the token speaks of at `now` (microseconds), with the roles that its claim gives; none is a right one.

        `Unauthenticated` for a token that is not believed, `Unavailable` when the issuer's keys are too old to say.
        """
        if now >= self._until:
            raise Unavailable(
                "the issuer's keys are too old to believe a token",
                got=f"{self._oidc.jwks} was fetched more than {self._oidc.max_age_us // 3_600_000_000} h ago",
                next=f"fetch the issuer's key set into {self._oidc.jwks} again",
            )
        claims = self._claims(token)
        expires = _check_times(claims, now=now / 1e6)
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise _refused("its sub is not a name")
        roles = self._roles(claims)
        return Principal(name=subject, roles={self._system: roles} if roles else {}, expires=round(expires * 1e6))

    def _claims(self, token: str) -> Claims:
        """The claims of a token whose signature, issuer and audience are right."""
        signer = self._signer(token)
        try:
            claims: Claims = jwt.decode(
                token,
                signer.key,
                algorithms=[signer.algorithm],
                issuer=self._oidc.issuer,
                audience=self._oidc.audience,
                options={"require": list(REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"it has no {error.claim}") from None
        except jwt.InvalidIssuerError:
            raise _refused("another issuer made it") from None
        except jwt.InvalidAudienceError:
            raise _refused("it was made for another audience") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _refused("its signature or its form is wrong") from None
        return claims

    def _signer(self, token: str) -> Signer:
        """The key that the token names, which must sign as the token says."""
        if len(token) > LARGEST:
            raise _refused(f"it is larger than {LARGEST:,} characters")
        head, _, rest = token.partition(".")
        if rest.count(".") != 1 or not token.isascii():
            raise _refused("it has not three parts")
        try:
            header = msgspec.json.decode(
                base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True), type=_Header
            )
        except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
            raise _refused("its head can't be read") from None
        if header.crit is not None or header.b64 is not None:
            raise _refused("it asks for something that is not understood (crit)")
        if header.alg not in ALGORITHMS:
            raise _refused("its algorithm is not allowed")
        signer = self._named(header.kid)
        if signer is None or signer.algorithm != header.alg:
            raise _refused("none of the issuer's keys signs as it says")
        return signer

    def _named(self, kid: str | None) -> Signer | None:
        """The key of that name; without a name the only key."""
        if kid is not None:
            return self._signers.get(kid)
        return next(iter(self._signers.values())) if len(self._signers) == 1 else None

    def _roles(self, claims: Claims) -> tuple[Role, ...]:
        value = _claim(claims, self._oidc.claim)
        held = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        found = {self._oidc.roles[one] for one in held if isinstance(one, str) and one in self._oidc.roles}
        return tuple(sorted(found))


def token_readers(table: AccessList) -> dict[str, TokenReader]:
    """A reader for each system that takes tokens and whose issuer's keys are there."""
    return {
        system: TokenReader(policy.oidc, keys=table.token_keys[system], system=system)
        for system, policy in table.policies.items()
        if policy.oidc is not None and system in table.token_keys
    }


def signers(jwks: bytes) -> dict[str, Signer]:
    """The public keys of a JSON Web Key Set (RFC 7517) by name, each with its algorithm.

    Keys for encryption and of kinds that are not allowed are passed over. `Refused` for a secret or a weak key,
    which has no place there; `DataError` for a set that can't be read, names two keys alike, or holds none of use.
    """
    found: dict[str, Signer] = {}
    for raw in _members(jwks):
        try:
            jwk = msgspec.convert(raw, _Jwk)
        except msgspec.ValidationError:
            continue
        _require_public(jwk)
        algorithm = _algorithm(jwk)
        if not algorithm:
            continue
        if jwk.kid in found:
            raise _unread(f"two keys are called {jwk.kid[:60]!r}")
        try:
            found[jwk.kid] = Signer(algorithm, jwt.PyJWK(dict(raw), algorithm))
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _unread(f"the key {jwk.kid[:60]!r} is broken") from error
    if not found:
        raise _unread("no key of use")
    return found


def _members(jwks: bytes) -> list[dict[str, object]]:
    if len(jwks) > LARGEST_SET:
        raise _unread(f"{len(jwks):,} bytes")
    try:
        return msgspec.json.decode(jwks, type=dict[str, list[dict[str, object]]])["keys"]
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError):
        raise _unread("something else") from None


def _require_public(jwk: _Jwk) -> None:
    if jwk.kty == "oct" or jwk.d:
        raise Refused(
            "an issuer's key set holds a secret",
            got="a symmetric key" if jwk.kty == "oct" else "a private key",
            allowed="public keys",
            next="fetch the set that the issuer publishes, and take the secret out of use",
        )
    if jwk.kty == "RSA" and len(jwk.n) * 6 < LEAST_RSA:
        raise Refused(
            "an issuer's key is too weak",
            got=f"RSA of about {len(jwk.n) * 6} bits",
            allowed=f"at least {LEAST_RSA} bits",
            next="have the issuer make a new one",
        )


def _algorithm(jwk: _Jwk) -> str:
    """What a key signs with, by what it is; empty when that is not allowed."""
    kind = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}.get((jwk.kty, jwk.crv), "")
    return kind if jwk.use == "sig" and jwk.alg in ("", kind) else ""


def _check_times(claims: Claims, *, now: float) -> float:
    """When the token ends, in seconds; refused unless it has begun, lasts, and ends soon enough."""
    end, begins = _moment(claims, "exp"), [_moment(claims, name) for name in BEGINS if name in claims]
    if not begins:
        raise _refused("it has neither nbf nor iat")
    begin = max(begins)
    if now >= end + LEEWAY_S:
        raise _refused("it has expired")
    if now < begin - LEEWAY_S:
        raise _refused("it is not valid yet")
    if end - begin > LONGEST_S:
        raise _refused(f"it lasts longer than {LONGEST_S // 3600} hours, and tokens can't be revoked")
    return end


def _moment(claims: Claims, name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e11:
        raise _refused(f"its {name} is not a moment")
    return float(value)


def _claim(claims: Claims, name: str) -> object:
    """The claim of that name, or at the end of the path that its dots make."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(
        f"this token is not believed: {why}",
        allowed=f"a current token of the configured issuer and audience, signed with {', '.join(ALGORITHMS)}",
        next="sign in again, or ask for a token for this audience",
    )


def _unread(got: str) -> DataError:
    return DataError(
        "this is not an issuer's key set",
        got=got,
        allowed='{"keys": [...]} with public keys for RS256, ES256 or EdDSA, each with its own kid',
        next="fetch it again from the jwks_uri of the issuer",
    )
