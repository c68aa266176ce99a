"""What the log holds of one version in one span: rows, answers, outcomes, and what others would have said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.flow import adapters
from kring.flow.project import Project
from kring.metrics.ids import decision_block
from kring.record.batch import Batch
from kring.record.decision import Decisions, Outcomes, Value
from kring.record.version import Policy

MOST_ROWS: Final = 200_000
ID: Final = 16


@dataclass
class LiveRows:
    """`n` rows in the order of the log: ids (16 bytes each), columns, outcomes (None where not known) and, by version,
    the columns of what others said to them with the places of the rows."""

    ids: list[bytes] = field(default_factory=list)
    inputs: dict[str, list[Value]] = field(default_factory=dict)
    outputs: dict[str, list[Value]] = field(default_factory=dict)
    outcomes: list[Value] = field(default_factory=list)
    others: dict[str, list[tuple[NDArray[np.int64], Batch]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.ids)

    def batch(self) -> Batch:
        """The inputs."""
        return Batch(self.n, {**self.inputs})

    def said(self, project: Project, policy: Policy) -> NDArray[np.float64]:
        """The answers as the task reads them."""
        return project.task.outputs(Batch(self.n, {**self.outputs}), policy)

    def truth(self, project: Project, policy: Policy) -> NDArray[np.float64]:
        """The outcomes as the task reads them."""
        return project.task.truth(self.outcomes, policy)


def live_rows(project: Project, *, version: str, start: int, end: int) -> LiveRows:
    """The newest 200,000 rows that `version` answered itself between `start` and `end`. Sealed values stay sealed: they
    are missing here."""
    rows = LiveRows()
    place: dict[bytes, int] = {}
    for one in adapters.read_log(project.home.log, system=project.system.name).read():
        record = one.record
        if isinstance(record, Outcomes):
            for id, value in zip(record.ids, record.values, strict=True):
                if id in place:
                    rows.outcomes[place[id]] = value
        elif not isinstance(record, Decisions) or not start <= record.at < end:
            continue
        elif record.arm == "shadow":
            _others(rows, record, place)
        elif record.answered_by == version:
            raw = decision_block(one.place, record.n).tobytes()
            _add(rows, record, [raw[at : at + ID] for at in range(0, len(raw), ID)], place)
    return _newest(rows)


def _add(rows: LiveRows, record: Decisions, ids: list[bytes], place: dict[bytes, int]) -> None:
    before = rows.n
    place.update((id, before + number) for number, id in enumerate(ids))
    for columns, more in ((rows.inputs, record.inputs), (rows.outputs, record.outputs)):
        for name in {*columns, *more}:
            column = columns.setdefault(name, [None] * before)
            column += [None] * record.n if name in record.sealed or name not in more else more[name]
    rows.ids += ids
    rows.outcomes += [None] * record.n


def _others(rows: LiveRows, record: Decisions, place: dict[bytes, int]) -> None:
    if not record.refers or record.refers[0] not in place:
        return
    known = np.array([place.get(id, -1) for id in record.refers], dtype=np.int64)
    rows.others[record.version].append((known, Batch(record.n, {**record.outputs})))


def _newest(rows: LiveRows) -> LiveRows:
    """The last rows, where there are too many."""
    gone = rows.n - MOST_ROWS
    if gone <= 0:
        return rows
    kept = LiveRows(rows.ids[gone:], _cut(rows.inputs, gone), _cut(rows.outputs, gone), rows.outcomes[gone:])
    for version, parts in rows.others.items():
        kept.others[version] = [(places - gone, said) for places, said in parts if (places >= gone).any()]
    return kept


def _cut(columns: dict[str, list[Value]], gone: int) -> dict[str, list[Value]]:
    return {name: column[gone:] for name, column in columns.items()}


def some(column: Sequence[Value], rows: NDArray[np.int64]) -> list[Value]:
    """The values of these rows."""
    return [column[row] for row in rows.tolist()]
