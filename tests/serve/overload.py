"""A server with one line, its clients, and a simulated clock: what becomes of them when too many come."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from kring.errors import Overloaded
from kring.serve.admission import Admission

SETUP_S, ROW_S, MOST_IN_GROUP = 0.002, 0.001, 64
TIMEOUT_S = 0.2
CAPACITY = MOST_IN_GROUP / (SETUP_S + ROW_S * MOST_IN_GROUP)
"""Rows per second in the largest groups."""


@dataclass(frozen=True)
class Ask:
    """One try of a request: when it came, and how many there were before it."""

    at: float
    tries: int


@dataclass
class Server:
    """Answers groups one after the other; refusing costs a little too. Clients come again up to `retries` times:
    the polite when they were told to, others after 50 ms. Without `admission` everybody is let in."""

    seed: int
    speed: Callable[[float], float] = lambda _: 1.0
    polite: bool = True
    retries: int = 3
    admission: bool = True
    refusal_s: float = 2e-6
    line: Admission = field(default_factory=lambda: Admission("simulated", most_rows=100_000))
    answered: list[tuple[float, float]] = field(default_factory=list)
    longest: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()
        self._queue: deque[Ask] = deque()
        self._is_busy = False
        self._debt = 0.0

    def run(self, load: Callable[[float], float], *, until: float) -> None:
        """Requests come at `load` times the capacity until then; all that follows from them is played."""

        def come(now: float) -> None:
            self._ask(now, tries=0)
            following = now + self._chance.expovariate(load(now) * CAPACITY)
            if following < until:
                self._at(following, come)

        self._at(0.0, come)
        while self._events:
            now, _, event = heapq.heappop(self._events)
            event(now)

    def goodput(self, first: float, last: float) -> float:
        """Requests answered in time, per second, as a part of the capacity."""
        return sum(first <= at < last for at, _ in self.answered) / (last - first) / CAPACITY

    def _at(self, moment: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), event))

    def _ask(self, now: float, *, tries: int) -> None:
        self._debt += self.refusal_s
        if self.admission:
            try:
                self.line.admit(1, now, deadline=now + TIMEOUT_S)
            except Overloaded as error:
                self._again(now, tries, error.after_s)
                return
        self._queue.append(Ask(now, tries))
        self.longest = max(self.longest, len(self._queue))
        if not self._is_busy:
            self._take(now)

    def _again(self, now: float, tries: int, after_s: float) -> None:
        if tries < self.retries:
            self._at(now + (after_s if self.polite else 0.05), lambda later: self._ask(later, tries=tries + 1))

    def _take(self, now: float) -> None:
        group: list[Ask] = []
        while self._queue and len(group) < MOST_IN_GROUP:
            ask = self._queue.popleft()
            if now > ask.at + TIMEOUT_S:
                self._leave(late=True)
                self._again(now, ask.tries, 1.0)
            else:
                group.append(ask)
        self._is_busy = bool(group)
        if group:
            took = (SETUP_S + ROW_S * len(group)) / self.speed(now) + self._debt
            self._debt = 0.0
            self._at(now + took, lambda later: self._end(later, group, took))

    def _leave(self, *, late: bool) -> None:
        if self.admission:
            self.line.left(1, late=late)

    def _end(self, now: float, group: list[Ask], took: float) -> None:
        late = [ask for ask in group if now > ask.at + TIMEOUT_S]
        if self.admission:
            self.line.served(len(group), seconds=took, late=bool(late))
        self.answered += [(now, now - ask.at) for ask in group if ask not in late]
        for ask in late:
            self._again(now, ask.tries, 1.0)
        self._take(now)
