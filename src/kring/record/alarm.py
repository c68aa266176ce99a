"""A judged change, and what became of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.running import Tier

AlarmKind = Literal[
    "data_quality",
    "quality",
    "fallback",
    "release",
    "retraining",
    "drift",
    "prediction_drift",
    "estimated_quality",
    "calibration",
    "fairness",
    "latency",
    "cost",
    "outliers",
    "queries",
    "probes",
    "service_level",
    "drill",
    "trial",
]
AlarmState = Literal["open", "acknowledged", "silenced", "resolved"]
Handling = Literal["acknowledge", "silence", "resolve"]
News = Literal["opened", "changed", "resolved", "test"]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is estimated to do to a metric, with its interval, and to money per decision; None where nothing
    can be said. `conditions` say under which the estimate holds."""

    metric: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    money: float | None = None
    currency: str = ""
    conditions: str = ""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor's finding: `metric` lies beyond `allowed` since `since`, of one feature or slice where it has one.

    `sure` says how sure that is, in words with the number; `effect` what it is estimated to do; `urgent` that it can't
    wait for the morning.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    allowed: str
    rows: int
    since: int
    what: str
    kind: AlarmKind = "quality"
    feature: str = ""
    slice: str = ""
    version: str = ""
    sure: str = ""
    effect: Effect | None = None
    urgent: bool = False

    @property
    def key(self) -> str:
        """What tells it from other findings: the same key is the same alarm."""
        return "/".join((self.kind, self.metric, self.feature, self.slice))


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """When the last alarm of a key was over, and how many looks in vain that took."""

    ended: int
    needs: int


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, since when, how sure, to whom it belongs and what is proposed.

    `count` is how many looks found it, the last at `last`; `clear` how many in a row have not found it since,
    of the `needs` that end it: twice as many each time it comes back. The
    newest window in which it was looked for ended at `looked_at`. It is silent until `until`, and over since `ended`;
    `by` did at `handled_at` what `action` says. `group` is the same for what was found together.
    """

    id: str
    system: str
    version: str
    kind: AlarmKind
    what: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    allowed: str
    rows: int
    since: int
    at: int
    owner: str
    proposal: str
    action: str = ""
    tier: Tier = "ticket"
    state: AlarmState = "open"
    feature: str = ""
    slice: str = ""
    sure: str = ""
    effect: Effect | None = None
    group: str = ""
    count: int = 1
    last: int = 0
    clear: int = 0
    needs: int = 2
    looked_at: int = 0
    until: int = 0
    ended: int = 0
    by: str = ""
    handled_at: int = 0

    @property
    def key(self) -> str:
        """See `Breach.key`."""
        return "/".join((self.kind, self.metric, self.feature, self.slice))
