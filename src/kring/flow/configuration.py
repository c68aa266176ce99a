"""`kring.toml` and its contract as they are now, beside those that a system is operated by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import KringError, UserError
from kring.flow.project import Project, open_project
from kring.host.settled import settle
from kring.record.system import System

UNHEARD: Final = (
    "goal", "owner", "affects", "human_oversight", "people", "candidates", "evidence", "rollout", "learn", "notify",
    "drills", "flags", "trials", "access", "file", "digest",
)  # fmt: skip
"""What of a system neither monitors nor the tests of a rollout hear the log by: they are about who is told, what is
trained and how, what is drawn, and rollouts to come."""


class Configuration:
    """Looks at both files again and again. What is wrong with one changes nothing, and is said once."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        self._say, self._said = say, ""

    def newer(self, project: Project) -> Project | None:
        """The project by its files, if they are others than those that it was read from and hold."""
        try:
            changed = by_file(project, say=self._say)
        except KringError as error:
            if error.lasting != self._said:
                file = Path(error.file).name if error.file else "kring.toml"
                self._say(f"{file} of {project.system.name} is not gone by as it is now: {error.lasting}")
            self._said = error.lasting
            return None
        self._said = ""
        return changed


def by_file(project: Project, *, say: Callable[[str], None]) -> Project | None:
    """None where both files are those that the project was read from; else the project by them, once nobody writes to
    them. Raises as `open_project`, and `UserError` for what would be another system, with other versions."""
    known = {"kring.toml": project.system.digest, project.system.data.contract: project.contract.digest}
    if all(is_still(project, name, digest) for name, digest in known.items()):
        return None
    if not settle([project.folder / name for name in known]):
        return None
    changed = open_project(project.folder, say=say)
    if changed.system.name != project.system.name:
        raise UserError(
            "another name is another system",
            got=changed.system.name,
            allowed=project.system.name,
            next="put the name back, or end whoever operates it and start anew",
        )
    return replace(project, system=changed.system, contract=changed.contract, task=changed.task)


def is_still(project: Project, name: str, digest: str) -> bool:
    """Whether a file of the system's folder is what it was when its digest was taken."""
    return hashlib.sha256(project.files.read(project.folder / name)).hexdigest() == digest


def changed_in(before: Project, after: Project) -> str:
    """Which of both files is another one."""
    files = (("kring.toml", before.system.digest != after.system.digest),
             ("contract", before.contract.digest != after.contract.digest))  # fmt: skip
    return " and ".join(f"another {name}" for name, is_other in files if is_other)


def is_heard_alike(before: System, after: System) -> bool:
    """Whether the log says the same by both: then nobody has to hear it anew."""
    others = {name: getattr(before, name) for name in UNHEARD}
    return before == msgspec.structs.replace(after, **others)
