"""What the judgement of a rollout says to somebody who was woken by it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import exp, log
from typing import Final

from kring.record.progress import Judged, Progress, Standing
from kring.record.rollout import Route, Terms, UnitKind
from kring.release.guardrails import is_smoke, last_step, margin_at, margin_name, new_units, units_to_prove

HUGE: Final = 1e8
"""An e-value from which on the number itself tells nobody anything."""


UNITS: Final[dict[UnitKind, str]] = {"request": "requests"}
"""What units are called where they have a name that says more."""


def told_e(log_e: float) -> str:
    """An e-value in words that fit its size."""
    if log_e >= log(HUGE):
        return "more than a hundred million"
    return f"{exp(log_e):,.0f}" if log_e > 3 else f"{exp(log_e):.2g}"


def told_step(terms: Terms, *, step: int) -> str:
    if not step:
        return "shadow"
    return f"{step} %" if step <= last_step(terms) else "full traffic"


def told_guilty(standings: Sequence[Standing], progress: Progress, terms: Terms, *, guilty: Collection[str]) -> str:
    """Why the version is rolled back, guardrail by guardrail."""
    return "; ".join(_harm(one, progress, terms) for one in standings if one.name in guilty)


def told_odds(terms: Terms) -> str:
    """How rarely a rollback is wrong."""
    return f"a version that is no worse comes to that in at most {terms.alpha * 100:g} of 100 rollouts"


def _harm(one: Standing, progress: Progress, terms: Terms) -> str:
    """What one guardrail shows: bad units of both versions, or the same rows judged by both."""
    if one.route == "paired":
        return (
            f"{one.name} got worse: on {progress.paired_rows:,} rows that both versions judged the new one was worse by"
            f" {progress.paired_worse / max(progress.paired_rows, 1):.2%} of the largest loss on average, and it may be"
            f" by {terms.delta:.2%}"
        )
    return (
        f"{one.name} got worse: {one.new_found:,} bad of {one.new_seen:,} units of the new version,"
        f" {one.old_found:,} of {one.old_seen:,} of the old one"
    )


def told_waiting(missing: int, *, terms: Terms, step: int) -> str:
    return f"nothing speaks against it at {told_step(terms, step=step)}, and proof lacks in {missing} of its points"


def told_proven(terms: Terms, *, step: int) -> str:
    """Why the version may go on."""
    at = told_step(terms, step=step)
    if step > last_step(terms):
        return f"nothing speaks against it at {at}"
    if is_smoke(terms, step=step):
        return f"no smoke at {at}"
    return f"every guardrail is proven at {at}"


def told_missing(standing: Standing, progress: Progress, terms: Terms, *, step: int) -> str:
    """What one guardrail lacks: its e-value against its line, and about how many units more that takes."""
    stands = f"stands at {told_e(standing.proof)} of {told_e(standing.proof_line)}"
    if standing.route == "paired":
        return (
            f"{standing.name}: proof that it is worse by less than {terms.delta:.2%} of the largest loss {stands}"
            f" after {progress.paired_rows:,} shadowed rows"
        )
    if standing.route == "absolute":
        claim = f"proof that fewer than {terms.floor:.2%} of the new version's units are bad"
    else:
        claim = f"proof that it is less than {margin_name(margin_at(terms, step=step))} times as bad"
    return f"{standing.name}: {claim} {stands}; {_more(standing, terms, step=step, rate=bad_rate(standing))}"


def told_limit(route: Route, terms: Terms, *, step: int) -> str:
    """What has to be proven of a guardrail, in a few words."""
    if route == "paired":
        return f"worse by under {100 * terms.delta:g} %"
    if route == "absolute":
        return f"under {100 * terms.floor:g} % bad"
    return f"under {margin_name(margin_at(terms, step=step))} times as bad"


def told_lacking(found: Judged, progress: Progress, terms: Terms, *, step: int) -> Iterator[str]:
    """What lacks to advance from `step`, for people: one number of units, and whatever has no number."""
    name = UNITS.get(terms.unit, "units")
    needs: list[tuple[int, str]] = []
    if step:
        least = terms.smoke_units if is_smoke(terms, step=step) else terms.min_units
        there = new_units(progress, terms, step=step)
        needs += [(least - there, f"{there:,} of {least:,} were counted there")] if there < least else []
    others: list[str] = []
    judged = step <= last_step(terms) and not is_smoke(terms, step=step)
    for one in found.standings if judged else ():
        if one.proof >= one.proof_line or not (step or one.route == "paired"):
            continue
        more = None
        if one.route != "paired" and one.new_units:
            more = units_to_prove(one.route, terms=terms, step=step, rate=bad_rate(one), so_far=one.proof)
        if more is None:
            others.append(told_missing(one, progress, terms, step=step))
        else:
            needs.append((more, f"to prove that {one.name} keeps its limit takes about {more:,}"))
    if needs:
        most = max(needs)[0]
        why = "; ".join(said for _, said in needs)
        yield f"about {most:,} more {name} answered by the new version at {told_step(terms, step=step)} ({why})"
    yield from others
    if judged and not found.standings:
        yield "a guardrail: without one nothing can be proven"


def bad_rate(standing: Standing) -> float:
    """The share of units that are bad: of the new version where it is held against a limit, else of both."""
    old = standing.route != "absolute"
    units = standing.new_units + old * standing.old_units
    return (standing.new_bad + old * standing.old_bad) / units if units else 0.0


def _more(standing: Standing, terms: Terms, *, step: int, rate: float) -> str:
    """How far it is, at the rate of bad units so far."""
    if not standing.new_units:
        what = "outcome" if standing.name == "outcome" else "complete unit"
        return f"no {what} of the new version is known yet"
    more = units_to_prove(standing.route, terms=terms, step=step, rate=rate, so_far=standing.proof)
    if more is not None:
        return f"about {more:,} more units of the new version"
    if standing.route == "absolute":
        return (
            f"no end in sight: {rate:.2%} are bad so far, and this guardrail was declared by a limit instead of in"
            " comparison with the old version"
        )
    return "no end in sight: no unit of either version is bad so far, which leaves nothing to compare"
