"""What a server asks for before it starts, what it says once, and what it never says: on servers of this file's own."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import os
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from faces import LOAN

from kring.access.keys import ALPHABET, EXAMPLE, digest, written
from kring.cli import serve as serve_command
from kring.flow import history
from kring.flow.project import open_project
from kring.record.access import ApiKey
from served import KEY, READY_S, Server, free_port, serving, start, wait_until_managed
from systems import kring

CANARY: Final = "canary7f3a9d"
"""A word that is in every secret of this file and nowhere else."""

DECIDE: Final = "/api/decisions"
PARTS: Final = ("key", "token", "password")


@pytest.fixture
def loans(released: dict[str, Path], tmp_path: Path) -> Path:
    return Path(copytree(released["loans"], tmp_path / "loans"))


@pytest.fixture(scope="module")
def lone(released: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers that were started with a mask that hides nothing, and a secret in their environment."""
    folder = Path(copytree(released["loans"], tmp_path_factory.mktemp("lone") / "loans"))
    before = os.umask(0)
    try:
        running = start([folder], workers=2, environ={"AWS_SECRET_ACCESS_KEY": f"{CANARY}env"})
    finally:
        os.umask(before)
    try:
        wait_until_managed(running)
        yield running
    finally:
        running.stop()
    assert "Traceback" not in running.log.read_text()


def test_the_first_start_shows_a_key_once_and_later_ones_none(loans: Path) -> None:
    with serving([loans]) as first:
        told = first.log.read_text()
        assert KEY.findall(told) == [first.key]
        assert first.ask("POST", DECIDE, {"inputs": LOAN}).status == 200
    with serving([loans]) as second:
        assert KEY.findall(second.log.read_text()) == []
        assert second.ask("POST", DECIDE, {"inputs": LOAN}, key=first.key).status == 200
    for path in (loans / ".kring").rglob("*"):
        assert not path.is_file() or first.key.encode() not in path.read_bytes(), path


