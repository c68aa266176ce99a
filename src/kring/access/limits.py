"""How much is too much: a bucket for requests per second, a counter for requests at the same time.

Nothing here reads a clock: `tick` is seconds on a monotonic clock, given by the caller. Limits are those of a
machine, and each of its workers keeps its share of them.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 10_000
"""How many are remembered at a time; beyond that the one goes first who asked first."""


def share(total: int, *, workers: int, worker: int) -> int:
    """What worker number `worker` (from 0) of `workers` keeps of `total`: together that, but each at least 1."""
    return max(1, total // workers + (worker < total % workers))


def refilled(level: float, *, elapsed: float, per_second: float, capacity: float) -> float:
    """The level of a token bucket `elapsed` seconds later; a clock that went back adds nothing."""
    return min(capacity, level + max(0.0, elapsed) * per_second)


class Buckets:
    """A token bucket for each who asks: it fills with `per_second` up to `capacity`, and each request takes one.

    Who has not asked for as long as a bucket takes to fill is forgotten when room is needed.
    """

    __slots__ = ("_levels", "_most", "capacity", "per_second")

    def __init__(self, *, per_second: float, capacity: float, most: int = MOST) -> None:
        self.per_second = per_second
        self.capacity = max(1.0, capacity)
        self._most = most
        self._levels: dict[str, tuple[float, float]] = {}

    @property
    def remembered(self) -> int:
        """How many have a bucket here."""
        return len(self._levels)

    def wait(self, who: str, *, tick: float) -> float:
        """Seconds until `who` may ask; 0 now. Nothing is taken."""
        return max(0.0, (1.0 - self._level(who, tick)) / self.per_second)

    def take(self, who: str, *, tick: float) -> float:
        """Take one for `who` and return 0, or take none and return the seconds until there is one."""
        level = self._level(who, tick)
        if level >= 1.0:
            if who not in self._levels and len(self._levels) >= self._most:
                self._forget(tick)
            self._levels[who] = (level - 1.0, tick)
            return 0.0
        self._levels[who] = (level, tick)
        return (1.0 - level) / self.per_second

    def _level(self, who: str, tick: float) -> float:
        found = self._levels.get(who)
        if found is None:
            return self.capacity
        return refilled(found[0], elapsed=tick - found[1], per_second=self.per_second, capacity=self.capacity)

    def _forget(self, tick: float) -> None:
        """Make room: those whose bucket is full again, else the oldest tenth."""
        full = [who for who in self._levels if self._level(who, tick) >= self.capacity]
        for who in full or list(self._levels)[: max(1, self._most // 10)]:
            del self._levels[who]


class Counter:
    """How many requests of each who asks are under way: `most` at the most."""

    __slots__ = ("_counts", "most")

    def __init__(self, *, most: int) -> None:
        self.most = most
        self._counts: dict[str, int] = {}

    @property
    def remembered(self) -> int:
        """How many have a request under way."""
        return len(self._counts)

    def enter(self, who: str) -> bool:
        """Count one more; False when there are too many already."""
        count = self._counts.get(who, 0)
        if count >= self.most:
            return False
        self._counts[who] = count + 1
        return True

    def leave(self, who: str) -> None:
        """Count one less; nobody is remembered who has none under way."""
        count = self._counts.get(who, 0)
        if count > 1:
            self._counts[who] = count - 1
        else:
            self._counts.pop(who, None)
