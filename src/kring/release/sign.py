"""Signatures in the form of OpenSSF model signing v1.0, with an elliptic curve key.

`model.sig` is a Sigstore bundle (v0.3, JSON) around a DSSE envelope around an in-toto statement v1.
The statement lists every file with its SHA-256, sorted part by part; its subject is the *root*, the
SHA-256 over those digests in that order. Names and digests are signed, so any change shows.

    https://github.com/ossf/model-signing-spec                    the predicate
    https://github.com/secure-systems-lab/dsse/blob/v1.0.0        what exactly is signed
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kring.errors import DataError, IntegrityError, Refused
from kring.ports.random import Random
from kring.release.bundle import (
    MAX_SIGNATURE,
    MEDIA_TYPE,
    PAYLOAD_TYPE,
    Bundle,
    Envelope,
    EnvelopeSignature,
    PublicKeyHint,
    Signed,
    VerificationMaterial,
    read_bundle,
    read_statement,
    statement_bytes,
)
from kring.release.folder import check_names, read_folder, shown

SIGNATURE: Final = "model.sig"
LIMITS: Final = {SIGNATURE: MAX_SIGNATURE}
GIT_NAMES: Final = (".git", ".gitattributes", ".github", ".gitignore")
"""The reference implementation leaves these out, so a folder that holds them can't be signed alike."""

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}


def new_key(random: Random | None = None) -> bytes:
    """A new EC P-256 private key as PEM (PKCS 8, not encrypted), from OpenSSL's generator or from
    `random`: then as in FIPS 186-5, A.2.1, with 64 bits more than needed, so that none is likelier."""
    if random is None:
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ec.derive_private_key(int.from_bytes(random.bytes(40), "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_of(key_pem: bytes) -> bytes:
    """The public half of a private key, as PEM. `DataError` when it is not one."""
    return _pem(_private(key_pem).public_key())


def key_id(public_pem: bytes) -> str:
    """SHA-256 (hexadecimal) of the public key as PEM: the hint that a signature carries."""
    return hashlib.sha256(_pem(_public(public_pem))).hexdigest()


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 (hexadecimal) of every file but the signature itself."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != SIGNATURE}


def sign(folder: Path, *, key_pem: bytes) -> bytes:
    """The bytes of `model.sig` for all files below `folder`; nothing is written."""
    return sign_files(read_folder(folder), name=folder.name, key_pem=key_pem)


def sign_files(files: Mapping[str, bytes], *, name: str, key_pem: bytes) -> bytes:
    """The bytes of `model.sig` for `files`. `name` informs and is no part of the root.

    The same files, name and key give the same bytes (RFC 6979). `Refused` when there is nothing to
    sign or a file that other implementations leave out; `DataError` for a key that can't sign.
    """
    check_names(files, where=Path(name))
    git = [file for file in files if file.split("/")[0] in GIT_NAMES]
    digests = digests_of(files)
    if git or not digests:
        raise Refused(
            "this folder can't be signed",
            got=f"{git[0]}, which other implementations do not check" if git else "no files",
            allowed="files that everybody verifies",
            next="remove the files of git and sign again" if git else "",
            file=name,
        )
    key = _private(key_pem)
    payload = statement_bytes(digests, name=name, ignored=[SIGNATURE])
    signed = key.sign(_signed_bytes(payload), ec.ECDSA(HASHES[key.curve.name](), deterministic_signing=True))
    bundle = Bundle(
        media_type=MEDIA_TYPE,
        verification_material=VerificationMaterial(public_key=PublicKeyHint(hint=key_id(_pem(key.public_key())))),
        dsse_envelope=Envelope(payload=payload, payload_type=PAYLOAD_TYPE, signatures=[EnvelopeSignature(sig=signed)]),
    )
    return msgspec.json.encode(bundle)


def verify(folder: Path, *, public_pem: bytes) -> str:
    """The root digest of `folder`, when `model.sig` in it is by this key and fits every file.

    Stricter than the reference: every file must be signed, those that git uses too. `IntegrityError`
    names the first file that was changed, added or is missing, or what is wrong with the signature.
    """
    return verify_files(read_folder(folder, limits=LIMITS), public_pem=public_pem, where=folder)


def verify_files(files: Mapping[str, bytes], *, public_pem: bytes, where: Path) -> str:
    """As `verify`, on bytes that were read already; `where` is the folder named in errors."""
    signed = read_signed(files, public_pem=public_pem, where=where)
    _compare(signed.digests, digests_of(files), where)
    return signed.root


def read_signed(files: Mapping[str, bytes], *, public_pem: bytes, where: Path) -> Signed:
    """What the signature among `files` vouches for, whatever the other files are now. `IntegrityError` without a
    signature by this key."""
    place = where / SIGNATURE
    if SIGNATURE not in files:
        raise IntegrityError(
            "the version is not signed",
            got=f"no {SIGNATURE}",
            allowed="a signature by a key that is trusted here",
            next="take the version from where it was made again",
            file=str(where),
        )
    payload = _authentic_payload(read_bundle(files[SIGNATURE], place=place), _public(public_pem), place)
    signed = read_statement(payload, place=place)
    check_names(signed.digests, where=place)
    return signed


def _authentic_payload(bundle: Bundle, key: ec.EllipticCurvePublicKey, place: Path) -> bytes:
    """The envelope's payload, once its signature was found to be by `key`."""
    hint = bundle.verification_material.public_key.hint
    envelope = bundle.dsse_envelope
    try:
        if hint and hint != hashlib.sha256(_pem(key)).hexdigest():
            raise InvalidSignature
        key.verify(envelope.signatures[0].sig, _signed_bytes(envelope.payload), ec.ECDSA(HASHES[key.curve.name]()))
    except InvalidSignature as error:
        raise IntegrityError(
            "the signature is not by the key that is trusted here",
            got=f"key {hint[:12] or 'unknown'}",
            allowed=f"key {hashlib.sha256(_pem(key)).hexdigest()[:12]}",
            next="verify with the public key of whoever signed it, if you trust them",
            file=str(place),
        ) from error
    return envelope.payload


def _compare(signed: Mapping[str, str], found: Mapping[str, str], where: Path) -> None:
    """`IntegrityError` for the first file that differs: changed, then missing, then added."""
    changed = [name for name in signed if name in found and signed[name] != found[name]]
    missing = [name for name in signed if name not in found]
    added = [name for name in found if name not in signed]
    for names, what in ((changed, "was changed"), (missing, "is missing"), (added, "was added")):
        if names:
            raise IntegrityError(
                f"{shown(names[0])} {what} after signing",
                got=f"SHA-256 {found[names[0]]}" if names[0] in found else "no such file",
                allowed=f"SHA-256 {signed[names[0]]}" if names[0] in signed else "the signed files only",
                next="take the version from where it was made again",
                file=str(where / shown(names[0])),
            )


def _signed_bytes(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of `payload`."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _private(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key("private", str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in HASHES:
        raise _not_a_key("private", type(key).__name__)
    return key


def _public(public_pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(public_pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key("public", str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise _not_a_key("public", type(key).__name__)
    return key


def _not_a_key(half: str, got: str) -> DataError:
    return DataError(
        f"this is not a {half} key for signing versions",
        got=got.splitlines()[0][:200] if got else "",
        allowed=f"a {half} key as PEM, not encrypted, on the curve P-256, P-384 or P-521",
    )


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
