"""Systems, decisions and keys: what people and programs look up and change, decisions aside."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.api.exchange import Response
from kring.api.managed import Call, Managed, answer, whole
from kring.errors import UserError
from kring.flow.keys import create_key, list_keys, revoke_key
from kring.flow.project import Project
from kring.flow.tracing import trace
from kring.flow.viewing.decisions import DecisionRow, DecisionView, decision_view
from kring.flow.viewing.systems import ProviderRow, SystemRow, SystemView, VersionRow, system_row, system_view
from kring.record.access import ApiKey, Role
from kring.record.lineage import Lineage

MOST: Final = 200
DAY_US: Final = 86_400_000_000


class Systems(msgspec.Struct, frozen=True):
    systems: list[SystemRow]


class Versions(msgspec.Struct, frozen=True):
    versions: tuple[VersionRow, ...]


class DecisionRows(msgspec.Struct, frozen=True):
    decisions: tuple[DecisionRow, ...]


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown: neither its secret nor what is kept of it."""

    id: str
    env: str
    role: str
    systems: tuple[str, ...]
    label: str
    owner: str
    created: int
    expires: int
    revoked: int


class KeyRows(msgspec.Struct, frozen=True):
    keys: list[KeyRow]


class KeyAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that somebody wants: for `label`, with `role` in `systems`, for so many days (0: for ever)."""

    label: str
    role: Role
    systems: list[str]
    days: int = 0


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new key. `secret` is shown here and never again."""

    key: KeyRow
    secret: str


def systems(call: Call) -> Response:
    """The systems that the caller may observe."""
    control = call.control
    rows = [system_row(project, control.followers[project.system.name]) for project in observed(call)]
    return answer(Systems(rows))


def observed(call: Call) -> list[Project]:
    """Those of the caller's systems in which the route's action is theirs; `Forbidden` when there are some and it is
    in none."""
    seen = call.seen()
    allowed = [project for project in seen if call.control.may(call.principal, call.action, project.system.name)]
    if seen and not allowed:
        call.project(seen[0].system.name)
    return allowed


def system(call: Call) -> Response:
    """One system as it stands."""
    project = call.project(call.params["system"])
    name = project.system.name
    computing = call.control.computing(name)
    rows = tuple(ProviderRow(version=one, provider=by, workers=workers) for one, by, workers in computing)
    view = system_view(project, call.control.followers[name])
    return answer(msgspec.structs.replace(view, providers=rows))


def versions(call: Call) -> Response:
    """All versions of a system, the newest first."""
    project = call.project(call.params["system"])
    return answer(Versions(system_view(project, call.control.followers[project.system.name]).versions))


def newest(call: Call) -> Response:
    """The newest decisions of a system."""
    project = call.project(call.params["system"])
    most = whole(call.query.get("most"), name="most", most=MOST, default=50)
    return answer(DecisionRows(call.control.followers[project.system.name].newest(most)))


def decision(call: Call) -> Response:
    """One decision, with what turned out to be true of it."""
    id = call.params["id"]
    return answer(decision_view(call.deciding(id), id))


def lineage(call: Call) -> Response:
    """What a decision rests on, back to the source."""
    id = call.params["id"]
    return answer(trace(call.deciding(id), id))


def keys(call: Call) -> Response:
    """The keys of the systems that the caller manages."""
    return answer(KeyRows([key_row(key) for key in list_keys(observed(call))]))


def make_key(call: Call) -> Response:
    """A new key, no wider than that of who asks."""
    asked = call.read(KeyAsked)
    if not asked.systems or asked.days < 0 or asked.days > 36_500:
        raise UserError(
            "a key is for a system, and for some days or for ever",
            got=f"{len(asked.systems)} systems, {asked.days} days",
            allowed="one system or more, 0 to 36,500 days",
        )
    projects = [call.project(name) for name in asked.systems]
    made = create_key(
        projects,
        role=asked.role,
        label=asked.label,
        owner=call.principal.name,
        lasts_us=asked.days * DAY_US,
        by=call.principal,
    )
    call.control.refresh()
    return answer(KeyMade(key=key_row(made.key), secret=made.secret), status=201)


def end_key(call: Call) -> Response:
    """End a key; within a second no worker takes it any more."""
    ended = revoke_key(observed(call), call.params["id"], owner=call.principal.name, by=call.principal)
    call.control.refresh()
    return answer(key_row(ended))


def key_row(key: ApiKey) -> KeyRow:
    return KeyRow(**{name: getattr(key, name) for name in KeyRow.__struct_fields__})


ROUTES: Final = (
    Managed(
        method="GET",
        path="/api/systems",
        handler=systems,
        action="observe",
        summary="The systems that are served here",
        gives=Systems,
    ),
    Managed(
        method="GET",
        path="/api/systems/{system}",
        handler=system,
        action="observe",
        summary="One system: why it exists, what answers, what was promised and measured, what rang",
        gives=SystemView,
    ),
    Managed(
        method="GET",
        path="/api/systems/{system}/versions",
        handler=versions,
        action="observe",
        summary="All versions of a system, the newest first",
        gives=Versions,
    ),
    Managed(
        method="GET",
        path="/api/systems/{system}/decisions",
        handler=newest,
        action="observe",
        summary="The newest decisions of a system",
        gives=DecisionRows,
        asks={"most": f"how many at the most, 1 to {MOST}; 50 without it"},
    ),
    Managed(
        method="GET",
        path="/api/decisions/{id}",
        handler=decision,
        action="observe",
        summary="One decision, with what turned out to be true of it",
        gives=DecisionView,
    ),
    Managed(
        method="GET",
        path="/api/decisions/{id}/trace",
        handler=lineage,
        action="observe",
        summary="What a decision rests on: version, verdict, evidence, run, snapshot, contract, source",
        gives=Lineage,
    ),
    Managed(
        method="GET",
        path="/api/keys",
        handler=keys,
        action="manage",
        summary="The keys of the systems that the caller manages",
        gives=KeyRows,
    ),
    Managed(
        method="POST",
        path="/api/keys",
        handler=make_key,
        action="manage",
        summary="Make a key, no wider than one's own; its secret is shown once",
        creates=True,
        takes=KeyAsked,
        gives=KeyMade,
    ),
    Managed(
        method="DELETE",
        path="/api/keys/{id}",
        handler=end_key,
        action="manage",
        summary="End a key on all its systems that the caller manages",
        gives=KeyRow,
    ),
)
