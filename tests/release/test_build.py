from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kring.errors import IntegrityError, KringError, Refused, StorageError
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.metrics.ids import digest_id
from kring.record.version import Link, Manifest
from kring.release.build import pack
from kring.release.load import open_version
from kring.release.sign import public_of, verify

Content = Callable[..., tuple[Manifest, dict[str, bytes]]]


def packed(folder: Path, content: Content, key: bytes, bias: float = 0.25) -> tuple[str, str]:
    manifest, files = content(bias)
    return pack(folder, manifest=manifest, files=files, key_pem=key, store=LocalFiles())


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_version_holds_everything_that_was_given(tmp_path: Path, content: Content, key: bytes) -> None:
    manifest, files = content()
    id, root = packed(tmp_path, content, key)
    assert id == digest_id("v", root)
    assert [path.name for path in tmp_path.iterdir()] == [id]
    found = {str(path.relative_to(tmp_path / id)) for path in (tmp_path / id).rglob("*") if path.is_file()}
    assert found == {*files, "manifest.json", "model.sig"}
    assert all((tmp_path / id / name).read_bytes() == data for name, data in files.items())
    assert msgspec.json.decode((tmp_path / id / "manifest.json").read_bytes(), type=Manifest) == manifest
    assert verify(tmp_path / id, public_pem=public_of(key)) == root


def test_the_same_content_has_the_same_id_and_is_not_rewritten(tmp_path: Path, content: Content, key: bytes) -> None:
    first = packed(tmp_path, content, key)
    before = state(tmp_path)
    assert packed(tmp_path, content, key) == first
    assert state(tmp_path) == before
    elsewhere = tmp_path / "elsewhere"
    assert packed(elsewhere, content, key) == first
    assert {name: data for name, (data, _) in state(elsewhere).items()} == {
        name: data for name, (data, _) in before.items()
    }


