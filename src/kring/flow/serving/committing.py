"""A thread beside the loop, for what takes a line too long to let all others wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from kring.errors import KringError
from kring.serve.answers import broken
from kring.serve.group import Written

Job = Callable[[], Written]
Done = Callable[[Written | None, KringError | None], None]


class Order(NamedTuple):
    job: Job
    done: Done


class Committer:
    """See `kring.serve.line.Beside`. Made inside the loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"line {name}", daemon=True)
        self._thread.start()

    def work(self, job: Job, done: Done) -> None:
        self._orders.put(Order(job, done))

    def close(self) -> None:
        """Return when all that was ordered is done."""
        self._orders.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            written: Written | None = None
            error: KringError | None = None
            try:
                written = order.job()
            except Exception as caught:  # noqa: BLE001  the edge: a thread that ends would leave everybody waiting
                error = broken(caught)
            self._loop.call_soon_threadsafe(order.done, written, error)
