from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kring.errors import IntegrityError, NewerFormat, NotFound, Refused
from kring.host.files import LocalFiles
from kring.record.version import Manifest
from kring.release.build import pack
from kring.release.load import open_version
from kring.release.sign import SIGNATURE, public_of, sign
from kring.release.signed import open_whole_files

Content = Callable[..., tuple[Manifest, dict[str, bytes]]]


@pytest.fixture
def version(tmp_path: Path, content: Content, key: bytes) -> Path:
    manifest, files = content()
    id, _ = pack(tmp_path / "versions", manifest=manifest, files=files, key_pem=key, store=LocalFiles())
    return tmp_path / "versions" / id


def resigned(version: Path, key: bytes) -> Path:
    """The folder as it is now, signed again, under a name that promises no id."""
    folder = version.with_name("changed")
    shutil.copytree(version, folder)
    (folder / SIGNATURE).write_bytes(sign(folder, key_pem=key))
    return folder


def test_the_verified_bytes_are_handed_out(version: Path, content: Content, key: bytes) -> None:
    manifest, files = content()
    loaded = open_version(version, public_pem=public_of(key))
    assert loaded.manifest == manifest
    assert loaded.id == version.name
    assert {name: loaded.files[name] for name in files} == files
    assert set(loaded.files) == {*files, "manifest.json"}
    with pytest.raises(TypeError):
        loaded.files["x"] = b""  # type: ignore[index]
    with pytest.raises(AttributeError):
        loaded.root = ""  # type: ignore[misc]


