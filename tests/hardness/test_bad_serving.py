"""What keeps a server from starting: told before any of its processes is there, and nothing is changed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import Answer, contents, kring
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from kring.flow.serving import listening
from kring.host.turns import alone
from served import free_port


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lets go of a port here."""
    monkeypatch.setattr(listening, "PATIENCE_S", 0.0)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens, willing to share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def refused(folder: Path, *words: str | Path, exit: int, code: str) -> Answer:
    """What `kring serve` says when it does not start, and leaves everything as it was."""
    before = contents(folder)
    answer = kring("serve", folder, *words)
    assert (answer.exit, answer.error["code"]) == (exit, code), answer
    assert answer.error["next"] or answer.error["allowed"], answer
    after = contents(folder)
    assert {path for path in before if before[path] != after.get(path)} == set()
    return answer


def certificate(folder: Path, *, lock: KeySerializationEncryption | None = None) -> tuple[Path, Path]:
    """Paths of a certificate and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption()))
    return paths


def test_without_a_version_nothing_is_served(fresh: Path) -> None:
    answer = refused(fresh, exit=2, code="not_found")
    assert "kring go" in answer.error["next"]


def test_a_port_that_somebody_has_is_not_shared(released: Path, taken: int) -> None:
    """Workers share their port, so the kernel would let a second server in."""
    assert f"port {taken} is taken" in refused(released, "--port", str(taken), exit=3, code="busy").error["message"]
    answer = refused(released, "--port", str(free_port()), "--grpc-port", str(taken), exit=3, code="busy")
    assert "--grpc-port" in answer.error["next"]


def test_a_system_is_served_once(released: Path) -> None:
    with alone(released / ".kring" / "serve" / "running", busy="held"):
        assert "is served already" in refused(released, exit=3, code="busy").error["message"]


@pytest.mark.parametrize("place", [".kring/serve", ".kring/serve/running", ".kring/serve/plan.json"])
def test_a_state_that_can_not_be_written(place: str, released: Path) -> None:
    """Where even root may not write: something else is in the way."""
    path = released / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if place == ".kring/serve":
        path.write_text("in the way")
    else:
        (path / "in the way").mkdir(parents=True)
    refused(released, exit=3, code="storage")


def test_a_version_that_was_changed_is_not_served(released: Path) -> None:
    (file,) = (released / ".kring" / "versions").glob("*/prepare.json")
    file.parent.chmod(0o755)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")
    assert "changed after signing" in refused(released, exit=3, code="integrity").error["message"]


def test_a_contract_that_was_changed_is_not_served(released: Path) -> None:
    file = released / "contract.odcs.yaml"
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 1.0.1").replace("minimum: 0", "minimum: 1"))
    before = file.read_text()
    answer = kring("serve", released)
    assert answer.exit == 3, answer
    assert answer.error["code"] == "conflict"
    assert file.read_text() == before


def test_a_certificate_has_to_fit_its_key(released: Path, tmp_path: Path) -> None:
    mine, theirs = certificate(tmp_path / "mine"), certificate(tmp_path / "theirs")
    answer = refused(released, "--tls-cert", mine[0], "--tls-key", theirs[1], exit=2, code="use")
    assert answer.error["got"] == "key values mismatch"
    locked = certificate(tmp_path / "locked", lock=BestAvailableEncryption(b"a password"))
    answer = refused(released, "--tls-cert", locked[0], "--tls-key", locked[1], exit=2, code="use")
    assert "without a password" in answer.error["allowed"]
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    refused(released, "--tls-cert", empty, "--tls-key", mine[1], exit=2, code="use")
    refused(released, "--tls-cert", tmp_path, "--tls-key", mine[1], exit=2, code="use")
