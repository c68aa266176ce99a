"""What a rollback would do: who goes, who answers then, what goes on ringing."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.charts.versions import roles_of
from kring.errors import Unavailable
from kring.flow import history
from kring.flow.operator.alarms import OF_A_VERSION
from kring.flow.operator.rollouts import is_canary
from kring.flow.project import Project
from kring.record.alarm import Alarm
from kring.record.operator import OperatorState
from kring.record.rollout import Rollout
from kring.release.rollout import allowed
from kring.watch.alarms import by_urgency

SHOWN: Final = 3


class GoingBack(msgspec.Struct, frozen=True, kw_only=True):
    """The version that `goes`, the one that answers `then`, and the `rollout` that ends with it. The alarms `end` are
    about versions that answer no more, `stay` those that go on; `rang` are the last ones of the version that comes
    back, from the time when it answered."""

    goes: str
    then: str
    rollout: Rollout | None
    end: tuple[Alarm, ...]
    stay: tuple[Alarm, ...]
    rang: tuple[Alarm, ...]
    roles: dict[str, str]


def going_back(project: Project) -> GoingBack | None:
    """What a rollback would do now; None where there is nothing to go back to, or the ledger can't be read."""
    if not project.home.ledger.exists():
        return None
    try:
        with project.ledger() as ledger:
            state = history.operator_state(ledger)
            known = list(history.all_of(ledger, Alarm))
    except Unavailable:
        return None
    found = _moves(state) if state else None
    if state is None or found is None:
        return None
    goes, then = found
    ringing = by_urgency(state.alarms)
    end = tuple(one for one in ringing if one.kind in OF_A_VERSION and one.version != then)
    last = {one.key: one for one in known if one.version == then and one.kind in OF_A_VERSION and one.tier != "note"}
    rollout = state.rollout
    return GoingBack(
        goes=goes,
        then=then,
        rollout=rollout if rollout and "rolling_back" in allowed(rollout.state) else None,
        end=end,
        stay=tuple(one for one in ringing if one not in end),
        rang=tuple(reversed(last.values()))[:SHOWN] if _comes(state) else (),
        roles=roles_of(state.pointer, rollout),
    )


def _moves(state: OperatorState) -> tuple[str, str] | None:
    """The version that goes, and the one that answers everything then."""
    pointer, rollout = state.pointer, state.rollout
    if pointer is None:
        return None
    if rollout is not None and (is_canary(rollout) or (not pointer.previous and rollout.stage == "shadow")):
        return rollout.version, pointer.live
    return (pointer.live, pointer.previous) if pointer.previous else None


def _comes(state: OperatorState) -> bool:
    """Whether a version comes back that does not answer everything else already."""
    found = _moves(state)
    return found is not None and state.pointer is not None and found[1] == state.pointer.previous
