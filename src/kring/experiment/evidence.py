"""Everything that is measured about one candidate on held-out rows, beside the baseline on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.errors import DataError, NotFound
from kring.metrics.intervals import FEWEST_GROUPS, quantile_interval, wilson
from kring.ports.task import Task
from kring.record.evidence import Evidence, Measure
from kring.record.version import Policy

MEASURES: Final[Mapping[str, int]] = {
    "latency_p50_ms": -1,
    "latency_p99_ms": -1,
    "size_mb": -1,
    "memory_mb": -1,
    "coverage": 1,
}
"""What a gate may name besides the metrics of the task, with its better direction."""

QUANTILES: Final[Mapping[str, float]] = {"latency_p50_ms": 0.5, "latency_p99_ms": 0.99}
DAY: Final = "1d"


class LatencySample(msgspec.Struct, frozen=True, kw_only=True):
    """How long single rows took, from raw fields to output. The interval of the 99 % point needs 368 of them."""

    seconds: tuple[float, ...]


def groups_of(frame: pl.DataFrame, *, group: str = "", time: str = "") -> tuple[NDArray[np.int64], str]:
    """What intervals resample: one number per row, and its name for the record.

    The declared `group` column; else the day (UTC) of the column `time`; else, also when the rows span
    fewer than five days, the row itself. Rows without a group or a time share one.
    """
    if group:
        return _numbered(_column(frame, group)), group
    if time:
        days = _numbered(_column(frame, time).dt.truncate(DAY))
        if len(np.unique(days)) >= FEWEST_GROUPS:
            return days, "day"
    return np.arange(frame.height, dtype=np.int64), "row"


def measure_evidence(
    task: Task,
    *,
    id: str,
    run: str,
    baseline_run: str,
    candidate: str,
    snapshot: str,
    truth: NDArray[np.float64],
    outputs: NDArray[np.float64],
    baseline: NDArray[np.float64],
    groups: NDArray[np.int64],
    group_by: str,
    policy: Policy,
    latency: LatencySample | None,
    size_bytes: int,
    memory_mb: Sequence[float] = (),
    at: int,
    draws: int = 1000,
    seed: int = 0,
    seconds: float = 0.0,
) -> Evidence:
    """Measures of `outputs` against `truth`, paired with `baseline`, all as the task reads them; `groups` (n,).

    Rows without outcome are no labels: they are seen in `coverage` alone. `DataError` when fewer than
    five groups have an outcome, or an output is not what the task can measure.
    """
    known = task.known(truth)
    if not known.any():
        raise DataError(
            "no held-out row has an outcome",
            got=f"{len(truth)} rows, all without outcome",
            next="hold out rows whose outcome is known, see data.outcome_after",
        )
    measures, curves = task.measure(
        truth[known], outputs[known], baseline[known], groups=groups[known], policy=policy, draws=draws, seed=seed
    )
    counted = len(np.unique(groups[known]))
    return Evidence(
        id=id,
        run=run,
        baseline_run=baseline_run,
        candidate=candidate,
        snapshot=snapshot,
        rows=int(known.sum()),
        groups=counted,
        group_by=group_by,
        draws=draws,
        seed=seed,
        threshold=policy.threshold,
        measures=(
            *measures,
            *_latencies(latency),
            _size(size_bytes, len(truth)),
            *_memory(memory_mb),
            _coverage(known),
        ),
        curves=tuple(curves),
        at=at,
        seconds=seconds,
    )


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise NotFound("there is no such column to group rows by", got=name, allowed=", ".join(frame.columns))
    return frame[name]


def _numbered(values: pl.Series) -> NDArray[np.int64]:
    return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _latencies(latency: LatencySample | None) -> list[Measure]:
    """The median and the 99 % point, as far as the sample can bound them."""
    sample = np.asarray(latency.seconds if latency else (), dtype=np.float64) * 1000
    found = []
    for name, quantile in QUANTILES.items():
        value, low, high = quantile_interval(sample, quantile=quantile)
        if np.isfinite([value, low, high]).all():
            found.append(
                Measure(
                    name=name,
                    value=value,
                    low=low,
                    high=high,
                    rows=len(sample),
                    groups=len(sample),
                    better=MEASURES[name],
                    method="one row at a time, from raw fields to output; interval by order statistics",
                    unit="ms",
                    probe=True,
                )
            )
    return found


def _size(size_bytes: int, rows: int) -> Measure:
    size = size_bytes / 1e6
    return Measure(
        name="size_mb",
        value=size,
        low=size,
        high=size,
        rows=rows,
        groups=rows,
        better=MEASURES["size_mb"],
        method="bytes of the exported files; exact",
        unit="MB",
    )


def _memory(tries: Sequence[float]) -> list[Measure]:
    """The middle of a few tries between the least and the largest of them."""
    if not tries:
        return []
    return [
        Measure(
            name="memory_mb",
            value=float(np.median(tries)),
            low=min(tries),
            high=max(tries),
            rows=len(tries),
            groups=len(tries),
            better=MEASURES["memory_mb"],
            method="growth of a process that opens the chain and answers a thousand rows; least and largest of a few",
            unit="MB",
            probe=True,
        )
    ]


def _coverage(known: NDArray[np.bool_]) -> Measure:
    rows, outcomes = len(known), int(known.sum())
    low, high = wilson(outcomes, rows)
    return Measure(
        name="coverage",
        value=outcomes / rows,
        low=low,
        high=high,
        rows=rows,
        groups=rows,
        better=MEASURES["coverage"],
        method="share of held-out rows with an outcome; Wilson interval",
    )
