"""A version as it was signed: its bytes, and whether this folder still reads rows as it learned to."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kring.errors import Conflict, IntegrityError, NotFound
from kring.flow.project import Project
from kring.release.layout import RECIPE
from kring.release.load import open_version
from kring.release.signed import Loaded


def verified(project: Project, version: str) -> Loaded:
    """The version's manifest and bytes, once signature and digests are checked on these bytes. `IntegrityError`
    unless they are whole, and also when the folder or the public key is gone."""
    try:
        public = project.files.read(project.home.public_key)
        return open_version(project.home.versions / version, public_pem=public)
    except NotFound as error:
        raise IntegrityError(
            f"version {version} can't be verified: {error.message}",
            next="put back a copy of what is missing, or roll back",
            file=error.file,
        ) from error


def require_same_reading(project: Project, loaded: Loaded) -> None:
    """`Conflict` when rows would be read by another contract, or repaired by another recipe, than those that the
    version was made and measured with."""
    recipe = project.folder / RECIPE
    data = project.files.read(recipe) if recipe.exists() else b""
    pairs = (
        (Path(project.contract.file).name, loaded.manifest.contract_digest, project.contract.digest),
        (RECIPE, loaded.manifest.recipe_digest, hashlib.sha256(data).hexdigest() if data else ""),
    )
    for name, then, now in pairs:
        if then != now:
            raise Conflict(
                f"{name} is not the one that version {loaded.id} was made with",
                got=now[:16] or "no such file",
                allowed=then[:16] or "none",
                file=name,
                next=f"put it back, or make a version for it: kring go {project.folder.name}",
            )
