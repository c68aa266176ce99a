"""decision log → what is left of the error budgets of the promised service."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from kring.flow import adapters
from kring.flow.operating.following import Cursors, cursors_since
from kring.flow.project import Project
from kring.ports.task import Counts
from kring.record.decision import Decisions
from kring.watch.service_levels import Budget, budgets, count_service, merge_slots, promised

TOGETHER = 5_000
"""So many frames are counted together."""


class Promises:
    """Of one system, read on from where the last reading ended. May be asked from any thread."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._slots: Mapping[int, Counts] = {}
        self._cursors: Cursors | None = None
        self._lock = threading.Lock()

    def budgets(self, now: int) -> list[Budget]:
        """Of each promise of `[slo]`, over its span up to `now` (microseconds UTC); none when nothing is promised."""
        slo = self._project.system.slo
        with self._lock:
            if promised(slo) and self._project.home.log.is_dir():
                self._read_on(now)
            return budgets(self._slots, slo, now=now)

    def _read_on(self, now: int) -> None:
        project, slo = self._project, self._project.system.slo
        since = now - slo.over_us
        if self._cursors is None:
            self._cursors = cursors_since(project.home.log, since=since)
        held: list[Decisions] = []
        for one in adapters.read_log(project.home.log, system=project.system.name).read(self._cursors, until=now):
            self._cursors[one.place.writer] = one.cursor
            if isinstance(one.record, Decisions) and one.record.arm != "shadow" and one.record.at >= since:
                held.append(one.record)
            if len(held) >= TOGETHER:
                self._slots, held = merge_slots(self._slots, count_service(held, slo)), []
        merged = merge_slots(self._slots, count_service(held, slo))
        self._slots = {at: counts for at, counts in merged.items() if at >= since - slo.over_us}


def error_budgets(project: Project, *, now: int) -> list[Budget]:
    """See `Promises.budgets`; the whole span is read."""
    return Promises(project).budgets(now)