def test_every_file_is_opened_once_and_later_changes_don_t_reach_the_loaded(
    version: Path, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = os.open

    def watched(path: str, flags: int, *rest: int, **more: int) -> int:
        if not flags & os.O_DIRECTORY:
            opened.append(str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", watched)
    loaded = open_version(version, public_pem=public_of(key))
    monkeypatch.undo()
    assert sorted(opened) == sorted(path.name for path in version.rglob("*") if path.is_file())
    before = dict(loaded.files)
    shutil.rmtree(version)
    assert dict(loaded.files) == before


def test_any_changed_byte_of_any_file_is_named(version: Path, key: bytes) -> None:
    for path in sorted(version.rglob("*")):
        if path.is_dir():
            continue
        good = path.read_bytes()
        name = str(path.relative_to(version))
        for at in {0, len(good) // 2, len(good) - 1}:
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises(IntegrityError) as caught:
                open_version(version, public_pem=public_of(key))
            assert name in str(caught.value)
        path.write_bytes(good)
    assert open_version(version, public_pem=public_of(key))


def test_any_missing_file_is_named(version: Path, key: bytes) -> None:
    for path in sorted(version.rglob("*")):
        if path.is_dir():
            continue
        good = path.read_bytes()
        path.unlink()
        with pytest.raises(IntegrityError) as caught:
            open_version(version, public_pem=public_of(key))
        assert path.name in str(caught.value)
        path.write_bytes(good)


@pytest.mark.parametrize("name", ["x", "links/other.onnx", "baseline/links.onnx", ".git", "links/model.onnx.bak"])
def test_an_added_file_is_named(version: Path, key: bytes, name: str) -> None:
    (version / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match=f"{name} was added"):
        open_version(version, public_pem=public_of(key))


def test_a_missing_or_foreign_signature_is_refused(version: Path, key: bytes, other_key: bytes) -> None:
    with pytest.raises(IntegrityError, match="not by the key"):
        open_version(version, public_pem=public_of(other_key))
    (version / SIGNATURE).unlink()
    with pytest.raises(IntegrityError, match="not signed"):
        open_version(version, public_pem=public_of(key))


def test_another_version_s_signature_does_not_fit(version: Path, content: Content, key: bytes) -> None:
    manifest, files = content()
    other = msgspec.structs.replace(manifest, commit="1" * 40)
    id, _ = pack(version.parent, manifest=other, files=files, key_pem=key, store=LocalFiles())
    shutil.copy(version.parent / id / SIGNATURE, version / SIGNATURE)
    with pytest.raises(IntegrityError, match=r"manifest\.json was changed"):
        open_version(version, public_pem=public_of(key))


def test_an_older_version_replayed_under_another_s_name_is_refused(version: Path, content: Content, key: bytes) -> None:
    manifest, files = content()
    other = msgspec.structs.replace(manifest, commit="1" * 40)
    id, _ = pack(version.parent, manifest=other, files=files, key_pem=key, store=LocalFiles())
    shutil.rmtree(version)
    shutil.copytree(version.parent / id, version)
    with pytest.raises(IntegrityError, match="another version than its name") as caught:
        open_version(version, public_pem=public_of(key))
    assert caught.value.got == id


def test_a_version_may_be_moved_and_renamed(version: Path, key: bytes) -> None:
    moved = version.rename(version.parent.parent / "champion")
    assert open_version(moved, public_pem=public_of(key)).id == version.name


def test_a_missing_version_is_not_found(version: Path, key: bytes) -> None:
    with pytest.raises(NotFound):
        open_version(version.with_name("v_none"), public_pem=public_of(key))


def test_a_version_of_a_newer_kring_says_so(version: Path, key: bytes) -> None:
    manifest = msgspec.json.decode((version / "manifest.json").read_bytes())
    newer = {**manifest, "format": 2, "chain": "of a form that nobody knows yet"}
    (version / "manifest.json").write_bytes(msgspec.json.encode(newer))
    (version / "later.bin").write_bytes(b"what newer versions hold")
    with pytest.raises(NewerFormat) as caught:
        open_version(resigned(version, key), public_pem=public_of(key))
    assert caught.value.got == "format 2"
    assert caught.value.next


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": "one"}', b'{"format": 1}', b"[" * 100_000])
def test_a_signed_manifest_of_another_form_is_refused(version: Path, key: bytes, data: bytes) -> None:
    (version / "manifest.json").write_bytes(data)
    with pytest.raises(IntegrityError, match="manifest can't be read"):
        open_version(resigned(version, key), public_pem=public_of(key))


def test_a_signed_folder_without_manifest_is_refused(version: Path, key: bytes) -> None:
    (version / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match="manifest can't be read"):
        open_version(resigned(version, key), public_pem=public_of(key))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("links/model.onnx", b"\x80\x04N."),
        ("links/model.onnx", b"another model"),
        ("lineage.json", b"cos\nsystem\n."),
        ("notes.txt", b"not pinned"),
        ("links/extra.pkl", b"\x80\x04N."),
        ("baseline/prepare.json", b"{}"),
    ],
)
def test_a_signature_does_not_make_anything_allowed(version: Path, key: bytes, name: str, data: bytes) -> None:
    (version / name).write_bytes(data)
    with pytest.raises(Refused) as caught:
        open_version(resigned(version, key), public_pem=public_of(key))
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["links/model.onnx", "contract.odcs.yaml", "baseline/prepare.json"])
def test_a_pinned_file_must_be_there_although_signed(version: Path, key: bytes, name: str) -> None:
    (version / name).unlink()
    with pytest.raises(Refused, match=name):
        open_version(resigned(version, key), public_pem=public_of(key))


def test_a_file_swapped_while_it_is_read_is_never_loaded(version: Path, key: bytes, tmp_path: Path) -> None:
    """Whatever the reading meets, what comes out is either an error or the signed bytes."""
    model = version / "links" / "model.onnx"
    good = model.read_bytes()
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for data in (b"\x80\x04N.", good):
                (tmp_path / "beside").write_bytes(data)
                (tmp_path / "beside").replace(model)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(100):
            try:
                loaded = open_version(version, public_pem=public_of(key))
            except IntegrityError:
                continue
            assert loaded.files["links/model.onnx"] == good
    finally:
        over.set()
        swapper.join()


def test_of_a_damaged_version_only_what_was_signed_is_handed_out(version: Path, content: Content, key: bytes) -> None:
    _, files = content()
    public = public_of(key)
    root = open_version(version, public_pem=public).root
    for each in (version, *version.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    changed, gone = sorted(name for name in files if name != "manifest.json")[:2]
    (version / changed).write_bytes(b"something else")
    (version / gone).unlink()
    (version / "added").write_bytes(b"nobody signed this")
    loaded, wrong = open_whole_files(version, public_pem=public, root=root)
    assert wrong == {changed, gone}
    assert loaded.root == root
    assert {*loaded.files} == {*open_names(files)} - wrong
    with pytest.raises(IntegrityError, match="another version"):
        open_whole_files(version, public_pem=public, root="0" * 64)
    (version / "manifest.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="manifest"):
        open_whole_files(version, public_pem=public, root=root)


def open_names(files: dict[str, bytes]) -> set[str]:
    return {*files, "manifest.json"}
