"""Alarms, looked up and handled; and the gate's word on a version at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from kring.api.exchange import Response
from kring.api.managed import Call, Managed, answer
from kring.api.management import observed
from kring.errors import NotFound, UserError
from kring.flow import alarming
from kring.flow.alarming import LONGEST_SILENCE_US
from kring.flow.project import Project
from kring.flow.viewing.alarms import AlarmsView, alarm_view, alarms_view
from kring.flow.viewing.gates import GateAnswer, gate_answer
from kring.frame.durations import EXAMPLES, fits, microseconds
from kring.record.alarm import Alarm, Handling

YES: Final = ("1", "true", "yes")
NO: Final = ("", "0", "false", "no")
LONGEST_WINDOW_US: Final = 90 * 86_400_000_000


class Handled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why. It stays on the ledger."""

    reason: str = ""


class Silenced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long, such as 2h, and why."""

    lasts: str = msgspec.field(name="for")
    reason: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is over."""

    reason: str


class Judged(msgspec.Struct, frozen=True):
    """As the web metric of Argo Rollouts reads it: `result.verdict`, `result.ok`."""

    data: GateAnswer


def alarms(call: Call) -> Response:
    """The alarms of all systems that the caller may observe."""
    every = truth(call, "all")
    found = [alarms_view(alarming.alarms(project, every=every)) for project in observed(call)]
    return answer(
        AlarmsView(
            alarms=tuple(one for view in found for one in view.alarms),
            untold=tuple(one for view in found for one in view.untold),
        )
    )


def alarm(call: Call) -> Response:
    """One alarm, or those of a group."""
    project = ringing(call)
    return shown(alarming.meant(project, call.params["id"]), project)


def acknowledge(call: Call) -> Response:
    """Say that somebody is at it."""
    return handle(call, "acknowledge", reason=call.read(Handled).reason)


def silence(call: Call) -> Response:
    """Let it be silent for some time."""
    asked = call.read(Silenced)
    lasts = duration(asked.lasts, key="for", most=LONGEST_SILENCE_US)
    return handle(call, "silence", reason=asked.reason, lasts=lasts)


def resolve(call: Call) -> Response:
    """Say that it is over."""
    asked = call.read(Ended)
    if not asked.reason.strip():
        raise UserError("why it is over stays on the ledger", got="no reason", allowed="some words", key="reason")
    return handle(call, "resolve", reason=asked.reason)


def handle(call: Call, how: Handling, *, reason: str, lasts: int = 0) -> Response:
    project = ringing(call)
    until = project.clock.now() + lasts if lasts else 0
    done = alarming.handle(project, call.params["id"], how, actor=call.principal.name, reason=reason, until=until)
    return shown(done, project)


def shown(found: tuple[Alarm, ...], project: Project) -> Response:
    versions = alarming.versions_of(project)
    return answer(AlarmsView(alarms=tuple(alarm_view(one, versions) for one in found)))


def ringing(call: Call) -> Project:
    """The project whose alarm or group is meant: `NotFound` when no system of the caller's has one like it."""
    id = call.params["id"]
    for project in call.seen():
        try:
            alarming.meant(project, id)
        except NotFound:
            continue
        return call.project(project.system.name)
    raise NotFound("there is no such alarm", got=repr(id)[:80], next="GET /api/alarms lists those there are")


def verdict(call: Call) -> Response:
    """Whether the version may have more traffic."""
    project = call.project(call.params["system"])
    text = call.query.get("window")
    window = duration(text, key="window", most=LONGEST_WINDOW_US) if text else project.system.watch.window_us
    return answer(Judged(gate_answer(project, version=call.query.get("version", ""), window_us=window)))


def duration(text: str, *, key: str, most: int) -> int:
    """Microseconds. `UserError` for what is no duration, or too long a one."""
    us = microseconds(text) if fits(text) else 0
    if not 0 < us <= most:
        raise UserError(
            "this is no duration that can be used", got=repr(text)[:80],
            allowed=f"{EXAMPLES}, up to {most // 86_400_000_000} days", key=key,
        )  # fmt: skip
    return us


def truth(call: Call, name: str) -> bool:
    """Yes or no out of the query."""
    text = call.query.get(name, "").lower()
    if text not in (*YES, *NO):
        raise UserError(f"{name} is yes or no", got=repr(text)[:80], allowed="1 or 0", key=name)
    return text in YES


def _handling(what: str, handler: Callable[[Call], Response], summary: str, *, takes: type) -> Managed:
    return Managed(
        method="POST",
        path=f"/api/alarms/{{id}}/{what}",
        handler=handler,
        action="release",
        summary=summary,
        takes=takes,
        gives=AlarmsView,
    )


ROUTES: Final = (
    Managed(
        method="GET",
        path="/api/alarms",
        handler=alarms,
        action="observe",
        summary="The alarms that are not over, the most urgent of each system first; and what could not be told",
        gives=AlarmsView,
        asks={"all": "1 for those that are over, too"},
    ),
    Managed(
        method="GET",
        path="/api/alarms/{id}",
        handler=alarm,
        action="observe",
        summary="One alarm, over or not; or all of a group",
        gives=AlarmsView,
    ),
    _handling("acknowledge", acknowledge, "Say that somebody is at an alarm, or at a group of them", takes=Handled),
    _handling("silence", silence, "Silence an alarm, or a group of them, for some time", takes=Silenced),
    _handling("resolve", resolve, "Say that an alarm is over, or a group of them", takes=Ended),
    Managed(
        method="GET",
        path="/api/gates/{system}/verdict",
        handler=verdict,
        action="observe",
        summary="Whether a version at work may go on: pass, fail or investigate; what is missing never passes",
        gives=Judged,
        asks={
            "version": "which; without it the one that is being rolled out, else the live one",
            "window": f"how far back: {EXAMPLES}; the window of [watch] without it",
        },
    ),
)
