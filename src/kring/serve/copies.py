"""Shadow copies: what a version on its way would have said, asked off the path of the request.

They are worth something together, not one by one: when there is no time for one, it is dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from kring.metrics.ids import decision_block
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place
from kring.serve.decider import Decided, Decider
from kring.serve.fallback import Answerer

MOST_ROWS: Final = 4096
"""Rows that wait for their copies."""


class Copies:
    """Asks `answerers`, which may be set at any time, in a thread of its own. `dropped` is told how many rows have no
    copy since there was no time."""

    def __init__(self, dropped: Callable[[int], None]) -> None:
        self.answerers: Sequence[Answerer[Batch]] = ()
        self._dropped = dropped
        self._rows = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._loop = asyncio.get_running_loop()

    def offer(
        self, one: Decided[Batch], place: Place, *, decider: Decider[Batch], add: Callable[[Decisions], None]
    ) -> None:
        """Ask what was decided again, if there is time; `add` gets the records, on the loop."""
        n, answerers = one.about.n, self.answerers
        if not answerers:
            return
        if self._rows + n > MOST_ROWS:
            self._dropped(n)
            return
        self._rows += n

        def ask() -> None:
            ids = [row.tobytes() for row in decision_block(place, n)]
            records = [decider.shadow(one, answerer, ids=ids) for answerer in answerers]
            self._loop.call_soon_threadsafe(self._asked, n, records, add)

        self._pool.submit(ask)

    def close(self) -> None:
        """Return when nothing is being asked any more; what still waits is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _asked(self, n: int, records: Sequence[Decisions], add: Callable[[Decisions], None]) -> None:
        self._rows -= n
        for record in records:
            add(record)
