"""Telemetry has spans: one for each thing that was done, from when to when, and on whose behalf.

Off, there is no `Spans` at all: who would tell one holds None. What is told of a span is put together in the
background, so whoever works pays for a few numbers. Spans are no record: they may be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol

import msgspec

from kring.record.answer import Answer

MOST_IDS: Final = 20
"""Decisions that one span names."""


class Link(NamedTuple):
    """Another span that this one has to do with."""

    trace: int
    id: int


class Asked(NamedTuple):
    """Who was asked, and who answered."""

    version: str
    arm: str
    answered_by: str


class Span(msgspec.Struct, eq=False):
    """One thing that is done, as W3C's Trace Context counts it: `trace` has 128 bits, `id` and `parent` have 64, and
    the parent of a root is 0. `began` is microseconds UTC, `tick` the same moment in monotonic seconds, `seconds` how
    long it took. `is_told` says whether anybody is to hear of it.

    A request has a `method` and, where one is known, a `route`, the path with its parts left open; its `status` is 0
    until it is answered. With the `scheme` `GRPC` these are the name of the call, that of service and call, and gRPC's
    own status. Of its answers there are the number of `rows`, the first `ids` and who they were `by`, and
    `is_worded` says that the `system` answers in words. What is decided together is another span, that is linked to
    each of its requests.
    """

    trace: int
    id: int
    parent: int
    is_told: bool
    began: int
    tick: float
    state: str = ""
    seconds: float = 0.0
    method: str = ""
    route: str = ""
    scheme: str = ""
    status: int = 0
    system: str = ""
    is_worded: bool = False
    rows: int = 0
    fault: str = ""
    ids: tuple[str, ...] = ()
    by: dict[Asked, None] = {}
    links: Sequence[Link] = ()

    def decided(self, answers: Sequence[Answer]) -> None:
        """These answers were given, among others."""
        self.rows += len(answers)
        self.ids += tuple(one.id for one in answers[: MOST_IDS - len(self.ids)])
        for one in answers:
            self.by[Asked(one.version, one.arm, one.answered_by)] = None

    @property
    def parental(self) -> str:
        """`traceparent`, for what is done on behalf of this."""
        return f"00-{self.trace:032x}-{self.id:016x}-{self.is_told:02x}"


GRPC: Final = "grpc"
"""The scheme of calls that come otherwise than by HTTP's methods."""

ASKED_IN: Final[ContextVar[Span | None]] = ContextVar("asked_in", default=None)
"""The request that is being answered, where spans are told."""


class Spans(Protocol):
    """Never raises and never waits, whatever becomes of those who are told."""

    def request(self, method: str, route: str, *, scheme: str, parent: str, state: str) -> Span:
        """A request has come, with `traceparent` and `tracestate`; either may be empty, or anything else."""
        ...

    def together(self, requests: Sequence[Span], *, system: str, rows: int, seconds: float, fault: str) -> None:
        """Requests were decided as one group and made durable, or not, which took so long and ended now."""
        ...

    def end(self, span: Span) -> None:
        """It is done, as far as `span` says now."""
        ...

    def lost(self) -> Mapping[str, int]:
        """How many were not told, by why."""
        ...

    def close(self) -> None:
        """Tell what there is, if that goes quickly."""
        ...
