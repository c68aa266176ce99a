from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError, IntegrityError, NotFound, Refused
from kring.host.random import SeededRandom
from kring.release.bundle import MAX_SIGNATURE, PAYLOAD_TYPE
from kring.release.folder import read_folder
from kring.release.sign import SIGNATURE, key_id, new_key, public_of, sign, sign_files, verify, verify_files

FILES = {"manifest.json": b"{}", "links/a.onnx": b"a", "links.txt": b"b", "deep/er/c": b"c"}


@pytest.fixture
def folder(tmp_path: Path, key: bytes) -> Path:
    folder = tmp_path / "model"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / SIGNATURE).write_bytes(sign(folder, key_pem=key))
    return folder


def resigned(key: bytes, change: Callable[[dict[str, Any]], object], *, bundle: Callable[[Any], object] = id) -> bytes:
    """Our signature over FILES, with `change` made to the statement before it is signed and `bundle` after."""
    document = json.loads(sign_files(FILES, name="model", key_pem=key))
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    pae = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = private.sign(pae, ec.ECDSA(hashes.SHA256()))
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    bundle(document)
    return json.dumps(document).encode()


def reroot(statement: dict[str, Any]) -> None:
    digests = [bytes.fromhex(one["digest"]) for one in statement["predicate"]["resources"]]
    statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(b"".join(digests)).hexdigest()


def test_the_root_is_the_digest_over_digests_sorted_part_by_part(folder: Path, key: bytes) -> None:
    order = ["deep/er/c", "links/a.onnx", "links.txt", "manifest.json"]
    joined = b"".join(hashlib.sha256(FILES[name]).digest() for name in order)
    assert verify(folder, public_pem=public_of(key)) == hashlib.sha256(joined).hexdigest()


def test_the_same_files_and_key_give_the_same_signature(folder: Path, key: bytes) -> None:
    assert sign(folder, key_pem=key) == (folder / SIGNATURE).read_bytes()


def test_the_root_does_not_depend_on_the_folder_s_name(folder: Path, key: bytes) -> None:
    elsewhere = folder.rename(folder.with_name("other"))
    assert verify(elsewhere, public_pem=public_of(key))


def test_a_statement_has_the_form_of_the_standard(folder: Path, key: bytes) -> None:
    bundle = json.loads((folder / SIGNATURE).read_bytes())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert bundle["verificationMaterial"] == {
        "publicKey": {"hint": hashlib.sha256(public_of(key)).hexdigest()},
        "tlogEntries": [],
    }
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://model_signing/signature/v1.0"
    assert statement["subject"][0]["name"] == "model"
    assert statement["predicate"]["serialization"] == {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": ["model.sig"],
    }


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,2}\.[a-z]", fullmatch=True), st.binary(max_size=8),
                       min_size=1, max_size=6), st.data())  # fmt: skip
