"""The line of one system in one data worker: who asks waits here until the answer is durable.

While one group of requests is being made durable, the next one gathers; then it is decided as one batch, appended
to the log as one record, and one fsync acknowledges all of it (group commit, DeWitt et al. 1984). So a batch is as
large as the disk is slow, nobody waits for a timer, and one caller alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from kring.contracts.rows_json import Values
from kring.errors import KringError, Overloaded, Unavailable
from kring.metrics.ids import decision_ids
from kring.ports.clock import Clock
from kring.ports.decision_log import DecisionLog
from kring.record.answer import Answer
from kring.record.batch import Batch
from kring.record.decision import Closed, Decisions, Outcomes, Place
from kring.record.serving import Served
from kring.record.version import Policy
from kring.serve.decider import UNANSWERED, Decided, Decider
from kring.serve.reading import Reader, Rows

MOST_ROWS: Final = 256
"""Rows of a group. More would make the first of them wait for the last."""

Kind = Literal["online", "streamed"]
Record = Decisions | Closed | Outcomes


class Committing(Protocol):
    """Makes a log durable somewhere else than on the loop, one log at a time."""

    def commit(self, log: DecisionLog, done: Callable[[KringError | None], None]) -> None:
        """`done` is called on the loop, with what went wrong if anything did."""
        ...


class Meter(Protocol):
    """Counts what a line does."""

    def decided(self, about: Decisions) -> None:
        """A group was answered and is durable; `about` has no columns."""
        ...


class Asked(msgspec.Struct, gc=False, eq=False):
    """One request in the line; after `until` (monotonic seconds) nobody waits for it any more."""

    rows: Rows
    kind: Kind
    until: float
    told: asyncio.Future[list[Answer]]


class Noted(msgspec.Struct, gc=False, eq=False):
    """A record that somebody waits for, such as the end of a streamed answer."""

    record: Record
    told: asyncio.Future[Place]


class Group(NamedTuple):
    """What is made durable together."""

    asks: list[Asked]
    notes: list[Noted]
    rows: int


class Written(NamedTuple):
    """What of a group was appended to the log, and where."""

    parts: list[tuple[Decided[Batch], Place]]
    notes: list[Place]


class Line:
    """Asks are answered in order. For the loop's thread alone, but for what `Committing` does.

    `turn` gives the line another decider: no answer ever sees half a change.
    """

    def __init__(
        self,
        served: Served,
        decider: Decider[Batch],
        *,
        reader: Reader,
        log: DecisionLog,
        clock: Clock,
        committing: Committing,
        meter: Meter,
        most_waiting: int = 4096,
    ) -> None:
        self.served = served
        self.reader = reader
        self.stopped = ""
        self._decider = decider
        self._log = log
        self._clock = clock
        self._committing = committing
        self._meter = meter
        self._most = most_waiting
        self._asks: deque[Asked] = deque()
        self._notes: list[Noted] = []
        self._rows = 0
        self._is_busy = False
        self._is_due = False
        self._timeout_s = served.system.guard.timeout_us / 1e6
        self._loop = asyncio.get_running_loop()

    @property
    def name(self) -> str:
        return self.served.system.name

    @property
    def policy(self) -> Policy:
        """How the outputs of the live version become decisions; those of its baseline when it could not be opened."""
        decider = self._decider
        return decider.versions.get(decider.pointer.live, decider.baseline).policy

    @property
    def in_flight(self) -> int:
        """Rows that wait for an answer."""
        return self._rows

    def now(self) -> int:
        """Microseconds UTC, as this line's records tell them."""
        return self._clock.now()

    def turn(self, served: Served, decider: Decider[Batch]) -> None:
        """From the next group on, another pointer holds."""
        self.served, self._decider = served, decider

    def read(self, raws: Sequence[Mapping[str, object]]) -> Rows:
        """Named raw values as rows, see `Reader.read`."""
        return self.reader.read(raws)

    async def ask(self, rows: Rows, *, kind: Kind = "online") -> list[Answer]:
        """An answer for each row, once they are durable. `Unavailable` when one of them could not be answered, or
        not be recorded; `Overloaded` before anything is decided, when it would take too long."""
        self._admit(len(rows.values))
        told: asyncio.Future[list[Answer]] = self._loop.create_future()
        self._asks.append(Asked(rows, kind, self._clock.monotonic() + self._timeout_s, told))
        self._rows += len(rows.values)
        self._wake()
        return await told

    async def note(self, record: Record) -> Place:
        """The record's place, once it is durable."""
        self._admit(0)
        told: asyncio.Future[Place] = self._loop.create_future()
        self._notes.append(Noted(record, told))
        self._wake()
        return await told

    def _admit(self, rows: int) -> None:
        if self.stopped:
            raise Unavailable(
                f"{self.name} acknowledges nothing at the moment",
                got=self.stopped,
                next="look at the disk of the server, then start it again",
            )
        if self._rows + rows > self._most:
            raise Overloaded(
                f"{self.name} has more to answer than it can",
                got=f"{self._rows:,} rows are waiting",
                allowed=f"{self._most:,}",
                next="come back in a moment",
            )

    def _wake(self) -> None:
        if not self._is_busy and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Take a group, decide it, and have it made durable; until then nothing else is decided."""
        self._is_due = False
        group = self._group()
        if not group.asks and not group.notes:
            return
        self._is_busy = True
        try:
            written = self._write(group)
        except KringError as error:
            self._done(group, None, error)
            return
        self._committing.commit(self._log, lambda error: self._done(group, written, error))

    def _group(self) -> Group:
        """The next requests of one kind. Who has gone away is left out, and so is, with a word, who is late."""
        asks: list[Asked] = []
        rows, now = 0, self._clock.monotonic()
        while self._asks and rows < MOST_ROWS and (not asks or asks[0].kind == self._asks[0].kind):
            item = self._asks.popleft()
            n = len(item.rows.values)
            if item.told.done() or now > item.until:
                self._rows -= n
                self._tell(item, late(self.name, now - item.until + self._timeout_s))
                continue
            asks.append(item)
            rows += n
        notes, self._notes = self._notes, []
        return Group(asks, notes, rows)

    def _write(self, group: Group) -> Written:
        """All rows of the group as one batch, decided and appended; what is only to be noted is appended too."""
        notes = [self._log.append(item.record) for item in group.notes]
        if not group.asks:
            return Written([], notes)
        values: list[Values] = []
        fired: dict[int, list[str]] = {}
        for item in group.asks:
            fired.update({len(values) + place: rules for place, rules in item.rows.fired.items()})
            values += item.rows.values
        batch = self.reader.batch(values)
        decided = self._decider.serve(batch, fired=fired, at=self._clock.now(), kind=group.asks[0].kind)
        return Written([(one, self._log.append(one.record)) for one in decided], notes)

    def _done(self, group: Group, written: Written | None, error: KringError | None) -> None:
        """Tell everybody in the group, and take the next one."""
        self._is_busy = False
        self._rows -= group.rows
        if written is None or error is not None:
            for ask in group.asks:
                self._tell(ask, error)
            for note in group.notes:
                self._tell(note, error)
        else:
            self._tell_all(group, written)
        if self._asks or self._notes:
            self._next()

    def _tell_all(self, group: Group, written: Written) -> None:
        answers = answers_of(written.parts, rows=group.rows)
        first = 0
        for item in group.asks:
            mine = answers[first : first + len(item.rows.values)]
            first += len(mine)
            failed = next((answer for answer in mine if isinstance(answer, KringError)), None)
            self._tell(item, failed or mine)
        for note, place in zip(group.notes, written.notes, strict=True):
            self._tell(note, place)
        for one, _ in written.parts:
            self._meter.decided(one.about)

    @staticmethod
    def _tell(item: Asked | Noted, said: object) -> None:
        if item.told.done():
            return
        if isinstance(said, KringError):
            item.told.set_exception(said)
        else:
            item.told.set_result(said)  # type: ignore[arg-type]


def late(name: str, waited_s: float) -> Overloaded:
    """What is told to who waited longer than the system may take."""
    return Overloaded(
        f"{name} could not begin in time", got=f"{waited_s * 1000:.0f} ms in the line", next="come back in a moment"
    )


def answers_of(parts: Sequence[tuple[Decided[Batch], Place]], *, rows: int) -> list[Answer | KringError]:
    """What each of `rows` rows is told, in their order; an error where nobody could answer."""
    told: list[Answer | KringError] = [NOBODY] * rows
    for one, place in parts:
        about, outputs = one.record, one.record.outputs
        if about.answered_by == UNANSWERED:
            nobody = Unavailable(NOBODY.message, got=about.fallback, next=NOBODY.next)
            for row in one.rows.tolist():
                told[row] = nobody
            continue
        names = [name for name in outputs if name != "decision"]
        columns = [outputs[name] for name in names]
        ids = decision_ids(place, about.n)
        for at, row in enumerate(one.rows.tolist()):
            told[row] = Answer(
                id=ids[at],
                decision=outputs["decision"][at],
                outputs={name: column[at] for name, column in zip(names, columns, strict=True)},
                version=about.version,
                arm=about.arm,
                answered_by=about.answered_by,
                fallback=about.fallback,
                guards=about.guards.get(at, []),
            )
    return told


NOBODY: Final = Unavailable(
    "nothing can answer: every version and the baseline failed, and no default is declared",
    next="declare frame.default in kring.toml, or roll back",
)
