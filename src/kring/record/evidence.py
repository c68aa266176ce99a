"""Measured facts about a run, on the exported chain."""

from __future__ import annotations

import msgspec

from kring.record.behaviour import Tested
from kring.record.scrutiny import Group, Perturbation, Slice, Suspects


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One number with its 95 % interval. `rows` and `groups` say how much it rests on.

    `better` is +1 when larger is better, -1 when smaller is, 0 when neither.
    `method` names the formula and how the interval was made. A `probe` (latency) rests on tries of
    its own, not on the held-out rows, so that a gate's `min_rows` does not concern it.
    """

    name: str
    value: float
    low: float
    high: float
    rows: int
    groups: int
    better: int
    method: str
    unit: str = ""
    probe: bool = False


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Points to draw: `x` against `y`, with a band where it is known."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    weight: tuple[float, ...] = ()


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All measures of one run on one snapshot's test part, against one baseline run. `suspects` are rows that
    were learned from."""

    id: str
    run: str
    baseline_run: str
    candidate: str
    snapshot: str
    rows: int
    groups: int
    group_by: str
    draws: int
    seed: int
    threshold: float | None
    measures: tuple[Measure, ...]
    curves: tuple[Curve, ...]
    at: int
    seconds: float = 0.0
    slices: tuple[Slice, ...] = ()
    by_group: tuple[Group, ...] = ()
    robustness: tuple[Perturbation, ...] = ()
    behaviours: tuple[Tested, ...] = ()
    suspects: Suspects | None = None
