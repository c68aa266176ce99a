"""What comes in, held for a moment and counted together: traffic, promised service, who asks what, drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.flow.watching.drifting import Drifting
from kring.flow.watching.windows import Windows
from kring.ports.task import Counts, Task
from kring.record.alarm import Breach
from kring.record.batch import Batch
from kring.record.decision import Decisions
from kring.record.drift import DriftSeen
from kring.record.system import System
from kring.watch.estimates import merged
from kring.watch.queries import NEAR, Queries, count_queries, judge_queries
from kring.watch.service_levels import count_service, judge_service, merge_slots, promised
from kring.watch.traffic import count_traffic
from kring.watch.windows import merge_counts, window_start

HELD_ROWS: Final = 50_000
"""So many rows are held before they are counted together: small batches cost as little as large ones."""

HELD_RECORDS: Final = 5_000


class Tallied:
    """Counts by the start of the window, of the slot for service. `windows` knows by which policy a version decides."""

    def __init__(self, system: System, task: Task, windows: Windows, *, seen: DriftSeen | None = None) -> None:
        self.drifting = Drifting(system, seen=seen)
        self._system, self._task, self._windows = system, task, windows
        self._held: dict[int, list[Decisions]] = defaultdict(list)
        self._moved: list[Decisions] = []
        self._held_rows = self._held_records = 0
        self._traffic: dict[int, Counts] = {}
        self._slots: dict[int, Counts] = {}
        self._queries: dict[int, Queries] = {}
        self._asked_from = seen.until if seen is not None else 0

    def hold(self, record: Decisions, *, drifts: bool = True) -> None:
        """Count it, soon; not for drift when whoever watched before has done that."""
        if drifts:
            self._moved.append(record)
        self._held[window_start(record.at, width=self._system.watch.window_us)].append(record)
        self._held_rows += record.n
        self._held_records += 1
        if self._held_rows >= HELD_ROWS or self._held_records >= HELD_RECORDS:
            self.count()

    def count(self) -> None:
        """Count what is held."""
        self.drifting.count(self._moved)
        self._moved = []
        for window, records in self._held.items():
            counted = count_traffic(records, supplier=self._system.data.supplier)
            self._traffic[window] = merge_counts(self._traffic.get(window, {}), counted)
            if promised(self._system.slo):
                self._slots = merge_slots(self._slots, count_service(records, self._system.slo))
            if self._system.watch.queries and window >= self._asked_from:
                count_queries(self._asked(window, records[0]), records, self._near(records))
        self._held.clear()
        self._held_rows = self._held_records = 0

    def traffic(self, start: int, end: int) -> Counts:
        """Counts of all windows that began in [start, end)."""
        self.count()
        return merged(each for window, each in self._traffic.items() if start <= window < end)

    def slots(self) -> dict[int, Counts]:
        """Counts of promised service."""
        self.count()
        return self._slots

    def service(self, now: int) -> tuple[list[Breach], list[str]]:
        """See `judge_service`."""
        return judge_service(self.slots(), self._system.slo, now=now) if promised(self._system.slo) else ([], [])

    def queries(self, start: int) -> tuple[list[Breach], list[str]]:
        """See `judge_queries`: a window is judged once, and let go; what is asked of it later is not counted."""
        self.count()
        self._asked_from = max(self._asked_from, start + self._system.watch.window_us)
        queries = self._queries.pop(start, None)
        self._queries = {window: each for window, each in self._queries.items() if window >= self._asked_from}
        return judge_queries(queries, since=start) if queries is not None else ([], [])

    def forget(self, before: int) -> None:
        """Let go of the counts of windows that began before `before`, and of service that is no part of a promise."""
        self._traffic = {window: each for window, each in self._traffic.items() if window >= before}
        least = max(self._slots, default=0) - self._system.slo.over_us
        self._slots = {at: each for at, each in self._slots.items() if at >= least}

    def _asked(self, window: int, record: Decisions) -> Queries:
        if window not in self._queries:
            subject = self._system.data.subject
            self._queries[window] = Queries([name for name in record.inputs if name != subject])
        return self._queries[window]

    def _near(self, records: Sequence[Decisions]) -> NDArray[np.bool_]:
        """The rows whose output lies near the threshold, where there is one."""
        found = []
        for each in records:
            policy = self._windows.policy(each.answered_by)
            if policy is None or policy.threshold is None:
                found.append(np.zeros(each.n, dtype=np.bool_))
                continue
            outputs = self._task.outputs(Batch(each.n, {**each.outputs}), policy)
            found.append(np.abs((outputs if outputs.ndim == 1 else outputs[:, 0]) - policy.threshold) <= NEAR)
        return np.concatenate(found)
