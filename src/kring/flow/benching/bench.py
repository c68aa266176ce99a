"""A load test of one system: a server, rows to ask about, and one level of load after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from kring.errors import Unavailable, UserError
from kring.flow.benching.asking import MOST_CONNECTIONS, MOST_SECONDS, ask, chosen
from kring.flow.benching.client import Order, Told
from kring.flow.benching.rows import bodies_of
from kring.flow.benching.serving import DECISIONS, Address, headers_for, require_answer, served_copy
from kring.flow.project import Project
from kring.host.tree import Used, usage_below
from kring.record.load import Level, LoadTest, ProcessCost

MOST_LEVELS: Final = 8
WARM_S: Final = 1.0


def bench(
    project: Project,
    *,
    connections: Sequence[int],
    seconds: int,
    client: Literal["auto", "wrk", "built-in"] = "auto",
    url: str = "",
    key: str = "",
    workers: int = 1,
) -> LoadTest:
    """Load the system at each number of `connections` for `seconds`, with rows of its newest snapshot.

    Without `url` the server is a child process with `workers` workers over a copy of the system, and nothing of the
    test is kept. A server at `url`, on this machine, is asked with `key`, and keeps a record of every answer.

    `UserError` for bounds that are left or a server elsewhere, `Unauthenticated`, `Refused` or `Unavailable` when
    the first request is not answered.
    """
    _require_bounds(connections, seconds)
    used = chosen(client)
    where = _address(project, url, key) if url else None
    newest, bodies = bodies_of(project)
    project.say(f"rows    {len(bodies)} of snapshot {newest.id}, asked by the client {used}")
    with _server(project, where, bodies[0], workers=workers) as address, _private_folder() as folder:

        def asked(number: int, lasting: float) -> Told:
            order = Order(
                host=address.host,
                port=address.port,
                path=DECISIONS,
                headers=dict(address.headers),
                bodies=bodies,
                connections=number,
                seconds=lasting,
            )
            return ask(order, client=used, folder=folder, files=project.files)

        asked(1, WARM_S)
        levels = []
        for number in connections:
            before = usage_below(address.process) if address.process else {}
            told = asked(number, seconds)
            after = usage_below(address.process) if address.process else {}
            levels.append(level_of(told, number, processes=costs(before, after, answered=told.answered)))
            project.say(f"load    {number} connections: {levels[-1].per_s:,.0f} answers per second")
    return LoadTest(
        system=project.system.name,
        url=url or f"http://{address.host}:{address.port}",
        client=used,
        at=project.clock.now(),
        snapshot=newest.id,
        rows=len(bodies),
        workers=0 if url else workers,
        levels=tuple(levels),
        first_answer_s=address.first_answer_s,
    )


def level_of(told: Told, connections: int, *, processes: Sequence[ProcessCost]) -> Level:
    """What a client told, as one level of the record."""
    return Level(
        connections=connections,
        seconds=told.seconds,
        answered=told.answered,
        refused=told.refused,
        failed=told.failed,
        per_s=told.answered / told.seconds if told.seconds > 0 else 0.0,
        p50_ms=told.p50_ms,
        p90_ms=told.p90_ms,
        p99_ms=told.p99_ms,
        processes=tuple(processes),
    )


def costs(before: Mapping[int, Used], after: Mapping[int, Used], *, answered: int) -> list[ProcessCost]:
    """What each process that is there at the end spent for one answer, the busiest first."""
    found = [
        ProcessCost(
            name=used.name,
            cpu_us=(used.cpu_us - (before[number].cpu_us if number in before else 0)) / max(answered, 1),
            rss_mb=used.rss_mb,
        )
        for number, used in after.items()
    ]
    return sorted(found, key=lambda one: -one.cpu_us)


def _require_bounds(connections: Sequence[int], seconds: int) -> None:
    if not connections or len(connections) > MOST_LEVELS or len(set(connections)) != len(connections):
        raise UserError(
            "these are no levels of load",
            got=", ".join(map(str, connections)) or "none",
            allowed=f"1 to {MOST_LEVELS} different numbers of connections",
            key="connections",
        )
    for name, value, most in (("connections", max(connections), MOST_CONNECTIONS), ("seconds", seconds, MOST_SECONDS)):
        if value > most or value < 1 or min(connections) < 1:
            got = value if value > most or name == "seconds" else min(connections)
            raise UserError(f"{name} is out of bounds", got=str(got), allowed=f"1 to {most}", key=name)


def _address(project: Project, url: str, key: str) -> Address:
    """The server at `url`, which has to be on this machine."""
    allowed = "http://127.0.0.1:PORT, http://localhost:PORT or http://[::1]:PORT"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError as error:
        raise UserError("this is no address of a server", got=url[:200], allowed=allowed, key="url") from error
    if parts.scheme != "http" or not host or parts.path not in ("", "/") or parts.query or parts.username:
        raise UserError("this is no address of a server", got=url[:200], allowed=allowed, key="url")
    if not _is_here(host):
        raise UserError(
            "only a server on this machine is put under load",
            got=host,
            allowed=allowed,
            next="run kring bench serve on the machine that serves",
            key="url",
        )
    if any(ord(sign) <= 32 or ord(sign) > 126 for sign in key):
        raise UserError("KRING_KEY holds no key", allowed="one line of letters, digits and _", key="KRING_KEY")
    return Address(host, port, headers_for(project, key))


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _server(project: Project, where: Address | None, body: str, *, workers: int) -> Iterator[Address]:
    """The server that is there, or one of our own."""
    if where is not None:
        require_answer(where, body)
        yield where
        return
    project.say(f"serve   a copy of {project.system.name} with {workers} worker{'s' if workers > 1 else ''}")
    with served_copy(project, body, workers=workers) as address:
        yield address


@contextmanager
def _private_folder() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="kring-bench-") as folder:
            yield Path(folder)
    except OSError as error:
        raise Unavailable("there is no room for temporary files", got=str(error), next="set TMPDIR") from error
