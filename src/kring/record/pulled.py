"""Versions that were pulled out of traffic while the ledger could not be told."""

from __future__ import annotations

import msgspec


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is not to answer any more, said by `by` at `at` (microseconds UTC), and why. Once the ledger knows of
    it, `told` is the generation of its pointer from which on it says so itself."""

    version: str
    at: int
    by: str
    reason: str
    told: int = 0


class PulledOut(msgspec.Struct, frozen=True):
    """The newest ones: what the file of a system holds."""

    pulled: tuple[Pulled, ...] = ()
