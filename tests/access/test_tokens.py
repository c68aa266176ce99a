"""Tokens: what the issuer signed for us now is believed, and nothing else, whatever a token says of itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.access.tokens import LARGEST, LARGEST_SET, TokenReader, signers, token_readers
from kring.errors import DataError, Refused, Unauthenticated, Unavailable
from kring.record.access import AccessList, AccessPolicy, Oidc, TokenKeys

NOW: Final = 1_800_000_000
US: Final = 1_000_000
ISSUER: Final = "https://login.example.org/main"
OIDC: Final = Oidc(
    issuer=ISSUER,
    audience="kring",
    jwks="jwks.json",
    claim="groups",
    roles={"drivers": "caller", "it": "admin", "board": "auditor"},
    max_age_us=3600 * US,
)
MAKERS: Final[dict[str, Callable[[], Any]]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@cache
def private(algorithm: str, name: str = "") -> Any:
    del name
    return MAKERS[algorithm]()


def jwk(algorithm: str, *, kid: str, key: Any = None, **more: object) -> dict[str, object]:
    public = (key or private(algorithm)).public_key()
    written = jwt.get_algorithm_by_name(algorithm).to_jwk(public)
    return {**json.loads(written), "kid": kid, **more}


def key_set(*members: dict[str, object]) -> bytes:
    return json.dumps({"keys": members}).encode()


def whole() -> bytes:
    return key_set(*(jwk(algorithm, kid=algorithm, use="sig", alg=algorithm) for algorithm in MAKERS))


def reader(jwks: bytes | None = None, *, oidc: Oidc = OIDC) -> TokenReader:
    return TokenReader(oidc, keys=TokenKeys(jwks=jwks or whole(), since=NOW * US), system="tills")


def claims(**more: object) -> dict[str, object]:
    plain = {"iss": ISSUER, "aud": "kring", "sub": "ann", "nbf": NOW - 10, "exp": NOW + 600, "groups": ["drivers"]}
    return {name: value for name, value in {**plain, **more}.items() if value is not None}


def token(
    payload: dict[str, object] | None = None, *, algorithm: str = "RS256", key: Any = None, **head: object
) -> str:
    return jwt.encode(
        payload or claims(), key or private(algorithm), algorithm=algorithm, headers={"kid": algorithm, **head}
    )


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(text: str, *, by: TokenReader | None = None, now: int = NOW) -> str:
    with pytest.raises(Unauthenticated) as caught:
        (by or reader()).principal(text, now=now * US)
    told = str(caught.value)
    assert len(text) < 20 or text[-20:] not in told
    return told


@pytest.mark.parametrize("algorithm", MAKERS)
def test_a_right_token_is_believed(algorithm: str) -> None:
    found = reader().principal(token(algorithm=algorithm), now=NOW * US)
    assert found.name == "ann"
    assert found.roles == {"tills": ("caller",)}
    assert found.expires == (NOW + 600) * US
    assert found.key == ""


def test_a_token_begins_when_it_says_or_was_made() -> None:
    for begins in ({"nbf": None, "iat": NOW}, {"iat": NOW}, {"nbf": NOW + 29, "iat": NOW - 60}):
        assert reader().principal(token(claims(**begins)), now=NOW * US).name == "ann"


def test_without_a_name_the_only_key_is_meant() -> None:
    text = jwt.encode(claims(), private("ES256"), algorithm="ES256")
    assert reader(key_set(jwk("ES256", kid="one"))).principal(text, now=NOW * US).name == "ann"
    refused(text)


@pytest.mark.parametrize(
    ("claim", "value", "roles"),
    [
        ("groups", "drivers", ("caller",)),
        ("groups", ["board", "it", "it"], ("admin", "auditor")),
        ("groups", ["strangers"], ()),
        ("groups", [["it"], {"it": 1}, 7, None, True], ()),
        ("groups", {"it": "it"}, ()),
        ("groups", "admin", ()),
        ("groups", None, ()),
        ("realm.roles", ["it"], ("admin",)),
        ("https://example.org/roles", ["it"], ("admin",)),
    ],
)
def test_roles_come_from_the_claim_by_the_mapping_alone(claim: str, value: object, roles: tuple[str, ...]) -> None:
    given: dict[str, object] = {"groups": None, claim: value}
    if claim == "realm.roles":
        given = {"groups": None, "realm": {"roles": value}}
    oidc = Oidc(issuer=ISSUER, audience="kring", jwks="", claim=claim, roles=OIDC.roles)
    found = reader(oidc=oidc).principal(token(claims(**given)), now=NOW * US)
    assert found.roles == ({"tills": roles} if roles else {})


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (claims(aud="other"), "another audience"),
        (claims(aud=["other", "kringle"]), "another audience"),
        (claims(aud=""), "no aud"),
        (claims(iss="https://evil.example"), "another issuer"),
        (claims(iss=ISSUER + "/"), "another issuer"),
        (claims(exp=NOW - 31), "expired"),
        (claims(nbf=NOW + 31), "not valid yet"),
        (claims(iat=NOW + 31), "not valid yet"),
        (claims(exp=NOW + 90_000), "longer than 24 hours"),
        (claims(exp=str(NOW + 60)), "not a moment"),
        (claims(exp=True), "not a moment"),
        (claims(exp=1e300), "not a moment"),
        (claims(nbf=[]), "not a moment"),
        (claims(iss=None), "no iss"),
        (claims(aud=None), "no aud"),
        (claims(exp=None), "no exp"),
        (claims(nbf=None), "neither nbf nor iat"),
        (claims(nbf=None, iat=NOW + 31), "not valid yet"),
        (claims(sub=None), "no sub"),
        (claims(sub=""), "not a name"),
        (claims(sub="a\nb"), "not a name"),
        (claims(sub="x" * 300), "not a name"),
    ],
)
def test_wrong_claims(payload: dict[str, object], word: str) -> None:
    assert word in refused(token(payload))


def signed(body: bytes) -> str:
    """Whatever it is, signed by the issuer."""
    text = f"{part({'alg': 'ES256', 'kid': 'ES256'})}.{part(body)}"
    return f"{text}.{part(jwt.get_algorithm_by_name('ES256').sign(text.encode(), private('ES256')))}"


@pytest.mark.parametrize(
    "wrong",
    [{"sub": 7}, {"sub": ["ann"]}, {"sub": None}, {"iss": [ISSUER, "https://evil.example"]}, {"iss": 7}, {"aud": 7},
     {"aud": {"kring": 1}}, {"aud": ["kring", 7]}, {"exp": None}, {"iat": "soon"}],
)  # fmt: skip
def test_claims_of_another_type(wrong: dict[str, object]) -> None:
    refused(signed(json.dumps({**claims(), **wrong}).encode()))


@given(late=st.integers(-100, 100))
@settings(max_examples=20)
def test_clocks_may_differ_by_half_a_minute(late: int) -> None:
    text = token(claims(exp=NOW - late), algorithm="EdDSA")
    if late < 30:
        reader().principal(text, now=NOW * US)
    else:
        refused(text)


def test_no_signature_is_none() -> None:
    for alg in ("none", "None", "NONE", "", "nOnE"):
        for signature in ("", "AAAA"):
            refused(f"{part({'alg': alg, 'kid': 'RS256', 'typ': 'JWT'})}.{part(claims())}.{signature}")


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """A token signed by HMAC with the public key as the secret, which a careless reader would believe."""
    public = private("RS256").public_key()
    forms = [
        public.public_bytes(encoding, format)
        for encoding, format in (
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        )
    ]
    for secret in (*forms, b"", whole()):
        for alg in ("HS256", "RS256"):
            body = f"{part({'alg': alg, 'kid': 'RS256'})}.{part(claims())}"
            refused(f"{body}.{part(hmac.new(secret, body.encode(), hashlib.sha256).digest())}")


@pytest.mark.parametrize("alg", ["HS256", "RS384", "RS512", "PS256", "ES384", "ES256K", "ES512"])
def test_other_algorithms_are_refused_even_if_signed_by_the_right_key(alg: str) -> None:
    if alg[:2] in ("RS", "PS"):
        text = jwt.encode(claims(), private("RS256"), algorithm=alg, headers={"kid": "RS256"})
    else:
        text = f"{part({'alg': alg, 'kid': 'ES256'})}.{part(claims())}.{part(b'x' * 64)}"
    assert "algorithm" in refused(text)


def test_a_key_signs_with_its_own_algorithm_only() -> None:
    for alg in MAKERS:
        for kid in set(MAKERS) - {alg}:
            assert "signs as it says" in refused(token(algorithm=alg, kid=kid))


@pytest.mark.parametrize(
    "kid",
    ["", "rs256", "RS256 ", "../../../../dev/null", "/proc/self/environ", "RS256' OR '1'='1",
     "x'; DROP TABLE event; --",
     "RS256\x00", "x" * 4000, "https://evil.example/jwks.json", "${jndi:ldap://evil.example}"],
)  # fmt: skip
def test_a_key_is_found_by_its_exact_name_or_not_at_all(kid: str) -> None:
    refused(token(kid=kid))


@pytest.mark.parametrize("kid", [7, None, ["RS256"], {"RS256": 1}, True])
def test_a_key_name_that_is_no_text(kid: object) -> None:
    refused(f"{part({'alg': 'RS256', 'kid': kid})}.{part(claims())}.{part(b'x' * 256)}")


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_keys_that_a_token_brings_or_points_to_are_not_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*given: object, **more: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("socket.socket.connect", opened)
    evil = private("RS256", "evil")
    brought = {
        "jku": "https://evil.example/jwks.json",
        "x5u": "file:///etc/passwd",
        "jwk": jwk("RS256", kid="RS256", key=evil),
        "x5c": ["MIIB"],
    }
    refused(token(key=evil, **{name: brought[name]}))
    right = token(**{name: brought[name]})
    assert reader().principal(right, now=NOW * US).name == "ann"


@pytest.mark.parametrize("head", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False, "crit": ["b64"]}])
def test_what_is_critical_and_not_understood_is_refused(head: dict[str, object]) -> None:
    body = f"{part({'alg': 'ES256', 'kid': 'ES256', **head})}.{part(claims())}"
    signature = jwt.get_algorithm_by_name("ES256").sign(body.encode(), private("ES256"))
    assert "crit" in refused(f"{body}.{part(signature)}")


def test_a_large_token_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*given: object, **more: object) -> None:
        raise AssertionError("it was read")

    by = reader()
    monkeypatch.setattr("base64.b64decode", read)
    assert "larger" in refused("x" * 10_000_000, by=by)
    assert "larger" in refused("a." + "b" * LARGEST + ".c", by=by)


BROKEN = [
    "", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "====.====.====", "\x00.\x00.\x00",
    f"{part(b'[' * 3000)}.{part(claims())}.AAAA",
    f"{part(b'not json')}.{part(claims())}.AAAA",
    f"{part([])}.{part(claims())}.AAAA",
    f"{part({'alg': ['RS256'], 'kid': 'RS256'})}.{part(claims())}.AAAA",
    f"{part({'kid': 'RS256'})}.{part(claims())}.AAAA",
    f"{part({'alg': 'RS256', 'kid': 'RS256'})}.{part(claims())}.{part(b'x' * 256)}",
    f"{part({'alg': 'RS256', 'kid': 'RS256'})}.{part(claims())}.",
    f"{part({'alg': 'RS256', 'kid': 'RS256'})}.{part(claims())}.====",
    f"{part({'alg': 'RS256', 'kid': 'RS256'})}..{part(b'x' * 256)}",
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_tokens(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("body", [b"[" * 3000, b"7", b"[]", b"null", b'"x"', b"\xff\xfe", b""])
def test_a_rightly_signed_body_that_is_no_set_of_claims(body: bytes) -> None:
    refused(signed(body))


@given(st.text(max_size=300))
@settings(max_examples=30)
def test_no_text_is_a_token(text: str) -> None:
    refused(text)


@given(at=st.integers(0, 400), sign=st.sampled_from("AQgwx-_"))
@settings(max_examples=40)
def test_one_changed_sign_is_noticed(at: int, sign: str) -> None:
    text = token(algorithm="EdDSA")
    at %= len(text)
    changed = text[:at] + sign + text[at + 1 :]
    if changed[:-1] != text[:-1]:
        refused(changed)


def test_keys_that_are_too_old_are_not_asked() -> None:
    by = reader()
    text = token(claims(exp=NOW + 7200))
    assert by.principal(text, now=(NOW + 3599) * US)
    with pytest.raises(Unavailable) as caught:
        by.principal(text, now=(NOW + 3600) * US)
    assert "jwks.json" in caught.value.next


def test_keys_of_no_use_are_passed_over() -> None:
    p384 = jwk("ES384", kid="p384", key=ec.generate_private_key(ec.SECP384R1()))
    e448 = jwk("EdDSA", kid="ed448", key=ed448.Ed448PrivateKey.generate())
    others = [p384, e448, jwk("RS256", kid="enc", use="enc"), jwk("RS256", kid="rs512", alg="RS512"), {"kty": 7}, {}]
    found = signers(key_set(jwk("ES256", kid="one"), *others))
    assert {kid: one.algorithm for kid, one in found.items()} == {"one": "ES256"}
    with pytest.raises(DataError, match="no key of use"):
        signers(key_set(*others))


@pytest.mark.parametrize(
    ("jwks", "error"),
    [
        (b"", DataError),
        (b"[]", DataError),
        (b"{}", DataError),
        (b'{"keys": {}}', DataError),
        (b'{"keys": [7]}', DataError),
        (b'{"keys": []}', DataError),
        (b"[" * 5000, DataError),
        (b'{"keys": [{"kty": "RSA", "n": "' + b"A" * 400 + b'"}]}', DataError),
        (b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}', DataError),
        (b" " * (LARGEST_SET + 1), DataError),
        (b"<html>sign in</html>", DataError),
        (b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', Refused),
    ],
)
def test_bad_key_sets(jwks: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        signers(jwks)
    assert caught.value.next  # type: ignore[attr-defined]


def test_weak_secret_and_double_keys_are_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(Refused, match="too weak"):
        signers(key_set(jwk("ES256", kid="one"), jwk("RS256", kid="two", key=weak)))
    with pytest.raises(Refused, match="holds a secret") as caught:
        signers(key_set(jwk("ES256", kid="one", d="c2VjcmV0c2VjcmV0")))
    assert "c2Vj" not in str(caught.value)
    with pytest.raises(DataError, match="issuer's key set") as twice:
        signers(key_set(jwk("ES256", kid="one"), jwk("EdDSA", kid="one")))
    assert "two keys" in twice.value.got


def test_readers_for_systems_that_take_tokens() -> None:
    keys = TokenKeys(jwks=whole(), since=NOW * US)
    policies = {"a": AccessPolicy(oidc=OIDC), "b": AccessPolicy(), "c": AccessPolicy(oidc=OIDC)}
    readers = token_readers(AccessList(policies=policies, token_keys={"a": keys}))
    assert set(readers) == {"a"}
    assert readers["a"].principal(token(), now=NOW * US).roles == {"a": ("caller",)}
