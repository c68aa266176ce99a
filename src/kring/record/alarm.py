"""A judged change."""

from __future__ import annotations

from typing import Literal

import msgspec

AlarmKind = Literal["data_quality", "quality", "fallback", "release", "retraining"]


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, since when, how sure, to whom it belongs and what is proposed."""

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


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor's finding: `metric` lies with its whole interval beyond `allowed` since `since`."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    allowed: str
    rows: int
    since: int
    what: str
