"""Which decision was made about which row: by the fields that name a row, wherever it is told of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import polars as pl

from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.recording import unsealing
from kring.metrics.ids import decision_block
from kring.record.decision import Decisions, Value

Key = tuple[Value, ...]


def row_key(project: Project) -> tuple[str, ...]:
    """The fields that name a row of the feed and a question alike: the contract's primary key, else subject and time,
    else all that is known when a decision is made."""
    known = [field for field in project.contract.fields if field.name not in project.known_later]
    primary = tuple(field.name for field in known if field.primary_key)
    data = project.system.data
    named = (data.subject, data.time) if data.subject and data.time else ()
    return primary or named or tuple(field.name for field in known)


def asked_by(project: Project, names: Collection[str]) -> list[str]:
    """Those of `names` that are fields of a question, in the contract's order."""
    return [one.name for one in project.contract.fields if one.name in names and one.name not in project.known_later]


def physical(frame: pl.DataFrame) -> pl.DataFrame:
    """Times as integers, the rest as it is."""
    temporal = [name for name, dtype in frame.schema.items() if dtype.is_temporal()]
    return frame.with_columns(pl.col(temporal).to_physical())


def decisions_about(project: Project, names: Sequence[str], keys: Collection[Key]) -> dict[Key, list[bytes]]:
    """The decisions (16 bytes each) that were made about rows with these `keys`, in the order of the log."""
    found: dict[Key, list[bytes]] = defaultdict(list)
    with unsealing(project) as unseal:
        for logged in adapters.read_log(project.home.log, system=project.system.name).read():
            record = logged.record
            if not isinstance(record, Decisions) or record.arm == "shadow" or not record.inputs:
                continue
            record = unseal(record)
            raw = b""
            for row, key in enumerate(zip(*columns_of(record, names), strict=True)):
                if key in keys:
                    raw = raw or decision_block(logged.place, record.n).tobytes()
                    found[key].append(raw[16 * row : 16 * row + 16])
    return found


def columns_of(record: Decisions, names: Sequence[str]) -> list[list[Value]]:
    """The fields `names` of a record; None in all rows of one that it does not have."""
    return [record.inputs.get(name) or [None] * record.n for name in names]
