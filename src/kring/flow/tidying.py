"""What a command that was killed left behind, and how the next one removes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kring.errors import KringError, Unavailable, UserError
from kring.host.turns import LOCK
from kring.ports.files import Files

UNFINISHED: Final = "unfinished-replay"
"""Stands in a replay's home from its beginning to its end, locked by the process that runs it."""


def tidy(root: Path, *, files: Files) -> None:
    """Remove half-written files and folders and replays that did not end, below the home `root`.

    Only for a process that knows itself alone in `root`.
    """
    for home in files.list(root / "replays"):
        if (home / UNFINISHED).exists():
            files.remove(home)
    for path in [path for path in root.rglob(".*.part") if path.name.startswith(".")]:
        files.remove(path)


@contextmanager
def own_home(folder: Path, *, files: Files) -> Iterator[None]:
    """A home for one replay, empty at its beginning and gone when the replay fails. `UserError` when it
    holds anything but a replay that did not end, `Busy` while another process runs one in it."""
    if folder.is_file() or (folder.exists() and not (folder / UNFINISHED).exists() and _used(folder)):
        raise UserError(
            "a replay needs a home of its own",
            got=str(folder),
            allowed="a new or empty folder, or one in which a replay did not end",
            next="name another with --home",
        )
    lock = files.append(folder / UNFINISHED)
    try:
        for path in files.list(folder):
            if path.name != UNFINISHED:
                files.remove(path)
        yield
        files.remove(folder / UNFINISHED)
    except (KringError, KeyboardInterrupt):
        with suppress(Unavailable):
            files.remove(folder)
        raise
    finally:
        lock.close()


def _used(folder: Path) -> bool:
    return any(path.name != LOCK for path in folder.iterdir())
