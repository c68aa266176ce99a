"""Charts for pages, drawn by another process and kept by their content.

Drawing takes 40 to 80 ms and holds the interpreter's lock, so who shows a page only asks: `spec.json` is put into a
folder, the render process puts the drawing beside it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal, NamedTuple

from kring.charts.theme import Spec
from kring.errors import NotFound
from kring.ports.files import Files

MOST: Final = 500
"""Drawings that are kept."""


class Drawing(NamedTuple):
    """`svg` when it is drawn, else why not: it is still being drawn, or it can't be."""

    state: Literal["drawn", "waiting", "failed"]
    svg: str = ""


class Drawings:
    """The folder, as both sides see it."""

    def __init__(self, folder: Path, *, files: Files) -> None:
        self._folder = folder
        self._files = files

    def get(self, spec: Spec) -> Drawing:
        """The drawing of `spec`, or the promise that it will be there soon."""
        data = json.dumps(spec, sort_keys=True).encode()
        name = hashlib.sha256(data).hexdigest()[:32]
        try:
            return Drawing("drawn", self._files.read(self._path(name, "svg")).decode())
        except NotFound:
            pass
        if self._path(name, "failed").exists():
            return Drawing("failed")
        if not self._path(name, "json").exists():
            self._files.write(self._path(name, "json"), data)
        return Drawing("waiting")

    def asked(self) -> list[str]:
        """What waits to be drawn, the oldest first."""
        found = [path for path in self._files.list(self._folder) if path.suffix == ".json"]
        return [path.stem for path in sorted(found, key=lambda path: path.stat().st_mtime)]

    def spec(self, name: str) -> Spec:
        """What was asked for."""
        found: Spec = json.loads(self._files.read(self._path(name, "json")))
        return found

    def put(self, name: str, svg: str) -> None:
        """The drawing is there; an empty one says that it can't be drawn."""
        self._files.write(self._path(name, "svg" if svg else "failed"), svg.encode())
        self._files.remove(self._path(name, "json"))
        self._tidy()

    def _tidy(self) -> None:
        """Forget the oldest drawings beyond `MOST`."""
        found = sorted(self._files.list(self._folder), key=lambda path: path.stat().st_mtime)
        for path in found[:-MOST]:
            self._files.remove(path)

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"
