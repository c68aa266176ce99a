"""What a rollout will take at the system's own traffic, before it starts.

By how fast evidence grows, in closed form and so at once: within a third of the median of simulated rollouts
(`tests/release/test_plan.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, inf, log
from typing import Final

from kring.errors import DataError
from kring.metrics.assignment import DAY_US
from kring.metrics.growth import detection_units
from kring.record.progress import Plan, PlannedDetection, PlannedStep, Reckoned
from kring.record.rollout import Guardrail, Terms
from kring.release.guardrails import is_smoke, units_to_prove

TIMES: Final = (2.0, 1.3)
"""How many times as bad the versions are for which the time to detect them is told."""


def plan(
    terms: Terms, *, per_day: float, reckoned: Collection[Reckoned] = (), unknown: Collection[str] = frozenset()
) -> Plan:
    """What an equal version takes step by step, and how soon one that is twice or 1.3 times as bad is rolled back.

    `per_day` are units of both versions on a day; a guardrail that is not `reckoned` has never been bad, and all units
    count for it. Of those that are `unknown` nothing has ever been on record: their steps have no end in sight, nor
    has a shadow that is judged by them. `DataError` for numbers that can't be.
    """
    known = {one.name: one for one in reckoned}
    if not 0 <= per_day < inf or any(not (0 <= one.rate <= 1 and 0 <= one.share <= 1) for one in reckoned):
        raise DataError(
            "traffic that can't be",
            got=f"{per_day:g} units a day, bad rates { ({one.name: (one.rate, one.share) for one in reckoned}) }",
            allowed="0 units a day or more, rates from 0 to 1",
            next="give what the decision log shows",
        )
    steps, before = [], 0.0
    for step in terms.steps:
        planned, before = _step(terms, step=step, per_day=per_day, known=known, before=before)
        steps.append(_unending(planned, terms, unknown=unknown))
    days = [step.days for step in steps]
    return Plan(
        per_day=per_day,
        steps=tuple(steps),
        detections=tuple(
            _detection(guardrail, terms, step=step, times=times, known=known, per_day=per_day)
            for guardrail in terms.guardrails
            if guardrail.route != "paired"
            for step in terms.steps
            for times in TIMES
        ),
        days=None if None in days else sum(day for day in days if day is not None),
        reckoned=tuple(reckoned),
        shadow=_shadow(terms, unknown),
    )


def _step(
    terms: Terms, *, step: int, per_day: float, known: Mapping[str, Reckoned], before: float
) -> tuple[PlannedStep, float]:
    """One step, and how many units of the new version there were until its end. Evidence against the margin of a step
    also comes from the steps before it, at nearly the same worth per bad unit; so units of before count."""
    least = terms.smoke_units if is_smoke(terms, step=step) else terms.min_units
    longest, waits_for = float(least), ""
    for guardrail in () if is_smoke(terms, step=step) else terms.guardrails:
        rate, share = _known(guardrail.name, known)
        if guardrail.route == "paired":
            continue
        needed = units_to_prove(guardrail.route, terms=terms, step=step, rate=rate)
        lacking = inf if needed is None or not share else needed / share - before
        if lacking > longest:
            longest, waits_for = lacking, guardrail.name
    if longest == inf:
        why = _why(waits_for, terms, known)
        return PlannedStep(step=step, units=None, days=None, waits_for=waits_for, why=why), before
    units = ceil(longest * 100 / step)
    days = units / per_day if per_day else None
    late = days is None or days * DAY_US > terms.step_us
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


def _shadow(terms: Terms, unknown: Collection[str]) -> str:
    """What a shadow waits for that nobody has ever recorded."""
    if not any(one.name in unknown and one.route == "paired" for one in terms.guardrails):
        return ""
    days = (terms.shadow_us + terms.step_us) / DAY_US
    return (
        "no outcome is on record, and the shadow is compared with the live version by nothing else. It can go on once"
        f" outcomes come (kring outcome, POST /api/outcomes); without enough of them it is held after {days:g} days,"
        " and a person decides"
    )


def _known(name: str, known: Mapping[str, Reckoned]) -> tuple[float, float]:
    """The rate of bad units and the share of those that count."""
    one = known.get(name)
    return (one.rate, one.share) if one is not None else (0.0, 1.0)


def _why(name: str, terms: Terms, known: Mapping[str, Reckoned]) -> str:
    if not _known(name, known)[1]:
        return f"of {name} no unit counts: {known[name].source}"
    route = next(guardrail.route for guardrail in terms.guardrails if guardrail.name == name)
    if route == "absolute":
        return f"{name} is bad at {terms.floor:.2%} or more already, so it can't be proven to be below"
    return f"{name} has never been bad, so there is nothing to compare"


def _detection(
    guardrail: Guardrail, terms: Terms, *, step: int, times: float, known: Mapping[str, Reckoned], per_day: float
) -> PlannedDetection:
    rate, share = _known(guardrail.name, known)
    line = log(len(terms.guardrails) / terms.alpha) + log(max(len(guardrail.limits), 1))
    needed = detection_units(share=step / 100, rate=rate, times=times, line=line) / share if share else inf
    units = None if needed == inf else ceil(needed * 100 / step)
    return PlannedDetection(
        name=guardrail.name,
        step=step,
        times=times,
        units=units,
        new_units=None if needed == inf else ceil(needed),
        days=units / per_day if units is not None and per_day else None,
    )