def test_any_single_change_is_seen(files: dict[str, bytes], data: st.DataObject) -> None:
    key = new_key(SeededRandom(3))
    signed = {**files, SIGNATURE: sign_files(files, name="m", key_pem=key)}
    where = Path("m")
    verify_files(signed, public_pem=public_of(key), where=where)
    name = data.draw(st.sampled_from(sorted(files)))
    changes: list[dict[str, bytes]] = [
        {**signed, name: files[name] + b"x"},
        {one: signed[one] for one in signed if one != name},
        {**signed, "added": b""},
    ]
    for changed in changes:
        with pytest.raises(IntegrityError):
            verify_files(changed, public_pem=public_of(key), where=where)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_changed_file_is_named(folder: Path, key: bytes, name: str) -> None:
    (folder / name).write_bytes(FILES[name] + b" ")
    with pytest.raises(IntegrityError, match=f"{name} was changed") as caught:
        verify(folder, public_pem=public_of(key))
    assert caught.value.file == str(folder / name)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(folder: Path, key: bytes, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        verify(folder, public_pem=public_of(key))


@pytest.mark.parametrize("name", ["new", ".git", ".gitignore", "links/.hidden", "model.sig.bak", "links/model.sig"])
def test_an_added_file_is_named_even_one_of_git(folder: Path, key: bytes, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match=f"{name} was added"):
        verify(folder, public_pem=public_of(key))


def test_a_file_renamed_in_place_is_seen(folder: Path, key: bytes) -> None:
    """The root alone does not hold names; the statement does."""
    (folder / "links.txt").rename(folder / "links.txz")
    with pytest.raises(IntegrityError, match=r"links\.txt is missing"):
        verify(folder, public_pem=public_of(key))


def test_an_unprintable_name_is_not_printed(folder: Path, key: bytes) -> None:
    (folder / "\x1b[31mred").write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        verify(folder, public_pem=public_of(key))
    assert "\x1b" not in str(caught.value)


def test_an_unsigned_folder_is_refused(folder: Path, key: bytes) -> None:
    (folder / SIGNATURE).unlink()
    with pytest.raises(IntegrityError, match="not signed"):
        verify(folder, public_pem=public_of(key))


def test_a_foreign_key_is_refused(folder: Path, key: bytes, other_key: bytes) -> None:
    with pytest.raises(IntegrityError, match="not by the key") as caught:
        verify(folder, public_pem=public_of(other_key))
    assert key_id(public_of(key))[:12] in caught.value.got
    assert key_id(public_of(other_key))[:12] in caught.value.allowed


def test_a_foreign_signature_with_a_borrowed_hint_is_refused(folder: Path, key: bytes, other_key: bytes) -> None:
    document = json.loads(sign(folder, key_pem=other_key))
    document["verificationMaterial"]["publicKey"]["hint"] = key_id(public_of(key))
    (folder / SIGNATURE).write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="not by the key"):
        verify(folder, public_pem=public_of(key))


def test_a_signature_without_hint_is_judged_by_the_key(key: bytes, other_key: bytes) -> None:
    def forget(document: Any) -> None:
        document["verificationMaterial"]["publicKey"] = {}

    files = {**FILES, SIGNATURE: resigned(key, id, bundle=forget)}
    assert verify_files(files, public_pem=public_of(key), where=Path("m"))
    with pytest.raises(IntegrityError, match="not by the key"):
        verify_files(files, public_pem=public_of(other_key), where=Path("m"))


def swap(statement: dict[str, Any]) -> None:
    resources = statement["predicate"]["resources"]
    resources[0], resources[1] = resources[1], resources[0]
    reroot(statement)


def rename(name: str) -> Callable[[dict[str, Any]], None]:
    def change(statement: dict[str, Any]) -> None:
        statement["predicate"]["resources"][0]["name"] = name
        statement["predicate"]["resources"].sort(key=lambda one: one["name"].split("/"))
        reroot(statement)

    return change


