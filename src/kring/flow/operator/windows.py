"""Windows: their end, and how they turned out."""

from __future__ import annotations

import msgspec

from kring.flow.operator.alarms import judged
from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.retraining import retrained
from kring.record.operator import OperatorState, QualityJudged, WindowClosed
from kring.watch.quality import breach_of


def on_window(moment: Moment, state: OperatorState, event: WindowClosed) -> Step:
    """The schedule; what the window holds, the monitors say."""
    del event
    return retrained(moment, state)


def on_quality(moment: Moment, state: OperatorState, event: QualityJudged) -> Step:
    """Realised quality wholly beyond the gate: an alarm per metric, and perhaps a retraining. A line that passes is
    a look that found nothing; one that can only be investigated says neither."""
    failed = [breach_of(line, since=event.start) for line in event.lines if line.result == "fail"]
    failed = [msgspec.structs.replace(breach, version=event.version, effect=event.effect) for breach in failed]
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
