"""What a rollout will take at the system's own traffic, before it starts.

By how fast evidence grows, in closed form and so at once: within a third of the median of simulated rollouts
(`tests/release/test_plan.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, inf, log
from typing import Final

from kring.errors import DataError
from kring.metrics.growth import detection_units
from kring.record.progress import Plan, PlannedDetection, PlannedStep
from kring.record.rollout import Guardrail, Terms
from kring.release.guardrails import is_smoke, units_to_prove

TIMES: Final = (2.0, 1.3)
"""How many times as bad the versions are for which the time to detect them is told."""


def plan(terms: Terms, *, per_day: float, rates: Mapping[str, float], unknown: Collection[str] = frozenset()) -> Plan:
    """What an equal version takes step by step, and how soon one that is twice or 1.3 times as bad is rolled back.

    `per_day` are units of both versions on a day, `rates` the share of bad units (0 to 1) by guardrail so far; a
    guardrail without a rate has never been bad. Of those that are `unknown` nothing has ever been on record: their
    steps have no end in sight. `DataError` for numbers that can't be.
    """
    if not 0 <= per_day < inf or any(not 0 <= rate <= 1 for rate in rates.values()):
        raise DataError(
            "traffic that can't be",
            got=f"{per_day:g} units a day, bad rates {dict(rates)}",
            allowed="0 units a day or more, rates from 0 to 1",
            next="give what the decision log shows",
        )
    steps, before = [], 0.0
    for step in terms.steps:
        planned, before = _step(terms, step=step, per_day=per_day, rates=rates, before=before)
        steps.append(_unending(planned, terms, unknown=unknown))
    days = [step.days for step in steps]
    return Plan(
        per_day=per_day,
        steps=tuple(steps),
        detections=tuple(
            _detection(guardrail, terms, step=step, times=times, rate=rates.get(guardrail.name, 0.0), per_day=per_day)
            for guardrail in terms.guardrails
            for step in terms.steps
            for times in TIMES
        ),
        days=None if None in days else sum(day for day in days if day is not None),
    )


def _step(
    terms: Terms, *, step: int, per_day: float, rates: Mapping[str, float], before: float
) -> tuple[PlannedStep, float]:
    """One step, and how many units of the new version there were until its end. Evidence against the margin of a step
    also comes from the steps before it, at nearly the same worth per bad unit; so units of before count."""
    least = terms.smoke_units if is_smoke(terms, step=step) else terms.min_units
    longest, waits_for = float(least), ""
    for guardrail in () if is_smoke(terms, step=step) else terms.guardrails:
        rate = rates.get(guardrail.name, 0.0)
        if guardrail.route == "paired":
            continue
        needed = units_to_prove(guardrail.route, terms=terms, step=step, rate=rate)
        lacking = inf if needed is None else needed - before
        if lacking > longest:
            longest, waits_for = lacking, guardrail.name
    if longest == inf:
        return PlannedStep(step=step, units=None, days=None, waits_for=waits_for, why=_why(waits_for, terms)), before
    units = ceil(longest * 100 / step)
    days = units / per_day if per_day else None
    late = days is None or days * 86_400_000_000 > terms.step_us
    return (
        PlannedStep(
            step=step,
            units=units,
            days=days,
            waits_for=waits_for,
            why="longer than a step may take: it will be held" if late else "",
        ),
        before + longest,
    )


def _unending(planned: PlannedStep, terms: Terms, *, unknown: Collection[str]) -> PlannedStep:
    """The step, or that it waits for what nobody has ever recorded; in shadow nothing is waited for at a step."""
    waits = [one.name for one in terms.guardrails if one.name in unknown and one.route != "paired"]
    if not waits or is_smoke(terms, step=planned.step):
        return planned
    why = f"no {waits[0]} is on record, so it can't be compared"
    return PlannedStep(step=planned.step, units=None, days=None, waits_for=waits[0], why=why)


def _why(name: str, terms: Terms) -> str:
    route = next(guardrail.route for guardrail in terms.guardrails if guardrail.name == name)
    if route == "absolute":
        return f"{name} is bad at {terms.floor:.2%} or more already, so it can't be proven to be below"
    return f"{name} has never been bad, so there is nothing to compare"


def _detection(
    guardrail: Guardrail, terms: Terms, *, step: int, times: float, rate: float, per_day: float
) -> PlannedDetection:
    line = log(len(terms.guardrails) / terms.alpha) + log(max(len(guardrail.limits), 1))
    needed = detection_units(share=step / 100, rate=rate, times=times, line=line)
    units = None if needed == inf else ceil(needed * 100 / step)
    return PlannedDetection(
        name=guardrail.name,
        step=step,
        times=times,
        units=units,
        new_units=None if needed == inf else ceil(needed),
        days=units / per_day if units is not None and per_day else None,
    )
