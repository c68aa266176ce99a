"""The thread that makes logs durable while the loop goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from kring.errors import KringError, StorageError
from kring.ports.decision_log import DecisionLog

Done = Callable[[KringError | None], None]


class Order(NamedTuple):
    log: DecisionLog
    done: Done


class Committer:
    """One thread for all logs of a worker: fsyncs of one disk wait for each other anyway.

    `failed` is called on the loop when a commit failed in a way that a free disk does not mend.
    """

    def __init__(self, failed: Callable[[StorageError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._failed = failed
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def commit(self, log: DecisionLog, done: Done) -> None:
        """See `kring.serve.line.Committing`."""
        self._orders.put(Order(log, done))

    def close(self) -> None:
        """Return when all that was ordered is done."""
        self._orders.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            error: KringError | None = None
            try:
                order.log.commit()
            except KringError as caught:
                error = caught
            self._loop.call_soon_threadsafe(self._told, order, error)

    def _told(self, order: Order, error: KringError | None) -> None:
        if isinstance(error, StorageError) and not is_full(error):
            self._failed(error)
        order.done(error)


def is_full(error: StorageError) -> bool:
    """Whether only space was missing: then the log goes on as soon as there is some."""
    return getattr(error, "is_full", False)
