"""decision log → what is left of the error budgets of the promised service."""

from __future__ import annotations

from collections.abc import Mapping

from kring.flow import adapters
from kring.flow.project import Project
from kring.ports.task import Counts
from kring.record.decision import Decisions
from kring.watch.service_levels import Budget, budgets, count_service, merge_slots, promised

TOGETHER = 5_000
"""So many frames are counted together."""


def error_budgets(project: Project, *, now: int) -> list[Budget]:
    """Of each promise of `[slo]`, over its span up to `now` (microseconds UTC); nothing when nothing is promised."""
    slo = project.system.slo
    if not promised(slo) or not project.home.log.is_dir():
        return budgets({}, slo, now=now)
    since = now - slo.over_us
    over = {
        segment.writer: (segment.number + 1, 0)
        for segment in sorted(adapters.sealed_segments(project.home.log), key=lambda one: one.number)
        if segment.last < since
    }
    slots: Mapping[int, Counts] = {}
    held: list[Decisions] = []
    for one in adapters.read_log(project.home.log, system=project.system.name).read(over):
        if isinstance(one.record, Decisions) and one.record.arm != "shadow" and one.record.at >= since:
            held.append(one.record)
        if len(held) >= TOGETHER:
            slots, held = merge_slots(slots, count_service(held, slo)), []
    return budgets(merge_slots(slots, count_service(held, slo)), slo, now=now)
