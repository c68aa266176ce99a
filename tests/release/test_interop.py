"""Both ways with the reference implementation of model signing, as people run it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kring.errors import IntegrityError
from kring.release.sign import SIGNATURE, public_of, sign, verify

FILES = {
    "manifest.json": b"{}",
    "links/a.onnx": b"a",
    "links.txt": b"b",
    "a b/\N{LATIN SMALL LETTER U WITH DIAERESIS}": b"c",
}


@pytest.fixture(autouse=True)
def reference_installed() -> None:
    if importlib.util.find_spec("model_signing") is None:
        pytest.skip("the reference implementation is not installed: pip install 'kring[sign]'")


@pytest.fixture
def folder(tmp_path: Path, key: bytes) -> Path:
    folder = tmp_path / "model"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (tmp_path / "private.pem").write_bytes(key)
    (tmp_path / "public.pem").write_bytes(public_of(key))
    return folder


def reference(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`model_signing ARGUMENTS folder`, with the signature inside the folder."""
    return subprocess.run(
        [sys.executable, "-m", "model_signing", *arguments, "--signature", folder / SIGNATURE, folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )


def test_the_reference_verifies_ours_and_sees_a_change(folder: Path, key: bytes) -> None:
    (folder / SIGNATURE).write_bytes(sign(folder, key_pem=key))
    public = ("--public_key", str(folder.parent / "public.pem"))
    answer = reference(folder, "verify", "key", *public)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Verification succeeded" in answer.stdout + answer.stderr
    (folder / "added").write_bytes(b"")
    assert reference(folder, "verify", "key", *public).returncode != 0


def test_we_verify_the_reference_s_and_get_the_same_root(folder: Path, key: bytes) -> None:
    answer = reference(folder, "sign", "key", "--private_key", str(folder.parent / "private.pem"))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    theirs = verify(folder, public_pem=public_of(key))
    (folder / "links.txt").write_bytes(b"other")
    with pytest.raises(IntegrityError, match=r"links\.txt was changed"):
        verify(folder, public_pem=public_of(key))
    (folder / "links.txt").write_bytes(FILES["links.txt"])
    (folder / SIGNATURE).write_bytes(sign(folder, key_pem=key))
    assert verify(folder, public_pem=public_of(key)) == theirs
