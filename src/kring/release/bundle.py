"""The bytes of `model.sig`: bundle, envelope, statement, each read strictly.

Nothing here decides whether to trust; `sign` does, and only after that is a statement read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from kring.errors import IntegrityError
from kring.release.folder import in_order

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
ALGORITHM: Final = "sha256"
METHOD: Final = "files"
MAX_SIGNATURE: Final = 1 << 20
DIGEST: Final = re.compile("[0-9a-f]{64}")


class PublicKeyHint(msgspec.Struct, frozen=True):
    hint: str = ""


class VerificationMaterial(msgspec.Struct, frozen=True, rename="camel"):
    """A key's hint; certificates and transparency logs belong to other ways of signing."""

    public_key: PublicKeyHint
    tlog_entries: list[msgspec.Raw] = []


class EnvelopeSignature(msgspec.Struct, frozen=True):
    sig: bytes
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """DSSE: the signature covers `payload` and `payload_type`."""

    payload: bytes
    payload_type: str
    signatures: list[EnvelopeSignature]


class Bundle(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    verification_material: VerificationMaterial
    dsse_envelope: Envelope


class Resource(msgspec.Struct, frozen=True):
    name: str
    digest: str
    algorithm: str


class Serialization(msgspec.Struct, frozen=True):
    method: str
    hash_type: str
    allow_symlinks: bool
    ignore_paths: list[str] = []


class Predicate(msgspec.Struct, frozen=True):
    serialization: Serialization
    resources: list[Resource]


class Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True, rename={"type": "_type", "predicate_type": "predicateType"}):
    type: str
    subject: list[Subject]
    predicate_type: str
    predicate: Predicate


class Signed(msgspec.Struct, frozen=True):
    """What a statement vouches for: the root, and the SHA-256 of every file by name."""

    root: str
    digests: dict[str, str]


def root_of(digests: Mapping[str, str]) -> str:
    """SHA-256 (hexadecimal) over the raw digests of all files, sorted by name part by part."""
    return hashlib.sha256(b"".join(bytes.fromhex(digests[name]) for name in in_order(digests))).hexdigest()


def statement_bytes(digests: Mapping[str, str], *, name: str, ignored: Sequence[str]) -> bytes:
    """The canonical JSON that is signed. `ignored` are paths that the statement does not cover."""
    statement = Statement(
        type=STATEMENT_TYPE,
        subject=[Subject(name=name, digest={ALGORITHM: root_of(digests)})],
        predicate_type=PREDICATE_TYPE,
        predicate=Predicate(
            serialization=Serialization(
                method=METHOD, hash_type=ALGORITHM, allow_symlinks=False, ignore_paths=list(ignored)
            ),
            resources=[Resource(name=file, digest=digests[file], algorithm=ALGORITHM) for file in in_order(digests)],
        ),
    )
    return msgspec.json.encode(statement, order="sorted")


def read_bundle(data: bytes, *, place: Path) -> Bundle:
    """The bundle in `data`; `IntegrityError` when it has another form, type or size."""
    if len(data) > MAX_SIGNATURE:
        raise unusable(place, got=f"{len(data)} bytes", allowed=f"at most {MAX_SIGNATURE} bytes")
    bundle = _decoded(data, Bundle, place)
    for got, allowed in (
        (bundle.media_type, MEDIA_TYPE),
        (bundle.dsse_envelope.payload_type, PAYLOAD_TYPE),
        (f"{len(bundle.dsse_envelope.signatures)} signatures", "1 signatures"),
    ):
        if got != allowed:
            raise unusable(place, got=got, allowed=allowed)
    return bundle


def read_statement(payload: bytes, *, place: Path) -> Signed:
    """What the signed `payload` says; `IntegrityError` for another type, method or algorithm, for
    names twice or out of order, and for a root that does not follow from the files."""
    statement = _decoded(payload, Statement, place)
    predicate = statement.predicate
    form = predicate.serialization
    for got, allowed in (
        (statement.type, STATEMENT_TYPE),
        (statement.predicate_type, PREDICATE_TYPE),
        (f"{len(statement.subject)} subjects", "1 subjects"),
        (f"method {form.method}", f"method {METHOD}"),
        (f"hash {form.hash_type}", f"hash {ALGORITHM}"),
        (f"symbolic links {'' if form.allow_symlinks else 'not '}allowed", "symbolic links not allowed"),
    ):
        if got != allowed:
            raise unusable(place, got=got, allowed=allowed)
    digests = _digests(predicate.resources, place)
    root = root_of(digests)
    if statement.subject[0].digest != {ALGORITHM: root}:
        raise unusable(place, got=f"root {statement.subject[0].digest}", allowed=f"root {root}, as its files give it")
    return Signed(root=root, digests=digests)


def unusable(place: Path, *, got: str, allowed: str) -> IntegrityError:
    return IntegrityError(
        "the signature can't be used",
        got=got[:200],
        allowed=allowed,
        next="take the version from where it was made again",
        file=str(place),
    )


def _digests(resources: Sequence[Resource], place: Path) -> dict[str, str]:
    names = [resource.name for resource in resources]
    if len(set(names)) != len(names):
        raise unusable(place, got="a file listed twice", allowed="every file once")
    if names != in_order(names) or not names:
        raise unusable(place, got="files out of order" if names else "no files", allowed="files sorted by name")
    for resource in resources:
        if resource.algorithm != ALGORITHM or not DIGEST.fullmatch(resource.digest):
            raise unusable(place, got=f"{resource.algorithm} {resource.digest}", allowed=f"{ALGORITHM}, 64 digits")
    return {resource.name: resource.digest for resource in resources}


Form = TypeVar("Form")


def _decoded(data: bytes, form: type[Form], place: Path) -> Form:
    try:
        return msgspec.json.decode(data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise unusable(place, got=str(error), allowed=f"a {form.__name__.lower()} as JSON") from error