def put(value: object, *path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(statement: dict[str, Any]) -> None:
        at: Any = statement
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


def double(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"].append(statement["predicate"]["resources"][-1])
    reroot(statement)


def twins(statement: dict[str, Any]) -> None:
    resources = statement["predicate"]["resources"]
    resources[0]["name"], resources[1]["name"] = "u\u0308", "\u00fc"
    resources.sort(key=lambda one: one["name"].split("/"))
    reroot(statement)


def empty(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"] = []
    reroot(statement)


BAD_STATEMENTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "statement type": put("https://in-toto.io/Statement/v0.1", "_type"),
    "old predicate": put("https://model_signing/Digests/v0.1", "predicateType"),
    "future predicate": put("https://model_signing/signature/v2.0", "predicateType"),
    "shards": put("shards", "predicate", "serialization", "method"),
    "blake2": put("blake2b", "predicate", "serialization", "hash_type"),
    "symlinks": put(True, "predicate", "serialization", "allow_symlinks"),
    "symlinks as text": put("false", "predicate", "serialization", "allow_symlinks"),
    "algorithm": put("md5", "predicate", "resources", 0, "algorithm"),
    "short digest": put("abcd", "predicate", "resources", 0, "digest"),
    "upper digest": put("A" * 64, "predicate", "resources", 0, "digest"),
    "no subject": put([], "subject"),
    "wrong root": put("0" * 64, "subject", 0, "digest", "sha256"),
    "second root": put("0" * 64, "subject", 0, "digest", "sha512"),
    "no predicate": put(None, "predicate"),
    "twice": double,
    "out of order": swap,
    "nothing signed": empty,
    "parent": rename("../x"),
    "inner parent": rename("a/../links.txu"),
    "absolute": rename("/etc/passwd"),
    "dot": rename("./links.txu"),
    "empty part": rename("links//x"),
    "backslash": rename("..\\x"),
    "nul": rename("a\x00b"),
    "case twin": rename("LINKS.TXT"),
    "accent twin": twins,
    "no name": rename(""),
}


def test_twins_are_told_by_name(key: bytes) -> None:
    files = {**FILES, SIGNATURE: resigned(key, twins)}
    with pytest.raises(IntegrityError, match="same file twice"):
        verify_files(files, public_pem=public_of(key), where=Path("m"))


def test_a_huge_signature_is_not_read(folder: Path, key: bytes) -> None:
    os.truncate(folder / SIGNATURE, 40 << 30)
    with pytest.raises(IntegrityError, match=r"model\.sig does not belong"):
        verify(folder, public_pem=public_of(key))


@pytest.mark.parametrize("which", sorted(BAD_STATEMENTS))
def test_a_statement_of_another_form_is_refused_although_signed(key: bytes, which: str) -> None:
    files = {**FILES, SIGNATURE: resigned(key, BAD_STATEMENTS[which])}
    with pytest.raises(IntegrityError):
        verify_files(files, public_pem=public_of(key), where=Path("m"))


def test_the_statement_is_only_refused_for_its_change(key: bytes) -> None:
    def more(statement: dict[str, Any]) -> None:
        statement["predicate"]["model_card"] = {"later": "versions may add fields"}

    files = {**FILES, SIGNATURE: resigned(key, more)}
    assert verify_files(files, public_pem=public_of(key), where=Path("m"))


def two_signatures(document: Any) -> None:
    document["dsseEnvelope"]["signatures"] *= 2


def no_signatures(document: Any) -> None:
    document["dsseEnvelope"]["signatures"] = []


def other_payload_type(document: Any) -> None:
    document["dsseEnvelope"]["payloadType"] = "text/plain"


def other_media_type(document: Any) -> None:
    document["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.2+json"


def certificate(document: Any) -> None:
    document["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}}


def not_base64(document: Any) -> None:
    document["dsseEnvelope"]["payload"] = "%%%"


def other_payload(document: Any) -> None:
    payload = base64.b64decode(document["dsseEnvelope"]["payload"]).replace(b'"model"', b'"modem"')
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()


BUNDLES = [two_signatures, no_signatures, other_payload_type, other_media_type, certificate, not_base64, other_payload]


@pytest.mark.parametrize("change", BUNDLES)
def test_a_bundle_of_another_form_is_refused(key: bytes, change: Callable[[Any], None]) -> None:
    files = {**FILES, SIGNATURE: resigned(key, id, bundle=change)}
    with pytest.raises(IntegrityError):
        verify_files(files, public_pem=public_of(key), where=Path("m"))


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"mediaType":' * 50_000, b" " * (MAX_SIGNATURE + 1)],
    ids=["empty", "null", "object", "binary", "deep", "deep objects", "huge"],
)
def test_bytes_that_are_no_signature_are_refused(key: bytes, data: bytes) -> None:
    with pytest.raises(IntegrityError, match="can't be used"):
        verify_files({**FILES, SIGNATURE: data}, public_pem=public_of(key), where=Path("m"))


@given(st.integers(0, 2000), st.integers(1, 255))
def test_no_flipped_byte_of_a_signature_passes_unless_it_means_the_same(at: int, flip: int) -> None:
    key = new_key(SeededRandom(4))
    good = sign_files(FILES, name="m", key_pem=key)
    at %= len(good)
    bad = good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :]
    try:
        root = verify_files({**FILES, SIGNATURE: bad}, public_pem=public_of(key), where=Path("m"))
    except IntegrityError:
        return
    assert root == verify_files({**FILES, SIGNATURE: good}, public_pem=public_of(key), where=Path("m"))


def test_links_and_devices_are_refused(folder: Path, key: bytes, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"a")
    kinds: dict[str, Callable[[Path], object]] = {
        "link to a file": lambda path: path.symlink_to(tmp_path / "outside"),
        "link to a signed file": lambda path: path.symlink_to(folder / "manifest.json"),
        "link to a folder": lambda path: path.symlink_to(tmp_path, target_is_directory=True),
        "dangling link": lambda path: path.symlink_to(tmp_path / "nowhere"),
        "pipe": os.mkfifo,
    }
    for kind, make in kinds.items():
        make(folder / "odd")
        for attempt in (lambda: verify(folder, public_pem=public_of(key)), lambda: sign(folder, key_pem=key)):
            with pytest.raises(IntegrityError, match="odd does not belong"):
                attempt()
        (folder / "odd").unlink()
        assert verify(folder, public_pem=public_of(key)), kind


def test_a_socket_is_refused(folder: Path, key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("odd")
        with pytest.raises(IntegrityError, match="socket"):
            verify(folder, public_pem=public_of(key))


def test_a_signed_file_replaced_by_a_link_to_the_same_bytes_is_refused(folder: Path, key: bytes) -> None:
    (folder / "links.txt").rename(folder.parent / "kept")
    (folder / "links.txt").symlink_to(folder.parent / "kept")
    with pytest.raises(IntegrityError, match="symbolic link"):
        verify(folder, public_pem=public_of(key))


def test_the_folder_itself_is_no_link_and_no_file(folder: Path, key: bytes) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder, target_is_directory=True)
    for path in (link, folder / "links.txt"):
        with pytest.raises(IntegrityError, match="not a folder"):
            verify(path, public_pem=public_of(key))
    with pytest.raises(NotFound):
        verify(folder / "nowhere", public_pem=public_of(key))


def test_too_many_files_and_too_deep_folders_are_refused(tmp_path: Path) -> None:
    deep = tmp_path / "deep" / "/".join("abcdefghij")
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"")
    with pytest.raises(IntegrityError, match="deep"):
        read_folder(tmp_path / "deep")
    wide = tmp_path / "wide"
    wide.mkdir()
    for number in range(1001):
        (wide / str(number)).touch()
    with pytest.raises(IntegrityError, match="1000"):
        read_folder(wide)


@pytest.mark.parametrize("name", [".git/config", ".gitignore", ".gitattributes", ".github/x"])
def test_files_of_git_are_not_signed(key: bytes, name: str) -> None:
    with pytest.raises(Refused, match="can't be signed") as caught:
        sign_files({**FILES, name: b""}, name="m", key_pem=key)
    assert name in caught.value.got


def test_nothing_is_not_signed(key: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="can't be signed"):
        sign(tmp_path, key_pem=key)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_the_curves_of_the_standard_sign_and_verify(curve: ec.EllipticCurve) -> None:
    pem = pem_of(ec.generate_private_key(curve))
    files = {**FILES, SIGNATURE: sign_files(FILES, name="m", key_pem=pem)}
    assert verify_files(files, public_pem=public_of(pem), where=Path("m"))


def pem_of(key: Any, *, password: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    assert isinstance(pem, bytes)
    return pem


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        pem_of(ec.generate_private_key(ec.SECP256K1())),
        pem_of(ec.generate_private_key(ec.SECP256R1()), password=b"secret"),
        public_of(pem_of(ec.generate_private_key(ec.SECP256R1()))),
    ],
    ids=["empty", "text", "other kind", "other curve", "encrypted", "public"],
)
def test_other_keys_are_refused(pem: bytes) -> None:
    with pytest.raises(DataError, match="not a private key"):
        sign_files(FILES, name="m", key_pem=pem)


def test_a_private_key_is_no_public_one(key: bytes) -> None:
    with pytest.raises(DataError, match="not a public key"):
        verify_files({**FILES, SIGNATURE: sign_files(FILES, name="m", key_pem=key)}, public_pem=key, where=Path("m"))


def test_a_key_follows_from_the_random_it_is_given() -> None:
    assert new_key(SeededRandom(7)) == new_key(SeededRandom(7)) != new_key(SeededRandom(8))
    assert new_key() != new_key()
