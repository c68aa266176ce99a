"""The folder in which the processes of a serving machine meet: who reads and writes what there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from kring.errors import IntegrityError
from kring.ports.files import Files
from kring.record.access import AccessList
from kring.record.serving import Plan, Served

T = TypeVar("T")


@dataclass(frozen=True)
class Meeting:
    """Paths in the folder `root`."""

    root: Path

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def page(self) -> Path:
        return self.root / "page"

    @property
    def systems(self) -> Path:
        return self.root / "systems.json"

    @property
    def access(self) -> Path:
        return self.root / "access.json"

    @property
    def control(self) -> Path:
        return self.root / "control.sock"

    @property
    def claims(self) -> Path:
        return self.root / "claims.db"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics"

    @property
    def drawings(self) -> Path:
        return self.root / "drawings"


def write(files: Files, path: Path, value: object) -> None:
    """`value` as JSON, whole or not at all."""
    files.write(path, msgspec.json.encode(value))


def read_plan(files: Files, path: Path) -> Plan:
    return _read(files, path, Plan)


def read_systems(files: Files, meeting: Meeting) -> list[Served]:
    return _read(files, meeting.systems, list[Served])


def read_access(files: Files, meeting: Meeting) -> AccessList:
    return _read(files, meeting.access, AccessList)


def _read(files: Files, path: Path, type: type[T]) -> T:
    try:
        return msgspec.json.decode(files.read(path), type=type)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"{path.name} is not what a serving process reads",
            got=str(error),
            next="start kring serve again",
            file=str(path),
        ) from error
