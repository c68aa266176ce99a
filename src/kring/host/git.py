"""Which commit a folder stands at."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

UNKNOWN: Final = "uncommitted"
TIMEOUT_S: Final = 10


def commit_of(folder: Path) -> str:
    """The commit of the checkout that holds `folder`, with `+changes` unless git knows that its files
    are those of that commit (state in `.kring` aside); `uncommitted` outside a checkout, for a folder
    of which nothing is committed, or without git."""
    head = _git(folder, "rev-parse", "HEAD")
    if not head or not _git(folder, "ls-files", "--", "."):
        return UNKNOWN
    changes = _git(folder, "status", "--porcelain", "--", ".", ":(exclude).kring")
    return head if changes == "" else f"{head}+changes"


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
