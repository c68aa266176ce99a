"""Alarms: raised once, not again while they are quiet."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.flow.operator.moment import Moment, Step, digest
from kring.metrics.ids import digest_id
from kring.record.alarm import Alarm, AlarmKind, Breach
from kring.record.operator import OperatorState, RaiseAlarm

MONITORS: Final[tuple[AlarmKind, ...]] = ("data_quality", "quality", "fallback")
"""What looks again and again; everything else happens once and is told each time."""

PROPOSALS: Final[dict[AlarmKind, str]] = {
    "data_quality": "look at the rows that broke the contract (kring trace on one of them), mend the feed",
    "quality": "retrain on the newest data, or roll back if it began with a release",
    "fallback": "look at why the version did not answer (kring trace on one of its decisions), or roll back",
    "release": "a person should look: kring compare, then release by hand or leave it",
    "retraining": "read the reason, mend it, then kring train",
    "drift": "look at what changed in the feed; if it is real, retrain on data that holds it",
    "prediction_drift": "look at the inputs that drift with it; if nothing explains it, roll back",
    "estimated_quality": "get labels for a sample (kring review), they say whether the estimate is right",
    "calibration": "retrain; until then read its probabilities with care",
    "fairness": "look at the decisions of that group, retrain or change the threshold with the accountable person",
    "latency": "look at what the version does in that time, or give it more workers",
    "cost": "look at the dearest decisions, or roll back to the cheaper version",
    "outliers": "look at the rows that are unlike those that were learned from; retrain if they are to stay",
    "queries": "look at what that key asks for; limit it, or revoke it (kring key revoke)",
    "probes": "ask whoever runs the service what has changed; roll back to a version that does not use it",
    "service_level": "look at what failed, before the error budget is used up",
    "drill": "run the drill: kring drill",
    "trial": "read the trial and end it: kring trial show",
}


def alarmed(moment: Moment, state: OperatorState, kind: AlarmKind, breach: Breach, *, owner: str = "") -> Step:
    """Raise an alarm; a monitor's is not raised again while the same metric is quiet after its last one."""
    system, now = moment.system, moment.now
    key = f"{kind}/{breach.metric}"
    if kind in MONITORS:
        if state.quiet.get(key, 0) > now:
            return state, []
        state = msgspec.structs.replace(state, quiet={**state.quiet, key: now + system.watch.quality_us})
    version = state.pointer.live if state.pointer else ""
    alarm = Alarm(
        id=digest_id("a", digest(system.name, str(state.seq), key)),
        system=system.name,
        version=version,
        kind=kind,
        what=breach.what,
        metric=breach.metric,
        value=breach.value,
        low=breach.low,
        high=breach.high,
        allowed=breach.allowed,
        rows=breach.rows,
        since=breach.since,
        at=now,
        owner=owner or system.accountable("data" if kind == "data_quality" else "operate"),
        proposal=PROPOSALS[kind],
    )
    return state, [RaiseAlarm(alarm=alarm)]


def hushed(state: OperatorState, kind: AlarmKind, *, now: int) -> set[str]:
    """The metrics whose alarm of this kind was raised and is not raised again yet."""
    return {key.removeprefix(f"{kind}/") for key, until in state.quiet.items() if until > now}
