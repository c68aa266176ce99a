"""Who may answer a request that has an idempotency key: one of all that come with it, on the whole machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from kring.ports.decision_log import DecisionLog

KEPT_US: Final = 86_400_000_000
"""How long an answered claim is known: a day."""


class Owner(msgspec.Struct, frozen=True):
    """The writer of a system's decision log, which one process has open at a time."""

    system: str
    writer: int


class Claim(msgspec.Struct, frozen=True):
    """What a request asks for: the name of its key (`kring.metrics.claims.claim_name`) and the digest of its body."""

    name: str
    digest: str


class Won(msgspec.Struct, frozen=True):
    """Nobody else has it: answer, then settle; or release it when there is no answer."""


class Taken(msgspec.Struct, frozen=True):
    """It was answered: the 16 bytes of each decision, in the order of the request's rows."""

    ids: tuple[bytes, ...]


class Pending(msgspec.Struct, frozen=True):
    """Somebody is at it: look again."""

    owner: Owner


class Differs(msgspec.Struct, frozen=True):
    """The key was used before, with another body."""


Claimed = Won | Taken | Pending | Differs


class Claims(Protocol):
    """Any number of processes and threads use one store at once. What it says follows from the decision log: a claim
    counts as answered when all rows of its request stand in the log, tagged with it (`Decisions.keys`)."""

    def claim_many(self, asked: Sequence[Claim], *, owner: Owner, now: int) -> list[Claimed]:
        """For each request whether it may be answered, all in one transaction; of two with one name in `asked` the
        first one wins. Answered claims older than a day are forgotten. `Busy` or `StorageError`: none was won."""
        ...

    def settle_many(
        self, settled: Sequence[tuple[str, Sequence[bytes]]], *, owner: Owner, cursor: tuple[int, int]
    ) -> None:
        """The ids of the decisions behind each name, all in one transaction; they are durable in the owner's log
        before `cursor`. It may be empty: the cursor is remembered, so that less is read when the owner is taken over.
        What could not be settled (`Busy`, `StorageError`) may be given again later, in any order."""
        ...

    def release(self, names: Sequence[str]) -> None:
        """Give claims back that were won and not settled: the next one who asks wins."""
        ...

    def look(self, names: Sequence[str]) -> list[Taken | Pending | None]:
        """How it stands with each; None when nobody has it (any more). Changes nothing."""
        ...

    def take_over(self, log: DecisionLog, *, owner: Owner, now: int) -> tuple[int, int]:
        """Settle or release what the process left behind that had the owner's log open before: whoever opens `log`
        calls this before its first claim. How many were settled from the log, and how many released."""
        ...

    def owners(self, system: str) -> list[int]:
        """The writers that have claims of `system` which are not settled, rising."""
        ...

    def close(self) -> None:
        """Let go of the store. Closing twice is allowed."""
        ...
