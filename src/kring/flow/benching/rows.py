"""Rows of the newest snapshot as bodies of requests."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.data import snapshot as snapshots
from kring.errors import NotFound
from kring.flow.project import Project
from kring.flow.snapshots import LATEST, find
from kring.record.snapshot import Snapshot

MOST_ROWS: Final = 256
SEED: Final = 0


def bodies_of(project: Project) -> tuple[Snapshot, list[str]]:
    """The newest snapshot, and up to 256 rows of it drawn at random, each as `{"inputs": {…}}` with every field that
    is known when a decision is made.

    `NotFound` without a snapshot or without rows.
    """
    newest = find(project, LATEST)
    frame = snapshots.load(newest, folder=project.home.data)
    asked = [field.name for field in project.contract.fields if field.name not in project.known_later]
    drawn = frame.select(asked).sample(min(MOST_ROWS, frame.height), seed=SEED)
    if not drawn.height:
        raise NotFound("the newest snapshot holds no rows", got=newest.id, next="kring check takes another one")
    return newest, [msgspec.json.encode({"inputs": row}).decode() for row in drawn.iter_rows(named=True)]
