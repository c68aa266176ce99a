"""The line of one system in one data worker: who asks waits here until the answer is durable.

While one group of requests is being made durable, the next one gathers; then it is decided as one batch, appended
to the log as one record, and one fsync acknowledges all of it (group commit, DeWitt et al. 1984). So a batch is as
large as the disk is slow. One caller alone waits for nobody; where many come back together, the first of them waits a
moment for the others (`kring.serve.gathering`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from kring.errors import KringError, NoRoom, ReadOnly
from kring.ports.clock import Clock
from kring.ports.spans import Spans
from kring.record.answer import Answer
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place
from kring.record.serving import Served
from kring.serve.admission import Admission
from kring.serve.answers import answers_of, broken, closed, late, without_room
from kring.serve.claiming import Claiming, Key
from kring.serve.clerk import Clerk
from kring.serve.copies import Copies
from kring.serve.decider import Decider
from kring.serve.exposing import Exposing, Subject
from kring.serve.gathering import Gathering
from kring.serve.group import Asked, Group, Kind, Noted, Record, Unwaited, Written
from kring.serve.reading import Reader, Rows
from kring.serve.spanned import asked_in, tell_of

MOST_ROWS: Final = 256
"""Rows of a group. More would make the first of them wait for the last."""

MOST_WAITING: Final = 4096


class Beside(Protocol):
    """A thread beside the loop, for one line."""

    def work(self, job: Callable[[], Written], done: Callable[[Written | None, KringError | None], None]) -> None:
        """Do the job there; `done` is called on the loop, with what came of it or what went wrong."""
        ...


class Meter(Protocol):
    """Counts what a line does."""

    def decided(self, record: Decisions) -> None:
        """Rows were answered and are durable."""
        ...

    def committed(self, system: str, seconds: float, rows: int) -> None:
        """A group of `rows` was decided and made durable in so many seconds."""
        ...


class Line:
    """Asks are answered in order. For the loop's thread alone, but for what is done `Beside` it.

    `subject` says how the router and records write a name; without one they write it as it is. `turn` gives the line
    another decider: no answer ever sees half a change. `stopped` says why nothing is acknowledged, if so; `crowded` why
    the last group was not, for want of room; `is_busy` whether a group is being written now.
    """

    def __init__(
        self,
        served: Served,
        clerk: Clerk,
        *,
        reader: Reader,
        clock: Clock,
        beside: Beside,
        meter: Meter,
        copies: Copies | None = None,
        claiming: Claiming | None = None,
        spans: Spans | None = None,
        exposing: Exposing | None = None,
        subject: Callable[[str], Subject] | None = None,
        unwritable: Callable[[ReadOnly], None],
        gather_s: float = 0.003,
    ) -> None:
        self.name = served.system.name
        self.served = served
        self.reader = reader
        self.stopped = self.crowded = ""
        self._clerk = clerk
        self._clock = clock
        self.now = clock.now
        self._beside = beside
        self._meter = meter
        self._copies = copies
        self._claiming = claiming
        self._spans = spans
        self.exposing = exposing
        self.subject = subject
        self._unwritable = unwritable
        self._admission = Admission(self.name, most_rows=MOST_WAITING)
        self._asks: deque[Asked] = deque()
        self._notes: list[Noted] = []
        self._unwaited: list[Unwaited] = []
        self.is_busy = False
        self._is_due = False
        self._gathering, self._gather_s = Gathering(), gather_s
        self._later: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def decider(self) -> Decider[Batch]:
        """Who answers now."""
        return self._clerk.decider

    @property
    def in_flight(self) -> int:
        """Rows that wait for an answer."""
        return self._admission.rows

    def turn(self, served: Served, decider: Decider[Batch]) -> None:
        """From the next group on, another pointer holds."""
        self.served, self._clerk.decider = served, decider

    def ask(self, rows: Rows, *, kind: Kind = "online", key: Key | None = None) -> asyncio.Future[list[Answer]]:
        """An answer for each row, once they are durable; who no longer waits cancels it.

        Of requests with one `key` one is decided, and all get its answers; `Conflict` for another body under the same
        key. `Unavailable` when a row could not be answered, or not be recorded; `Overloaded` before anything is
        decided, when it would take too long.
        """
        if key is None or self._claiming is None:
            return self._join(rows, kind, [])
        return asyncio.shield(self._loop.create_task(self._ask_once(rows, kind, key, self._claiming)))

    async def note(self, record: Record) -> Place:
        """The record's place, once it is durable."""
        if self.stopped:
            raise closed(self.name, self.stopped)
        told: asyncio.Future[Place] = self._loop.create_future()
        self._notes.append(Noted(record, told))
        self._wake()
        return await told

    def add(self, record: Unwaited) -> None:
        """Record this with the next group, or a moment later by itself; nobody waits for it."""
        self._unwaited.append(record)
        self._wake()

    def close(self) -> None:
        """After the last answer, when nothing is done beside any more: record what nobody waits for."""
        copies, self._unwaited = self._unwaited, []
        try:
            self._clerk.write(Group([], [], copies, 0))
            self._clerk.commit()
        except KringError:
            if self.exposing is not None:
                self.exposing.lost(copies)

    def _join(self, rows: Rows, kind: Kind, keys: list[str]) -> asyncio.Future[list[Answer]]:
        """Stand in the line."""
        if self.stopped:
            raise closed(self.name, self.stopped)
        now = self._clock.monotonic()
        until = now + self.served.system.guard.timeout_us / 1e6
        self._admission.admit(len(rows.values), now, deadline=until)
        told: asyncio.Future[list[Answer]] = self._loop.create_future()
        self._asks.append(Asked(rows, kind, until, told, keys, None if self._spans is None else asked_in(self.served)))
        self._wake()
        return told

    async def _ask_once(self, rows: Rows, kind: Kind, key: Key, claiming: Claiming) -> list[Answer]:
        """Goes on when the caller has gone away: the next one with this key gets what came of it."""
        until = self._clock.monotonic() + self.served.system.guard.timeout_us / 1e6
        known = await claiming.claim(key, until=until)
        if known is not None:
            if self._spans is not None and (span := asked_in(self.served)) is not None:
                span.decided(known)
            return known
        try:
            answers = await self._join(rows, kind, key.tags(len(rows.values)))
        except KringError as error:
            claiming.give_back(key, error)
            raise
        claiming.settle(key, answers)
        return answers

    def _wake(self) -> None:
        """Have the next group taken: in the next turn of the loop, or a moment later when more are expected or nobody
        waits."""
        if self.is_busy or self._is_due:
            return
        is_ready = self._gathering.is_enough(len(self._asks)) if self._asks else bool(self._notes)
        if is_ready:
            self._is_due = True
            self._loop.call_soon(self._next)
        elif self._later is None:
            self._later = self._loop.call_later(self._gather_s, self._next)

    def _next(self) -> None:
        """Take a group, decide it, and have it made durable; until then nothing else is decided."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._is_due = False
        if self.is_busy:
            return
        group = self._group()
        if not (group.asks or group.notes or group.copies):
            return
        self.is_busy = True
        began, clerk = self._clock.monotonic(), self._clerk

        def done(written: Written | None, error: KringError | None) -> None:
            self._done(group, began, written, error)

        if group.asks and clerk.writing.is_slow:
            self._beside.work(lambda: durable(clerk, clerk.write(group)), done)
            return
        try:
            written = clerk.write(group)
            if clerk.committing.is_slow:
                self._beside.work(lambda: durable(clerk, written), done)
                return
            clerk.commit()
        except Exception as error:  # noqa: BLE001  the edge: a line that tells nobody would stand still for ever
            done(None, broken(error))
            return
        done(written, None)

    def _group(self) -> Group:
        """The next requests of one kind. Who has gone away is left out, and so is, with a word, who is late."""
        asks: list[Asked] = []
        rows, now = 0, self._clock.monotonic()
        while self._asks and rows < MOST_ROWS and (not asks or asks[0].kind == self._asks[0].kind):
            item = self._asks.popleft()
            n = len(item.rows.values)
            if item.told.done() or now > item.until:
                self._admission.left(n, late=not item.told.done())
                refuse(item, late(self.name, now - item.until + self.served.system.guard.timeout_us / 1e6))
                continue
            asks.append(item)
            rows += n
        notes, self._notes = self._notes, []
        copies, self._unwaited = self._unwaited, []
        return Group(asks, notes, copies, rows)

    def _done(self, group: Group, began: float, written: Written | None, error: KringError | None) -> None:
        """Tell everybody in the group, and take the next one."""
        self.is_busy = False
        if self._spans is not None:
            tell_of(group, self._spans, served=self.served, seconds=self._clock.monotonic() - began, error=error)
        if isinstance(error, ReadOnly):
            self._unwritable(error)
        if isinstance(error, NoRoom):
            self.crowded = f"nothing is acknowledged until there is room: {error.got}"
            error = without_room(self.name, error)
        if written is None or error is not None:
            assert error is not None  # who has written nothing says why
            self._admission.left(group.rows)
            if self.exposing is not None:
                self.exposing.lost(group.copies)
            for ask in group.asks:
                refuse(ask, error)
            for note in group.notes:
                refuse(note, error)
        else:
            now = self._clock.monotonic()
            self.crowded = ""
            is_late = bool(group.asks) and group.asks[0].until < now  # who came first has waited longest
            self._admission.served(group.rows, seconds=now - began, late=is_late)
            self._meter.committed(self.name, now - began, group.rows)
            if group.asks:
                self._gathering.seen(len(group.asks), waiting=len(self._asks))
            self._tell_all(group, written)
        if self._asks or self._notes or self._unwaited:
            self._wake()

    def _tell_all(self, group: Group, written: Written) -> None:
        answers = answers_of(written.parts, rows=group.rows)
        is_whole = all([part.decided.answered for part in written.parts])
        first = 0
        for item in group.asks:
            last = first + len(item.rows.values)
            mine = answers[first:last]
            first = last
            if item.span is not None:
                item.span.decided([answer for answer in mine if isinstance(answer, Answer)])
            failed = None if is_whole else next((answer for answer in mine if isinstance(answer, KringError)), None)
            if failed is not None:
                refuse(item, failed)
            elif not item.told.done():
                item.told.set_result(mine)  # type: ignore[arg-type]  # none of them is an error
        for note, place in zip(group.notes, written.notes, strict=True):
            if not note.told.done():
                note.told.set_result(place)
        for part in written.parts:
            self._meter.decided(part.record)
            if self._copies is not None and self.served.shadows:
                self._copies.offer(part.decided, part.place, decider=self._clerk.decider, add=self.add)


def durable(clerk: Clerk, written: Written) -> Written:
    """What was written, once it is durable."""
    clerk.commit()
    return written


def refuse(item: Asked | Noted, error: KringError) -> None:
    """Why there is no answer, to whoever still waits."""
    if not item.told.done():
        item.told.set_exception(error)
