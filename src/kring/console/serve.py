"""The control process: the management side and the pages behind one private socket.

python -m kring.console.serve PLAN
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from kring.api import alarms, described, kserve, management, outcomes, reviews, trials
from kring.api.control import application
from kring.api.exchange import Route
from kring.api.managed import Managed
from kring.api.protocols import routes_of
from kring.api.traced import traced_asgi
from kring.console import pages, signing
from kring.errors import KringError
from kring.flow.serving import meeting as meetings
from kring.flow.serving.control import Control, kept_up, open_control
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.spanning import spans_of
from kring.host.clock import SystemClock
from kring.host.files import LocalFiles
from kring.host.lifeline import Lifeline, hold
from kring.host.random import SystemRandom
from kring.host.sockets import reachable
from kring.record.serving import Plan

MASK: Final = 0o077
"""Files that are made here are their owner's alone: so is the socket."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def managed(workers: Sequence[Route]) -> tuple[Managed, ...]:
    """Every route of the management side: the interface, its description, the pages."""
    known = (*management.ROUTES, *outcomes.ROUTES, *reviews.ROUTES, *alarms.ROUTES, *kserve.ROUTES, *trials.ROUTES)
    return (*known, *described.routes(workers, known), *pages.ROUTES, *signing.ROUTES)


async def serve(plan: Plan, control: Control, *, lifeline: Lifeline) -> None:
    """Answer until SIGTERM or SIGINT."""
    workers = routes_of(lambda: (True, {}), environ=os.environ)
    app = application(control, managed(workers), workers=workers)
    spans = spans_of(plan, part="control", clock=SystemClock(), random=SystemRandom(), say=say)
    if spans is not None:
        app = traced_asgi(app, spans)
    socket = reachable(Meeting(Path(plan.state)).control)
    socket.unlink(missing_ok=True)
    server = Server(app, uds=socket, interface=Interfaces.ASGINL, websockets=False, log_enabled=False)
    server.bind_uds = socket  # the server would put the long name in the place of the short one
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    server.on_startup(lifeline.ready)  # called when the socket is there
    try:
        await server.serve()
    finally:
        if spans is not None:
            spans.close()


def main(arguments: Sequence[str]) -> None:
    """The process: it lives as long as the supervisor does, and says why it could not start."""
    lifeline = hold()
    os.umask(MASK)
    try:
        plan = meetings.read_plan(LocalFiles(), Path(arguments[0]))
        control = open_control(plan, say=say)
        with kept_up(control, say=say):
            uvloop.run(serve(plan, control, lifeline=lifeline))
    except KringError as error:
        lifeline.failed(error)
        say(str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
