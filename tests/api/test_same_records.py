"""Replay and serving call the same decider: the same rows give the same records, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from kring.flow import adapters
from kring.flow.deciding import open_answerers, open_decider
from kring.flow.project import Project, open_project
from kring.flow.replaying.feed import load_feed
from kring.flow.serving.opening import Opener, reader_of
from kring.flow.serving.publish import served
from kring.host.clock import SimulatedClock
from kring.record.batch import Batch
from kring.serve.decider import Decided

ROWS = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = 1_750_000_000_000_000


@pytest.mark.parametrize("name", ["loans", "parcels", "fruit"])
def test_a_thousand_records_are_equal_byte_for_byte(name: str, released: dict[str, Path]) -> None:
    project = open_project(released[name])
    replayed, asked = decided_by_replay(project), decided_by_serving(project)
    assert len(replayed) == len(asked) == ROWS
    for number, (left, right) in enumerate(zip(replayed, asked, strict=True)):
        assert left == right, (number, msgspec.msgpack.decode(left), msgspec.msgpack.decode(right))
    costs = {msgspec.msgpack.decode(one)["cost"] for one in replayed}
    assert (costs == {0.0}) == (name != "fruit"), (
        "of the fruit each answer costs something, on a clock that stands still"
    )


def decided_by_replay(project: Project) -> list[bytes]:
    """The records of the feed's rows, one at a time, as a replay decides."""
    with project.ledger() as ledger:
        pointer = served(project, ledger).pointer
    decider = open_decider(
        project, pointer, {pointer.live: open_answerers(project, pointer.live)}, clock=SimulatedClock(NOW)
    )
    found = batches(project)
    return [encoded(decider.decide(one, at=NOW + row, kind="batch")) for row, one in enumerate(found)]


def decided_by_serving(project: Project) -> list[bytes]:
    """The records of the same rows as they would come in requests."""
    clock = SimulatedClock(NOW)
    with project.ledger() as ledger:
        known = served(project, ledger)
    opener = Opener(known, adapters.task_named(known.system.task), wrap=lambda _, runtime: runtime, say=print)
    reader = reader_of(known, clock=clock, random=project.random)
    decider = opener.decider(known.pointer, clock=clock)
    types = {field.name: field.type for field in reader.fields}
    records = []
    for row, one in enumerate(batches(project)):
        raw = {column: as_json(values[0], types[column]) for column, values in one.columns.items()}
        read = reader.read([msgspec.json.decode(msgspec.json.encode(raw))])
        batch = reader.batch(read.values)
        records.append(encoded(decider.serve(batch, fired=read.fired, at=NOW + row, kind="batch")))
    return records


def batches(project: Project) -> list[Batch]:
    """Rows of the feed, each by itself; from the beginning again when there are no more."""
    feed = load_feed(project, start=-1, end=np.iinfo(np.int64).max)
    return [feed.batch(np.array([row % feed.n])) for row in range(ROWS)]


def as_json(value: object, type: str) -> object:
    """A typed value as a program would send it."""
    if value is None or type not in ("timestamp", "date"):
        return value
    assert isinstance(value, int)
    moment = EPOCH + (timedelta(days=value) if type == "date" else timedelta(microseconds=value))
    return moment.isoformat() if type == "timestamp" else moment.date().isoformat()


def encoded(decided: list[Decided]) -> bytes:
    (one,) = decided
    return msgspec.msgpack.encode(one.record)
