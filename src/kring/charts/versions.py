"""What a version is just now, said beside its id: who reads an id at night should not have to look it up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kring.record.rollout import Pointer, Rollout

ID: Final = re.compile(r"\bv_[0-9A-Z]+\b(?!/)( \()?")
UNUSED: Final = "gone"
"""What is neither live nor previous, and answers no share."""

ON_ITS_WAY: Final = {"draft": "does not answer yet", "validating": "does not answer yet", "shadow": "in shadow"}

Roles = Mapping[str, str]
"""By the id of a version what it is now."""


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
