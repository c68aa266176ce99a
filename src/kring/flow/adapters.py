"""Adapters by name. The one module that imports inside functions: an adapter is loaded when needed."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import kring.tasks
from kring.errors import UserError
from kring.ports.files import Files
from kring.ports.random import Random
from kring.ports.task import Task

if TYPE_CHECKING:
    from kring.ports.decision_log import DecisionLog
    from kring.ports.framework import Framework
    from kring.ports.ledger import Ledger
    from kring.ports.vault import Vault
    from kring.record.event import Segment
    from kring.stores.reading import LogReader


def task_named(name: str) -> Task:
    """The task `kring.toml` names."""
    known = sorted(module.name for module in pkgutil.iter_modules(kring.tasks.__path__))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UserError(
            "there is no such task",
            key="system.task",
            got=repr(name),
            allowed=", ".join(known),
            next=f"did you mean {near[0]!r}?" if near else "",
        )
    return cast(Task, importlib.import_module(f"kring.tasks.{name}").TASK)


def open_ledger(path: Path, *, system: str) -> Ledger:
    from kring.stores import sqlite

    return sqlite.open_ledger(path, system=system)


def open_log(folder: Path, *, files: Files, system: str) -> DecisionLog:
    from kring.stores import file

    return file.open_log(folder, files=files, system=system)


def read_log(folder: Path, *, system: str) -> LogReader:
    """The log for reading only: needs no lock, changes nothing."""
    from kring.stores import reading

    return reading.read_log(folder, system=system)


def verify_segment(folder: Path, segment: Segment) -> None:
    """`IntegrityError` unless the sealed segment lies in `folder` as the ledger says."""
    from kring.stores import sealed

    sealed.verify_segment(folder, segment)


def open_vault(path: Path, *, random: Random) -> Vault:
    from kring.stores import vault

    return vault.open_vault(path, random=random)


def framework() -> Framework:
    from kring.frameworks import sklearn

    return cast("Framework", sklearn)
