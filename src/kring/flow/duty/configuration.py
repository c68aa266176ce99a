"""`kring.toml` as it is now, beside the one that a system is operated by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from kring.errors import KringError, UserError
from kring.flow.project import Project, open_project


class Configuration:
    """Looks at the file again and again. What is wrong with it changes nothing, and is said once."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        self._say, self._said = say, ""

    def newer(self, project: Project) -> Project | None:
        """The project by its file, if that is another than the one that it was read from and holds."""
        try:
            changed = by_file(project, say=self._say)
        except KringError as error:
            if error.message != self._said:
                self._say(f"kring.toml of {project.system.name} is not gone by as it is now: {error.message}")
            self._said = error.message
            return None
        self._said = ""
        return changed


def by_file(project: Project, *, say: Callable[[str], None]) -> Project | None:
    """None where the file is the one that the project was read from. Raises as `open_project`, and `UserError` for
    what would be another system, with other versions."""
    data = project.files.read(project.folder / "kring.toml")
    if hashlib.sha256(data).hexdigest() == project.system.digest:
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
