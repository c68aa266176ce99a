"""Kring itself as one of the servers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from model import rows
from servers import Row, Server
from system import KEY, Kind, make, personal_rows

PATH = "/api/decisions"


def inputs(row: Row) -> object:
    return {"inputs": row}


def kring(kind: Kind, folder: Path) -> tuple[Server, Callable[[], None]]:
    """The server of path A or B, and what makes its system."""
    system = folder / f"system-{kind}"
    server = Server(
        name=kind,
        command=lambda port, _: command(port, system),
        path=PATH,
        body=inputs,
        headers=lambda: key_of(system),
        rows=personal_rows if kind == "b" else rows,
    )
    return server, lambda: _made(kind, system)


def three_systems(folder: Path) -> Server:
    """One server with three systems; the first of them is asked."""
    systems = [folder / f"three-{number}" for number in range(3)]
    for number, system in enumerate(systems):
        if not system.exists():
            make("a", system, name=f"three-{number}")
    return Server(
        name="three",
        command=lambda port, _: command(port, *systems),
        path=PATH,
        body=inputs,
        headers=lambda: {**key_of(systems[0]), "X-Kring-System": "three-0"},
    )


def command(port: int, *systems: Path, workers: int = 1) -> list[str]:
    where = [str(system) for system in systems]
    return [sys.executable, "-m", "kring", "serve", *where, "--port", str(port), "--workers", str(workers)]


def key_of(system: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {(system / KEY).read_text()}"}


def _made(kind: Kind, system: Path) -> None:
    if not system.exists():
        make(kind, system)
