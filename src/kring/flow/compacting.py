"""Sealed segments → Delta tables, one after the other, each to its end or not at all."""

from __future__ import annotations

from typing import Final

from kring.flow import adapters, history
from kring.flow.project import Project
from kring.ports.ledger import Ledger
from kring.record.compaction import Compacted, Dropped
from kring.record.event import Segment

TABLES: Final = "decisions"
"""The folder of the tables in a system's home."""


def compact(project: Project, *, now: int) -> tuple[Compacted, ...]:
    """Put every segment that the ledger knows as sealed, and that is not in the tables yet, into them.

    A segment is verified against the ledger first (`IntegrityError`), its rows are durable in the tables before the
    ledger says so, and putting them there twice changes nothing: this may die anywhere and be called again. One process
    at a time does it (`Busy`).
    """
    lock = project.files.append(project.home.root / TABLES / ".lock")
    try:
        with project.ledger() as ledger:
            return tuple(put(project, ledger, segment, now=now) for segment in waiting(ledger))
    finally:
        lock.close()


def waiting(ledger: Ledger) -> list[Segment]:
    """Sealed segments that are not in the tables, in the order in which they were sealed."""
    done = {(one.segment, one.digest) for one in history.all_of(ledger, Compacted)}
    done |= {(one.segment, one.digest) for one in history.all_of(ledger, Dropped)}
    return [one for one in history.all_of(ledger, Segment) if (one.id, one.digest) not in done]


def put(project: Project, ledger: Ledger, segment: Segment, *, now: int) -> Compacted:
    """One segment into the tables, and then on the ledger."""
    adapters.verify_segment(project.home.log, segment)
    decisions, outcomes = adapters.put_segment(
        project.home.root / TABLES,
        log=project.home.log,
        segment=segment,
        system=project.system.name,
        files=project.files,
    )
    done = Compacted(segment=segment.id, digest=segment.digest, decisions=decisions, outcomes=outcomes, at=now)
    ledger.append([history.entry(done, id=segment.id, actor=project.actor, at=now)])
    return done
