"""Idempotency keys: of all requests that come with one key, one is decided, and all get its answer.

Claims of one turn of the loop are made in one transaction, off the loop. Requests without a key never come here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from kring.errors import Conflict, KringError, Overloaded, ReadOnly
from kring.metrics.claims import claim_tags
from kring.metrics.ids import decision_id, decision_raw
from kring.ports.claims import Claim, Claimed, Claims, Differs, Owner, Pending, Taken, Won
from kring.ports.clock import Clock
from kring.ports.decision_log import DecisionLog
from kring.record.answer import Answer
from kring.record.decision import Decisions
from kring.serve.answers import broken, told_of

LOOK_S: Final = 0.02


class Key(NamedTuple):
    """A key as it was given by somebody for a system, and the digest of the body that came with it."""

    name: str
    digest: str

    def tags(self, rows: int) -> list[str]:
        """What the rows of the request are tagged with in the log."""
        return claim_tags(self.name, self.digest, rows)


class Ended(NamedTuple):
    """What became of requests, to be written: the ids of those that were decided, and the keys of those that were not.
    All that was decided stands in the log before `cursor`."""

    settled: list[tuple[str, Sequence[bytes]]]
    released: list[str]
    cursor: tuple[int, int]


NOTHING: Final = Ended([], [], (0, 0))


class Claiming:
    """The claims of one line; for the loop's thread, which hands what is to be written to a thread of its own. `find`
    reads a decision and its row from the log of any writer of the system."""

    def __init__(
        self,
        claims: Claims,
        *,
        owner: Owner,
        log: DecisionLog,
        clock: Clock,
        find: Callable[[str], tuple[Decisions, int]],
    ) -> None:
        self._claims = claims
        self._owner = owner
        self._log = log
        self._clock = clock
        self._find = find
        self._loop = asyncio.get_running_loop()
        self._asked: list[tuple[Claim, asyncio.Future[Claimed]]] = []
        self._settled: list[tuple[str, Sequence[bytes]]] = []
        self._released: list[str] = []
        self._unwritten = NOTHING
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="claims")
        self._is_due = False

    async def claim(self, key: Key, *, until: float) -> list[Answer] | None:
        """None when it is this request that is to be decided, else the answers that were given before. `Conflict` for
        another body, `Overloaded` when whoever is at it takes longer than `until` (monotonic seconds)."""
        while True:
            claimed = await self._claim(key)
            if isinstance(claimed, Won):
                return None
            if isinstance(claimed, Differs):
                raise Conflict(
                    "this idempotency key was used before, for another request",
                    got="another body",
                    allowed="the same body as before",
                    next="take a fresh key for a fresh request",
                )
            taken = claimed if isinstance(claimed, Taken) else await self._wait(key, until)
            if taken is not None:
                return await self._loop.run_in_executor(self._pool, self._answers, taken)

    def settle(self, key: Key, answers: Sequence[Answer]) -> None:
        """The request was decided: whoever comes with the same key gets the same."""
        self._settled.append((key.name, [decision_raw(answer.id) for answer in answers]))
        self._wake()

    def give_back(self, key: Key, error: KringError) -> None:
        """The request has no answer: the next one with this key is decided, unless only the log knows whether this one
        was."""
        if not isinstance(error, ReadOnly):
            self._released.append(key.name)
            self._wake()

    def close(self) -> None:
        """Return when what was settled is written."""
        self._pool.submit(self._run, [], self._ended())
        self._pool.shutdown()

    async def _claim(self, key: Key) -> Claimed:
        told: asyncio.Future[Claimed] = self._loop.create_future()
        self._asked.append((Claim(key.name, key.digest), told))
        self._wake()
        return await told

    async def _wait(self, key: Key, until: float) -> Taken | None:
        """What became of the request that is being decided; None when it was given up."""
        while self._clock.monotonic() < until:
            await asyncio.sleep(LOOK_S)
            (found,) = await self._loop.run_in_executor(self._pool, self._claims.look, [key.name])
            if not isinstance(found, Pending):
                return found
        raise Overloaded("another request with this key is still being decided", next="come back in a moment")

    def _wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._is_due = False
        asked, self._asked = self._asked, []
        self._pool.submit(self._run, asked, self._ended())

    def _ended(self) -> Ended:
        settled, self._settled = self._settled, []
        released, self._released = self._released, []
        return Ended(settled, released, self._log.cursor())

    def _run(self, asked: Sequence[tuple[Claim, asyncio.Future[Claimed]]], ended: Ended) -> None:
        """In the thread beside the loop, one after the other."""
        claimed: Sequence[Claimed | KringError] = ()
        try:
            self._write(ended)
            if asked:
                claimed = self._claims.claim_many([one for one, _ in asked], owner=self._owner, now=self._clock.now())
        except Exception as error:  # noqa: BLE001  the edge: whoever asked is waiting for a word
            claimed = [broken(error)] * len(asked)
        if asked:
            self._loop.call_soon_threadsafe(self._told, asked, claimed)

    def _write(self, ended: Ended) -> None:
        """What could not be written is tried again with the next."""
        before, self._unwritten = self._unwritten, NOTHING
        settled, released = [*before.settled, *ended.settled], [*before.released, *ended.released]
        try:
            if settled:
                self._claims.settle_many(settled, owner=self._owner, cursor=ended.cursor)
            if released:
                self._claims.release(released)
        except KringError:
            self._unwritten = Ended(settled, released, ended.cursor)

    @staticmethod
    def _told(asked: Sequence[tuple[Claim, asyncio.Future[Claimed]]], claimed: Sequence[Claimed | KringError]) -> None:
        for (_, told), said in zip(asked, claimed, strict=True):
            if told.done():
                continue
            if isinstance(said, KringError):
                told.set_exception(said)
            else:
                told.set_result(said)

    def _answers(self, taken: Taken) -> list[Answer]:
        """The answers as they were given, out of the log."""
        answers: list[Answer] = []
        for raw in taken.ids:
            id = decision_id(raw)
            record, row = self._find(id)
            said = told_of(record, [id] * record.n)[row]
            if isinstance(said, KringError):
                raise said
            answers.append(said)
        return answers
