"""What turned out to be true of decisions, and why they came out as they did."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, Final

import msgspec

from kring.api.exchange import Response
from kring.api.managed import Call, Managed, answer
from kring.errors import Refused, UserError
from kring.flow.explaining import explain
from kring.flow.project import Project
from kring.record.explanation import Explanation, Method
from kring.record.outcome import Reported, Told
from kring.record.review import REVIEWED

MOST: Final = 1000
METHODS: Final[dict[str, Method]] = {"shap": "shap", "lime": "lime"}


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one decision turned out as, and since when that is known (ISO 8601; now without it)."""

    value: Any
    at: str = ""


class OutcomeOf(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same of the decision `id`."""

    id: str


class Reports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcomes: list[OutcomeOf]


class Heard(msgspec.Struct, frozen=True):
    """What came of each report, in their order."""

    outcomes: list[Told]


def report(call: Call) -> Response:
    """One outcome; `Refused` when it can't be believed."""
    id, said = call.params["id"], call.read(Outcome)
    project = call.deciding(id)
    told = call.control.report(project, [reported(id, said)], source=source_of(call))[0]
    if told.heard == "refused":
        raise Refused("this outcome is not taken", got=repr(said.value)[:80], allowed=told.reason, key="value")
    return answer(told)


def reports(call: Call) -> Response:
    """Many outcomes; what can't be believed is refused by itself."""
    said = call.read(Reports).outcomes
    if not 1 <= len(said) <= MOST:
        raise UserError("these are no reports", got=f"{len(said):,}", allowed=f"1 to {MOST:,}", key="outcomes")
    told: dict[int, Told] = {}
    for project, places in by_system(call, said).items():
        mine = [reported(said[place].id, said[place]) for place in places]
        heard = call.control.report(call.control.projects[project], mine, source=source_of(call))
        told |= dict(zip(places, heard, strict=True))
    return answer(Heard([told.get(place) or unknown(one.id) for place, one in enumerate(said)]))


def source_of(call: Call) -> str:
    """Who says it. Nobody's name makes a review of it."""
    return call.principal.name.removeprefix(REVIEWED)


def unknown(id: str) -> Told:
    """In the same words for what nobody decided, and what is not the caller's to see."""
    return Told(id=id[:60], heard="refused", reason="no decision on record has this id", why="unknown")


def by_system(call: Call, said: list[OutcomeOf]) -> dict[str, list[int]]:
    """Places of the reports by the name of the system that decided; those of no system of the caller's are left out."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(said):
        project: Project | None = call.maker(one.id)
        if project is not None:
            found[project.system.name].append(place)
    return found


def reported(id: str, said: Outcome) -> Reported:
    """A report with its moment in microseconds. `UserError` for what is no moment, or one of no time zone."""
    return Reported(id=id, value=said.value, at=microseconds(said.at))


def microseconds(text: str) -> int:
    """A moment of a report in microseconds UTC; 0 for none."""
    if not text:
        return 0
    try:
        at = datetime.fromisoformat(text)
        zoned = at.tzinfo is not None
        us = int(at.timestamp() * 1e6) if zoned else 0
    except (ValueError, OverflowError):
        zoned, us = False, 0
    if not zoned or us <= 0:
        raise UserError(
            "this is no moment", got=repr(text)[:80], allowed="ISO 8601 with its time zone: 2026-01-31T12:00:00Z",
            key="at",
        )  # fmt: skip
    return us


def explanation(call: Call) -> Response:
    """Why a decision came out as it did; kept, once it is known."""
    id, method = call.params["id"], call.query.get("method", "shap")
    if method not in METHODS:
        raise UserError("there is no such method", got=repr(method)[:80], allowed=", ".join(METHODS), key="method")
    return answer(explain(call.deciding(id), id, method=METHODS[method]))


ROUTES: Final = (
    Managed(
        method="POST",
        path="/api/decisions/{id}/outcome",
        handler=report,
        action="outcome",
        summary="Say what a decision turned out as; the last word counts, all are kept",
        takes=Outcome,
        gives=Told,
    ),
    Managed(
        method="POST",
        path="/api/outcomes",
        handler=reports,
        action="outcome",
        summary=f"Say what up to {MOST:,} decisions turned out as",
        takes=Reports,
        gives=Heard,
    ),
    Managed(
        method="GET",
        path="/api/decisions/{id}/explanation",
        handler=explanation,
        action="explain",
        summary="Why a decision came out as it did: what each field did to it",
        gives=Explanation,
        asks={"method": "shap, or lime; shap without it"},
    ),
)
