"""Windows: what came in, and how it turned out."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.flow.operator.alarms import judged
from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.retraining import retrained
from kring.metrics.intervals import wilson
from kring.record.alarm import Breach
from kring.record.operator import OperatorState, QualityJudged, WindowClosed
from kring.watch.inputs import judge_inputs
from kring.watch.quality import breach_of

LOOKED: Final = ("data_quality/violations//", "fallback/fallbacks//")
"""What a window with decisions is held against."""


def on_window(moment: Moment, state: OperatorState, event: WindowClosed) -> Step:
    """Inputs against the contract, and the schedule."""
    system = moment.system
    breach = judge_inputs(
        rows=event.decisions, violations=event.violations, allowed=system.watch.violations, since=event.start
    )
    found = [one for one in (breach, fallback_breach(event) if event.fallbacks else None) if one is not None]
    looked = LOOKED if event.decisions else ()
    state, commands = judged(moment, state, found, looked=looked, start=event.start, end=event.end)
    state, retraining = retrained(moment, state)
    return state, commands + retraining


def on_quality(moment: Moment, state: OperatorState, event: QualityJudged) -> Step:
    """Realised quality wholly beyond the gate: an alarm per metric, and perhaps a retraining. A line that passes is
    a look that found nothing; one that can only be investigated says neither."""
    failed = [breach_of(line, since=event.start) for line in event.lines if line.result == "fail"]
    failed = [msgspec.structs.replace(breach, version=event.version) for breach in failed]
    passed = [breach_of(line, since=event.start).key for line in event.lines if line.result == "pass"]
    state, commands = judged(moment, state, failed, looked=passed, start=event.start, end=event.end)
    for breach in failed:
        state = reason_to_train(moment, state, breach.metric)
    state, retraining = retrained(moment, state)
    return state, commands + retraining


def reason_to_train(moment: Moment, state: OperatorState, metric: str) -> OperatorState:
    """A breach is a reason to train, once in the span over which quality is judged: what a training could not mend
    is not trained again every week."""
    if state.quiet.get(metric, 0) > moment.now:
        return state
    quiet = {**state.quiet, metric: moment.now + moment.system.watch.quality_us}
    breached = tuple(dict.fromkeys((*state.breached, metric)))
    return msgspec.structs.replace(state, quiet=quiet, breached=breached)


def fallback_breach(event: WindowClosed) -> Breach:
    """Rows that the version they were put to did not answer itself."""
    share = event.fallbacks / max(event.decisions, 1)
    low, high = wilson(event.fallbacks, event.decisions)
    return Breach(
        kind="fallback",
        metric="fallbacks",
        value=share,
        low=low,
        high=high,
        allowed="fallbacks <= 0",
        rows=event.decisions,
        since=event.start,
        what=f"{event.fallbacks:,} of {event.decisions:,} rows ({share:.1%}) were answered by a fallback",
    )
