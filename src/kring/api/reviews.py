"""Decisions that people look at: which wait, and what somebody says of one."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kring.api.exchange import Response
from kring.api.managed import Call, Managed, answer, whole
from kring.api.management import observed
from kring.errors import Refused
from kring.flow.reviewing import NEXT, review_queue, reviewer
from kring.record.outcome import Reported, Told
from kring.record.review import REVIEWED, ReviewQueue

MOST: Final = 100


class Queues(msgspec.Struct, frozen=True):
    queues: list[ReviewQueue]


class Reviewed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the decision `id` should have been."""

    id: str
    value: Any


def queues(call: Call) -> Response:
    """What waits for the caller in each of the systems that the caller may observe and that have an outcome."""
    most = whole(call.query.get("most"), name="most", most=MOST, default=NEXT)
    projects = [one for one in observed(call) if one.system.data.target]
    return answer(Queues([review_queue(one, most=most, by=reviewer(call.principal.name)) for one in projects]))


def say(call: Call) -> Response:
    """What somebody says who looked; `Refused` when it can't be believed."""
    said = call.read(Reviewed)
    project = call.deciding(said.id)
    source = REVIEWED + reviewer(call.principal.name)
    told = call.control.report(project, [Reported(id=said.id, value=said.value)], source=source)[0]
    if told.heard == "refused":
        raise Refused("this review is not taken", got=repr(said.value)[:80], allowed=told.reason, key="value")
    return answer(told)


ROUTES: Final = (
    Managed(
        method="GET",
        path="/api/review",
        handler=queues,
        action="observe",
        summary="Which decisions wait to be looked at, and how far those agree who looked",
        gives=Queues,
        asks={"most": f"how many of each system at the most, 1 to {MOST}; {NEXT} without it"},
    ),
    Managed(
        method="POST",
        path="/api/review",
        handler=say,
        action="outcome",
        summary="Say, having looked at a decision, what it should have been",
        takes=Reviewed,
        gives=Told,
    ),
)
