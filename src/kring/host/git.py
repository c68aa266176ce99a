"""Which commit a folder stands at."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

UNKNOWN: Final = "uncommitted"
TIMEOUT_S: Final = 10


def commit_of(folder: Path) -> str:
    """The commit of the checkout that holds `folder`, with `+changes` when files in it differ from
    that commit; `uncommitted` outside a checkout or without git."""
    head = _git(folder, "rev-parse", "HEAD")
    if not head or _git(folder, "ls-files", "--", ".") == "":
        return UNKNOWN
    return f"{head}+changes" if _git(folder, "status", "--porcelain", "--", ".") else head


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
