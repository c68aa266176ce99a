"""What drift has seen so far, on disk: whoever watches after a kill goes on from there.

It is written after what it led to was committed, and says itself up to which window and which frames it goes: a kill in
between looks at one window again, with the same bets, which leads to the same findings and to nothing new.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec

from kring.errors import KringError, NotFound
from kring.flow.project import Project
from kring.record.drift import OFF, DriftSeen, References
from kring.watch.drift import FILE

ALL: Final = "(all columns)"
PERSONAL: Final = "personal, and so not counted"


def read_seen(project: Project) -> DriftSeen | None:
    """What was kept; None when there is nothing, or nothing that can be read: then drift is watched anew from what the
    log still holds of the span that is judged."""
    try:
        return msgspec.json.decode(project.files.read(project.home.drift), type=DriftSeen)
    except NotFound:
        return None
    except (KringError, msgspec.MsgspecError) as error:
        project.say(f"what drift has seen can't be read, it begins anew: {error}")
        return None


def write_seen(project: Project, seen: DriftSeen) -> None:
    """Keep it, in place of what was kept before."""
    project.files.write(project.home.drift, msgspec.json.encode(seen))


def unwatched(project: Project, version: str) -> dict[str, str]:
    """The columns of a version whose drift is not watched, and why; `(all columns)` when none is."""
    if not project.system.watch.drift:
        return {ALL: "watch.drift is 0"}
    try:
        data = project.files.read(project.home.versions / version / FILE)
        references = msgspec.json.decode(data, type=References)
    except NotFound:
        return {ALL: OFF}
    except (KringError, msgspec.MsgspecError):
        return {ALL: "its reference can't be read"}
    found = dict.fromkeys(references.withheld, PERSONAL)
    seen = None
    with suppress(KringError, msgspec.MsgspecError):
        seen = msgspec.json.decode(project.files.read(project.home.drift), type=DriftSeen)
    for each in seen.versions if seen else ():
        if each.state.version == version:
            found |= {name: why for name, why in each.unseen.items() if why == OFF}
    return dict(sorted(found.items()))
