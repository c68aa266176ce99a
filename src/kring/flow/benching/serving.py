"""A server to load: a child process over a copy of the system, so that no answer of the test is ever on record.

The copy lies in the system's own home, on the same disk: what is measured includes the writes of that disk. It holds
the ledger's events, the versions and the keys, and no data, and it is gone when the test is over.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from kring.errors import Refused, Unauthenticated, Unavailable
from kring.flow.keys import create_key
from kring.flow.operating.telling import SILENT
from kring.flow.project import Project, open_project
from kring.host.clock import stopwatch
from kring.host.files import storage_error
from kring.host.tree import usage_below
from kring.record.event import Entry

DECISIONS: Final = "/api/decisions"
READY_S: Final = 60.0
GRACE_S: Final = 30.0
PAUSE_S: Final = 0.01
SETTLED_S: Final = 20.0
LOOK_S: Final = 0.5
IDLE: Final = 0.1
"""Share of a core below which a server that nobody asks is at rest."""

KEY_US: Final = 3_600_000_000
KEPT: Final = ("versions", "keys", "vault", "recipes")
"""Folders of the home that a server needs."""


class Address(NamedTuple):
    """Where a server is asked, and what every request shows. `process` is the number of one that was started here,
    0 for another; `first_answer_s` is how long it took to its first answer, `folder` where its copy of the system
    lies."""

    host: str
    port: int
    headers: Mapping[str, str]
    process: int = 0
    first_answer_s: float | None = None
    folder: Path | None = None


@contextmanager
def served_copy(project: Project, body: str, *, workers: int) -> Iterator[Address]:
    """A server over a copy of the system, answering `body`, on a free port of this machine; ended and removed at
    the end whatever happens. `Refused` when it refuses the row, `Unavailable` when it does not start."""
    with project.working(), _room(project) as room:
        copy = copied(project, room / "system")
        made = create_key([copy], role="caller", label="kring bench", owner="kring bench", lasts_us=KEY_US, env="dev")
        with _running(copy.folder, room / "server.log", workers=workers) as (process, port, began):
            address = Address("127.0.0.1", port, headers_for(project, made.secret), process.pid)
            _wait(address, body, process=process, log=room / "server.log", until=began + READY_S)
            first_answer_s = stopwatch() - began
            _settle(process.pid)
            yield address._replace(first_answer_s=first_answer_s, folder=copy.folder)


def headers_for(project: Project, key: str) -> dict[str, str]:
    """What each request shows: whom it asks, and by which key."""
    named = {"X-Kring-System": project.system.name}
    return {**named, "Authorization": f"Bearer {key}"} if key else named


def copied(project: Project, folder: Path) -> Project:
    """The system in `folder` as it is to be served: its files without copying a byte, its ledger's events, its
    versions."""
    home = folder / ".kring"
    hidden = shutil.ignore_patterns(".*")
    with _copying(folder):
        shutil.copytree(project.folder, folder, symlinks=True, ignore=hidden, copy_function=os.link)
        home.mkdir(exist_ok=True)
    copy = open_project(folder, say=project.say)
    with project.ledger() as ledger:
        entries = [
            Entry(kind=event.kind, id=event.id, body=event.body, actor=event.actor, at=event.at)
            for event in ledger.read()
        ]
    with copy.ledger() as ledger:
        ledger.append(entries)
    with _copying(folder):
        for name in KEPT:
            if (project.home.root / name).is_dir():
                shutil.copytree(project.home.root / name, home / name)
    return copy


@contextmanager
def _copying(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as error:
        raise Unavailable("the system could not be copied", got=str(error)[:300], file=str(folder)) from error


def asked(address: Address, body: str) -> tuple[int, str]:
    """One request on a connection of its own: the status and what was said; 0 when nobody answers."""
    line = http.client.HTTPConnection(address.host, address.port, timeout=10)
    try:
        line.request("POST", DECISIONS, body.encode(), {"Content-Type": "application/json", **address.headers})
        answer = line.getresponse()
        return answer.status, answer.read(1 << 16).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        line.close()


def require_answer(address: Address, body: str) -> None:
    """Ask once and see that the answer is yes. `Unauthenticated`, `Refused` or `Unavailable` with what was said."""
    status, said = asked(address, body)
    if status in (401, 403):
        raise Unauthenticated(
            "the server does not let this test in",
            got=f"{status}: {said[:300]}",
            allowed="a key with the role caller",
            next="kring key create --role caller --name bench, and put it into the variable KRING_KEY",
        )
    if status and not 200 <= status < 300:
        raise Refused(
            "the server refuses a row of the newest snapshot",
            got=f"{status}: {said[:300]}",
            next="is it the same system, and of the same contract?",
        )
    if not status:
        raise Unavailable(
            "nobody answers there", got=f"{address.host}:{address.port}: {said}", next="start it with kring serve"
        )


@contextmanager
def _room(project: Project) -> Iterator[Path]:
    """A private folder in the home; what a killed test leaves is removed by the next command."""
    try:
        project.home.root.mkdir(exist_ok=True)
        folder = tempfile.mkdtemp(prefix=".bench-", suffix=".part", dir=project.home.root)
    except OSError as error:
        raise storage_error("make a folder in", project.home.root, error) from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(folder: Path, log: Path, *, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """`kring serve` in a process group of its own; the process, its port and when it was started."""
    port = _free_port()
    how = ["serve", str(folder), "--port", str(port), "--workers", str(workers)]
    command = [sys.executable, "-P", "-m", "kring", *how]
    with log.open("wb") as out:
        began = stopwatch()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | dict([SILENT]),
        )
    try:
        yield process, port, began
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(address: Address, body: str, *, process: subprocess.Popen[bytes], log: Path, until: float) -> None:
    """Until the first answer."""
    while process.poll() is None and stopwatch() < until:
        status, _ = asked(address, body)
        if status and status != 503:
            return require_answer(address, body)
        time.sleep(PAUSE_S)
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
    raise Unavailable(
        "the server did not start" if process.poll() is None else "the server ended at once",
        got=said or "it said nothing",
        next="kring serve says more",
    )


def _settle(process: int) -> None:
    """Until the processes that answer nobody have started too, or some seconds have passed."""
    until, used_us = stopwatch() + SETTLED_S, 0
    while stopwatch() < until:
        before_us, used_us = used_us, sum(used.cpu_us for used in usage_below(process).values())
        if used_us - before_us < IDLE * LOOK_S * 1e6:
            return
        time.sleep(LOOK_S)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
