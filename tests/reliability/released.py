"""Folders of released systems, and copies of them that a test may serve and harm."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from systems import kring


@dataclass(frozen=True)
class Released:
    """A folder of a released system, and a key that may do everything in it."""

    folder: Path
    key: str
    name: str

    @property
    def versions(self) -> Path:
        return self.folder / ".kring" / "versions"

    def copy(self, base: Path) -> Released:
        return Released(Path(shutil.copytree(self.folder, base / self.name)), self.key, self.name)


def released(folder: Path, *commands: tuple[str, ...]) -> Released:
    """Run the commands in the folder, and make a key."""
    for words in commands:
        told = kring(words[0], folder, *words[1:])
        assert told.code == 0, told.err
    made = kring("key", "create", folder, "--role", "admin", "--name", "tests", "--expires", "never", "--json")
    assert made.code == 0, made.err
    return Released(folder, made.json["secret"], folder.name)
