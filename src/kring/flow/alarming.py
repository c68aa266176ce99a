"""Alarms as people look them up, and what they do about them."""

from __future__ import annotations

import msgspec

from kring.charts.versions import Versions, answered, roles_of
from kring.errors import NotFound, Refused, UserError
from kring.flow import history
from kring.flow.operating.leading import led
from kring.flow.operating.operator import operating
from kring.flow.project import Project
from kring.flow.verifying import no_way_back
from kring.ports.ledger import Ledger
from kring.record.alarm import Alarm, Handling
from kring.record.message import Delivery
from kring.record.operator import AlarmHandled
from kring.record.rollout import Pointer
from kring.watch.alarms import by_urgency
from kring.watch.meaning import means

LONGEST_SILENCE_US = 90 * 86_400_000_000
LONGEST_REASON = 1000


class Alarms(Versions, frozen=True, kw_only=True):
    """Alarms of a system, the most urgent first; and what could not be told, or not yet. `means` says by the id of an
    alarm what it means. `unwatched` says why nobody would raise one, where something answers and no operator runs."""

    system: str
    alarms: tuple[Alarm, ...]
    untold: tuple[Delivery, ...] = ()
    means: dict[str, str] = {}  # noqa: RUF012  msgspec copies it
    unwatched: str = ""


def alarms(project: Project, *, every: bool = False) -> Alarms:
    """Those that are not over; all there ever were with `every`, the newest first."""
    if not project.home.ledger.exists():
        return Alarms(system=project.system.name, alarms=())
    with project.ledger() as ledger:
        found = all_alarms(ledger)
        versions = versions_on(project, ledger)
        shown = list(reversed(found)) if every else by_urgency(one for one in found if one.state != "resolved")
        return Alarms(
            system=project.system.name,
            alarms=tuple(shown),
            untold=untold(ledger),
            means={one.id: means(one) for one in shown},
            unwatched=led(ledger, now=project.clock.now()).why_not if versions.roles else "",
            **msgspec.structs.asdict(versions),
        )


def versions_of(project: Project) -> Versions:
    """What is known of the versions of the system now."""
    if not project.home.ledger.exists():
        return Versions()
    with project.ledger() as ledger:
        return versions_on(project, ledger)


def versions_on(project: Project, ledger: Ledger) -> Versions:
    """As `versions_of`, by an open ledger."""
    state = history.operator_state(ledger)
    if state is None:
        return Versions()
    return Versions(
        roles=roles_of(state.pointer, state.rollout),
        answered=answered(history.all_of(ledger, Pointer)),
        no_way_back=no_way_back(project, ledger, state.pointer),
    )


def all_alarms(ledger: Ledger) -> list[Alarm]:
    """Every alarm as it is now, in the order in which they were raised."""
    state = history.operator_state(ledger)
    found = {alarm.id: alarm for alarm in history.all_of(ledger, Alarm)}
    found |= {alarm.id: alarm for alarm in (state.alarms if state else ()) if alarm.id in found}
    return list(found.values())


def untold(ledger: Ledger) -> tuple[Delivery, ...]:
    """Messages that were tried in vain, without what they say."""
    last = {one.id: one for one in history.all_of(ledger, Delivery)}
    return tuple(
        msgspec.structs.replace(one, notify=None) for one in last.values() if one.state != "sent" and one.reason
    )


def meant(project: Project, id: str) -> tuple[Alarm, ...]:
    """The alarm `id`, of which the beginning is enough, or all of the group `id` that are not over. `NotFound`, or
    `UserError` when several begin so."""
    every = alarms(project, every=True).alarms
    asked = id.strip().upper()
    grouped = [one for one in every if one.group.upper() == asked and one.id != one.group and one.state != "resolved"]
    if grouped:
        return tuple(by_urgency(grouped))
    found = [one for one in every if asked and one.id.upper().startswith(asked)]
    if not found:
        raise NotFound("there is no such alarm", got=repr(id)[:80], next="kring alarms --all shows those there are")
    if len(found) > 1:
        raise UserError(
            "several alarms begin like this", got=repr(id)[:80], allowed=", ".join(one.id for one in found[:5])
        )
    return (found[0],)


def handle(
    project: Project, id: str, how: Handling, *, actor: str, reason: str = "", until: int = 0
) -> tuple[Alarm, ...]:
    """Acknowledge, silence `until` (microseconds UTC) or resolve the alarm or group `id`; as they are then. `Refused`
    for one that is over, `UserError` for a silence that lasts no time or too long."""
    require_kept(how, reason=reason, lasts=until - project.clock.now())
    found = meant(project, id)
    over = next((one for one in found if one.state == "resolved"), None)
    if over is not None:
        raise Refused(f"the alarm {over.id} is over already", got=over.action or "resolved")
    events = [AlarmHandled(alarm=one.id, how=how, actor=actor, reason=reason, until=until) for one in found]
    with operating(project, holder=actor) as operator:
        operator.step(events)
    now = {one.id: one for one in alarms(project, every=True).alarms}
    return tuple(now[one.id] for one in found)


def require_kept(how: Handling, *, reason: str, lasts: int) -> None:
    """`UserError` for what can't be done to an alarm."""
    if how == "silence" and not 0 < lasts <= LONGEST_SILENCE_US:
        raise UserError(
            "an alarm is silenced for some time", got=f"{lasts / 86_400e6:.4g} days",
            allowed="more than none, up to 90 days", key="for",
        )  # fmt: skip
    if len(reason) > LONGEST_REASON or not reason.replace("\n", " ").isprintable():
        raise UserError(
            "this is no reason that can be kept", got=f"{len(reason):,} characters",
            allowed=f"printable text, up to {LONGEST_REASON:,} characters", key="because",
        )  # fmt: skip
