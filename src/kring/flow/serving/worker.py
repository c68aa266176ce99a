"""One data worker: a loop, an HTTP server, and the lines of all systems. Run as a process of its own.

python -m kring.flow.serving.worker PLAN SEAT
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop
from granian.http import HTTP1Settings
from granian.server.embed import Server

from kring.access.guard import Gatekeeper
from kring.access.hosts import hosts_allowed, is_private, require_host, require_origin
from kring.access.tokens import token_readers
from kring.api.app import Door
from kring.api.forward import forward_to
from kring.api.protocols import routes_of
from kring.errors import KringError, StorageError
from kring.flow import adapters
from kring.flow.home import Home
from kring.flow.serving import meeting as meetings
from kring.flow.serving.committing import Committer
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.opening import Opener, reader_of
from kring.flow.serving.tallies import Tallies
from kring.host.clock import SystemClock
from kring.host.files import LocalFiles
from kring.host.page import open_page
from kring.host.random import SystemRandom
from kring.host.vitals import Usage, open_files
from kring.ports.page import Seat
from kring.record.serving import Plan, Served
from kring.record.tally import Tally
from kring.serve.counting import Counts, Gauge
from kring.serve.desk import Desk
from kring.serve.line import Line

POLL_S: Final = 0.1
SWEEP_S: Final = 1.0
GRACE_S: Final = 10.0
"""How long calls that have begun may take when the server is stopped."""

HEADER_MS: Final = 10_000
"""How long the headers of a request may take to arrive."""


class Worker:
    """All that a data worker holds. Made inside its loop."""

    def __init__(self, plan: Plan, *, seat: int, say: Any) -> None:
        self.plan = plan
        self.meeting = Meeting(Path(plan.state))
        self.say = say
        self.clock, self.random, self.files = SystemClock(), SystemRandom(), LocalFiles()
        self.page = open_page(self.meeting.page, writer=True)
        self.seat: Seat = self.page.seats[seat]
        self.seat.claim(os.getpid(), start=self.clock.now())
        self.gate = Gatekeeper(
            dev_keys=is_private(plan.host, behind_proxy=plan.behind_proxy), workers=plan.workers, worker=seat
        )
        self.committer = Committer(self._unwritable)
        self.openers: dict[str, Opener] = {}
        self.desk = Desk({})
        self.usage = Usage()
        self.tallies = Tallies(self.meeting.metrics, seat=seat)
        self.counts = Counts(seat, before=self.tallies.before())
        self._known = {"pointers": -1, "keys": -1}
        self._closing = ExitStack()

    def open(self) -> Door:
        """Open every system, and the door to them."""
        self._known = {"pointers": self.page.generation("pointers"), "keys": self.page.generation("keys")}
        for served in meetings.read_systems(self.files, self.meeting):
            self.desk.lines[served.system.name] = self._line(served)
        self._read_access()
        hosts = hosts_allowed(self.plan.host, self.plan.hosts)

        def check(headers: Any) -> None:
            require_origin(headers, asked=require_host(headers, hosts=hosts), origins=self.plan.origins)

        return Door(
            self.desk,
            self.gate,
            routes=routes_of(self.desk.readiness, environ=os.environ, tallies=self._all_tallies),
            forward=forward_to(self.meeting.control),
            check=check,
            clock=self.clock,
            meter=self.counts,
            most_bytes=self.plan.most_bytes,
        )

    def _line(self, served: Served) -> Line:
        name = served.system.name
        opener = Opener(served, adapters.task_named(served.system.task), wrap=lambda _, runtime: runtime, say=self.say)
        decider = opener.decider(served.pointer, clock=self.clock)
        log = adapters.free_writer(Home(Path(served.home)).log, files=self.files, system=name)
        self._closing.callback(log.close)
        self.openers[name] = opener
        return Line(
            served,
            decider,
            reader=reader_of(served, clock=self.clock, random=self.random),
            log=log,
            clock=self.clock,
            committing=self.committer,
            meter=self.counts,
        )

    def look(self) -> None:
        """Look at the page: take what has changed, and say that this worker lives."""
        page = self.page
        for kind, take in (("pointers", self._read_pointers), ("keys", self._read_access)):
            generation = page.generation(kind)  # type: ignore[arg-type]
            if generation != self._known[kind]:
                take()
                self._known[kind] = generation
        for line in self.desk.lines.values():
            line.stopped = page.read_only
        if page.draining:
            self.desk.waiting_for = "this server is being stopped"
        self._look_at_ledger()
        is_ready, _ = self.desk.readiness()
        self.seat.beat(self.clock.monotonic(), rss=self.usage.rss(), in_flight=self.desk.in_flight, ready=is_ready)

    def tell(self) -> None:
        """Write down what was counted, where the other workers can read it."""
        self.tallies.write(self._tally())

    def _all_tallies(self) -> list[Tally]:
        """What every worker has counted, this one up to now."""
        return [self._tally(), *self.tallies.others()]

    def _tally(self) -> Tally:
        return self.counts.tally(self.clock.monotonic(), self._gauges())

    def _gauges(self) -> Iterator[Gauge]:
        """What is so at the moment."""
        for name, line in self.desk.lines.items():
            yield "kring_in_flight_rows", (name,), line.in_flight
        yield "kring_worker_ready", (), float(self.desk.readiness()[0])
        yield "kring_worker_resident_memory_bytes", (), self.usage.rss()
        yield "kring_worker_open_fds", (), open_files()
        yield "kring_worker_cpu_seconds_total", (), sum(os.times()[:2])

    def close(self) -> None:
        """After the last answer: nothing is left undone."""
        self.committer.close()
        self._closing.close()
        for opener in self.openers.values():
            opener.keep(set())

    def _read_pointers(self) -> None:
        for served in meetings.read_systems(self.files, self.meeting):
            name = served.system.name
            line, opener = self.desk.lines.get(name), self.openers.get(name)
            if line is None or opener is None or line.served == served:
                continue
            try:
                line.turn(served, opener.decider(served.pointer, clock=self.clock))
            except KringError as error:
                self.say(f"{name} stays with version {line.served.pointer.live}: {error.message}")

    def _read_access(self) -> None:
        access = meetings.read_access(self.files, self.meeting)
        self.gate.replace(keys=access.keys, policies=access.policies, tokens=token_readers(access))

    def _look_at_ledger(self) -> None:
        """Keys that nobody can revoke any more are taken for a while, and then no longer."""
        away = self.clock.monotonic() - self.page.ledger_seen()
        if away < 5.0:
            self.desk.notes.pop("ledger", None)
            return
        left = self.plan.key_grace_s - away
        self.desk.notes["ledger"] = f"not seen for {away:.0f} s; keys are taken for {max(left, 0):.0f} s more"
        if left < 0:
            self.gate.replace(keys=())
            self._known["keys"] = -1

    def _unwritable(self, error: StorageError) -> None:
        self.say(f"a log can't be made durable: nothing is acknowledged from here on: {error}")
        self.page.set_read_only(error.got or error.message)


async def serve(plan: Plan, *, seat: int) -> None:
    """Serve until SIGTERM or SIGINT; then answer what was asked, and return."""
    loop = asyncio.get_running_loop()
    worker = Worker(plan, seat=seat, say=lambda text: print(text, file=sys.stderr, flush=True))
    door = worker.open()
    server = Server(
        door,
        address=plan.host,
        port=plan.port,
        backlog=1024,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
        ssl_cert=Path(plan.certificate) if plan.certificate else None,
        ssl_key=Path(plan.certificate_key) if plan.certificate_key else None,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    second = await second_port(door, plan) if plan.grpc_port else None
    watching = asyncio.create_task(watch(worker, door))
    try:
        await server.serve()
    finally:
        watching.cancel()
        if second is not None:
            await second.stop(GRACE_S)
        worker.close()


async def second_port(door: Door, plan: Plan) -> Any:
    """A started gRPC server beside the other one, by the same lines and keys."""
    pair = None
    if plan.certificate:
        pair = (Path(plan.certificate_key).read_bytes(), Path(plan.certificate).read_bytes())
    serving, _ = await adapters.grpc_server()(
        door.entered,
        readiness=door.desk.readiness,
        host=plan.host,
        port=plan.grpc_port,
        credentials=pair,
        most_bytes=plan.most_bytes,
    )
    return serving


async def watch(worker: Worker, door: Door) -> None:
    """Look at the page ten times a second, and after slow bodies every second."""
    swept = 0.0
    while True:
        worker.look()
        door.is_draining = worker.page.draining
        now = worker.clock.monotonic()
        if now - swept > SWEEP_S:
            swept = now
            door.expire()
            worker.tell()
        await asyncio.sleep(POLL_S)


def main(arguments: Sequence[str]) -> None:
    """The process of one worker."""
    files = LocalFiles()
    plan = meetings.read_plan(files, Path(arguments[0]))
    uvloop.run(serve(plan, seat=int(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
