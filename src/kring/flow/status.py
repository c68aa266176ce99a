"""Where a system stands."""

from __future__ import annotations

import msgspec

from kring.charts.versions import roles_of
from kring.flow import adapters, history
from kring.flow.alarming import all_alarms
from kring.flow.checking import snapshots_on
from kring.flow.lately import last_asked
from kring.flow.operating.leading import Led, led
from kring.flow.operating.rollout_words import headline, stage_began
from kring.flow.operating.showing import judged_now
from kring.flow.operator.moment import Moment
from kring.flow.project import Project
from kring.flow.streams import cut_streams
from kring.flow.verifying import no_way_back, verify_all
from kring.flow.watching.keeping import unwatched
from kring.flow.watching.promises import error_budgets
from kring.ports.ledger import Ledger
from kring.record.alarm import Alarm
from kring.record.event import Head
from kring.record.operator import OperatorState
from kring.record.rollout import Rollout
from kring.record.snapshot import Snapshot
from kring.record.version import Version
from kring.watch.service_levels import Budget


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`events` is the length of the ledger's chain; `verified` says that all of it was recomputed, and the log read:
    `cut` are the streamed decisions that were not delivered to the end. `budgets` are those of the promised service,
    `unwatched` the columns whose drift is not watched, and why. The `canary` answers the `share` (0 to 1) of requests;
    `roles` say what each version is now, `at` when that is. `operator` says whether one runs, `rollout_told` how the
    rollout stands in a sentence, `no_way_back` what keeps the previous version from answering again,
    `last_asked` when somebody was last answered who waits (microseconds UTC, 0 when nothing tells)."""

    system: str
    goal: str
    owner: str
    live: Version | None
    previous: str
    generation: int
    rollout: Rollout | None
    snapshots: int
    last_snapshot: Snapshot | None
    alarms: tuple[Alarm, ...]
    events: int
    verified: bool
    cut: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    unwatched: dict[str, str] = {}
    canary: str = ""
    share: float = 0.0
    roles: dict[str, str] = {}
    at: int = 0
    operator: Led = Led()
    rollout_told: str = ""
    no_way_back: str = ""
    last_asked: int = 0


def status(project: Project, *, verify: bool) -> Status:
    """Read the ledger; with `verify` recompute its whole chain first, and hold the versions that answer or
    may answer, their data and the sealed log against it (`IntegrityError`)."""
    with project.ledger() as ledger:
        head: Head = ledger.verify() if verify else ledger.head()
        state = history.operator_state(ledger)
        pointer = state.pointer if state else None
        if verify and state is not None:
            verify_all(project, ledger, in_service(state))
        snapshots = snapshots_on(ledger)
        leader = led(ledger, now=project.clock.now())
        rollout = state.rollout if state else None
        return Status(
            system=project.system.name,
            goal=project.system.goal,
            owner=project.system.owner,
            live=history.get(ledger, Version, pointer.live) if pointer else None,
            previous=pointer.previous if pointer else "",
            generation=pointer.generation if pointer else 0,
            rollout=rollout,
            rollout_told=told_rollout(project, ledger, state, led=leader) if state else "",
            operator=leader,
            no_way_back=no_way_back(project, ledger, pointer) if pointer and pointer.previous else "",
            last_asked=last_asked(project),
            snapshots=len(snapshots),
            last_snapshot=snapshots[-1] if snapshots else None,
            alarms=tuple(all_alarms(ledger)),
            events=head.seq,
            verified=verify,
            cut=cut_streams(adapters.read_log(project.home.log, system=project.system.name), now=project.clock.now())
            if verify
            else (),
            budgets=tuple(error_budgets(project, now=project.clock.now())),
            unwatched=unwatched(project, pointer.live) if pointer else {},
            canary=pointer.canary if pointer else "",
            share=pointer.share if pointer else 0.0,
            roles=roles_of(pointer, rollout),
            at=project.clock.now(),
        )


def told_rollout(project: Project, ledger: Ledger, state: OperatorState, *, led: Led) -> str:
    """How the newest rollout stands, in a sentence; empty where there was none."""
    if state.rollout is None:
        return ""
    found = judged_now(Moment(project.system, project.clock.now()), state, state.rollout)
    moves = [one for one in history.all_of(ledger, Rollout) if one.id == state.rollout.id]
    return headline(state.rollout, found, led=led, began=stage_began(state.rollout, moves))


def in_service(state: OperatorState) -> tuple[str, ...]:
    """The versions that answer, or may at the next move: live, previous, in shadow."""
    pointer, rollout = state.pointer, state.rollout
    known = (pointer.live, pointer.previous) if pointer else ()
    shadow = (rollout.version,) if rollout and rollout.state == "shadow" else ()
    return tuple(id for id in (*known, *shadow) if id)
