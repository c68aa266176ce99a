"""Alarms about trials: raised while one runs, over when it does not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from kring.flow import history
from kring.flow.operating.operator import operating
from kring.flow.project import Project
from kring.record.alarm import Alarm
from kring.record.operator import AlarmHandled, OperatorEvent, Watched
from kring.record.trial import TrialSeen
from kring.release.trial_alarms import ENDED, breaches_of, looked_at, slice_of

HOUR_US: Final = 3_600_000_000
"""Trials are judged each minute; what is found again counts once in so long."""

OVER: Final = "the trial ended"
AGAIN: Final = "the trial was started again"


def tell_trials(project: Project, seen: Sequence[TrialSeen], *, now: int) -> None:
    """Raise what was `seen` of the trials that run, and end what rang about others. `Busy` while another command is at
    it."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
    rings = [alarm for alarm in state.alarms if alarm.kind == "trial"] if state is not None else []
    found = tuple(breach for one in seen for breach in breaches_of(one))
    if not found and not rings:
        return
    end = now // HOUR_US * HOUR_US
    looked = tuple(key for one in seen for key in looked_at(one))
    events: list[OperatorEvent] = [Watched(start=end - HOUR_US, end=end, breaches=found, looked=looked)]
    events += ends_of(rings, found={breach.key for breach in found}, running={slice_of(one.name) for one in seen})
    with operating(project, holder=project.actor) as operator:
        operator.step(events)


def ends_of(rings: Sequence[Alarm], *, found: Collection[str], running: Collection[str]) -> list[OperatorEvent]:
    """What keeps a trial from its end is over with the trial; that it has ended is no news once it runs again."""
    return [
        AlarmHandled(alarm=alarm.id, how="resolve", actor="", reason=AGAIN if alarm.metric == ENDED else OVER)
        for alarm in rings
        if alarm.key not in found and (alarm.metric == ENDED) == (alarm.slice in running)
    ]
