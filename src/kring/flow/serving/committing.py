"""A thread beside the loop: it makes a line's log durable, and decides for it while that takes long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from kring.errors import KringError, ReadOnly
from kring.ports.decision_log import DecisionLog
from kring.serve.group import Written

Job = Callable[[], Written]
Done = Callable[[Written | None, KringError | None], None]


class Order(NamedTuple):
    job: Job | None
    log: DecisionLog
    done: Done


class Committer:
    """See `kring.serve.line.Committing`. `failed` is called on the loop when nothing can be made durable any more."""

    def __init__(self, name: str, *, failed: Callable[[ReadOnly], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._failed = failed
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"line {name}", daemon=True)
        self._thread.start()

    def commit(self, log: DecisionLog, done: Callable[[KringError | None], None]) -> None:
        self._orders.put(Order(None, log, lambda _, error: done(error)))

    def work(self, job: Job, log: DecisionLog, done: Done) -> None:
        self._orders.put(Order(job, log, done))

    def close(self) -> None:
        """Return when all that was ordered is done."""
        self._orders.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            written: Written | None = None
            error: KringError | None = None
            try:
                written = order.job() if order.job is not None else None
                order.log.commit()
            except KringError as caught:
                error = caught
            self._loop.call_soon_threadsafe(self._told, order, written, error)

    def _told(self, order: Order, written: Written | None, error: KringError | None) -> None:
        if isinstance(error, ReadOnly):
            self._failed(error)
        order.done(written, error)
