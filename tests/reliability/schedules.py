"""Threads that take one step each in an order drawn from a seed, and a check that what they were told can have happened
one after the other."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kring.ports.ledger import Ledger
from kring.record.event import Entry, Event, Head, Lease

PATIENCE_S = 60.0


class Turns:
    """One thread runs at a time, from one call of the ledger to the next; who is next is drawn. `moment` counts."""

    def __init__(self, chance: random.Random) -> None:
        self.moment = 0
        self._chance = chance
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._alive: set[str] = set()
        self._running = ""
        self._failed: list[BaseException] = []

    def run(self, clients: dict[str, Callable[[], None]]) -> None:
        """All of them to their ends; what one raises is raised here."""
        self._alive = set(clients)
        threads = [threading.Thread(target=self._run, args=each, daemon=True) for each in clients.items()]
        for thread in threads:
            thread.start()
        with self._changed:
            while self._alive:
                ready = self._changed.wait_for(
                    lambda: not self._running and self._waiting == self._alive, timeout=PATIENCE_S
                )
                assert ready, f"{self._alive - self._waiting} does not come to its next step"
                if self._alive:
                    self._running = self._chance.choice(sorted(self._waiting))
                    self.moment += 1
                    self._changed.notify_all()
        for thread in threads:
            thread.join()
        for failed in self._failed:
            raise failed

    def wait(self, name: str) -> None:
        """Until it is the turn of `name`."""
        with self._changed:
            if self._running == name:
                self._running = ""
            self._waiting.add(name)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._running == name, timeout=PATIENCE_S)
            self._waiting.discard(name)

    def _run(self, name: str, work: Callable[[], None]) -> None:
        try:
            self.wait(name)
            work()
        except BaseException as error:  # noqa: BLE001 (raised by `run`)
            self._failed.append(error)
        finally:
            with self._changed:
                self._alive.discard(name)
                self._running = "" if self._running == name else self._running
                self._changed.notify_all()


class Stepped:
    """A ledger each of whose calls waits for its turn."""

    def __init__(self, inner: Ledger, turns: Turns, name: str) -> None:
        self._inner, self._turns, self._name = inner, turns, name

    def append(self, entries: Sequence[Entry], *, expect_seq: int | None = None, token: int | None = None) -> Head:
        self._turns.wait(self._name)
        return self._inner.append(entries, expect_seq=expect_seq, token=token)

    def read(self, *, after: int = 0, kind: str = "") -> Iterator[Event]:
        self._turns.wait(self._name)
        return self._inner.read(after=after, kind=kind)

    def get(self, kind: str, id: str) -> Event:
        self._turns.wait(self._name)
        return self._inner.get(kind, id)

    def head(self) -> Head:
        self._turns.wait(self._name)
        return self._inner.head()

    def lease(self, name: str, *, holder: str, ttl: float, now: int) -> Lease:
        self._turns.wait(self._name)
        return self._inner.lease(name, holder=holder, ttl=ttl, now=now)

    def verify(self) -> Head:
        return self._inner.verify()

    def close(self) -> None:
        """Whoever opened it closes it."""


@dataclass(frozen=True)
class Op:
    """What a client asked between two moments and was told: to put `version` in place of the state `expected`, or
    (without a version) what the state is. `told` is the state's number then; `won` whether it was put there."""

    began: int
    ended: int
    version: str
    expected: int
    won: bool
    told: int
    live: str = ""


def happened_in_some_order(ops: Sequence[Op], *, seq: int, live: str) -> bool:
    """Whether one register, changed by compare-and-swap, could have said all this with each operation done at one
    moment between its beginning and its end (Wing and Gong's search, states that were seen left out)."""
    seen: set[tuple[frozenset[int], int, str]] = set()

    def goes_on(left: frozenset[int], seq: int, live: str) -> bool:
        if not left:
            return True
        if (left, seq, live) in seen:
            return False
        seen.add((left, seq, live))
        first_end = min(ops[one].ended for one in left)
        for one in left:
            after = does(ops[one], seq, live) if ops[one].began <= first_end else None
            if after is not None and goes_on(left - {one}, *after):
                return True
        return False

    return goes_on(frozenset(range(len(ops))), seq, live)


def does(op: Op, seq: int, live: str) -> tuple[int, str] | None:
    """The register after `op`, or None when it could not have been told what it was."""
    if not op.version:
        return (seq, live) if (op.told, op.live) == (seq, live) else None
    if op.won:
        return (seq + 1, op.version) if op.expected == seq and op.told == seq + 1 else None
    return (seq, live) if op.expected != seq and op.told == seq else None
