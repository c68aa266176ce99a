"""Trials and flags, for programs: what users did, how a trial stands, and the kill switches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

import msgspec

from kring.api.exchange import Response
from kring.api.managed import Call, Managed, answer
from kring.api.outcomes import microseconds
from kring.errors import NotFound, UserError
from kring.flow.flags import FlagSeen, Switched, flags_of, switch_flag
from kring.flow.project import Project
from kring.flow.trials import report_outcomes, see_trial, trials_of
from kring.record.trial import TrialReported, TrialRun, TrialSeen, TrialTold

MOST: Final = 1000


class UserOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the unit, called as in the flag's targeting key, did by `at` (ISO 8601; now without it)."""

    unit: str
    outcome: str
    value: Any
    at: str = ""


class UserOutcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcomes: list[UserOutcome]


class UserOutcomesHeard(msgspec.Struct, frozen=True):
    """What came of each report, in their order."""

    outcomes: list[TrialTold]


class TrialView(msgspec.Struct, frozen=True, kw_only=True):
    """A trial with its terms, and how it stands."""

    run: TrialRun
    seen: TrialSeen


class FlagViews(msgspec.Struct, frozen=True):
    flags: list[FlagSeen]


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off, or on again, and why."""

    off: bool
    reason: str = ""


def outcomes(call: Call) -> Response:
    """What users of a trial did; what can't be believed is refused by itself."""
    said = call.read(UserOutcomes).outcomes
    if not 1 <= len(said) <= MOST:
        raise UserError("these are no reports", got=f"{len(said):,}", allowed=f"1 to {MOST:,}", key="outcomes")
    name = call.params["name"]
    project = system_with(call, name, "trial")
    reports = [
        TrialReported(unit=one.unit, outcome=one.outcome, value=one.value, at=microseconds(one.at)) for one in said
    ]
    return answer(UserOutcomesHeard(report_outcomes(project, name, reports, source=call.principal.name)))


def trial(call: Call) -> Response:
    """How a trial stands at this moment."""
    name = call.params["name"]
    run, seen = see_trial(system_with(call, name, "trial"), name)
    return answer(TrialView(run=run, seen=seen))


def flags(call: Call) -> Response:
    """The flags of the systems that the caller may observe."""
    seen = [one for one in call.seen() if call.control.may(call.principal, call.action, one.system.name)]
    return answer(FlagViews([flag for project in seen for flag in flags_of(project)]))


def turn(call: Call) -> Response:
    """Pull the kill switch of a flag, or let go of it: it holds on every worker within a second."""
    said, name = call.read(Turn), call.params["name"]
    project = system_with(call, name, "flag")
    return answer(switch_flag(replace(project, actor=call.principal.name), name, off=said.off, why=said.reason))


def system_with(call: Call, name: str, what: Literal["trial", "flag"]) -> Project:
    """The project of the caller's system that has a trial or a flag of this name. `Forbidden` when the route is the
    caller's nowhere, `NotFound` without one, `UserError` when several have it and neither header nor prefix chooses."""
    seen = call.seen()
    allowed = [one for one in seen if call.control.may(call.principal, call.action, one.system.name)]
    if seen and not allowed:
        call.project(seen[0].system.name)
    found = [one.system.name for one in allowed if name in names_in(one, what)]
    if not found:
        raise NotFound(f"there is no such {what}", got=repr(name)[:80], next="see what kring.toml declares")
    if len(found) > 1:
        raise UserError(
            f"several systems have a {what} of this name", got=repr(name)[:80], allowed=", ".join(found),
            next="choose one with the header X-Kring-System",
        )  # fmt: skip
    return call.project(found[0])


def names_in(project: Project, what: Literal["trial", "flag"]) -> set[str]:
    return set(trials_of(project)) if what == "trial" else {flag.name for flag in project.system.flags}


ROUTES: Final = (
    Managed(
        method="POST",
        path="/api/trials/{name}/outcomes",
        handler=outcomes,
        action="outcome",
        summary=f"Say what up to {MOST:,} users of a trial did; the last word counts, all are kept",
        takes=UserOutcomes,
        gives=UserOutcomesHeard,
    ),
    Managed(
        method="GET",
        path="/api/trials/{name}",
        handler=trial,
        action="observe",
        summary="How a trial stands: arms, intervals that hold at any time, what is proven",
        gives=TrialView,
    ),
    Managed(
        method="GET",
        path="/api/flags",
        handler=flags,
        action="observe",
        summary="The declared flags with their rules, switches and trials",
        gives=FlagViews,
    ),
    Managed(
        method="POST",
        path="/api/flags/{name}/switch",
        handler=turn,
        action="release",
        summary="Switch a flag off or on again, on every worker within a second, with or without the ledger",
        takes=Turn,
        gives=Switched,
    ),
)
