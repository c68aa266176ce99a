"""What a trial says at a moment: arms compared on what users did, by intervals that hold whenever one looks.

A unit belongs to the arm that it was shown first, whatever happened then, and counts for an outcome once the time of
that outcome has passed for it: so nobody counts earlier because something happened. Pure, and the same for a trial that
runs and for a table of one that is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.metrics.arms import split_log, split_p, welch
from kring.metrics.confidence_sequences import Interval, lift, mass_of, mean_interval
from kring.ports.trials import Exposed, Report
from kring.record.running import Trial, TrialOutcome
from kring.record.trial import (
    ArmSeen,
    Brake,
    Compared,
    Finding,
    Handled,
    OutcomeSeen,
    Split,
    TrialRun,
    TrialSeen,
)
from kring.release.trial_brakes import BRAKE, Units, brakes_on, coverage_of
from kring.release.trial_words import said_of

Floats = NDArray[np.float64]


class Plan(NamedTuple):
    """The terms, and how a table differs from them."""

    terms: Trial
    planned: int
    is_table: bool


class Unit(NamedTuple):
    """A unit as it is counted."""

    arm: str
    at: int


Found = dict[str, dict[str, float]]
"""The value of each unit, by outcome."""


def see(
    run: TrialRun,
    exposures: Iterable[Exposed],
    reports: Iterable[Report],
    *,
    now: int,
    planned: int | None = None,
    is_table: bool = False,
) -> TrialSeen:
    """The trial as it stands at `now`; after its end nobody is taken in, and who was in goes on to count.

    `exposures` and `reports` come in the order in which they were heard: of several reports of one unit the last one
    counts. `planned` is how many units were planned beforehand, else what the terms say. In a finished table
    (`is_table`) a missing outcome is missing, whatever it would mean while programs report.
    """
    terms = run.terms
    plan = Plan(terms, terms.most_units if planned is None else planned, is_table)
    units, in_two = counted(exposures, run)
    found, told = heard(reports, units, terms)
    waiting = sum(unit.at + terms.outcomes[0].within_us > now for unit in units.values())
    handled = msgspec.structs.replace(told, in_two_arms=in_two, waiting=waiting)
    split = _split(units, terms)
    outcomes = tuple(_outcome(outcome, plan, units, found[outcome.name], at=now) for outcome in terms.outcomes)
    brakes = tuple(_brakes(split, outcomes[0], terms))
    outcomes = tuple(with_findings(one, terms, brakes=brakes) for one in outcomes)
    seen = TrialSeen(
        name=run.name,
        at=now,
        state=run.state,
        control=terms.control,
        split=split,
        outcomes=outcomes,
        handled=handled,
        brakes=brakes,
        stops=stops(run, units, outcomes[0], at=now) if run.is_running and not brakes else "",
        words=(),
        on=brakes_on(brakes, _told(units, found, plan), split, outcomes[0], terms=terms, now=now)
        if run.is_running and not is_table
        else (),
    )
    return said_of(seen, terms)


def counted(exposures: Iterable[Exposed], run: TrialRun) -> tuple[dict[str, Unit], int]:
    """The units in the order in which they were assigned, each with its first arm; and how many were seen in two.
    What was assigned after the trial was full, or over, does not count."""
    terms = run.terms
    first: dict[str, Unit] = {}
    two: set[str] = set()
    ends = (run.ended, run.started + terms.most_us if terms.most_us else 0)
    until = min((end for end in ends if end), default=0)
    for one in exposures:
        if one.arm not in terms.arms or one.at < run.started or (until and one.at >= until):
            continue
        before = first.get(one.unit)
        if before is not None and before.arm != one.arm:
            two.add(one.unit)
        if before is None or one.at < before.at:
            first[one.unit] = Unit(one.arm, one.at)
    order = sorted(first, key=lambda unit: (first[unit].at, unit))
    if terms.most_units:
        order = order[: terms.most_units]
    return {unit: first[unit] for unit in order}, len(two)


def heard(reports: Iterable[Report], units: Mapping[str, Unit], terms: Trial) -> tuple[Found, Handled]:
    """The last word on each unit and outcome within its time, and what became of the reports."""
    within = {outcome.name: outcome.within_us for outcome in terms.outcomes}
    unknown = corrected = 0
    last: dict[tuple[str, str], Report] = {}
    for one in reports:
        if one.unit not in units or one.outcome not in within:
            unknown += 1
            continue
        before = last.get((one.outcome, one.unit))
        corrected += before is not None and before.value != one.value
        last[one.outcome, one.unit] = one
    found: Found = {name: {} for name in within}
    for one in last.values():
        since = units[one.unit].at
        if since <= one.at <= since + within[one.outcome]:
            found[one.outcome][one.unit] = one.value
    counted = sum(map(len, found.values()))
    return found, Handled(counted=counted, corrected=corrected, unknown=unknown, outside=len(last) - counted)


def silence_is_none(outcome: TrialOutcome) -> bool:
    """Whether no report means that nothing happened. A satisfaction nobody gave is not a low one; and where less is
    better, silence must not count as success."""
    return outcome.kind != "score" and outcome.better == "higher"


def bounds(outcome: TrialOutcome) -> tuple[float, float]:
    return (0.0, 1.0) if outcome.kind == "rate" else (outcome.low, outcome.high)


def _outcome(
    outcome: TrialOutcome, plan: Plan, units: Mapping[str, Unit], found: Mapping[str, float], *, at: int
) -> OutcomeSeen:
    """All arms on one outcome; the findings are still open."""
    terms = plan.terms
    due = [name for name, unit in units.items() if unit.at + outcome.within_us <= at]
    arms = sorted(terms.arms)
    values = np.array([found.get(name, np.nan) for name in due], dtype=np.float64)
    if silence_is_none(outcome) and found and not plan.is_table:
        values = np.nan_to_num(values, nan=0.0)
    low, high = bounds(outcome)
    place = np.array([arms.index(units[name].arm) for name in due], dtype=np.int64)
    by_arm = {arm: values[place == number] for number, arm in enumerate(arms)}
    known = {arm: np.clip(some[~np.isnan(some)], low, high) for arm, some in by_arm.items()}
    others = [arm for arm in arms if arm != terms.control]
    alpha = terms.alpha / len(others)
    return OutcomeSeen(
        name=outcome.name,
        kind=outcome.kind,
        better=outcome.better,
        alpha=alpha,
        arms=tuple(_arm(arm, len(by_arm[arm]), known[arm], (low, high), alpha=terms.alpha) for arm in arms),
        compared=tuple(_compared(arm, known, plan, bounds=(low, high), alpha=alpha) for arm in others),
        coverage=max(
            coverage_of(place, ~np.isnan(values), arms.index(arm), arms.index(terms.control)) for arm in others
        ),
    )


def _told(units: Mapping[str, Unit], found: Found, plan: Plan) -> Units:
    """The units, with whether the outcome that decides is known of them."""
    first, arms = plan.terms.outcomes[0], sorted(plan.terms.arms)
    values = found[first.name]
    silent = silence_is_none(first) and bool(values) and not plan.is_table
    return Units(
        np.array([unit.at for unit in units.values()], dtype=np.int64),
        np.array([arms.index(unit.arm) for unit in units.values()], dtype=np.int64),
        np.array([silent or name in values for name in units], dtype=np.bool_),
    )


def _arm(arm: str, units: int, known: Floats, bounds: tuple[float, float], *, alpha: float) -> ArmSeen:
    low, high = bounds
    mean = mean_interval(mass_of(known, low=low, high=high), alpha=alpha, low=low, high=high)
    exact = float(known.mean()) if len(known) else None
    return ArmSeen(arm=arm, units=units, known=len(known), mean=exact, low=mean.low, high=mean.high)


def _compared(
    arm: str, known: Mapping[str, Floats], plan: Plan, *, bounds: tuple[float, float], alpha: float
) -> Compared:
    terms = plan.terms
    new, old = known[arm], known[terms.control]
    low, high = bounds
    shares = terms.shares[arm], terms.shares[terms.control]
    seen = lift(
        mass_of(new, low=low, high=high),
        mass_of(old, low=low, high=high),
        share=shares[0] / sum(shares),
        alpha=alpha,
        planned=round(plan.planned * sum(shares)),
        low=low,
        high=high,
    )
    classic = welch(new, old, alpha=alpha)
    relative = seen.relative if seen.relative is not None and len(new) else None
    return Compared(
        arm=arm,
        difference=float(new.mean() - old.mean()) if len(new) and len(old) else None,
        low=seen.difference.low,
        high=seen.difference.high,
        lift=_finite(relative, 0),
        lift_low=_finite(relative, 1),
        lift_high=_finite(relative, 2),
        finding="open",
        classic_low=classic.low if isfinite(classic.low) else None,
        classic_high=classic.high if isfinite(classic.high) else None,
        p=classic.p,
    )


def _finite(interval: Interval | None, place: int) -> float | None:
    return interval[place] if interval is not None and isfinite(interval[place]) else None


def _split(units: Mapping[str, Unit], terms: Trial) -> Split:
    names = sorted(terms.arms)
    counts = dict.fromkeys(names, 0)
    for unit in units.values():
        counts[unit.arm] += 1
    seen, shares = list(counts.values()), [terms.shares[name] for name in names]
    return Split(units=counts, shares=dict(terms.shares), log_e=split_log(seen, shares), p=split_p(seen, shares))


def _brakes(split: Split, first: OutcomeSeen, terms: Trial) -> Iterator[Brake]:
    """What keeps everybody from concluding."""
    if split.log_e >= BRAKE:
        yield "split"
    if first.coverage >= BRAKE:
        yield "coverage"
    if min(arm.units for arm in first.arms) >= terms.least_units and not all(arm.known for arm in first.arms):
        yield "no_data"


def with_findings(outcome: OutcomeSeen, terms: Trial, *, brakes: tuple[Brake, ...]) -> OutcomeSeen:
    """The outcome with what its intervals prove, where enough is known and no brake is on."""
    known = {arm.arm: arm.known for arm in outcome.arms}

    def finding(one: Compared) -> Finding:
        if brakes:
            return "void"
        if min(known[one.arm], known[terms.control]) < terms.least_units or not (one.low > 0 or one.high < 0):
            return "open"
        return "better" if (one.low > 0) == (outcome.better == "higher") else "worse"

    return msgspec.structs.replace(
        outcome, compared=tuple(msgspec.structs.replace(one, finding=finding(one)) for one in outcome.compared)
    )


def stops(run: TrialRun, units: Mapping[str, Unit], first: OutcomeSeen, *, at: int) -> str:
    """The rule by which the trial ends now; empty when none does. With several arms it goes on until one is better, or
    all are worse."""
    terms, within = run.terms, run.terms.outcomes[0].within_us
    findings = {one.arm: one.finding for one in first.compared}
    winners = [arm for arm, finding in findings.items() if finding == "better"]
    if winners:
        return f"{', '.join(winners)} is proven better than {terms.control}"
    if all(finding == "worse" for finding in findings.values()):
        return f"{', '.join(findings)} is proven worse than {terms.control}"
    last = max((unit.at for unit in units.values()), default=0)
    if terms.most_units and len(units) >= terms.most_units and last + within <= at:
        return f"{terms.most_units:,} units were assigned, and their time has passed"
    if terms.most_us and run.started + terms.most_us + within <= at:
        return "its time is over, and that of everybody in it"
    return ""
