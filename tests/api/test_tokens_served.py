"""Tokens and keys as two workers behind a proxy take them: what is forged opens nothing, what is ended ends soon."""

from __future__ import annotations

import base64
import hmac
import http.client
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from faces import LOAN

from kring.access.keys import EXAMPLE, parse, written
from served import KEY, Reply, Server, start, wait_until_managed
from systems import kring

ISSUER: Final = "https://login.example.org"
ROLES: Final = '{ drivers = "caller", it = "admin" }'
POLICY: Final = f"""
[access]
oidc = {{ issuer = "{ISSUER}", audience = "kring", jwks = "jwks.json", claim = "groups", roles = {ROLES} }}
"""
SOON_S: Final = 3.0
"""A second is what is promised; a machine that does much else besides may take a little longer to say so."""

OFTEN: Final = 30
"""Connections in a row: with two workers, one that is never met is met once in a thousand million times."""

DECIDE: Final = "/api/decisions"
PUBLIC: Final = {"encoding": serialization.Encoding.PEM, "format": serialization.PublicFormat.SubjectPublicKeyInfo}


@dataclass
class Behind:
    """A server behind a proxy, which tells it a new caller's address each time: nobody is slowed for another."""

    server: Server
    folder: Path
    key: str
    private: dict[str, Any]
    addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def ask(self, method: str, path: str, body: object = None, *, key: str = "") -> Reply:
        number = next(self.addresses)
        headers = {"x-forwarded-for": f"192.0.2.7, 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        return self.server.ask(method, path, body, key=key, headers=headers)

    def until(self, key: str, status: int, *, often: int = OFTEN) -> float:
        """Seconds until the key got that answer for the last time but for ever: `often` times in a row."""
        began, since, alike = time.monotonic(), 0.0, 0
        while alike < often:
            alike = alike + 1 if self.ask("GET", "/v2/models/loans", key=key).status == status else 0
            if alike <= 1:
                since = time.monotonic() - began
            assert since < 30, self.server.log.read_text()
        return since


@pytest.fixture(scope="module")
def behind(released: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = Path(copytree(released["loans"], tmp_path_factory.mktemp("behind") / "loans"))
    with (folder / "kring.toml").open("a") as config:
        config.write(POLICY)
    private = {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
    }
    members = [
        {**json.loads(jwt.get_algorithm_by_name(name).to_jwk(key.public_key())), "kid": name, "use": "sig"}
        for name, key in private.items()
    ]
    (folder / "jwks.json").write_text(json.dumps({"keys": members}))
    running = start([folder], "--behind-proxy", workers=2)
    try:
        wait_until_managed(running)
        key = kring("--json", "key", "create", "--role", "admin", "--name", "all", folder).json["secret"]
        found = Behind(running, folder, key, private)
        found.until(key, 200)
        yield found
    finally:
        running.stop()
    assert "Traceback" not in running.log.read_text()


def claims(**more: object) -> dict[str, object]:
    now = int(time.time())
    plain = {"iss": ISSUER, "aud": "kring", "sub": "ann", "nbf": now - 10, "exp": now + 600, "groups": ["drivers"]}
    return {name: value for name, value in {**plain, **more}.items() if value is not None}


def token(behind: Behind, payload: dict[str, object] | None = None, *, by: str = "ES256", **head: object) -> str:
    return jwt.encode(payload or claims(), behind.private[by], algorithm=by, headers={"kid": by, **head})


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_public_key(behind: Behind, alg: str) -> str:
    """Signed with what everybody knows, as if it were a secret."""
    text = f"{part({'alg': alg, 'kid': 'RS256'})}.{part(claims())}"
    secret = behind.private["RS256"].public_key().public_bytes(**PUBLIC)
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


def forged(behind: Behind) -> dict[str, str]:
    now = int(time.time())
    right = token(behind)
    head, body, seal = right.split(".")
    own = ec.generate_private_key(ec.SECP256R1())
    theirs = {**json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(own.public_key())), "kid": "ES256"}
    kids = ["../../../dev/null", "/etc/passwd", "' OR 1=1 --", "ES256' UNION SELECT 'x", "", "es256", "ES256\0"]
    nones = ("none", "None", "nOnE", "NONE", "")
    return {
        **{f"alg {alg}": f"{part({'alg': alg, 'kid': 'ES256'})}.{body}." for alg in nones},
        **{f"alg {alg}, signed": f"{part({'alg': alg, 'kid': 'ES256'})}.{body}.{seal}" for alg in ("none", "ES384")},
        **{f"public key as {alg} secret": with_public_key(behind, alg) for alg in ("HS256", "RS256")},
        **{f"kid {kid[:20]!r}": token(behind, kid=kid) for kid in kids},
        **{
            f"its own key by {name}": jwt.encode(
                claims(), own, algorithm="ES256", headers={"kid": "ES256", name: value}
            )
            for name, value in (
                ("jwk", theirs),
                ("jku", "http://127.0.0.1:9/jwks.json"),
                ("x5u", "http://169.254.169.254/x"),
                ("x5c", ["MIIB"]),
            )
        },
        "another audience": token(behind, claims(aud="other")),
        "another issuer": token(behind, claims(iss="https://evil.example")),
        "expired": token(behind, claims(exp=now - 120)),
        "not yet": token(behind, claims(nbf=now + 600, exp=now + 900)),
        "no end": token(behind, claims(exp=None)),
        "for a year": token(behind, claims(exp=now + 31_536_000)),
        "nobody": token(behind, claims(sub=None)),
        "critical": token(behind, crit=["b64"], b64=False),
        "changed": f"{head}.{part(claims(groups=['it']))}.{seal}",
        "without a seal": f"{head}.{body}.",
        "twice": f"{right}.{seal}",
        "large": f"{head}.{part(b'x' * 9000)}.{seal}",
        "JSON": "{}",
        "a key of old": written("live", id="a" * 16, secret=EXAMPLE),
    }  # fmt: skip


def test_forged_tokens_open_nothing(behind: Behind) -> None:
    assert behind.ask("POST", DECIDE, {"inputs": LOAN}, key=token(behind)).status == 200
    assert behind.ask("POST", DECIDE, {"inputs": LOAN}, key=token(behind, by="RS256")).status == 200
    asked = forged(behind)
    for name, text in asked.items():
        for method, path in (("POST", DECIDE), ("GET", "/api/systems"), ("GET", "/")):
            told = behind.ask(method, path, {"inputs": LOAN} if method == "POST" else None, key=text)
            assert told.status == 401, (name, path, told.status, told.body)
            assert len(text) < 20 or text[-20:].encode() not in told.body, name
    assert len(asked) > 30


@pytest.mark.parametrize("size", [20_000, 10_000_000])
def test_a_token_without_end_is_not_read(behind: Behind, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client, "_MAXLINE", 1 << 24)
        try:
            told = behind.ask("GET", "/api/systems", key=f"{part({'alg': 'ES256'})}.{'A' * size}.x")
        except OSError:
            return  # the connection was closed on the way
    assert told.status in (401, 400, 431), told.status


def test_a_token_has_the_role_that_its_claim_gives_and_no_other(behind: Behind) -> None:
    expected = ((["drivers"], 200, 403), (["it"], 200, 200), (["admin"], 404, 404), ([], 404, 404))
    for groups, decides, manages in expected:
        text = token(behind, claims(groups=groups))
        assert behind.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN}, key=text).status == decides, groups
        assert behind.ask("GET", "/systems/loans/api/keys", key=text).status == manages, groups
    assert behind.ask("GET", "/", key=token(behind, claims(groups=["drivers"]))).status == 403


