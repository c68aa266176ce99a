"""What a version may hold of code: what its link names, where it belongs, and nothing that can't be looked at."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kring.errors import IntegrityError, Refused
from kring.host.files import LocalFiles
from kring.record.version import Code, Link, Manifest
from kring.release.build import pack
from kring.release.load import open_version
from kring.release.sign import public_of, sign_files

Content = Callable[..., tuple[Manifest, dict[str, bytes]]]
SOURCE = b"def score(columns, files):\n    return columns['hour'] / 24\n"
MAIN, TABLE = "links/code/own/models.py", "links/code/table.csv"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def coded(
    content: Content, *, link: dict[str, object] | None = None, code: dict[str, object] | None = None, **files: bytes
):
    """A manifest whose candidate is code, and its files; `link` and `code` change what the link says."""
    manifest, found = content()
    del found["links/model.onnx"]
    found |= {MAIN: SOURCE, TABLE: b"hour,rate\n1,2\n"} | files
    said = {"function": "score", "files": {TABLE: sha256(found[TABLE])}} | (code or {})
    last = {"kind": "code", "file": MAIN, "digest": sha256(SOURCE), "inputs": ("hour",), "code": Code(**said)} | (
        link or {}
    )
    chain = msgspec.structs.replace(manifest.chain, links=(manifest.chain.links[0], Link(**last)))
    return msgspec.structs.replace(manifest, chain=chain), found


def test_it_is_packed_signed_and_loaded(content: Content, key: bytes, tmp_path: Path):
    manifest, files = coded(content)
    id, _ = pack(tmp_path, manifest=manifest, files=files, key_pem=key, store=LocalFiles())
    loaded = open_version(tmp_path / id, public_pem=public_of(key))
    assert loaded.manifest == manifest
    assert (loaded.files[MAIN], loaded.files[TABLE]) == (SOURCE, b"hour,rate\n1,2\n")
    (tmp_path / id / MAIN).write_bytes(SOURCE + b"#")
    with pytest.raises(IntegrityError):
        open_version(tmp_path / id, public_pem=public_of(key))


@pytest.mark.parametrize(
    "wrong",
    [
        ({"file": "models.py"}, {}, "links/code/<name>.py"),
        ({"file": "links/models.py"}, {}, "links/code/<name>.py"),
        ({"file": "links/code/../../models.py"}, {}, "links/code/<name>.py"),
        ({"file": "links/code/models.txt"}, {}, "links/code/<name>.py"),
        ({"file": "links/code/.models.py"}, {}, "links/code/<name>.py"),
        ({"digest": ""}, {}, "without digest"),
        ({"digest": "0" * 64}, {}, "SHA-256"),
        ({"code": None}, {}, "how code is run"),
        ({"kind": "onnx", "file": "links/model.onnx"}, {}, "how code is run"),
        ({"kind": "prepare", "file": "prepare.json"}, {}, ""),
        ({}, {"function": "os.system"}, "name of a function"),
        ({}, {"function": ""}, "name of a function"),
        ({}, {"memory_mb": 0}, "above 0"),
        ({}, {"timeout_us": 0}, "above 0"),
        ({}, {"files": {TABLE: ""}}, "without digest"),
        ({}, {"files": {TABLE: "0" * 64}}, "SHA-256"),
        ({}, {"files": {}}, "nothing pins"),
        ({}, {"files": {"lineage.json": "0" * 64, TABLE: "0" * 64}}, "links/code/<name>"),
        ({}, {"files": {"links/code/../../x": "0" * 64}}, "links/code/<name>"),
        ({}, {"files": {TABLE: sha256(b"hour,rate\n1,2\n"), "links/code/more.py": "0" * 64}}, "no such file"),
    ],
)
def test_links_of_another_form_are_refused(
    content: Content, key: bytes, tmp_path: Path, wrong: tuple[dict[str, object], dict[str, object], str]
):
    link, code, why = wrong
    manifest, files = coded(content, link=link, code=code)
    with pytest.raises(Refused) as refused:
        pack(tmp_path, manifest=manifest, files=files, key_pem=key, store=LocalFiles())
    assert why in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["models.py", "links/models.py", "baseline/models.py", "links/code/other.py", "table.csv"]
)
def test_source_lies_only_where_a_link_names_it(content: Content, key: bytes, tmp_path: Path, name: str):
    manifest, files = coded(content)
    with pytest.raises(Refused):
        pack(tmp_path, manifest=manifest, files={**files, name: SOURCE}, key_pem=key, store=LocalFiles())


@pytest.mark.parametrize(
    "data", [pickle.dumps([1]), b"cos\nsystem\n(S'true'\ntR.", b"\x7fELF\x00", b"\x93NUMPY\x01\x00"]
)
def test_what_is_no_text_is_no_source_and_no_table(content: Content, key: bytes, tmp_path: Path, data: bytes):
    for change in ({MAIN: data}, {TABLE: data}):
        manifest, files = coded(content, **change)
        digests = {name: sha256(files[name]) for name in (MAIN, TABLE)}
        link = msgspec.structs.replace(
            manifest.chain.links[1], digest=digests[MAIN], code=Code(function="score", files={TABLE: digests[TABLE]})
        )
        chain = msgspec.structs.replace(manifest.chain, links=(manifest.chain.links[0], link))
        with pytest.raises(Refused):
            pack(
                tmp_path,
                manifest=msgspec.structs.replace(manifest, chain=chain),
                files=files,
                key_pem=key,
                store=LocalFiles(),
            )


def test_a_signed_folder_with_source_that_nothing_names_is_not_loaded(content: Content, key: bytes, tmp_path: Path):
    manifest, files = coded(content)
    id, _ = pack(tmp_path, manifest=manifest, files=files, key_pem=key, store=LocalFiles())
    (tmp_path / id).rename(tmp_path / "taken")
    taken = tmp_path / "taken"
    (taken / "links" / "code" / "more.py").write_bytes(SOURCE)
    whole = {str(path.relative_to(taken)): path.read_bytes() for path in taken.rglob("*") if path.is_file()}
    del whole["model.sig"]
    (taken / "model.sig").write_bytes(sign_files(whole, name="v", key_pem=key))
    with pytest.raises(Refused, match=r"more\.py"):
        open_version(taken, public_pem=public_of(key))
