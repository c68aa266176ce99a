"""R10, R11: one request, one decision, however often and wherever it is asked: two workers share the keys."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any, Final

import moods
import pytest
from asking import Connection, Said, decisions
from released import Released
from rows import parcel

from kring.api.forward import UnixConnection
from kring.host.sockets import reachable
from kring.stores.claims import open_claims
from living import end_now, kill, lives, until, workers
from served import Reply, Server, serving, start

TIMES: Final = 50
AGAIN: Final = 20


@pytest.fixture(scope="module")
def system(parcels_once: Released, tmp_path_factory: pytest.TempPathFactory) -> Released:
    return parcels_once.copy(tmp_path_factory.mktemp("once"))


@pytest.fixture(scope="module")
def server(system: Released) -> Iterator[Server]:
    with serving([system.folder], workers=2) as running:
        running.key = system.key
        yield running
        assert running.process.poll() is None, running.log.read_text()
        assert "Traceback" not in running.log.read_text()


def logged(system: Released) -> int:
    return sum(1 for _ in decisions(system.folder, system=system.name))


async def at_once(server: Server, bodies: list[Any], *, key: str) -> list[Said]:
    """Each from a connection of its own, which the kernel gives to either worker; opened before any is asked."""
    connections = [Connection(server.port, server.key) for _ in bodies]
    await asyncio.gather(*(one.send("GET", "/livez") for one in connections))
    headers = {"Idempotency-Key": key}
    said = await asyncio.gather(
        *(one.ask(body, headers=headers) for one, body in zip(connections, bodies, strict=True))
    )
    for one in connections:
        await one.close()
    return said


@pytest.mark.parametrize("rows", [1, 5])
def test_of_fifty_at_once_one_is_decided_and_all_are_told_the_same(server: Server, system: Released, rows: int) -> None:
    before = logged(system)
    body: Any = [parcel(number) for number in range(rows)] if rows > 1 else parcel(7)
    said = asyncio.run(at_once(server, [body] * TIMES, key=f"fifty {rows}"))
    assert {one.status for one in said} == {200}, {one.body for one in said if one.status != 200}
    assert len({one.body for one in said}) == 1, "all of them are told the same, byte for byte"
    assert logged(system) - before == rows


def test_another_body_under_the_same_key_is_a_conflict(server: Server, system: Released) -> None:
    before = logged(system)
    said = asyncio.run(at_once(server, [parcel(number % 2) for number in range(AGAIN)], key="two bodies"))
    told = [one.status for one in said]
    assert set(told) == {200, 409}, told
    assert len({one.body for one in said if one.status == 200}) == 1
    assert logged(system) - before == 1


def test_a_key_is_its_callers_own(server: Server, system: Released) -> None:
    """Nobody is told what somebody else asked under the same key, though both are called the same."""
    named = {"role": "caller", "label": "till", "systems": [system.name]}
    first, second = (server.ask("POST", "/api/keys", named).json["secret"] for _ in range(2))

    def told(key: str) -> Reply:
        headers = {"idempotency-key": "shared"}
        return server.ask("POST", "/api/decisions", {"inputs": parcel(3)}, headers=headers, key=key)

    for key in (first, second):
        until(lambda key=key: told(key).status == 200, "a key that every worker knows", every=0.5)  # type: ignore[misc]
    ids = [told(key).json["id"] for key in (system.key, first, second, system.key, first, second)]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("when", ["at once", "when it is decided"])
def test_a_lost_answer_is_given_again(server: Server, system: Released, when: str) -> None:
    """The caller's connection ends before the answer is read; then the same request comes again, several times."""
    before, key = logged(system), f"lost {when}"
    body = json.dumps({"inputs": parcel(11)}).encode()
    head = (
        f"POST /api/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: {key}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(head.encode() + body)
        if when == "when it is decided":
            until(lambda: logged(system) > before, "the decision", log=server.log)
    said = asyncio.run(at_once(server, [parcel(11)] * 4, key=key))
    assert {one.status for one in said} == {200}
    assert len({one.json["id"] for one in said}) == 1
    assert logged(system) - before == 1


def test_a_key_comes_free_whoever_begins_to_write_when_a_worker_dies(moody: Released) -> None:
    """The control process records its first outcome in the moment in which the number of a dead worker is nobody's."""
    slow, key = moods.row(moods.TAKES_ITS_TIME + 700, 1), {"idempotency-key": "under way"}
    with serving([moody.folder], workers=1) as server, ThreadPoolExecutor(1) as thread:
        server.key = moody.key
        told = server.ask("POST", "/api/decisions", {"inputs": moods.row(moods.FINE, 0)})
        claims = open_claims(moody.folder / ".kring" / "serve" / "claims.db")
        cut = thread.submit(server.ask, "POST", "/api/decisions", {"inputs": slow}, headers=key)
        until(lambda: claims.owners("moody"), "a claim", log=server.log, every=0.002)
        claims.close()
        worker = workers(moody.folder)[0]
        kill(worker)
        until(lambda: not lives(worker), "its end", every=0.001)
        assert reported(moody, told.json["id"]) == 200
        with pytest.raises((OSError, HTTPException)):
            cut.result()
        until(lambda: status_of(server, slow, key) == 200, "an answer under the same key", log=server.log, every=0.2)
    assert logged(moody) == 2


def reported(system: Released, id: str) -> int:
    """The status of an outcome that is told to the control process itself: no worker is there to pass it on."""
    connection = UnixConnection(reachable(system.folder / ".kring" / "serve" / "control.sock"))
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {system.key}", "content-type": "application/json"}
    try:
        connection.request("POST", f"/api/decisions/{id}/outcome", json.dumps({"value": "UP"}), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def status_of(server: Server, row: dict[str, object], headers: dict[str, str]) -> int:
    """Of a decision; 0 while nobody is there."""
    try:
        return server.ask("POST", "/api/decisions", {"inputs": row}, headers=headers).status
    except OSError:
        return 0


def test_what_killed_workers_left_undecided_is_decided_by_fewer(parcels: Released) -> None:
    """Three workers die with requests under way; one alone starts again and keeps no key waiting for the others."""
    system = parcels
    many = start([system.folder], workers=3)
    keys = [f"under way {number}" for number in range(60)]

    async def ask_and_kill() -> list[Said]:
        connections = [Connection(many.port, system.key) for _ in keys]
        await asyncio.gather(*(one.send("GET", "/livez") for one in connections))
        asked = [
            asyncio.create_task(one.ask(parcel(number), headers={"Idempotency-Key": keys[number]}))
            for number, one in enumerate(connections)
        ]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        end_now(many, all_at_once=True)
        said = [await one for one in asked]
        for connection in connections:
            await connection.close()
        return said

    first = asyncio.run(ask_and_kill())
    with serving([system.folder], workers=1) as alone:
        alone.key = system.key
        for number, key in enumerate(keys):

            def told(number: int = number, key: str = key) -> Reply:
                return alone.ask("POST", "/api/decisions", {"inputs": parcel(number)}, headers={"idempotency-key": key})

            until(lambda told=told: told().status == 200, f"an answer to {key}", log=alone.log)
            if first[number].status == 200:
                assert told().json == first[number].json
    assert logged(system) == len(keys)
