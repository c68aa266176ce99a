"""What each worker has counted, where all workers can read it: one small file each, new every second.

It is not made durable on purpose: what the last second before a crash of the machine counted is worth no fsync.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from kring.record.tally import Tally

MODE: Final = 0o600


class Tallies:
    """The files of a folder, seen from one `seat`."""

    def __init__(self, folder: Path, *, seat: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / f"{seat}.json"

    def before(self) -> Tally | None:
        """What the last worker of this seat had counted; None without one."""
        return _read(self._path)

    def write(self, tally: Tally) -> None:
        """Put it where the others read it. A disk that is full or broken costs this count, nothing else."""
        beside = self._path.with_suffix(".new")
        try:
            with open(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, MODE), "wb") as file:
                file.write(msgspec.json.encode(tally))
            os.replace(beside, self._path)
        except OSError:
            return

    def others(self) -> list[Tally]:
        """What all other workers have counted."""
        paths = [path for path in sorted(self._folder.glob("*.json")) if path != self._path]
        return [tally for path in paths if (tally := _read(path)) is not None]


def computing(folder: Path, *, system: str) -> list[tuple[str, str, int]]:
    """The versions of a system, what computes each, and in how many workers."""
    tallies = [tally for path in sorted(folder.glob("*.json")) if (tally := _read(path)) is not None]
    seen = [labels for tally in tallies for labels, _ in tally.now.get("kring_provider_info", ())]
    return [(labels[1], labels[2], n) for labels, n in sorted(Counter(seen).items()) if labels[0] == system]


def clear(folder: Path) -> None:
    """Forget what the last server counted: its numbers are no longer those of a living one."""
    for path in folder.glob("*.json"):
        path.unlink(missing_ok=True)


def _read(path: Path) -> Tally | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tally)
    except (OSError, msgspec.MsgspecError):
        return None
