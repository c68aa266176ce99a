"""The gate's rule: a limit against the 95 % interval of a measure.

Wholly on the allowed side passes, wholly on the other side fails, everything else is to be
investigated: so are a metric that is missing, not a number, stale, or resting on too few rows.
A limit exactly at the end of an interval belongs to the side the operator gives it: `>=` and `<=`
allow the limit itself, `>` and `<` do not.

    OP     passes when     fails when
    >=     low  >= limit   high <  limit
    >      low  >  limit   high <= limit
    <=     high <= limit   low  >  limit
    <      high <  limit   low  >= limit
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, get_args

from kring.errors import ConfigError
from kring.record.evidence import Measure
from kring.record.verdict import GateLine, GateResult, Judgement, Operator

OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)
LINE: Final = re.compile(r"\s*(>=|<=|>|<)\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*", re.ASCII)
WILDCARD: Final = ".*"
WORST: Final[tuple[GateResult, ...]] = ("fail", "investigate", "pass")


def parse_line(metric: str, text: str) -> GateLine:
    """The gate line `metric = "OP number"`; OP is one of >=, >, <= and <.

    `metric` may end with `.*` and then means every measure with that prefix. `ConfigError` otherwise.
    """
    if not metric.removesuffix(WILDCARD) or "*" in metric.removesuffix(WILDCARD) or metric != metric.strip():
        raise ConfigError(
            "this is not the name of a metric",
            got=repr(metric),
            allowed="a name, or a prefix and .* for every measure that begins with it",
            key=metric,
        )
    found = LINE.fullmatch(text)
    limit = float(found[2]) if found else math.nan
    if found is None or not math.isfinite(limit):
        raise ConfigError(
            "this is not a line of a gate",
            got=repr(text),
            allowed=f"an operator ({', '.join(OPERATORS)}) and a number",
            next=f'write it like {metric} = ">= 0.60"',
            key=metric,
        )
    op = next(operator for operator in OPERATORS if operator == found[1])
    return GateLine(metric=metric, op=op, limit=limit)


def line_text(line: GateLine) -> str:
    """`metric OP limit`, as people read it."""
    return f"{line.metric} {line.op} {line.limit:.12g}"


def covers(line: GateLine, name: str) -> bool:
    """Whether `line` speaks of the measure `name`."""
    if line.metric.endswith(WILDCARD):
        return name.startswith(line.metric.removesuffix("*"))
    return name == line.metric


def beyond(line: GateLine, measure: Measure) -> bool:
    """Whether the value itself lies on the wrong side of a limit that speaks of it, whatever its interval."""
    return covers(line, measure.name) and _side(line, measure.value, measure.value) == "fail"


def judge_measure(line: GateLine, measure: Measure | None, *, min_rows: int, stale: Sequence[str] = ()) -> Judgement:
    """One line over one measure (None: it was not measured). `stale` says why the evidence
    belongs to something else than what is being released; it can't pass and can't fail then."""
    if measure is None:
        return Judgement(metric=line.metric, rule=line_text(line), result="investigate", reason=_absent(line))
    doubt = _doubt(measure, min_rows=min_rows, stale=stale)
    result = "investigate" if doubt else _side(line, measure.low, measure.high)
    return Judgement(
        metric=measure.name,
        rule=line_text(line),
        result=result,
        reason=doubt or _reason(line, measure, result),
        value=_finite(measure.value),
        low=_finite(measure.low),
        high=_finite(measure.high),
        rows=measure.rows,
    )


def judge_line(
    line: GateLine, measures: Sequence[Measure], *, min_rows: int, stale: Sequence[str] = ()
) -> tuple[Judgement, ...]:
    """`line` over every measure it covers, in the order of `measures`; one judgement at least."""
    covered = [measure for measure in measures if covers(line, measure.name)]
    if not covered:
        return (judge_measure(line, None, min_rows=min_rows),)
    return tuple(judge_measure(line, measure, min_rows=min_rows, stale=stale) for measure in covered)


def worst(results: Sequence[GateResult]) -> GateResult:
    """`fail` before `investigate` before `pass`; nothing at all is to be investigated."""
    return next((result for result in WORST if result in results), "investigate")


def _side(line: GateLine, low: float, high: float) -> GateResult:
    limit = line.limit
    passes, fails = {
        ">=": (low >= limit, high < limit),
        ">": (low > limit, high <= limit),
        "<=": (high <= limit, low > limit),
        "<": (high < limit, low >= limit),
    }[line.op]
    return "pass" if passes else "fail" if fails else "investigate"


def _doubt(measure: Measure, *, min_rows: int, stale: Sequence[str]) -> str:
    """Why the interval is not to be compared at all; empty when it is."""
    if stale:
        return f"the evidence is stale: {'; '.join(stale)}"
    if not math.isfinite(measure.value):
        return "the value is not a finite number"
    if math.isnan(measure.low) or math.isnan(measure.high) or measure.low > measure.high:
        return "the interval is not known"
    if measure.rows < min_rows and not measure.probe:
        return f"rests on {measure.rows} rows, the gate asks for {min_rows}"
    return ""


def _absent(line: GateLine) -> str:
    if line.metric.endswith(WILDCARD):
        return f"no measure begins with {line.metric.removesuffix('*')}"
    return "was not measured"


def _reason(line: GateLine, measure: Measure, result: GateResult) -> str:
    span = f"{measure.value:.4g}, 95 % interval {measure.low:.4g} to {measure.high:.4g}"
    sides: dict[GateResult, str] = {
        "pass": "lies wholly on the allowed side of",
        "fail": "lies wholly on the wrong side of",
        "investigate": "reaches over both sides of",
    }
    return f"{span}, {sides[result]} {line.op} {line.limit:.12g}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
