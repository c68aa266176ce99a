"""What a version is just now, said beside its id: who reads an id at night should not have to look it up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from kring.charts.words import moment
from kring.record.rollout import Pointer, Rollout

ID: Final = re.compile(r"\bv_[0-9A-Z]+\b(?!/)( \()?")
UNUSED: Final = "gone"
"""What is neither live nor previous, and answers no share."""

ON_ITS_WAY: Final = {"draft": "does not answer yet", "validating": "does not answer yet", "shadow": "in shadow"}

Roles = Mapping[str, str]
"""By the id of a version what it is now."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Since when a version answers, since when it answers everything (0 while another one has a share), and until when
    it did (0 for one that still does). Microseconds UTC."""

    since: int
    whole_since: int = 0
    until: int = 0


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a system's versions: `roles` say by id what each is now, one that has none is gone; `answered`
    since when it answers; `no_way_back` what keeps the version before from answering again."""

    roles: dict[str, str] = {}
    answered: dict[str, Answered] = {}
    no_way_back: str = ""


NONE: Final = Versions()


def answered(pointers: Iterable[Pointer]) -> dict[str, Answered]:
    """By the id of a version the last time in which it answered, by all `pointers` there were, in their order."""
    found: dict[str, Answered] = {}
    for one in pointers:
        now = {one.live, one.canary} - {""}
        for id in now:
            known = found.get(id)
            known = Answered(since=one.at) if known is None or known.until else known
            whole = (known.whole_since or one.at) if len(now) == 1 else 0
            found[id] = msgspec.structs.replace(known, whole_since=whole)
        gone = {id: known for id, known in found.items() if id not in now and not known.until}
        found |= {id: msgspec.structs.replace(known, until=one.at) for id, known in gone.items()}
    return found


def told_answered(one: Answered) -> str:
    """What comes behind the id of a version: since when it answers, or from when to when it did."""
    if one.until:
        return f"which answered from {moment(one.since)} to {moment(one.until)}"
    whole = f", everything since {moment(one.whole_since)}" if one.whole_since > one.since else ""
    return f"which answers since {moment(one.since)}{whole}"


def roles_of(pointer: Pointer | None, rollout: Rollout | None) -> dict[str, str]:
    """The versions that are anything: `live`, `previous`, `canary, 5 %`, `in shadow`, `does not answer yet`."""
    found: dict[str, str] = {}
    if rollout is not None:
        stage = rollout.before if rollout.state == "held" else rollout.state
        known = ON_ITS_WAY.get(stage or "", "")
        found |= {rollout.version: known} if known else {}
    if pointer is not None:
        kept = f", keeps {pointer.share:.0%}" if pointer.canary == pointer.previous and pointer.share else ""
        found |= {pointer.canary: f"canary, {pointer.share:.0%}"}
        found |= {pointer.previous: f"previous{kept}", pointer.live: "live"}
    return {id: _spaced(role) for id, role in found.items() if id}


def role_of(id: str, roles: Roles) -> str:
    """One version's role; `gone` for one that is nothing any more."""
    return roles.get(id, UNUSED)


def with_roles(text: str, roles: Roles | None) -> str:
    """`text` with the role behind each id of a version, the first time that it stands there. Without roles as it is."""
    if roles is None:
        return text
    seen: set[str] = set()

    def said(found: re.Match[str]) -> str:
        id = found[0].removesuffix(" (")
        if found[1] or id in seen:
            seen.add(id)
            return found[0]
        seen.add(id)
        return f"{id} ({role_of(id, roles)})"

    return ID.sub(said, text)


def _spaced(role: str) -> str:
    return role.replace("%", " %")
