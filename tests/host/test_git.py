"""A commit is named only when the files are those of the commit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kring.host.git import UNKNOWN, commit_of

WHO = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *WHO, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    root = tmp_path / "checkout"
    system = root / "loans"
    system.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (system / "kring.toml").write_text("a = 1\n")
    (root / "other.txt").write_text("other\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_files_as_committed(checkout: Path) -> None:
    assert commit_of(checkout / "loans") == git(checkout, "rev-parse", "HEAD")


def test_changed_new_and_removed_files_are_changes(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    file = checkout / "loans" / "kring.toml"
    file.write_text("a = 2\n")
    assert commit_of(checkout / "loans") == f"{head}+changes"
    git(checkout, "checkout", "-q", "--", ".")
    (checkout / "loans" / "models.py").write_text("x = 1\n")
    assert commit_of(checkout / "loans") == f"{head}+changes"
    (checkout / "loans" / "models.py").unlink()
    assert commit_of(checkout / "loans") == head
    file.unlink()
    assert commit_of(checkout / "loans") == f"{head}+changes"


def test_state_and_files_elsewhere_are_no_changes(checkout: Path) -> None:
    state = checkout / "loans" / ".kring" / "runs"
    state.mkdir(parents=True)
    (state / "chain.json").write_text("{}")
    (checkout / "other.txt").write_text("changed\n")
    assert commit_of(checkout / "loans") == git(checkout, "rev-parse", "HEAD")


def test_no_checkout_no_commit(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    outside = tmp_path / "outside"
    outside.mkdir()
    assert commit_of(outside) == UNKNOWN
    fresh = checkout / "new"
    fresh.mkdir()
    (fresh / "kring.toml").write_text("a = 1\n")
    assert commit_of(fresh) == UNKNOWN, "nothing of it was ever committed"
    monkeypatch.setenv("PATH", str(outside))
    assert commit_of(checkout / "loans") == UNKNOWN, "without git"
