"""`traceparent` and `tracestate` as W3C's Trace Context (level 2) writes them. What is not so written is not there."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LONGEST: Final = 512
MEMBERS: Final = 32
WRITTEN: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII
)
SAMPLED: Final = 1


class Parent(NamedTuple):
    """The span on whose behalf is asked, and whether anybody is to hear of it."""

    trace: int
    id: int
    is_told: bool


def parent_of(text: str) -> Parent | None:
    """The span that `text` names; None for what names none. A version to come is read as far as this one goes."""
    found = WRITTEN.fullmatch(text.strip(" \t")) if len(text) <= LONGEST else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    trace, id = int(found[2], 16), int(found[3], 16)
    return Parent(trace, id, bool(int(found[4], 16) & SAMPLED)) if trace and id else None


def state_of(text: str) -> str:
    """What other systems say of the trace, to be passed on as it is; empty for what is not well formed."""
    members = [member.strip(" \t") for member in text.split(",")] if len(text) <= LONGEST else []
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > MEMBERS or len(keys) < len(members) or not all(map(MEMBER.fullmatch, members)):
        return ""
    return ",".join(members)
