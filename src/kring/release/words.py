"""What the judgement of a rollout says to somebody who was woken by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import exp
from typing import Final

from kring.record.progress import Progress, Standing
from kring.record.rollout import Terms
from kring.release.guardrails import is_smoke, last_step, margin_at, margin_name, units_to_prove

HUGE: Final = 20.0
"""log e from which on the number itself tells nobody anything."""


def told_e(log_e: float) -> str:
    """An e-value in words that fit its size."""
    if log_e >= HUGE:
        return "more than a hundred million"
    return f"{exp(log_e):,.0f}" if log_e > 3 else f"{exp(log_e):.2g}"


def told_step(terms: Terms, *, step: int) -> str:
    if not step:
        return "shadow"
    return f"{step} %" if step <= last_step(terms) else "full traffic"


def told_guilty(standings: Sequence[Standing], progress: Progress, terms: Terms, *, guilty: Collection[str]) -> str:
    """Why the version is rolled back, guardrail by guardrail."""
    each = "; ".join(_harm(one, progress, terms) for one in standings if one.name in guilty)
    return (
        f"{each}. A version that is no worse gets so far in at most {terms.alpha * 100:g} of 100 rollouts,"
        " however long and often one looks"
    )


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
    return (
        f"every guardrail is proven at {at}; a version that is at its limit gets so far"
        f" in at most {terms.beta * 100:g} of 100 rollouts"
    )


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
        rate = standing.new_bad / standing.new_units if standing.new_units else 0.0
    else:
        claim = f"proof that it is less than {margin_name(margin_at(terms, step=step))} times as bad"
        units = standing.new_units + standing.old_units
        rate = (standing.new_bad + standing.old_bad) / units if units else 0.0
    return f"{standing.name}: {claim} {stands}; {_more(standing, terms, step=step, rate=rate)}"


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
