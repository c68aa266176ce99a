"""What a server came to under load."""

from __future__ import annotations

from typing import Literal

import msgspec

Client = Literal["wrk", "built-in"]


class ProcessCost(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the server: CPU time (user and system) for each answer in microseconds, and resident memory
    at the end in MB."""

    name: str
    cpu_us: float
    rss_mb: float


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """So many `connections`, each of which asks again as soon as it is answered, for `seconds`.

    `answered` requests got what they asked for, `refused` an answer that says no (status 300 and above), `failed`
    none. `per_s` are answered ones; the quantiles of latency are in milliseconds, None when nothing came back.
    `processes` are those of a server that the test itself started, the busiest first.
    """

    connections: int
    seconds: float
    answered: int
    refused: int
    failed: int
    per_s: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    processes: tuple[ProcessCost, ...] = ()

    @property
    def cpu_us(self) -> float | None:
        """CPU of the whole server for each answer in microseconds; None when it isn't known."""
        return sum(one.cpu_us for one in self.processes) if self.processes else None


class LoadTest(msgspec.Struct, frozen=True, kw_only=True):
    """A load test of `system` at `at` (microseconds UTC), with `rows` different rows of `snapshot`.

    `first_answer_s` is how long a server that the test started took to its first answer; None for another.
    """

    system: str
    url: str
    client: Client
    at: int
    snapshot: str
    rows: int
    workers: int
    levels: tuple[Level, ...]
    first_answer_s: float | None = None