def test_a_development_key_is_none_where_others_come_in(behind: Behind) -> None:
    assert not KEY.search(behind.server.log.read_text())
    shown = parse(behind.key)
    dev = written("dev", id=shown.id, secret=shown.secret)
    assert behind.ask("GET", "/api/systems", key=dev).status == 401
    assert behind.ask("GET", "/api/systems", key=behind.key).status == 200


STATEMENTS: Final = (
    "' OR '1'='1",
    "'; DROP TABLE events; --",
    '" OR ""="',
    "1 UNION SELECT 1 FROM keys",
    "%",
    "_",
    "\\",
)


def test_an_address_that_a_caller_makes_up_is_not_believed(behind: Behind) -> None:
    """A proxy that adds a header of its own leaves the caller's before it: who guesses keys is slowed by the last."""

    def guessed(number: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", behind.server.port, timeout=20)
        with closing(connection):
            connection.putrequest("GET", "/v2/models/loans")
            for address in (f"198.51.100.{number}", "203.0.113.9"):
                connection.putheader("X-Forwarded-For", address)
            connection.putheader("Authorization", "Bearer wrong")
            connection.endheaders()
            return connection.getresponse().status

    told = [guessed(number) for number in range(60)]
    assert set(told) == {401, 429}
    assert told.count(401) < 40


def test_nothing_that_is_asked_is_a_statement(behind: Behind) -> None:
    before = behind.ask("GET", "/api/keys", key=behind.key).json
    for text in STATEMENTS:
        sealed = written("live", id="a' OR '1'='1x", secret=text)
        for key in (text, f"kring_live_{text}_x", f"kring_live_{'a' * 16}_{text}", sealed):
            assert behind.ask("GET", "/api/systems", key=key).status == 401
            assert behind.ask("POST", DECIDE, {"inputs": LOAN}, key=key).status == 401
        quoted = "".join(f"%{byte:02x}" for byte in text.encode())
        for path in ("/api/decisions/", "/api/systems/", "/v2/models/"):
            assert behind.ask("GET", path + quoted, key=behind.key).status == 404
        assert behind.ask("DELETE", f"/api/keys/{quoted}", key=behind.key).status == 404
        headers = {"idempotency-key": text, "authorization": f"Bearer {behind.key}", "x-forwarded-for": text}
        told = behind.server.ask("POST", DECIDE, {"inputs": LOAN | {"region": text, "email": text}}, headers=headers)
        assert told.status == 200, told.body
        assert behind.server.ask("POST", DECIDE, {"inputs": LOAN}, headers=headers).status in (409, 422), "the same key"
        id = told.json["id"]
        assert behind.ask("POST", f"/api/decisions/{id}/outcome", {"value": text}, key=behind.key).status == 422
        assert behind.ask("GET", f"/api/decisions/{id}", key=behind.key).json["inputs"]["region"] == text
    assert behind.ask("GET", "/api/keys", key=behind.key).json == before


def test_a_revoked_key_is_dead_within_a_second_on_every_worker(behind: Behind, record_property: Any) -> None:
    made = kring("--json", "key", "create", "--role", "caller", "--name", "short-lived", behind.folder).json
    behind.until(made["secret"], 200)
    told = kring("key", "revoke", made["key"]["id"], behind.folder)
    assert told.code == 0, told.err
    seconds = behind.until(made["secret"], 401)
    record_property("seconds until a revoked key is dead", round(seconds, 3))
    assert seconds <= SOON_S, f"a revoked key lived {seconds:.2f} s"
    assert behind.ask("GET", "/api/systems", key=made["secret"]).status == 401


def test_keys_live_on_without_the_ledger_and_the_server_says_so(behind: Behind) -> None:
    ledger = behind.folder / ".kring" / "ledger.db"
    parts = [path for path in ledger.parent.iterdir() if path.name.startswith(ledger.name)]
    moved = {path: path.with_name(f"away-{path.name}") for path in parts}
    for path, to in moved.items():
        path.rename(to)
    ledger.mkdir()
    try:
        wait_for(lambda: "ledger" in behind.server.ask("GET", "/readyz", key="").json["notes"])
        for _ in range(OFTEN):
            assert behind.ask("POST", DECIDE, {"inputs": LOAN}, key=behind.key).status == 200
        assert behind.ask("POST", DECIDE, {"inputs": LOAN}, key=f"{behind.key[:-1]}x").status == 401
        asked = {"label": "x", "role": "viewer", "systems": ["loans"], "days": 1}
        told = behind.ask("POST", "/api/keys", asked, key=behind.key)
        assert told.status >= 400, "no key is made that nobody can end"
    finally:
        ledger.rmdir()
        for path, to in moved.items():
            to.rename(path)
    wait_for(lambda: "ledger" not in behind.server.ask("GET", "/readyz", key="").json["notes"])
    assert behind.ask("POST", "/api/keys", asked, key=behind.key).status == 201


def wait_for(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    alike = 0
    while alike < OFTEN:
        alike = alike + 1 if true() else 0
        assert time.monotonic() < end
        time.sleep(0.0 if alike else 0.1)
