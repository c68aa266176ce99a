"""Probes put beside all else: they may take long."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from kring.errors import KringError
from kring.flow.probing import run_probes
from kring.flow.project import Project
from kring.record.operator import OperatorEvent


class Prober:
    """Puts the fixed questions to a live version in a thread of its own, one round of them at a time."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        self._say = say
        self._found: queue.SimpleQueue[OperatorEvent] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, project: Project) -> None:
        """Begin a round; nothing else is to be under way."""
        self._thread = threading.Thread(target=self.run, args=(project,), name="probes", daemon=True)
        self._thread.start()

    def found(self) -> Iterator[OperatorEvent]:
        """What came of the rounds that are over, each once."""
        while not self._found.empty():
            yield self._found.get()

    def run(self, project: Project) -> None:
        """One round. Whatever is in its way is said."""
        try:
            self._found.put(run_probes(project)[1])
        except KringError as error:
            self._say(f"the probes of {project.system.name} could not be put: {error.message}")
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            self._say(f"the probes of {project.system.name} could not be put: {fault_of(error)}")


def fault_of(error: Exception) -> str:
    """What broke and where, in words of the code alone: its own may tell of data."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"a fault of Kring's own, {type(error).__name__} in {Path(frame.f_code.co_filename).name}:{line}"
