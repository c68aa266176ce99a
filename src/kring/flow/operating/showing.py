"""A rollout in words for somebody who was woken by it: what happens, how sure that is, what is missing, what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from math import exp
from pathlib import Path
from typing import Final

import msgspec

from kring.charts.versions import roles_of
from kring.errors import NotFound
from kring.flow import history
from kring.flow.operating.leading import Led, led
from kring.flow.operating.rollout_words import (
    ENDED,
    headline,
    how_sure,
    stage_began,
    unit_name,
    ways_back,
    what_is_missing,
    who_answers,
)
from kring.flow.operator.driving import judgement
from kring.flow.operator.moment import Moment
from kring.flow.operator.rollouts import FULL, braking
from kring.flow.project import Project
from kring.flow.verifying import no_way_back
from kring.record.operator import OperatorState
from kring.record.progress import Judged
from kring.record.rollout import Brake, Pointer, Rollout
from kring.release.words import told_limit

OPERATE: Final = "kring operate "


class GuardrailShown(msgspec.Struct, frozen=True, kw_only=True):
    """Where one guardrail stands. E-values, each with the line at which it counts: `harm` that the new version is
    worse, `proof` that it is safe: that it keeps the `limit`."""

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
    limit: str = ""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    at: int
    state: str
    step: int
    reason: str
    actor: str


class RolloutShown(msgspec.Struct, frozen=True, kw_only=True):
    """All of it as it is `at` a moment: `headline` in a sentence, then who answers, how sure it is, what is missing to
    go on, what to do: sentences, and commands that begin with two blanks. `roles` say what each version is, `units`
    what is counted, `operator` whether one runs."""

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
    units: str = "units"
    operator: Led = Led()


def show(project: Project) -> RolloutShown:
    """The newest rollout of the system; `NotFound` before the first."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
        rollout = state.rollout if state else None
        if state is None or rollout is None or state.pointer is None:
            raise NotFound(
                f"{project.system.name} has no rollout yet",
                next=f"kring go {typed(project.folder)} brings the first; it answers once the gate lets it pass",
            )
        moves = [one for one in history.all_of(ledger, Rollout) if one.id == rollout.id]
        leader = led(ledger, now=project.clock.now())
        closed = no_way_back(project, ledger, state.pointer)
    at_work = Moment(project.system, project.clock.now())
    found = judged_now(at_work, state, rollout)
    return RolloutShown(
        system=project.system.name,
        rollout=rollout,
        pointer=state.pointer,
        headline=headline(rollout, found, led=leader, began=stage_began(rollout, moves)),
        answers=" ".join(who_answers(state.pointer, rollout, led=leader)),
        sure=tuple(how_sure(rollout, state, found, led=leader)),
        missing=tuple(what_is_missing(rollout, found, state.progress, now=at_work.now, led=leader)),
        todo=tuple(what_to_do(at_work, state, rollout, led=leader, folder=typed(project.folder), closed=closed)),
        guardrails=tuple(_guardrails(found, rollout)),
        units=unit_name(rollout.terms),
        harm=number(found.harm) if found else 1.0,
        harm_line=number(found.harm_line) if found else 1.0,
        brakes=braking(at_work, state) if rollout.state not in ENDED else (),
        paired_rows=state.progress.paired_rows if state.progress else 0,
        transitions=tuple(
            Transition(at=one.at, state=one.state, step=one.step, reason=one.reason, actor=one.actor) for one in moves
        ),
        at=at_work.now,
        operator=leader,
        roles=roles_of(state.pointer, rollout),
    )


def judged_now(at_work: Moment, state: OperatorState, rollout: Rollout) -> Judged | None:
    """What the tests say at the step it is at; None where nothing was tested."""
    stage = rollout.stage
    at = {"shadow": 0, "step": rollout.step}.get(stage, FULL)
    if rollout.terms is not None and stage in ("promoted", "baking", "done") and not rollout.terms.holdback:
        return None
    return judgement(state, rollout, step=at, brakes=braking(at_work, state) if rollout.state not in ENDED else ())


def what_to_do(
    at_work: Moment, state: OperatorState, rollout: Rollout, *, led: Led, folder: str, closed: str = ""
) -> Iterator[str]:
    """The commands that make sense now, with what they do. `closed` is what keeps the version before from answering
    again."""
    if rollout.state in ("rolled_back", "aborted"):
        live = state.pointer.live if state.pointer else "the live version"
        yield f"The rollout needs nothing: it is over, and {live} answers everything."
        yield from _ringing(state, folder)
        return
    if rollout.state == "done":
        yield "The rollout needs nothing: it is over."
        yield from _ringing(state, folder)
        yield from _way_back(state.pointer.previous if state.pointer is not None else "", folder, closed=closed)
        return
    if not led.now:
        yield from _command(
            "To have it judged, start an operator: until then it goes neither on nor back. This one stays in the"
            " foreground until Ctrl-C; kring serve does the same beside its answers",
            OPERATE + folder,
        )
    if rollout.state == "held":
        yield from _going_on(braking(at_work, state), led=led, folder=folder)
    else:
        if led.now:
            yield "Nothing: it goes on, or back, by itself."
        yield from _command(
            "To keep it where it is until somebody has looked; it still answers",
            f"kring hold {folder} --reason '…'",
        )
    for what, command in ways_back(state.pointer, rollout, led=led, closed=closed):
        yield from _command(what, f"kring {command} {folder} --reason '…'")
    if closed and rollout.stage in ("promoted", "baking"):
        yield f"There is no way back now: {closed}"
    if state.alarms:
        yield from _ringing(state, folder)


def _going_on(on: tuple[Brake, ...], *, led: Led, folder: str) -> Iterator[str]:
    """What lets a rollout that is held go on, once what pulls the brakes that are `on` is seen to."""
    if on:
        yield f"{'First' if led.now else 'Then'}: {'; '.join(CURES[brake] for brake in on)}."
    if "no_data" in on:
        yield from _command("To see when somebody last asked (the line decisions)", f"kring status {folder}")
    yield from _command(
        "To go on where it stands, with the same evidence and new time", f"kring resume {folder} --reason '…'"
    )


def _way_back(previous: str, folder: str, *, closed: str) -> Iterator[str]:
    """To the version before the one that is released, if there is one that can answer again."""
    if closed and previous:
        yield f"There is no way back to {previous} now: {closed}"
    elif previous:
        yield from _command(f"To go back to {previous} anyway", f"kring rollback {folder} --reason '…'")
    else:
        yield "There is no version before it to go back to."


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


CURES: Final[dict[str, str]] = {
    "no_data": "see that requests arrive",
    "split": "the router does not split as planned: give this rollout up, find out why, release again",
    "coverage": "outcomes come unevenly: give this rollout up, mend how they are reported, release again",
    "clock": "set the machine's clock right",
    "read_only": "make room on the disk, or mend what the server says about it",
    "config_changed": "put [rollout] and [gate] of kring.toml back as they were, or give it up and release again",
}


def _guardrails(found: Judged | None, rollout: Rollout) -> Iterator[GuardrailShown]:
    step = {"shadow": 0, "step": rollout.step}.get(rollout.stage, rollout.step or FULL)
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
            limit=told_limit(one.route, rollout.terms, step=step) if rollout.terms else "",
        )


def number(log_e: float) -> float:
    """An e-value of its logarithm, as far as a float goes."""
    return exp(min(log_e, 700.0))