@pytest.fixture
def never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that should not start, and does, ends at once."""

    def began(*_: object, **__: object) -> int:
        raise AssertionError("it serves")

    monkeypatch.setattr(serve_command, "run", began)


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("secret", [EXAMPLE, ALPHABET, "a" * 32])
def test_a_secret_that_anybody_knows_stops_the_start(loans: Path, secret: str) -> None:
    project = open_project(loans)
    key = ApiKey(
        id="a" * 16,
        env="live",
        digest=digest(secret),
        role="admin",
        systems=("loans",),
        label="till",
        owner="somebody",
        created=1,
    )
    with project.ledger() as ledger:
        ledger.append([history.entry(key, id=key.id, actor="x", at=project.clock.now())])
    told = kring("serve", loans, "--port", free_port())
    assert (told.code, secret in told.out + told.err) == (1, False)
    assert "a secret that anybody knows" in told.err


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize(
    "words",
    [
        ("--host", "0.0.0.0"),
        ("--host", "::"),
        ("--host", "192.0.2.1"),
        ("--host", "evil.example"),
        ("--host", "0.0.0.0", "--tls-cert", "CERT"),
        ("--host", "0.0.0.0", "--tls-key", "KEY"),
        ("--host", "0.0.0.0", "--tls-cert", "nowhere.pem", "--tls-key", "nowhere.key"),
        ("--host", "0.0.0.0", "--tls-cert", "KEY", "--tls-key", "CERT"),
        ("--host", "0.0.0.0", "--tls-cert", "CERT", "--tls-key", "OTHER"),
        ("--tls-cert", "CERT"),
        ("--tls-key", "KEY"),
        ("--tls-cert", "kring.toml", "--tls-key", "kring.toml"),
        ("--origin", "*"),
        ("--origin", "null"),
        ("--name", "*"),
    ],
    ids=" ".join,
)
def test_a_start_that_would_be_overheard_or_borrowed_is_refused(loans: Path, words: tuple[str, ...]) -> None:
    certificate, key = certified(loans)
    _, other = certified(loans, name="other")
    files = {"CERT": certificate, "KEY": key, "OTHER": other, "kring.toml": loans / "kring.toml"}
    told = kring("serve", loans, "--port", free_port(), *(files.get(word, word) for word in words))
    assert told.code == 2, told
    assert "next" in told.err or "allowed" in told.err
    assert not (loans / ".kring" / "serve" / "plan.json").exists(), "nothing was prepared"


def certified(folder: Path, *, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate that nobody but us believes, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def key_of(folder: Path) -> str:
    """A key that may do everything, from wherever."""
    told = kring("key", "create", folder, "--role", "admin", "--name", "tests", "--expires", "never", "--json")
    return str(told.json["secret"])


def test_behind_a_proxy_it_listens_to_other_machines(loans: Path) -> None:
    secret = key_of(loans)
    with serving([loans], "--host", "0.0.0.0", "--behind-proxy") as server:
        assert server.ask("POST", DECIDE, {"inputs": LOAN}, key=secret).status == 200
        assert server.ask("POST", DECIDE, {"inputs": LOAN}, key=secret, headers={"host": "evil.example"}).status == 403
        assert KEY.findall(server.log.read_text()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_with_a_certificate_it_answers_https_and_nothing_else(loans: Path, host: str) -> None:
    certificate, key = certified(loans)
    secret, port = key_of(loans), free_port()
    options = ("--port", str(port), "--workers", "1", "--tls-cert", str(certificate), "--tls-key", str(key))
    options = (*options, "--host", host)
    log = loans.parent / "tls.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "kring", "serve", str(loans), *options]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    server = Server(port, 0, (loans,), process, log)
    try:
        wait_for_https(server, certificate)
        bearer = {"authorization": f"Bearer {secret}"}
        status, headers = secured(port, certificate, "GET", "/api/systems", headers=bearer)
        assert status == 200
        form = {"content-type": "application/x-www-form-urlencoded"}
        status, headers = secured(port, certificate, "POST", "/sign-in", f"key={secret}", headers=form)
        assert status == 303
        assert {"Secure", "HttpOnly", "SameSite=Strict"} <= {one.strip() for one in headers["set-cookie"].split(";")}
        with pytest.raises(ssl.SSLCertVerificationError):
            secured(port, None, "GET", "/livez")
        with pytest.raises((http.client.HTTPException, OSError)):
            server.ask("GET", "/livez")
        with pytest.raises((ssl.SSLError, OSError)):
            secured(port, certificate, "GET", "/livez", newest=ssl.TLSVersion.TLSv1_2)
    finally:
        assert server.stop() == 0, log.read_text()


def secured(
    port: int, trusted: Path | None, method: str, path: str, body: str = "", *, headers: dict[str, str] | None = None,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> tuple[int, dict[str, str]]:  # fmt: skip
    """Status and headers of a request over TLS."""
    context = ssl.create_default_context(cafile=str(trusted) if trusted else None)
    context.maximum_version = newest
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request(method, path, body or None, headers or {})
        told = connection.getresponse()
        told.read()
        return told.status, {name.lower(): value for name, value in told.getheaders()}
    finally:
        connection.close()


def wait_for_https(server: Server, certificate: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        assert server.process.poll() is None, server.log.read_text()
        with suppress(OSError, http.client.HTTPException):
            if secured(server.port, certificate, "GET", "/sign-in")[0] == 200:
                return
        time.sleep(0.1)
    raise AssertionError(server.log.read_text())


def test_nothing_that_a_server_keeps_is_open_to_others(lone: Server) -> None:
    assert lone.ask("POST", DECIDE, {"inputs": LOAN}, headers={"idempotency-key": "a"}).status == 200
    root = lone.folders[0] / ".kring"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    seen = 0
    for part in ("serve", "log", "keys", "vault", "versions"):
        for path in [root / part, *(root / part).rglob("*")]:
            mode = path.lstat().st_mode
            assert not mode & 0o077, (oct(mode), path)
            seen += 1
    assert seen > 10
    assert stat.S_ISSOCK((root / "serve" / "control.sock").stat().st_mode)


def children(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for stated in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stated.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found += children(int(stated.parent.name))
    return found


def test_no_secret_is_seen_anywhere(lone: Server) -> None:
    """In headers, addresses, forms and bodies; asked for in logs, counts, errors, processes and files."""
    well_formed = f"kring_live_{'a' * 16}_{CANARY.replace('9', '2').ljust(32, 'b')}"
    said = []
    for secret in (f"{CANARY}-{number}" for number in range(3)):
        headers = {"x-api-key": secret, "cookie": f"kring_session={secret}", "referer": f"/?key={secret}"}
        form = {"content-type": "application/x-www-form-urlencoded"}
        for path in ("/api/systems", "/", DECIDE, "/nothing", "/metrics"):
            method = "POST" if path == DECIDE else "GET"
            shown = (secret, f"Bearer {secret}", f"Basic {secret}", f"Bearer {well_formed}")
            said += [lone.ask(method, path, headers=headers | {"authorization": one}, key="") for one in shown]
            said += [lone.ask(method, f"{path}?{part}={secret}", key="") for part in PARTS]
        said.append(lone.ask("POST", "/sign-in", f"key={secret}".encode(), key="", headers=form))
        said.append(lone.ask("DELETE", f"/api/keys/kring_live_{'b' * 16}_{secret}"))
    row = LOAN | {"email": f"{CANARY}@example.org"}
    good = lone.ask("POST", DECIDE, {"inputs": row})
    said += [good, lone.ask("POST", DECIDE, {"inputs": row | {"amount": -1}})]
    assert good.status == 200
    for told in said:
        assert CANARY.encode() not in told.body, told.body
    texts = {"log": lone.log.read_bytes(), "metrics": lone.ask("GET", "/metrics").body}
    texts |= {
        str(path): path.read_bytes() for path in (lone.folders[0] / ".kring" / "serve").rglob("*") if path.is_file()
    }
    processes = children(lone.process.pid)
    assert len(processes) >= 4
    for pid in processes:
        texts[f"command of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert lone.key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    for where, text in texts.items():
        assert CANARY.encode() not in text, where
        assert where == "log" or lone.key.encode() not in text, where


FORGED: Final = "\r\nFORGED worker 0 is ready\x1b[31m\x1b]0;x\x07\u2028\u202e"


def test_nobody_else_writes_lines_into_the_log(lone: Server) -> None:
    escaped = "%0d%0aFORGED%20line%1b%5b31m%e2%80%a8%7f"
    for begin in ("/", "/api/systems/", "/systems/", "/api/decisions/", "/v2/models/"):
        for path in (begin + escaped, f"{begin}{escaped}/api/decisions"):
            for method in ("GET", "POST"):
                assert lone.ask(method, path, {"inputs": LOAN}).status in (400, 404, 405)
    for body in (
        {"inputs": LOAN | {"region": FORGED, "email": FORGED}},
        {"inputs": LOAN | {FORGED: 1}},
        {FORGED: FORGED},
        {"label": FORGED, "role": "viewer", "systems": ["loans"]},
        {"label": "x", "role": FORGED, "systems": [FORGED]},
    ):
        for path in (DECIDE, "/api/keys", "/api/outcomes"):
            assert lone.ask("POST", path, body).status < 500
    for name in ("user-agent", "x-request-id", "traceparent", "x-forwarded-for", "accept"):
        lone.ask("GET", "/api/systems", headers={name: "FORGED \xe2\x80\xa8 \xc2\x9b31m"})
    text = lone.log.read_text()
    assert "FORGED" not in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_guessing_is_slowed_and_tells_nothing(lone: Server) -> None:
    """On both sides, for keys that are and for keys that are not; who shows the right one is not slowed."""
    body = {"label": "guessed", "role": "viewer", "systems": ["loans"]}
    real = lone.ask("POST", "/api/keys", body).json["key"]["id"]
    for path in ("/metrics", "/api/systems"):
        told: dict[int, set[bytes]] = {}
        for number in range(80):
            id = real if number % 2 else f"{'a' * 15}{ALPHABET[number % 32]}"
            reply = lone.ask("GET", path, key=guess(id, number))
            told.setdefault(reply.status, set()).add(reply.body.replace(id.encode(), b""))
            if reply.status == 429:
                assert int(reply.headers["retry-after"]) >= 1
        assert set(told) == {401, 429}, path
        assert len(told[401]) == 1, "one answer, whether there is such a key or not"
        assert lone.ask("GET", path).status == 200
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert lone.ask("POST", "/sign-in", f"key={guess(real, 1)}".encode(), key="", headers=form).status in (401, 429)


def guess(id: str, number: int) -> str:
    """A key of the right form with a wrong secret."""
    return written("live", id=id, secret=ALPHABET[number % 32] * 31 + "a")
