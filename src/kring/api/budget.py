"""How many bytes of bodies may be under way at a time, of all callers together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kring.errors import Overloaded


class Budget:
    """At most `most` bytes. For one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold `size` of them while the block runs; `Overloaded` when so many are not left."""
        if self._held + size > self._most:
            raise Overloaded(
                "too many bodies are under way",
                got=f"{self._held:,} bytes and {size:,} more",
                allowed=f"{self._most:,} bytes at a time",
                next="come back in a moment",
            )
        self._held += size
        try:
            yield
        finally:
            self._held -= size
