"""By which policy each version on record decided."""

from __future__ import annotations

from kring.errors import KringError
from kring.flow.project import Project
from kring.flow.versions import verified
from kring.record.version import Policy


class Policies:
    """The policies of versions and of their baselines, each looked up once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, Policy | None] = {}

    def of(self, version: str) -> Policy | None:
        """That of a version, or of `VERSION/baseline`; None for one that can't be opened any more, and for nobody."""
        if version not in self._known:
            id, _, baseline = version.partition("/")
            try:
                manifest = verified(self._project, id).manifest
                self._known[version] = (manifest.baseline if baseline else manifest.chain).policy
            except KringError:
                self._known[version] = None
        return self._known[version]
