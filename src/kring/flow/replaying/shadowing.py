"""What a version would have said to the decisions on record: a shadow without live traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.errors import DataError, NotFound, UserError
from kring.flow import adapters, history
from kring.flow.deciding import Opened, frame_reader, open_answerers
from kring.flow.policies import Policies
from kring.flow.project import Project
from kring.flow.recording import Unsealing, unsealing
from kring.flow.versions import require_same_reading
from kring.flow.viewing.decisions import row_of
from kring.metrics.ids import decision_block, decision_id
from kring.ports.decision_log import Logged
from kring.ports.sealer import ERASED
from kring.record.batch import Batch
from kring.record.decision import Decisions, Outcomes, Value
from kring.record.evidence import Measure
from kring.record.shadowed import Differing, ShadowReplay
from kring.record.version import Policy, Version
from kring.serve.decider import as_lists
from kring.serve.fallback import ask

AT_ONCE: Final = 8192
MOST_SHOWN: Final = 20
DRAWS: Final = 500
SEED: Final = 0
FEWEST: Final = 2
"""Outcomes without which nothing is said of quality."""

DAY_US: Final = 86_400_000_000


Columns = dict[str, list[Value]]


class Part(NamedTuple):
    """Rows of the log that were put to the version together: ids (16 bytes each), when they were decided, inputs, what
    was said, and as the task reads both answers, first axis rows."""

    ids: list[bytes]
    at: list[int]
    inputs: Columns
    said: Columns
    shadow: Columns
    theirs: NDArray[np.float64]
    mine: NDArray[np.float64]


@dataclass
class Gathered:
    """Rows that wait to be put to the version."""

    ids: list[bytes] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    inputs: Columns = field(default_factory=dict)
    said: Columns = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.ids)

    def add(self, record: Decisions, ids: list[bytes], rows: list[int]) -> None:
        """Some rows of a record."""
        for columns, more in ((self.inputs, record.inputs), (self.said, record.outputs)):
            for name in {*columns, *more}:
                column = columns.setdefault(name, [None] * self.n)
                column += [more[name][row] for row in rows] if name in more else [None] * len(rows)
        self.ids += [ids[row] for row in rows]
        self.at += [record.at] * len(rows)


@dataclass
class Shadowing:
    """One comparison under way; counts by what became of a row."""

    project: Project
    opened: Opened
    unseal: Unsealing
    policies: Policies
    counts: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    outcomes: dict[bytes, Value] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    waiting: dict[str, Gathered] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        return self.opened.answerer.policy

    def hear(self, logged: Logged) -> None:
        """A frame of the log within the span."""
        record = logged.record
        assert isinstance(record, Decisions)
        self.counts["rows"] += record.n
        self.asked[record.version] += record.n
        if record.answered_by == self.opened.id:
            self.counts["own"] += record.n
            return
        sealed, record = record.sealed, self.unseal(record)
        rows = [row for row in range(record.n) if not any(record.inputs[name][row] == ERASED for name in sealed)]
        self.counts["erased"] += record.n - len(rows)
        raw = decision_block(logged.place, record.n).tobytes()
        waiting = self.waiting.setdefault(record.answered_by, Gathered())
        waiting.add(record, [raw[at : at + 16] for at in range(0, len(raw), 16)], rows)
        if waiting.n >= AT_ONCE:
            self.ask(record.answered_by)

    def ask(self, answered_by: str) -> None:
        """Put what waits to the version."""
        rows = self.waiting.pop(answered_by)
        if not rows.n:
            return
        answer = ask(self.opened.answerer, frame_reader(self.project)(Batch(rows.n, {**rows.inputs})), n=rows.n)
        shadow = as_lists(answer.outputs)
        task, theirs = self.project.task, self.policies.of(answered_by)
        self.parts.append(
            Part(
                ids=rows.ids,
                at=rows.at,
                inputs=rows.inputs,
                said=rows.said,
                shadow=shadow,
                theirs=task.outputs(Batch(rows.n, {**rows.said}), theirs or self.policy),
                mine=task.outputs(Batch(rows.n, {**shadow}), self.policy),
            )
        )


def shadow_replay(project: Project, *, version: str, start: int = 0, end: int = 0) -> ShadowReplay:
    """Ask `version` what was asked from `start` to `end` (microseconds UTC, 0: all there is), and compare.

    `NotFound` for a version that was never made here, `IntegrityError` for one that is not whole, `Conflict` for one
    of another contract, `DataError` where no decision is on record in the span, or none of them can be read any more.
    """
    id = known_version(project, version)
    if end and end <= start:
        raise UserError("a span ends after it begins", got=f"{start} to {end}", next="choose --to after --from")
    opened = open_answerers(project, id)
    try:
        require_same_reading(project, opened.loaded)
        with unsealing(project) as unseal:
            shadowing = Shadowing(project, opened, unseal, Policies(project))
            span = heard(shadowing, start=start, end=end)
        return summed(shadowing, start=span[0], end=span[1])
    finally:
        opened.answerer.runtime.close()
        opened.baseline.runtime.close()


def known_version(project: Project, name: str) -> str:
    """The version's whole id; the beginning of it is enough. `NotFound` without one, `UserError` when several begin
    so."""
    ids: list[str] = []
    if project.home.ledger.exists():
        with project.ledger() as ledger:
            ids = list(dict.fromkeys(one.id for one in history.all_of(ledger, Version)))
    found = [id for id in ids if name and id.upper().startswith(name.upper())]
    found = [id for id in found if id.upper() == name.upper()] or found
    if not found:
        raise NotFound("there is no such version", got=repr(name)[:80], next="kring status shows those there are")
    if len(found) > 1:
        raise UserError("several versions begin like this", got=repr(name)[:80], allowed=", ".join(found[:5]))
    return found[0]


def heard(shadowing: Shadowing, *, start: int, end: int) -> tuple[int, int]:
    """Read the log and ask; the moments of the first and the last decision that were found."""
    moments: list[int] = []
    project = shadowing.project
    for logged in adapters.read_log(project.home.log, system=project.system.name).read():
        record = logged.record
        if isinstance(record, Outcomes):
            shadowing.outcomes.update(zip(record.ids, record.values, strict=True))
        elif is_asked(record) and start <= record.at and (not end or record.at < end):
            shadowing.hear(logged)
            moments += [record.at]
    for answered_by in [*shadowing.waiting]:
        shadowing.ask(answered_by)
    if not moments:
        raise DataError(
            "no decision is on record there" if start or end else "no decision is on record yet",
            next="choose another span"
            if start or end
            else "put questions to the live version: kring score, kring serve",
        )
    if not shadowing.parts and shadowing.counts["erased"]:
        raise DataError(
            "the inputs of these decisions are sealed, and the keys are gone",
            got=f"{shadowing.counts['erased']:,} decisions about people who were forgotten",
            next="choose another span",
        )
    return min(moments), max(moments)


def is_asked(record: object) -> bool:
    """Whether somebody asked, and the inputs are on record."""
    return isinstance(record, Decisions) and record.arm != "shadow" and bool(record.inputs)


def summed(shadowing: Shadowing, *, start: int, end: int) -> ShadowReplay:
    """All parts together."""
    task, counts, policy = shadowing.project.task, shadowing.counts, shadowing.policy
    parts = [compared_part(shadowing, part) for part in shadowing.parts]
    both = np.concatenate([one.both for one in parts]) if parts else np.zeros(0, dtype=np.bool_)
    mine = np.concatenate([part.mine for part in shadowing.parts]) if parts else np.zeros(0)
    theirs = np.concatenate([part.theirs for part in shadowing.parts]) if parts else np.zeros(0)
    quality, outcomes = quality_of(shadowing, both, mine, theirs)
    found = sorted((one for part in parts for one in part.differing), key=lambda one: one[0])
    return ShadowReplay(
        system=shadowing.project.system.name,
        version=shadowing.opened.id,
        start=start,
        end=end,
        rows=counts["rows"],
        answered_by=dict(shadowing.asked),
        erased=counts["erased"],
        own=counts["own"],
        unanswered=sum(one.unanswered for one in parts),
        failures=sum(one.failures for one in parts),
        compared=int(both.sum()),
        otherwise=sum(one.otherwise for one in parts),
        outcomes=outcomes,
        agreement=tuple(task.agreement(mine[both], theirs[both], policy)),
        quality=quality,
        differing=tuple(one for _, one in found[:MOST_SHOWN]),
    )


class Compared(NamedTuple):
    """What one part came to; `differing` with what sorts them, the furthest apart first."""

    both: NDArray[np.bool_]
    unanswered: int
    failures: int
    otherwise: int
    differing: list[tuple[tuple[bool, float, str], Differing]]


def compared_part(shadowing: Shadowing, part: Part) -> Compared:
    """Row by row."""
    task = shadowing.project.task
    theirs, mine = task.answered(part.theirs), task.answered(part.mine)
    distance, differs = task.apart(part.mine, part.theirs, shadowing.policy)
    differs = differs | otherwise(part)
    order = np.lexsort((-distance, ~differs))
    rows = [row for row in order[:MOST_SHOWN].tolist() if differs[row] or distance[row] > 0]
    return Compared(
        both=theirs & mine,
        unanswered=int((~theirs).sum()),
        failures=int((~mine).sum()),
        otherwise=int((differs & theirs & mine).sum()),
        differing=[(sorting(part, row, differs, distance), differing(shadowing, part, row, distance)) for row in rows],
    )


def otherwise(part: Part) -> NDArray[np.bool_]:
    """The rows that are decided differently by rule, by hand or by label, (n,)."""
    nothing: list[Value] = [None] * len(part.ids)
    said, shadow = (columns.get("decision", nothing) for columns in (part.said, part.shadow))
    pairs = zip(said, shadow, strict=True)
    return np.array([not isinstance(one, float) and str(one) != str(other) for one, other in pairs], dtype=np.bool_)


def sorting(part: Part, row: int, differs: NDArray[np.bool_], distance: NDArray[np.float64]) -> tuple[bool, float, str]:
    return not differs[row], -float(distance[row]), decision_id(part.ids[row])


def differing(shadowing: Shadowing, part: Part, row: int, distance: NDArray[np.float64]) -> Differing:
    apart, types = float(distance[row]), shadowing.project.types
    return Differing(
        id=decision_id(part.ids[row]),
        at=part.at[row],
        inputs=row_of(part.inputs, row, types=types),
        said=row_of(part.said, row, types=types),
        shadow=row_of(part.shadow, row, types=types),
        apart=apart if np.isfinite(apart) else None,
        outcome=shadowing.outcomes.get(part.ids[row]),
    )


def quality_of(
    shadowing: Shadowing, both: NDArray[np.bool_], mine: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[tuple[Measure, ...], int]:
    """The metrics of the version beside what was said, where both answered and the outcome is known; intervals
    resample days where there are several. And how many such rows there are."""
    task = shadowing.project.task
    ids = [id for part in shadowing.parts for id in part.ids]
    truth = task.truth([shadowing.outcomes.get(id) for id in ids], shadowing.policy)
    rows = np.flatnonzero(both & task.known(truth)) if ids else np.zeros(0, dtype=np.intp)
    if len(rows) < FEWEST:
        return (), len(rows)
    at = np.array([at for part in shadowing.parts for at in part.at], dtype=np.int64)[rows]
    try:
        measures, _ = task.measure(
            truth[rows], mine[rows], theirs[rows], groups=groups_of(at), policy=shadowing.policy, draws=DRAWS, seed=SEED
        )
    except DataError:  # all of one label, or too few
        return (), len(rows)
    return tuple(measures), len(rows)


def groups_of(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The day of each row, or the row itself where they span fewer than five days."""
    days = at // DAY_US
    return days if len(np.unique(days)) >= 5 else np.arange(len(at), dtype=np.int64)
