"""Decisions are kept as long as `govern.retention` says, and no longer: in the log and in the tables made from it."""

from __future__ import annotations

from collections.abc import Iterator

from kring.charts.words import moment
from kring.errors import NotFound
from kring.flow import adapters, history
from kring.flow.compacting import TABLES
from kring.flow.project import Project
from kring.metrics.ids import decision_place, decision_raw
from kring.ports.decision_log import DecisionHistory
from kring.ports.ledger import Ledger
from kring.record.compaction import Dropped
from kring.record.decision import Decisions
from kring.record.event import Segment


def retain(project: Project, *, now: int) -> tuple[Dropped, ...]:
    """Delete every sealed segment whose last frame is older than the system keeps decisions; none without a limit.

    The ledger says so first, then the rows go, then the file: this may die anywhere and be called again. What is
    counted on the ledger stays. A writer's segments go in their order. One process at a time (`Busy`).
    """
    kept_us = project.system.govern.retention_us
    if not kept_us:
        return ()
    lock = project.files.append(project.home.root / TABLES / ".lock")
    try:
        with project.ledger() as ledger:
            known = {(one.segment, one.digest): one for one in history.all_of(ledger, Dropped)}
            new = []
            for segment in due(ledger, before=now - kept_us):
                if (segment.id, segment.digest) not in known:
                    new.append(note(project, ledger, segment, now=now))
                drop(project, segment)
            return tuple(new)
    finally:
        lock.close()


def due(ledger: Ledger, *, before: int) -> Iterator[Segment]:
    """Segments that end before the moment, of each writer up to the first one that does not."""
    held: set[int] = set()
    for segment in sorted(history.all_of(ledger, Segment), key=lambda one: (one.writer, one.number)):
        if segment.last >= before:
            held.add(segment.writer)
        if segment.writer not in held:
            yield segment


def note(project: Project, ledger: Ledger, segment: Segment, *, now: int) -> Dropped:
    """Say on the ledger that the segment is deleted."""
    done = Dropped(segment=segment.id, digest=segment.digest, first=segment.first, last=segment.last, at=now)
    ledger.append([history.entry(done, id=segment.id, actor=project.actor, at=now)])
    return done


def drop(project: Project, segment: Segment) -> None:
    """The rows, then the file; its description stays, so that no number is given out again."""
    path = project.home.log / f"{segment.id}.log"
    if path.exists():
        adapters.drop_segment(project.home.root / TABLES, id=segment.id)
        project.files.remove(path)


def look_up(project: Project, log: DecisionHistory, id: str) -> tuple[Decisions, int]:
    """The record that holds decision `id`, and its row. `NotFound`, which says so where the decision was deleted."""
    try:
        return log.find(id)
    except NotFound as error:
        raise (deleted(project, id) or error) from None


def deleted(project: Project, id: str) -> NotFound | None:
    """What is told of a decision that was kept for as long as the system keeps them; None when `id` was none of
    those."""
    try:
        place = decision_place(decision_raw(id))
    except NotFound:
        return None
    with project.ledger() as ledger:
        gone = history.newest_with(ledger, Dropped, f"{place.writer}-{place.segment}")
    if gone is None or not gone.first // 1000 <= place.at_ms <= gone.last // 1000:
        return None
    return NotFound(
        f"{project.system.name} has deleted this decision: it had been kept for long enough",
        got=f"{id}, made {moment(place.at_ms * 1000)}",
        next="govern.retention in kring.toml says for how long; counts and digests stay on the ledger",
    )
