"""decision log → windows, without anything else that was kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kring.flow.watching.windows import Windows
from kring.metrics.ids import decision_place
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.decision import Closed, Outcomes
from kring.record.exposure import Exposure
from kring.record.system import System
from kring.record.version import Policy
from kring.watch.matching import Waiting


def rebuilt(system: System, task: Task, logged: Iterable[Logged], *, policies: Mapping[str, Policy]) -> Windows:
    """The windows that reading a whole log gives: those that were kept while it was written.

    `policies` are those of the versions, in the order in which the versions were made.
    """
    windows = Windows(system, task)
    for version, policy in policies.items():
        windows.knows(version, policy)
    frames: dict[tuple[int, int, int], Waiting] = {}
    for one in logged:
        record, place = one.record, one.place
        if isinstance(record, Outcomes):
            windows.outcomes(record.ids, record.values, at=record.at)
        elif isinstance(record, Closed | Exposure) or (record.arm == "shadow" and not record.refers):
            continue
        elif record.arm == "shadow":
            first = decision_place(record.refers[0])
            windows.shadow(frames[first.writer, first.segment, first.sequence], record)
        else:
            frames[place.writer, place.segment, place.sequence] = windows.decisions(place, record)
    return windows
