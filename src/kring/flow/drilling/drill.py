"""`kring drill NAME`: a failure on a copy of the system, how soon it was noticed and mended, and who answered."""

from __future__ import annotations

from typing import Final

from kring.errors import UserError
from kring.flow import history
from kring.flow.benching.rows import bodies_of
from kring.flow.benching.serving import served_copy
from kring.flow.drilling.asker import told
from kring.flow.drilling.drills import DRILLS, Came, Copy
from kring.flow.project import Project, open_project
from kring.flow.scoring.score import live_pointer
from kring.ports.ledger import Ledger
from kring.record.alarm import Breach
from kring.record.drill import Drilled
from kring.record.operator import Watched
from kring.record.running import DrillName

WORKERS: Final = 2
DAY_US: Final = 86_400_000_000


def drill(project: Project, name: str) -> Drilled:
    """Rehearse one failure on a copy of the system with a server of its own; the record is on the ledger.

    `UserError` for a drill that there is not, `NotFound` without a live version or a snapshot, `Unavailable` when the
    copy can't be served.
    """
    known = next((one for one in DRILLS if one == name), None)
    if known is None:
        raise UserError("there is no such drill", got=repr(name[:60]), allowed=", ".join(DRILLS))
    pointer = live_pointer(project)
    at = project.clock.now()
    _, bodies = bodies_of(project)
    project.say(f"drill   {known} on a copy, with {WORKERS} workers of its own")
    with served_copy(project, bodies[0], workers=WORKERS) as address:
        assert address.folder is not None
        copy = open_project(address.folder, say=project.say)
        came = DRILLS[known](Copy(copy, address, bodies, pointer.live))
    done = _record(project, known, came, at=at)
    with project.ledger() as ledger:
        ledger.append([history.entry(done, id=done.id, actor=project.actor, at=project.clock.now())])
    return done


def drills_of(ledger: Ledger) -> dict[DrillName, Drilled]:
    """The last one of each."""
    return {one.name: one for one in history.all_of(ledger, Drilled)}


def overdue(project: Project, ledger: Ledger, *, now: int, since: int = 0) -> Watched:
    """A breach for each declared drill that was not passed within `drill.every`; `since` is the moment before which
    none can have been due."""
    plan = project.system.drills
    last = {
        name: max((one.at for one in history.all_of(ledger, Drilled) if one.name == name and one.passed), default=0)
        for name in plan.names
    }
    late = {name: at for name, at in last.items() if now - max(at, since) > plan.every_us}
    return Watched(
        start=now,
        end=now,
        breaches=tuple(_late(name, at, every_us=plan.every_us, now=now) for name, at in late.items()),
        looked=tuple(f"drill/{name}//" for name in plan.names),
    )


def _late(name: DrillName, at: int, *, every_us: int, now: int) -> Breach:
    days = (now - at) / DAY_US
    last = f"passed {days:.0f} days ago" if at else "never passed"
    return Breach(
        kind="drill",
        metric=name,
        value=days if at else None,
        low=None,
        high=None,
        allowed=f"{name} every {every_us / DAY_US:g} days",
        rows=0,
        since=at + every_us if at else now,
        what=f"the drill {name} is overdue: it was {last}",
        sure="by the ledger",
    )


def _record(project: Project, name: DrillName, came: Came, *, at: int) -> Drilled:
    asked, failed, who = told(came.said)
    return Drilled(
        id=project.new_id("dr"),
        system=project.system.name,
        name=name,
        at=at,
        passed=came.passed,
        happened=came.happened,
        detected_s=came.detected_s,
        recovered_s=came.recovered_s,
        asked=asked,
        failed=failed,
        answered_by=who,
    )
