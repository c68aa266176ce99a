"""The process of one data worker: a loop, an HTTP server, and the door to the lines.

python -m kring.api.serve PLAN SEAT
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from granian.constants import HTTPModes
from granian.http import HTTP1Settings
from granian.server.embed import Server

from kring.access.hosts import hosts_allowed, require_host, require_origin
from kring.api.app import Door
from kring.api.early_bodies import EarlyBodies
from kring.api.forward import ControlSide
from kring.api.paths import Paths
from kring.api.protocols import routes_of
from kring.api.traced import Traced
from kring.errors import KringError
from kring.flow import adapters
from kring.flow.serving import meeting as meetings
from kring.flow.serving.worker import Worker
from kring.host.files import LocalFiles
from kring.host.lifeline import Lifeline, hold
from kring.host.sockets import listens
from kring.record.serving import Plan

POLL_S: Final = 0.1
SWEEP_S: Final = 1.0
GRACE_S: Final = 10.0
"""How long calls that have begun may take when the server is stopped."""

HEADER_MS: Final = 10_000
"""How long the headers of a request may take to arrive."""

BACKLOG: Final = 1024

CYCLES: Final = (20_000, 20, 20)
"""When the collector of cycles looks at the young, the middle and the old (see `gc.set_threshold`). What an answer
needs holds no cycles, so there is little to find."""


AWAY: Final = "pages and management do not answer yet, or not at the moment; decisions go on"

LOOKS_S: Final = 0.005
"""How often a worker that starts looks whether its port is open."""


def say(text: str) -> None:
    """One line for whoever operates the server."""
    print(text, file=sys.stderr, flush=True)


def door_of(worker: Worker) -> Door:
    """The door to the worker's lines, with every protocol."""
    plan = worker.plan
    hosts = hosts_allowed(plan.host, plan.hosts)

    def check(headers: Any) -> None:
        require_origin(headers, asked=require_host(headers, hosts=hosts), origins=plan.origins)

    control = ControlSide(worker.meeting.control, behind_proxy=plan.behind_proxy)

    def readiness() -> tuple[bool, dict[str, str]]:
        """As the desk says, and whether pages and management are there, which no decision waits for."""
        is_ready, notes = worker.desk.readiness()
        return is_ready, notes if control.is_there() else notes | {"control": AWAY}

    return Door(
        worker.desk,
        worker.gate,
        routes=routes_of(readiness, environ=os.environ, tallies=worker.teller.all),
        beyond=control,
        check=check,
        clock=worker.clock,
        meter=worker.counts,
        most_bytes=plan.most_bytes,
        behind_proxy=plan.behind_proxy,
    )


def keep_out_of_the_way() -> None:
    """Have the collector of cycles never again look at what is there now, which stays as long as the worker does: it
    would stop all answers for 20 ms each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*CYCLES)


def listener_of(worker: Worker, door: Door) -> Door | Traced:
    """The door itself, or what tells of each request before it comes there."""
    if worker.spans is None:
        return door
    paths = Paths(routes_of(worker.desk.readiness, environ=os.environ))
    return Traced(door.__rsgi__, worker.spans, paths=paths)


async def serve(plan: Plan, *, seat: int, lifeline: Lifeline) -> None:
    """Serve until SIGTERM or SIGINT; then answer what was asked, and return."""
    loop = asyncio.get_running_loop()
    worker = Worker(plan, seat=seat, say=say)
    worker.open()
    door = door_of(worker)
    bodies = EarlyBodies(worker.clock.monotonic, at_once=None if worker.spans is not None else door.at_once)
    bodies.install()
    server = Server(
        listener_of(worker, door),
        address=plan.host,
        port=plan.port,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
        ssl_cert=Path(plan.certificate) if plan.certificate else None,
        ssl_key=Path(plan.certificate_key) if plan.certificate_key else None,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    second = await second_port(worker, door) if plan.grpc_port else None
    watching = asyncio.create_task(watch(worker, door, bodies))
    # The watch ends by a fault alone, and nobody serves unwatched.
    watching.add_done_callback(lambda _: loop.call_soon(server.stop))
    keep_out_of_the_way()
    telling = loop.create_task(tell_ready(lifeline, port=plan.port))
    try:
        await server.serve()
        if watching.done():
            watching.result()
    finally:
        telling.cancel()
        watching.cancel()
        if second is not None:
            await second.stop(GRACE_S)
        worker.close()


async def tell_ready(lifeline: Lifeline, *, port: int) -> None:
    """Say that the start went well once requests can come in, and not before."""
    while not listens(port):
        await asyncio.sleep(LOOKS_S)
    lifeline.ready()


async def second_port(worker: Worker, door: Door) -> Any:
    """A started gRPC server beside the other one, by the same lines and keys."""
    pair, plan = None, worker.plan
    if plan.certificate:
        pair = (Path(plan.certificate_key).read_bytes(), Path(plan.certificate).read_bytes())
    serving, _ = await adapters.grpc_server()(
        door.entered,
        readiness=door.desk.readiness,
        host=plan.host,
        port=plan.grpc_port,
        spans=worker.spans,
        credentials=pair,
        most_bytes=plan.most_bytes,
    )
    return serving


async def watch(worker: Worker, door: Door, bodies: EarlyBodies) -> None:
    """Look at the page ten times a second, and after slow bodies every second."""
    swept = 0.0
    while True:
        worker.look()
        door.is_draining = worker.page.draining
        now = worker.clock.monotonic()
        if now - swept > SWEEP_S:
            swept = now
            door.bodies.expire()
            bodies.expire()
            worker.teller.tell()
        await asyncio.sleep(POLL_S)


def main(arguments: Sequence[str]) -> None:
    """The process: it lives as long as the supervisor does, and says why it could not start."""
    lifeline = hold()
    try:
        plan = meetings.read_plan(LocalFiles(), Path(arguments[0]))
        uvloop.run(serve(plan, seat=int(arguments[1]), lifeline=lifeline))
    except KringError as error:
        lifeline.failed(error)
        say(str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
