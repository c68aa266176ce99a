"""A rollout in words for somebody who was woken by it: what happens, how sure that is, what is missing, what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from math import exp, log
from pathlib import Path
from typing import Final

import msgspec

from kring.charts.versions import roles_of
from kring.charts.words import moment
from kring.errors import NotFound
from kring.flow import history
from kring.flow.operating.operator import LEASE
from kring.flow.operator.driving import judgement
from kring.flow.operator.moment import Moment
from kring.flow.operator.rollouts import FULL, braking, stage_of
from kring.flow.project import Project
from kring.record.operator import OperatorState
from kring.record.progress import Judged, Progress
from kring.record.rollout import Pointer, Rollout, Terms, UnitKind
from kring.release.words import told_e

FEW_HOURS: Final = 48
HOUR_US: Final = 3_600_000_000
GRACE_US: Final = HOUR_US
"""An operator that runs judges far sooner than this after the time of a step."""

OPERATE: Final = "kring operate "
ENDED: Final = ("done", "rolled_back", "aborted")


class GuardrailShown(msgspec.Struct, frozen=True, kw_only=True):
    """Where one guardrail stands. E-values, each with the line at which it counts: `harm` that the new version is
    worse, `proof` that it is safe."""

    name: str
    route: str
    new_bad: int
    new_units: int
    old_bad: int
    old_units: int
    harm: float
    harm_line: float
    proof: float
    proof_line: float


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    at: int
    state: str
    step: int
    reason: str
    actor: str


class RolloutShown(msgspec.Struct, frozen=True, kw_only=True):
    """All of it as it is `at` a moment: `headline` in a sentence, then who answers, how sure it is, what is missing to
    go on, what to do: sentences, and commands that begin with two blanks. `roles` say what each version is."""

    system: str
    rollout: Rollout
    pointer: Pointer
    headline: str
    answers: str
    sure: tuple[str, ...]
    missing: tuple[str, ...]
    todo: tuple[str, ...]
    guardrails: tuple[GuardrailShown, ...]
    harm: float
    harm_line: float
    brakes: tuple[str, ...]
    paired_rows: int
    transitions: tuple[Transition, ...]
    at: int = 0
    roles: dict[str, str] = {}


def show(project: Project) -> RolloutShown:
    """The newest rollout of the system; `NotFound` before the first."""
    with project.ledger() as ledger:
        state = history.newest_with(ledger, OperatorState, LEASE)
        rollout = state.rollout if state else None
        if state is None or rollout is None or state.pointer is None:
            raise NotFound(
                f"{project.system.name} has no rollout yet",
                next=f"kring go {project.folder.name} brings the first version",
            )
        moves = [one for one in history.all_of(ledger, Rollout) if one.id == rollout.id]
    at_work = Moment(project.system, project.clock.now())
    found = judged_now(at_work, state, rollout)
    return RolloutShown(
        system=project.system.name,
        rollout=rollout,
        pointer=state.pointer,
        headline=headline(rollout, found),
        answers=who_answers(state.pointer, rollout),
        sure=tuple(how_sure(rollout, state, found)),
        missing=tuple(what_is_missing(rollout, found, now=at_work.now)),
        todo=tuple(what_to_do(at_work, state, rollout, folder=typed(project.folder))),
        guardrails=tuple(_guardrails(found)),
        harm=number(found.harm) if found else 1.0,
        harm_line=number(found.harm_line) if found else 1.0,
        brakes=braking(at_work, state) if rollout.state not in ENDED else (),
        paired_rows=state.progress.paired_rows if state.progress else 0,
        transitions=tuple(
            Transition(at=one.at, state=one.state, step=one.step, reason=one.reason, actor=one.actor) for one in moves
        ),
        at=at_work.now,
        roles=roles_of(state.pointer, rollout),
    )


def judged_now(at_work: Moment, state: OperatorState, rollout: Rollout) -> Judged | None:
    """What the tests say at the step it is at; None where nothing was tested."""
    stage = stage_of(rollout)
    at = {"shadow": 0, "step": rollout.step}.get(stage, FULL)
    if rollout.terms is not None and stage in ("promoted", "baking", "done") and not rollout.terms.holdback:
        return None
    return judgement(state, rollout, step=at, brakes=braking(at_work, state) if rollout.state not in ENDED else ())


def headline(rollout: Rollout, found: Judged | None) -> str:
    """One sentence: which version, what happens to it, since when."""
    version, since = rollout.version, f"since {moment(rollout.since)}"
    if rollout.state == "held":
        stage = {"shadow": "in shadow", "step": f"at {rollout.step} % of the traffic"}.get(stage_of(rollout), "baking")
        return f"{version} WAITS {stage}, {since}: {rollout.reason}"
    if rollout.state in ("rolled_back", "rolling_back"):
        who = "by a person" if rollout.actor != "operator" else "by proof"
        return f"{version} was ROLLED BACK {who} at {moment(rollout.at)}: {rollout.reason}"
    if rollout.state == "aborted":
        return f"{version} was given up at {moment(rollout.at)}: {rollout.reason}"
    if rollout.state == "done":
        return f"{version} is released and answers everything, {since}"
    fine = "nothing speaks against it so far" if found is None or found.verdict != "roll_back" else "harm is proven"
    stage = {
        "shadow": "is asked beside the live version, and nobody is told what it says",
        "step": f"answers {rollout.step} % of the traffic",
        "baking": "answers and bakes",
    }.get(rollout.state, f"is at {rollout.state}")
    return f"{version} {stage}, {since}; {fine}"


def who_answers(pointer: Pointer, rollout: Rollout) -> str:
    """Which version answers which share now."""
    if not pointer.canary:
        before = f" Before it answered {pointer.previous}." if pointer.previous else ""
        return f"{pointer.live} answers everything.{before}"
    new = "the new one" if pointer.canary == rollout.version else "the one before it"
    return f"{pointer.live} answers {100 * (1 - pointer.share):.3g} %; {new}, {pointer.canary}, the rest."


def how_sure(rollout: Rollout, state: OperatorState, found: Judged | None) -> Iterator[str]:
    """What the e-values mean, in numbers that can be acted on."""
    terms, progress = rollout.terms, state.progress
    if stage_of(rollout) == "shadow" and state.shadow is not None:
        said = state.shadow
        yield (
            f"Of {said.rows:,} rows put to both, {said.agreement:.1%} were decided alike; their answers lie"
            f" {said.mean_difference:.3f} apart on average; {said.failures:,} were not answered."
        )
    if terms is None or progress is None or found is None:
        yield "Nothing was tested by traffic: there is no version before it, or no share was left to it."
        return
    if stage_of(rollout) != "shadow":
        is_over = rollout.state in ENDED
        yield f"Units are compared, new against old: a unit is {UNITS[terms.unit]}, and bad when one of them is."
        yield (
            f"Evidence of harm {'stood at the end' if is_over else 'stands'} at {told_e(found.harm)}, where 1 is none;"
            f" at {told_e(found.harm_line)} a version is rolled back by itself. One that is no worse comes to that in"
            f" at most {terms.alpha * 100:g} of 100 rollouts, however often one looks."
        )
        yield (
            f"Evidence of safety counts for a guardrail at {told_e(-log(terms.beta))}; a version beyond its limit"
            f" gets past all of them in at most {terms.beta * 100:g} of 100 rollouts."
        )
    yield from _paired(terms, progress)


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


def what_is_missing(rollout: Rollout, found: Judged | None, *, now: int) -> Iterator[str]:
    """What has to come before it goes on."""
    terms = rollout.terms
    if rollout.state in ENDED:
        return
    yield from found.missing if found is not None and stage_of(rollout) != "baking" else ()
    if terms is None:
        return
    stage = stage_of(rollout)
    wait = {"shadow": terms.shadow_us, "baking": terms.bake_us}.get(stage, 0)
    left = rollout.since + wait - now
    if wait and left > 0 and rollout.state != "held":
        yield f"time: {span(left)} are left of its {'shadow' if stage == 'shadow' else 'bake'}"
    if rollout.state == "held":
        return
    ends = deadline(rollout)
    if is_forgotten(rollout, now=now):
        yield f"an operator: its time was over {moment(ends)}, and nobody has judged it since. None seems to run."
    else:
        yield f"Without proof by {moment(ends)} it is held, and a person decides."


def deadline(rollout: Rollout) -> int:
    """When it is held if nothing is proven; 0 where it has no tests, or no end."""
    terms = rollout.terms
    if terms is None or rollout.state not in ("shadow", "step", "baking"):
        return 0
    wait = {"shadow": terms.shadow_us, "baking": terms.bake_us}.get(rollout.state, 0)
    return rollout.since + wait + terms.step_us


def is_forgotten(rollout: Rollout, *, now: int) -> bool:
    """Whether its time is over, and no operator has held it."""
    return deadline(rollout) > 0 and deadline(rollout) + GRACE_US < now


def what_to_do(at_work: Moment, state: OperatorState, rollout: Rollout, *, folder: str) -> Iterator[str]:
    """The commands that make sense now, with what they do."""
    stage = stage_of(rollout)
    if rollout.state in ("rolled_back", "aborted"):
        live = state.pointer.live if state.pointer else "the live version"
        yield f"The rollout needs nothing: it is over, and {live} answers everything."
        yield from _ringing(state, folder)
        return
    if rollout.state == "done":
        yield "The rollout needs nothing: it is over."
        yield from _ringing(state, folder)
        if state.pointer is not None and state.pointer.previous:
            yield from _command("If the version must go all the same", f"kring rollback {folder} --reason '…'")
        else:
            yield "There is no version before it to go back to."
        return
    if rollout.state == "held":
        on = braking(at_work, state)
        if on:
            yield f"First: {'; '.join(CURES[brake] for brake in on)}."
        yield from _command(
            "To go on where it stands, with the same evidence and new time", f"kring resume {folder} --reason '…'"
        )
        if stage not in ("promoted", "baking"):
            yield from _command("To give the version up; the live one answers on", f"kring abort {folder} --reason '…'")
    else:
        if is_forgotten(rollout, now=at_work.now):
            yield from _command(
                "First let it be operated again, until then it goes neither on nor back", OPERATE + folder
            )
        else:
            yield "Nothing: it goes on, or back, by itself."
        yield from _command("To keep it where it is until somebody has looked", f"kring hold {folder} --reason '…'")
    back = "the version before it answers again" if stage in ("promoted", "baking") else "the new one answers nothing"
    yield from _command(f"To go back at once: {back}", f"kring rollback {folder} --reason '…'")
    if state.alarms:
        yield from _ringing(state, folder)


def _command(what: str, command: str) -> Iterator[str]:
    """What a command is for, and on a line of its own the command as it can be typed."""
    yield f"{what}:"
    yield f"  {command}"


def _ringing(state: OperatorState, folder: str) -> Iterator[str]:
    """What is open beside the rollout."""
    open_ = [alarm for alarm in state.alarms if alarm.state != "resolved"]
    pages = sum(alarm.tier == "page" for alarm in open_)
    urgent = f", {pages} of them urgent" if pages else ""
    many = "1 alarm of the system is" if len(open_) == 1 else f"{len(open_)} alarms of the system are"
    what = f"{many} open{urgent}" if open_ else "No alarm of the system is open; what rang before"
    yield from _command(what, f"kring alarms {folder}{'' if open_ else ' --all'}")


def typed(folder: Path) -> str:
    """A folder as it can be typed in a shell where one stands."""
    whole, here = folder.resolve(), Path.cwd()
    return shlex.quote(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))


UNITS: Final[dict[UnitKind, str]] = {
    "subject_day": "all requests about one subject on one day",
    "subject": "all requests about one subject",
    "request": "one request",
}

CURES: Final[dict[str, str]] = {
    "no_data": "see that requests arrive and the operator runs (kring status)",
    "split": "the router does not split as planned: give this rollout up, find out why, release again",
    "coverage": "outcomes come unevenly: give this rollout up, mend how they are reported, release again",
    "clock": "set the machine's clock right",
    "read_only": "make room on the disk, or mend what the server says about it",
    "config_changed": "put [rollout] and [gate] of kring.toml back as they were, or give it up and release again",
}


def _guardrails(found: Judged | None) -> Iterator[GuardrailShown]:
    for one in found.standings if found else ():
        yield GuardrailShown(
            name=one.name,
            route=one.route,
            new_bad=one.new_found,
            new_units=one.new_seen,
            old_bad=one.old_found,
            old_units=one.old_seen,
            harm=number(one.harm),
            harm_line=number(one.harm_line),
            proof=number(one.proof),
            proof_line=number(one.proof_line),
        )


def number(log_e: float) -> float:
    """An e-value of its logarithm, as far as a float goes."""
    return exp(min(log_e, 700.0))


def span(us: int) -> str:
    hours = us / HOUR_US
    return f"{hours:.0f} hours" if hours < FEW_HOURS else f"{hours / 24:.0f} days"
