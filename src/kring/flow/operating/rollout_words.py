"""A rollout in sentences for somebody who was woken by it: what happens, how sure that is, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from typing import Final

from kring.charts.words import moment
from kring.flow.operating.leading import Led
from kring.flow.operator.driving import TRANSIENT
from kring.flow.operator.rollouts import FULL, is_canary
from kring.record.operator import OperatorState
from kring.record.progress import Judged, Progress
from kring.record.rollout import Pointer, Rollout, Terms, UnitKind
from kring.release.brakes import WORDS
from kring.release.words import UNITS, told_e, told_lacking, told_odds

FEW_HOURS: Final = 48
HOUR_US: Final = 3_600_000_000
ENDED: Final = ("done", "rolled_back", "aborted")

COUNTED_PER: Final[dict[UnitKind, str]] = {
    "subject_day": "subject and day, all its requests of a day together",
    "subject": "subject, all its requests together",
    "request": "request",
}
BAD: Final[dict[str, str]] = {
    "error": "failed",
    "fallback": "got a stand-in's answer",
    "contract": "broke the contract",
    "abstention": "got no decision",
    "latency": "took longer than its limit",
    "cost": "cost more than its limit",
    "outcome": "turned out badly",
}
"""What makes a unit bad, by the kind of a guardrail."""


def unit_name(terms: Terms | None) -> str:
    return UNITS.get(terms.unit, "units") if terms else "units"


def stage_began(rollout: Rollout, moves: Sequence[Rollout]) -> int:
    """When it came to the stage at which it is, or is held, by all its `moves` in their order; 0 where none is known.
    Held and resumed it is at the same stage still."""
    began = 0
    for one in reversed(moves):
        if (one.stage, one.step) != (rollout.stage, rollout.step):
            break
        began = one.at
    return began


def headline(rollout: Rollout, found: Judged | None, *, led: Led, began: int = 0) -> str:
    """One sentence: which version, what happens to it, since when, and whether anybody watches it. Of one that is held
    also when the stage `began` at which it waits."""
    version, since = rollout.version, f"since {moment(rollout.since)}"
    if rollout.state in (*ENDED, "rolling_back"):
        return _ended(rollout)
    if rollout.state == "held":
        stage = {"shadow": "in shadow", "step": f"at {rollout.step} % of the traffic"}
        there = f" (there since {moment(began)})" if began else ""
        where = f"{stage.get(rollout.stage, 'at full traffic')}{there}"
        said = f"{version} WAITS {where}, held {since}: {rollout.reason}"
        return said if led.now else f"{said}; and NOBODY WATCHES IT: {led.why_not}"
    stage = {
        "shadow": "is asked beside the live version, and nobody is told what it says",
        "step": f"answers {rollout.step} % of the traffic",
        "baking": "answers all that its rollout leaves to it",
    }
    does = f"{version} {stage.get(rollout.state, f'is at {rollout.state}')}"
    if not led.now:
        back = ". It would not go back by itself" if rollout.state != "shadow" else ""
        return f"{does} and NOBODY WATCHES IT: {led.why_not}{back}"
    if found is None:
        return f"{does}, {since}"
    return f"{does}, {since}; {'harm is proven' if found.verdict == 'roll_back' else 'no harm is found so far'}"


def _ended(rollout: Rollout) -> str:
    """How a rollout ended, and when."""
    if rollout.state == "done":
        return f"{rollout.version} is released and answers everything, since {moment(rollout.since)}; {rollout.reason}"
    who = f"by {rollout.actor}" if rollout.actor != "operator" else "by itself"
    how = "given up" if rollout.state == "aborted" else "ROLLED BACK"
    return f"{rollout.version} was {how} {who} at {moment(rollout.at)}: {rollout.reason}"


def who_answers(pointer: Pointer, rollout: Rollout, *, led: Led) -> Iterator[str]:
    """Which version answers which share now, and what goes on while it waits."""
    if not pointer.canary:
        before = f" Before that, {pointer.previous} answered everything." if pointer.previous else ""
        yield f"{pointer.live} answers everything.{before}"
    else:
        new = "the new one" if pointer.canary == rollout.version else "the one before it"
        share = 100 * pointer.share
        yield f"{pointer.live} answers {100 - share:.3g} %; {new}, {pointer.canary}, the other {share:.3g} %."
    if rollout.state == "held":
        yield _waiting(pointer, rollout, led=led)


def _waiting(pointer: Pointer, rollout: Rollout, *, led: Led) -> str:
    """What goes on while it is held."""
    version = rollout.version
    if version not in (pointer.live, pointer.canary):
        return f"While it waits {version} answers nobody."
    goes = f"While it waits {version} still answers its share and gets no more"
    back = "if harm is proven it still goes back by itself"
    if "no_data" in rollout.brakes:
        back = "without data no harm can be proven either, so it would not go back by itself"
    if not led.now:
        back = "it would not go back by itself, since no operator runs"
    if rollout.terms is None or (rollout.stage != "step" and not rollout.terms.holdback):
        back = "it is compared with nothing, so it would not go back by itself"
    on = "until somebody resumes it"
    if rollout.brakes and TRANSIENT.issuperset(rollout.brakes):
        on = f"until this is over: {'; '.join(WORDS[brake] for brake in rollout.brakes)}"
    return f"{goes}, {on}; {back}."


def how_sure(rollout: Rollout, state: OperatorState, found: Judged | None, *, led: Led) -> Iterator[str]:
    """What the e-values mean, in numbers that can be acted on."""
    terms, progress = rollout.terms, state.progress
    if rollout.stage == "shadow" and state.shadow is not None:
        said = state.shadow
        yield (
            f"Of {said.rows:,} rows put to both, {said.agreement:.1%} were decided alike; their answers lie"
            f" {said.mean_difference:.3f} apart on average; {said.failures:,} were not answered."
        )
    if terms is None or progress is None or found is None:
        yield "Nothing was tested by traffic: there is no version before it, or no share was left to it."
        return
    if rollout.stage != "shadow":
        last = state.sealed.at if state.sealed else 0
        yield from _tested(rollout, terms, found, last=last, led=led)
    yield from _paired(terms, progress)


def _tested(rollout: Rollout, terms: Terms, found: Judged, *, last: int, led: Led) -> Iterator[str]:
    """What was counted up to the `last` look, and what follows from which number."""
    is_over = rollout.state in ENDED
    until = f" to {moment(last)}, the last look" if last else ""
    bad = [f"{BAD[one.kind]} ({one.name})" for one in terms.guardrails if one.route != "paired"]
    yield (
        f"Counted per {COUNTED_PER[terms.unit]}, over all steps, from {moment(terms.at)}{until}. Bad is what"
        f" {' or '.join(bad)}."
    )
    harm = "Evidence of harm" if len(found.standings) == 1 else "Evidence of harm, the mean over the guardrails,"
    alone = "" if is_over or led.now else ", but only while an operator runs"
    yield (
        f"{harm} {'stood at the end' if is_over else 'stands'} at {told_e(found.harm)}: 1 is none, at"
        f" {told_e(found.harm_line)} a version is rolled back by itself{alone}; {told_odds(terms)}."
    )
    yield (
        f"Evidence of safety proves a guardrail at {told_e(-log(terms.beta))}; a version that is beyond a limit gets"
        f" past all of them in at most {terms.beta * 100:g} of 100 rollouts."
    )


def _paired(terms: Terms, progress: Progress) -> Iterator[str]:
    if not any(guardrail.route == "paired" for guardrail in terms.guardrails):
        return
    rows = progress.paired_rows
    if not rows:
        yield "No row that both versions judged has an outcome yet."
        return
    mean = progress.paired_worse / rows
    yield (
        f"On {rows:,} rows that both versions judged and whose outcome is known, the new one was"
        f" {'worse' if mean > 0 else 'better'} by {abs(mean):.2%} of the largest loss on average. What has to be proven"
        f" is that it is not worse by {terms.delta:.1%} or more; when it is proven that it is, it is given up at once."
    )


def what_is_missing(
    rollout: Rollout, found: Judged | None, progress: Progress | None, *, now: int, led: Led
) -> Iterator[str]:
    """What has to come before it goes on."""
    terms = rollout.terms
    if rollout.state in ENDED:
        return
    if not led.now:
        yield f"somebody to judge it: {led.why_not}"
    stage = rollout.stage
    if terms is None:
        return
    if found is not None and progress is not None and stage != "baking":
        yield from told_lacking(found, progress, terms, step={"shadow": 0, "step": rollout.step}.get(stage, FULL))
    if rollout.state == "held" or not led.now:
        return
    wait = {"shadow": terms.shadow_us, "baking": terms.bake_us}.get(stage, 0)
    left = rollout.since + wait - now
    if wait and left > 0:
        yield f"time: {span(left)} are left of its {'shadow' if stage == 'shadow' else 'time at full traffic'}"
    ends = deadline(rollout)
    if ends > now:
        yield f"Without proof by {moment(ends)} it is held, and a person decides."
    elif ends:
        yield f"Its time was over {moment(ends)}: the next look of an operator holds it, unless there is proof."


def deadline(rollout: Rollout) -> int:
    """When it is held if nothing is proven; 0 where it has no tests, or no end."""
    terms = rollout.terms
    if terms is None or rollout.state not in ("shadow", "step", "baking"):
        return 0
    if rollout.state == "baking" and not terms.holdback:
        return 0
    wait = {"shadow": terms.shadow_us, "baking": terms.bake_us}.get(rollout.state, 0)
    return rollout.since + wait + terms.step_us


def ways_back(pointer: Pointer | None, rollout: Rollout, *, led: Led, closed: str = "") -> Iterator[tuple[str, str]]:
    """The commands that end what is not over, each with what it does to traffic; no way back to the version before
    where that is `closed`."""
    live = pointer.live if pointer else "the live version"
    previous = pointer.previous if pointer and not closed else ""
    stage = rollout.stage
    alone = "" if led.now else "; it works without an operator"
    if stage in ("promoted", "baking"):
        if previous:
            yield f"To go back at once, {previous} answers everything again{alone}", "rollback"
        return
    if is_canary(rollout):
        yield f"To end it at once, {live} answers everything (if unsure, this one{alone})", "rollback"
        yield "The same for traffic, but recorded as given up and not as taken back", "abort"
        return
    yield f"To end it, {live} answers on as it does", "abort"
    if previous:
        yield f"To end it and go back behind {live} as well, {previous} answers everything", "rollback"


def span(us: int) -> str:
    hours = us / HOUR_US
    return f"{hours:.0f} hours" if hours < FEW_HOURS else f"{hours / 24:.0f} days"
