"""Rows pushed from one thread, written by polars in others: writing and deciding go on at the same time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from queue import Empty, Full, Queue
from threading import Thread
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

from kring.errors import KringError, StorageError
from kring.ports.sink import Target

AHEAD: Final = 1
"""Parts that may wait for the writer; the next one makes the caller wait, so that memory stays what it is."""

WAIT_S: Final = 0.2

Write = Callable[[pl.LazyFrame, Target], None]


class Abandoned(Exception):
    """Ends the writer of a table that nobody wants any more. Never leaves this module."""


class StreamedTable:
    """Fulfils `kring.ports.sink.Table` by a function that writes a lazy frame to a target."""

    def __init__(self, target: Target, *, schema: pl.Schema, write: Write) -> None:
        self._target = _Careful(target)
        self._parts: Queue[pl.DataFrame | None] = Queue(AHEAD)
        self._abandoned = False
        self._error: BaseException | None = None
        self._schema = schema
        self._write = write
        self._thread = Thread(target=self._run, name="table", daemon=True)
        self._thread.start()

    def write(self, rows: pl.DataFrame, *, sure: Collection[str] = ()) -> None:
        del sure
        self._put(rows)

    def finish(self) -> None:
        self._put(None)
        self._thread.join()
        self._raise()

    def abandon(self) -> None:
        self._abandoned = True
        while self._thread.is_alive():
            try:
                self._parts.get_nowait()
            except Empty:
                self._parts.put(None)
            self._thread.join(WAIT_S)

    def _put(self, rows: pl.DataFrame | None) -> None:
        """Hand over; a writer that has ended takes nothing more, and says why."""
        while self._thread.is_alive():
            try:
                self._parts.put(rows, timeout=WAIT_S)
            except Full:
                continue
            return
        self._raise()

    def _raise(self) -> None:
        error = self._target.error or self._error
        if isinstance(error, KringError):
            raise error
        if error is not None:
            raise StorageError("the table can't be written", got=str(error)[:300], next="check the disk") from error

    def _run(self) -> None:
        try:
            self._write(register_io_source(self._rows, schema=self._schema), self._target)
        except Abandoned:
            return
        except BaseException as error:  # noqa: BLE001  handed to the thread that pushes
            self._error = error

    def _rows(
        self, columns: list[str] | None, predicate: pl.Expr | None, most: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        """What polars pulls; it never asks for less than all of it here."""
        del predicate, most, size
        while (rows := self._parts.get()) is not None:
            if self._abandoned:
                raise Abandoned
            yield rows.select(columns) if columns is not None else rows
        if self._abandoned:
            raise Abandoned


class _Careful:
    """A target that remembers what it raised: on its way through polars an error loses its type."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.error: KringError | None = None

    def write(self, data: bytes, /) -> int:
        try:
            return self._target.write(bytes(data))
        except KringError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._target.flush()
