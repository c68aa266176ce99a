"""Monitors of one window: counts in, breaches out, and which of them were looked at."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Final, NamedTuple

from kring.metrics.intervals import Z, wilson
from kring.metrics.prices import is_dearer
from kring.metrics.spread import Quantile, quantile_of
from kring.ports.task import Counts
from kring.record.alarm import AlarmKind, Breach, Effect
from kring.record.evidence import Measure
from kring.record.running import Watch
from kring.watch.inputs import judge_inputs
from kring.watch.traffic import PICO, RULE, SUPPLIER, number

LEAST_ROWS: Final = 50
"""A supplier of fewer rows in a window is not judged by itself."""

SHOWN: Final = 3
BEYOND: Final = ", wholly beyond what is allowed"
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Found(NamedTuple):
    """What was judged, by the key of what it would be (`Breach.key`), and the breach where it is one."""

    key: str
    breach: Breach | None


def judge_traffic(counts: Counts, watch: Watch, *, since: int, currency: str = "") -> list[Found]:
    """Everything that the counts of one window say against `[watch]`, with 95 % intervals: a breach lies wholly beyond
    what is allowed. A window without rows says nothing, nor does a limit of 0 (except of fallbacks)."""
    rows = number(counts, "rows")
    if not rows:
        return []
    found = [
        Found(_key("data_quality", "violations"), judge_rules(counts, allowed=watch.violations, since=since)),
        Found(_key("fallback", "fallbacks"), judge_fallbacks(counts, since=since)),
    ]
    found += judge_suppliers(counts, allowed=watch.violations, since=since)
    if watch.outliers:
        found.append(Found(_key("outliers", "outliers"), judge_outliers(counts, allowed=watch.outliers, since=since)))
    if watch.cost:
        found.append(
            Found(_key("cost", "cost"), judge_cost(counts, allowed=watch.cost, since=since, currency=currency))
        )
    if watch.latency_ms and sum(counts.get("waits", ())):
        found.append(Found(_key("latency", "p99"), judge_latency(counts, allowed_ms=watch.latency_ms, since=since)))
    return found


def judge_rules(counts: Counts, *, allowed: float, since: int) -> Breach | None:
    """Rows that broke the contract; the rules that were broken most often are named."""
    rows = number(counts, "rows")
    breach = judge_inputs(rows=rows, violations=number(counts, "violations"), allowed=allowed, since=since)
    if breach is None:
        return None
    rules = sorted(
        ((-broken[0], name.removeprefix(RULE)) for name, broken in counts.items() if name.startswith(RULE)),
    )[:SHOWN]
    named = ", ".join(f"{name} ({-broken / rows:.1%})" for broken, name in rules)
    return _of(breach, kind="data_quality", what=f"{breach.what}; most often {named}" if named else breach.what)


def judge_suppliers(counts: Counts, *, allowed: float, since: int) -> Iterator[Found]:
    """The same for each supplier."""
    for name, (rows, broken) in sorted(
        (name, (vector[0], vector[1])) for name, vector in counts.items() if name.startswith(SUPPLIER)
    ):
        if rows < LEAST_ROWS:
            continue
        supplier = name.removeprefix(SUPPLIER)
        breach = judge_inputs(rows=rows, violations=broken, allowed=allowed, since=since)
        place = f"supplier = {supplier}"
        what = f"of {supplier}: {breach.what}" if breach else ""
        yield Found(
            _key("data_quality", "violations", slice=place),
            _of(breach, kind="data_quality", slice=place, what=what) if breach else None,
        )


def judge_fallbacks(counts: Counts, *, since: int) -> Breach | None:
    """Rows that the version they were put to did not answer itself; any at all is a breach."""
    rows, fallbacks = number(counts, "rows"), number(counts, "fallbacks")
    if not fallbacks:
        return None
    low, high = wilson(fallbacks, rows)
    return Breach(
        kind="fallback",
        metric="fallbacks",
        value=fallbacks / rows,
        low=low,
        high=high,
        allowed="fallbacks <= 0",
        rows=rows,
        since=since,
        what=f"{fallbacks:,} of {rows:,} rows ({fallbacks / rows:.1%}) were answered by a fallback",
        sure="counted, not estimated",
    )


def judge_outliers(counts: Counts, *, allowed: float, since: int) -> Breach | None:
    """Rows that are unlike those that were learned from."""
    rows, outliers = number(counts, "rows"), number(counts, "outliers")
    low, high = wilson(outliers, rows)
    if low <= allowed:
        return None
    return Breach(
        kind="outliers",
        metric="outliers",
        value=outliers / rows,
        low=low,
        high=high,
        allowed=f"outliers <= {allowed:g}",
        rows=rows,
        since=since,
        what=f"{outliers:,} of {rows:,} rows ({outliers / rows:.1%}) are unlike those that were learned from, "
        f"{allowed:.1%} are allowed",
        sure=f"95 % interval {low:.1%} to {high:.1%}{BEYOND}",
    )


def judge_cost(counts: Counts, *, allowed: float, since: int, currency: str) -> Breach | None:
    """What a decision costs on average, with the normal interval of the mean over rows."""
    mean = mean_cost(counts)
    if mean is None or not is_dearer(mean.low, allowed):
        return None
    unit = f" {currency}" if currency else ""
    return Breach(
        kind="cost",
        metric="cost",
        value=mean.value,
        low=mean.low,
        high=mean.high,
        allowed=f"cost <= {allowed:g}",
        rows=number(counts, "rows"),
        since=since,
        what=f"a decision costs {mean.value:.4g}{unit} on average, {allowed:g} is allowed",
        sure=f"95 % interval {mean.low:.4g} to {mean.high:.4g}{BEYOND}",
        effect=Effect(
            metric="cost",
            value=mean.value - allowed,
            low=mean.low - allowed,
            high=mean.high - allowed,
            money=mean.value - allowed,
            currency=currency,
            conditions="than is allowed",
        ),
    )


def judge_latency(counts: Counts, *, allowed_ms: float, since: int) -> Breach | None:
    """The p99 of those answers that somebody waited for."""
    found = quantile_of(counts["waits"], QUANTILES["p99"])
    if found is None or found.low / 1000 <= allowed_ms:
        return None
    ends = Quantile(*(each / 1000 for each in found))
    return Breach(
        kind="latency",
        metric="p99",
        value=ends.value,
        low=ends.low,
        high=ends.high if ends.high < float("inf") else None,
        allowed=f"p99 <= {allowed_ms:g} ms",
        rows=sum(counts["waits"]),
        since=since,
        what=f"one answer in a hundred took {ends.value:.4g} ms or longer, {allowed_ms:g} ms are allowed",
        sure=f"95 % interval from {ends.low:.4g} ms on{BEYOND}; times are counted to 2.2 %",
    )


def mean_cost(counts: Counts) -> Quantile | None:
    """The mean cost of a decision and its 95 % interval; None without rows."""
    rows = number(counts, "rows")
    if not rows:
        return None
    mean = number(counts, "cost") / PICO / rows
    spread = max(number(counts, "cost_squared") / PICO**2 / rows - mean**2, 0.0)
    half = Z * sqrt(spread / rows)
    return Quantile(mean, mean - half, mean + half)


def figures(counts: Counts, *, currency: str = "") -> tuple[Measure, ...]:
    """What the counts of any span of windows say, as measures: shares of rows, quantiles of waiting, mean cost."""
    rows = number(counts, "rows")
    if not rows:
        return ()
    found = [
        _measure(name, number(counts, name) / rows, *wilson(number(counts, name), rows), rows=rows)
        for name in ("answered", "fallbacks", "violations", "abstained", "outliers")
    ]
    cost = mean_cost(counts)
    if cost is not None and cost.value:
        found.append(_measure("cost", *cost, rows=rows, unit=currency))
    for name, share in QUANTILES.items():
        at = quantile_of(counts.get("waits", ()), share) if counts.get("waits") else None
        if at is not None:
            found.append(_measure(name, *(each / 1000 for each in at), rows=sum(counts["waits"]), unit="ms"))
    return tuple(found)


def _measure(name: str, value: float, low: float, high: float, *, rows: int, unit: str = "") -> Measure:
    return Measure(
        name=name, value=value, low=low, high=high, rows=rows, groups=rows, better=0, method="from counts", unit=unit
    )


def _key(kind: AlarmKind, metric: str, *, slice: str = "") -> str:
    return "/".join((kind, metric, "", slice))


def _of(breach: Breach, *, kind: AlarmKind, what: str, slice: str = "") -> Breach:
    return Breach(
        kind=kind,
        metric=breach.metric,
        value=breach.value,
        low=breach.low,
        high=breach.high,
        allowed=breach.allowed,
        rows=breach.rows,
        since=breach.since,
        what=what,
        slice=slice,
        sure=f"95 % interval {breach.low:.1%} to {breach.high:.1%}{BEYOND}",
    )