def test_other_content_has_another_id(tmp_path: Path, content: Content, key: bytes) -> None:
    manifest, files = content()
    other = msgspec.structs.replace(manifest, commit="1" * 40)
    ids = {
        packed(tmp_path, content, key)[0],
        packed(tmp_path, content, key, bias=0.5)[0],
        pack(tmp_path, manifest=other, files=files, key_pem=key, store=LocalFiles())[0],
        pack(tmp_path, manifest=manifest, files={**files, "lineage.json": b"{}"}, key_pem=key, store=LocalFiles())[0],
    }
    assert len(ids) == 4


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_may_read_or_write_whatever_the_umask(
    tmp_path: Path, content: Content, key: bytes, umask: int
) -> None:
    before = os.umask(umask)
    try:
        id, _ = packed(tmp_path / "versions", content, key)
    finally:
        os.umask(before)
    for path in ((tmp_path / "versions"), *(tmp_path / "versions" / id).rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_damaged_version_is_reported_not_mended(tmp_path: Path, content: Content, key: bytes) -> None:
    id, _ = packed(tmp_path, content, key)
    (tmp_path / id / "lineage.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"lineage\.json was changed"):
        packed(tmp_path, content, key)


def test_a_version_signed_by_another_key_is_reported(
    tmp_path: Path, content: Content, key: bytes, other_key: bytes
) -> None:
    packed(tmp_path, content, other_key)
    with pytest.raises(IntegrityError, match="not by the key"):
        packed(tmp_path, content, key)


Change = Callable[[Manifest, dict[str, bytes]], Manifest]


def with_links(manifest: Manifest, *links: Link) -> Manifest:
    return msgspec.structs.replace(manifest, chain=msgspec.structs.replace(manifest.chain, links=links))


def added(name: str, data: bytes = b"{}") -> Change:
    def change(manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        files[name] = data
        return manifest

    return change


def dropped(name: str) -> Change:
    def change(manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        del files[name]
        return manifest

    return change


def relinked(link: Link) -> Change:
    return lambda manifest, files: with_links(manifest, manifest.chain.links[0], link)


def of_format(number: int) -> Change:
    return lambda manifest, files: msgspec.structs.replace(manifest, format=number)


def with_threshold(value: float) -> Change:
    def change(manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        policy = msgspec.structs.replace(manifest.chain.policy, threshold=value)
        return msgspec.structs.replace(manifest, chain=msgspec.structs.replace(manifest.chain, policy=policy))

    return change


def link(kind: str = "onnx", file: str = "links/model.onnx", digest: str = "0" * 64) -> Link:
    return Link(kind=kind, file=file, digest=digest)  # type: ignore[arg-type]


BAD: dict[str, Change] = {
    "a manifest": added("manifest.json"),
    "a signature": added("model.sig"),
    "an unpinned file": added("notes.txt", b"x"),
    "an unpinned link": added("links/other.onnx"),
    "a hidden file": added(".gitignore", b"x"),
    "a name that speaks to the terminal": added("\x1b[2J.json"),
    "a name outside": added("../x.json"),
    "an absolute name": added("/tmp/x.json"),
    "no contract": dropped("contract.odcs.yaml"),
    "no lineage": dropped("lineage.json"),
    "no model": dropped("links/model.onnx"),
    "no prepare": dropped("prepare.json"),
    "no baseline prepare": dropped("baseline/prepare.json"),
    "another model": added("links/model.onnx", b"x"),
    "a pickle as contract": added("contract.odcs.yaml", b"cos\nsystem\n(S'true'\ntR."),
    "a pickle as lineage": added("lineage.json", b"\x80\x04N."),
    "a foreign digest": relinked(link()),
    "no digest": relinked(link(digest="")),
    "a link outside": relinked(link(file="../model.onnx")),
    "a link elsewhere": relinked(link(file="model.onnx")),
    "a link into the baseline": relinked(link(file="baseline/links/model.onnx")),
    "a prepare link elsewhere": relinked(link(kind="prepare", file="links/prepare.json")),
    "a rule with a file": relinked(link(kind="rule", file="links/model.onnx")),
    "a rule without expression": relinked(link(kind="rule", file="", digest="")),
    "an older format": of_format(0),
    "a newer format": of_format(2),
    "no threshold at all": with_threshold(float("nan")),
    "an endless threshold": with_threshold(float("inf")),
}


@pytest.mark.parametrize("which", sorted(BAD))
def test_what_does_not_belong_is_refused_and_nothing_is_written(
    tmp_path: Path, content: Content, key: bytes, which: str
) -> None:
    manifest, files = content()
    manifest = BAD[which](manifest, files)
    with pytest.raises(Refused) as caught:
        pack(tmp_path / "versions", manifest=manifest, files=files, key_pem=key, store=LocalFiles())
    assert caught.value.got
    assert "\x1b" not in str(caught.value)
    assert not (tmp_path / "versions").exists()


def test_a_prepare_file_that_is_no_prepare_is_refused(tmp_path: Path, content: Content, key: bytes) -> None:
    manifest, files = content()
    data = files["lineage.json"]
    files["prepare.json"] = data
    digest = hashlib.sha256(data).hexdigest()
    first = msgspec.structs.replace(manifest.chain.links[0], digest=digest)
    manifest = with_links(manifest, first, manifest.chain.links[1])
    with pytest.raises(Refused, match=r"prepare\.json"):
        pack(tmp_path, manifest=manifest, files=files, key_pem=key, store=LocalFiles())


def counted(folder: Path, content: Content, key: bytes) -> int:
    """How many operations on the disk one packing takes."""
    manifest, files = content()
    plan = Plan(0)
    pack(folder, manifest=manifest, files=files, key_pem=key, store=FaultyFiles(LocalFiles(), plan))
    return plan.count


@pytest.mark.parametrize("stays", [False, True])
def test_a_disk_that_fails_at_any_step_leaves_no_version(
    tmp_path: Path, content: Content, key: bytes, stays: bool
) -> None:
    manifest, files = content()
    for nth in range(1, counted(tmp_path / "good", content, key) + 1):
        folder = tmp_path / f"{nth}"
        store = FaultyFiles(LocalFiles(), Plan(nth, stays=stays))
        with pytest.raises(StorageError):
            pack(folder, manifest=manifest, files=files, key_pem=key, store=store)
        assert not list(folder.glob("v_*"))
        if not stays:
            assert not list(folder.glob(".v_*"))
        id, _ = packed(folder, content, key)
        assert open_version(folder / id, public_pem=public_of(key)).id == id


def test_a_process_that_dies_at_any_step_leaves_a_whole_version_or_none(
    tmp_path: Path, content: Content, key: bytes
) -> None:
    manifest, files = content()
    for nth in range(1, counted(tmp_path / "good", content, key) + 1):
        folder = tmp_path / f"{nth}"
        store = FaultyFiles(LocalFiles(), Plan(nth, crash=True))
        with pytest.raises(Crash):
            pack(folder, manifest=manifest, files=files, key_pem=key, store=store)
        assert not list(folder.glob("v_*"))
        id, _ = packed(folder, content, key)
        assert open_version(folder / id, public_pem=public_of(key)).id == id
        assert [path.name for path in LocalFiles().list(folder) if not path.name.startswith(".")] == [id]


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, content: Content, key: bytes) -> None:
    class Interrupted(LocalFiles):
        def publish(self, folder: Path, target: Path, *, replace: bool = False) -> None:
            raise KeyboardInterrupt

    manifest, files = content()
    with pytest.raises(KeyboardInterrupt):
        pack(tmp_path, manifest=manifest, files=files, key_pem=key, store=Interrupted())
    assert list(tmp_path.iterdir()) == []


def test_many_threads_pack_the_same_version_once(tmp_path: Path, content: Content, key: bytes) -> None:
    gate = threading.Barrier(4)
    results: list[object] = []

    def work() -> None:
        gate.wait()
        try:
            results.append(packed(tmp_path, content, key))
        except KringError as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(str, results))) == 1, results
    (id,) = (path.name for path in tmp_path.iterdir())
    assert results[0] == (id, open_version(tmp_path / id, public_pem=public_of(key)).root)


PACK_FOR_EVER = """
import itertools, sys
from pathlib import Path
import msgspec
from kring.host.files import LocalFiles
from kring.release.build import pack
from kring.release.load import open_version
from kring.release.sign import public_of
source, target, key, start = sys.argv[1:]
key_pem = Path(key).read_bytes()
loaded = open_version(Path(source), public_pem=public_of(key_pem))
files = {name: data for name, data in loaded.files.items() if name != "manifest.json"}
print("ready", flush=True)
for number in itertools.count():
    manifest = msgspec.structs.replace(loaded.manifest, commit=f"{start} {number}")
    pack(Path(target), manifest=manifest, files=files, key_pem=key_pem, store=LocalFiles())
"""


def test_a_killed_process_leaves_whole_versions_only(tmp_path: Path, content: Content, key: bytes) -> None:
    id, _ = packed(tmp_path / "source", content, key)
    (tmp_path / "key.pem").write_bytes(key)
    target = tmp_path / "versions"
    for wait in (0.0, 0.013, 0.031):
        arguments = [str(tmp_path / "source" / id), str(target), str(tmp_path / "key.pem"), str(wait)]
        with subprocess.Popen([sys.executable, "-c", PACK_FOR_EVER, *arguments], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            before = len(list(target.glob("v_*")))
            while process.poll() is None and len(list(target.glob("v_*"))) == before:
                time.sleep(0.001)
            time.sleep(wait)
            process.kill()
        for path in target.glob("v_*"):
            assert open_version(path, public_pem=public_of(key)).id == path.name
    assert len(list(target.glob("v_*"))) >= 3
