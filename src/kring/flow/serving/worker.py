"""What a data worker holds: the lines of all systems, who may come to them, and what the page says. Opens no port."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from kring.access.guard import Gatekeeper
from kring.access.hosts import is_private
from kring.errors import KringError, ReadOnly
from kring.flow import adapters
from kring.flow.home import Home
from kring.flow.pulling import PullFile, as_known
from kring.flow.sealing import open_sealer, sealing
from kring.flow.serving import meeting as meetings
from kring.flow.serving.committing import Committer
from kring.flow.serving.days import Days
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.opening import Opener, hider, reader_of, subject_of
from kring.flow.serving.spanning import spans_of
from kring.flow.serving.tallies import Tallies
from kring.flow.serving.telling import Teller
from kring.flow.serving.turning import Turning
from kring.host.clock import SystemClock
from kring.host.files import LocalFiles
from kring.host.page import open_page
from kring.host.random import SystemRandom
from kring.host.vitals import Usage, start_of
from kring.ports.claims import Claims, Owner
from kring.ports.clock import Clock
from kring.ports.decision_log import DecisionLog
from kring.ports.page import Seat
from kring.ports.runtime import Runtime
from kring.ports.sealer import Sealer
from kring.record.serving import Plan, Served
from kring.runtimes.providers import available
from kring.serve.breaker import Breaker, BreakerRuntime
from kring.serve.claiming import Claiming
from kring.serve.clerk import Clerk
from kring.serve.copies import Copies
from kring.serve.counting import Counts
from kring.serve.deadline import DeadlineRuntime, Watchdog
from kring.serve.desk import Desk
from kring.serve.exposing import Exposing
from kring.serve.line import Line

UNSEEN_S: Final = 5.0
"""A ledger that nobody has read for so long is told of."""


class Worker:
    """Made inside the loop that it works in; for that loop's thread."""

    def __init__(self, plan: Plan, *, seat: int, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.meeting = Meeting(Path(plan.state))
        self.say = say
        self.clock, self.random, self.files = SystemClock(), SystemRandom(), LocalFiles()
        self.page = open_page(self.meeting.page, writer=True)
        self.seat: Seat = self.page.seats[seat]
        self.seat.claim(os.getpid(), start=start_of(os.getpid()))
        self.watchdog = Watchdog(self.clock.monotonic, publish=self.seat.work)
        self.gate = Gatekeeper(
            dev_keys=is_private(plan.host, behind_proxy=plan.behind_proxy), workers=plan.workers, worker=seat
        )
        self.usage = Usage()
        tallies = Tallies(self.meeting.metrics, seat=seat)
        self.counts = Counts(seat, before=tallies.before())
        self.desk = Desk({})
        self.spans = spans_of(plan, part=f"worker {seat}", clock=self.clock, random=self.random, say=say)
        self._openers: dict[str, Opener] = {}
        self._copies: dict[str, Copies] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self.teller = Teller(
            self.desk,
            self.counts,
            tallies=tallies,
            usage=self.usage,
            clock=self.clock,
            breakers=self._breakers,
            providers=self._providers,
            lost=lambda: self.spans.lost() if self.spans is not None else {},
        )
        self._turning = Turning(self.desk.lines, self._openers, self._copies, clock=self.clock, say=say)
        self._pulls: dict[Path, PullFile] = {}
        self._days = Days(self.clock, say=say)
        self._sealers: list[Sealer] = []
        self._crowded: set[str] = set()
        self._known = {"pointers": -1, "keys": -1, "forgotten": -1}
        self._closing = ExitStack()

    def open(self) -> None:
        """Open every system."""
        for kind in self._known:
            self._known[kind] = self.page.generation(kind)  # type: ignore[arg-type]
        claims = adapters.open_claims(self.meeting.claims)
        self._closing.callback(claims.close)
        for served in self._systems():
            self.desk.lines[served.system.name] = self._line(served, claims)
        self._read_access()

    def look(self) -> None:
        """Look at the page: take what has changed, and say that this worker lives."""
        page = self.page
        takes = {"pointers": self._read_pointers, "keys": self._read_access, "forgotten": lambda: forget(self._sealers)}
        for kind, take in takes.items():
            generation = page.generation(kind)  # type: ignore[arg-type]
            if generation != self._known[kind] and self._took(take):
                self._known[kind] = generation
        if have_changed(self._pulls.values(), notes=self.desk.notes, say=self.say):
            self._known["pointers"] = -1 if not self._took(self._read_pointers) else self._known["pointers"]
        read_only = page.read_only
        for name, line in self.desk.lines.items():
            line.stopped = read_only
            if bool(line.crowded) != (name in self._crowded):
                self._say_crowded(name, line.crowded)
        if page.draining:
            self.desk.waiting_for = "this server is being stopped"
        self._days.look()
        self._look_at_ledger()
        if self._turning.is_to_try_again():
            self._took(self._read_pointers)
        is_ready, _ = self.desk.readiness()
        self.seat.beat(self.clock.monotonic(), rss=self.usage.rss(), in_flight=self.desk.in_flight, ready=is_ready)

    def _say_crowded(self, name: str, crowded: str) -> None:
        """Once when there is no room left, and once when there is some again."""
        self._crowded ^= {name}
        self.say(f"{name}: {crowded or 'there is room again, and what is asked is answered'}")

    def _took(self, take: Callable[[], None]) -> bool:
        """Whether what was published could be read: it is tried again at the next look, and until then what was known
        goes on."""
        try:
            take()
        except KringError as error:
            if self.desk.notes.get("published") != error.message:
                self.say(f"what was published can't be read: {error.message}")
            self.desk.notes["published"] = error.message
            return False
        self.desk.notes.pop("published", None)
        return True

    def close(self) -> None:
        """After the last answer: nothing is left undone."""
        self._closing.close()
        for opener in self._openers.values():
            opener.keep(set())
        self.watchdog.close()
        if self.spans is not None:
            self.spans.close()
        self.seat.clear()

    def _line(self, served: Served, claims: Claims) -> Line:
        name, folder = served.system.name, Home(Path(served.home)).log
        opener = Opener(
            served,
            adapters.task_named(served.system.task),
            wrap=lambda version, runtime: self._watched(served, version, runtime),
            say=self.say,
            provider=self.plan.provider,
            here=available(),
            doubt=lambda: doubt_in(self._pulls[Path(served.home)]),
        )
        self._openers[name] = opener
        reader = reader_of(served, clock=self.clock, random=self.random)
        log, sealer = self._log(served, folder)
        hide, unhidden = hider(served, random=self.random)
        self._closing.callback(unhidden)
        decider = opener.decider_of_what_is_whole(served.pointer, clock=self.clock)
        clerk = Clerk(decider, reader=reader, log=log, clock=self.clock, hide=hide)
        claiming = claiming_of(claims, name, log=log, folder=folder, clock=self.clock)
        committer = Committer(name)
        copies = self._copies[name] = Copies(lambda rows: self.counts.dropped(name, rows))
        copies.answerers = opener.shadows(served.shadows)
        line = Line(
            served,
            clerk,
            reader=reader,
            clock=self.clock,
            beside=committer,
            meter=self.counts,
            copies=copies,
            claiming=claiming,
            spans=self.spans,
            exposing=Exposing(name, now=self.clock.now, dropped=lambda rows: self.counts.unexposed(name, rows)),
            subject=subject_of(served, hide, sealer=sealer),
            unwritable=self._unwritable,
            gather_s=self.plan.gather_s,
        )
        for end in (claiming.close, line.close, committer.close, copies.close):
            self._closing.callback(end)
        self._days.keep(line, log)
        return line

    def _log(self, served: Served, folder: Path) -> tuple[DecisionLog, Sealer | None]:
        """This worker's own part of the system's log, and what seals it, if anything in it is personal."""
        contract, subject = served.contract, served.system.data.subject
        written = adapters.free_writer(
            folder, files=self.files, system=served.system.name, durability=served.system.log.durability
        )
        sealer = open_sealer(contract, subject=subject, vault=Home(Path(served.home)).vault, random=self.random)
        if sealer is not None:
            self._sealers.append(sealer)
        log = sealing(written, sealer, contract=contract, subject=subject)
        self._closing.callback(log.close)
        return log, sealer

    def _watched(self, served: Served, version: str, runtime: Runtime) -> Runtime:
        """A runtime that is stopped at its deadline, and left alone when it fails again and again."""
        seconds = served.system.guard.timeout_us / 1e6
        breaker = self._breakers.setdefault((served.system.name, version), Breaker(self.clock.monotonic))
        return BreakerRuntime(DeadlineRuntime(runtime, self.watchdog, seconds=seconds), breaker)

    def _read_pointers(self) -> None:
        self._turning.turn_to(self._systems())

    def _systems(self) -> list[Served]:
        """What was published, without the versions that were pulled since."""
        systems = meetings.read_systems(self.files, self.meeting)
        for served in systems:
            home = Path(served.home)
            if home not in self._pulls:
                self._pulls[home] = PullFile(home, files=LocalFiles())
                self._pulls[home].has_changed()
        note_waiting(systems, notes=self.desk.notes)
        return [
            msgspec.structs.replace(one, pointer=as_known(one.pointer, self._pulls[Path(one.home)])) for one in systems
        ]

    def _read_access(self) -> None:
        access = meetings.read_access(self.files, self.meeting)
        self.gate.replace(keys=access.keys, policies=access.policies, tokens=adapters.token_readers(access))

    def _look_at_ledger(self) -> None:
        """Keys that nobody can revoke any more are taken for a while, and then no longer."""
        away = self.clock.monotonic() - self.page.ledger_seen()
        if away < UNSEEN_S:
            self.desk.notes.pop("ledger", None)
            return
        left = self.plan.key_grace_s - away
        self.desk.notes["ledger"] = f"not seen for {away:.0f} s; keys are taken for {max(left, 0):.0f} s more"
        if left < 0:
            self.gate.replace(keys=())
            self._known["keys"] = -1

    def _providers(self) -> Iterator[tuple[str, str, str]]:
        """System, version and what computes it."""
        for name, opener in self._openers.items():
            for version, provider in list(opener.providers.items()):
                yield name, version, provider

    def _unwritable(self, error: ReadOnly) -> None:
        self.say(f"a log can't be made durable: nothing is acknowledged from here on: {error}")
        self.page.set_read_only(error.got or error.message)


def note_waiting(systems: Iterable[Served], *, notes: dict[str, str]) -> None:
    """What of the systems' files is not gone by yet."""
    waits = "; ".join(f"{one.system.name}: {one.waits}" for one in systems if one.waits)
    notes.pop("kring.toml", None)
    if waits:
        notes["kring.toml"] = waits


def have_changed(pulls: Iterable[PullFile], *, notes: dict[str, str], say: Callable[[str], None]) -> bool:
    """Whether other versions were pulled than before. What can't be read is told of."""
    changed, trouble = False, ""
    for file in pulls:
        changed |= file.has_changed()
        trouble = trouble or doubt_in(file) or file.trouble
    if trouble != notes.get("pulled", ""):
        say(f"pulled versions can't be read: {trouble}" if trouble else "pulled versions are read again")
    notes.pop("pulled", None)
    if trouble:
        notes["pulled"] = trouble
    return changed


def doubt_in(file: PullFile) -> str:
    """Why nobody here knows which versions were pulled; empty as soon as it could be read once."""
    return "" if file.is_known else f"{file.trouble}; until it can be read, no version answers but a baseline"


def forget(sealers: Iterable[Sealer]) -> None:
    """Somebody was forgotten: no key of theirs is kept in memory."""
    for sealer in sealers:
        sealer.forget_all()


def claiming_of(claims: Claims, name: str, *, log: DecisionLog, folder: Path, clock: Clock) -> Claiming:
    """Idempotency keys of one system, with those that a worker before this one left."""
    owner = Owner(name, log.writer)
    claims.take_over(log, owner=owner, now=clock.now())
    history = adapters.read_log(folder, system=name)
    return Claiming(claims, owner=owner, log=log, clock=clock, find=history.find)
