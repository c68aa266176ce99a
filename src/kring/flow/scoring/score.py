"""A file of rows → decisions on record → a file of answers.

The order is what makes an answer trustworthy: a chunk is durable in the decision log before its rows are written;
the batch stands on the ledger before the file of answers appears; and the file appears whole or not at all. So
whatever is found in a file of answers can be traced. A batch that did not end leaves its decisions in the log,
without a record on the ledger: nobody was told of them.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from kring.contracts.to_polars import DTYPES
from kring.decide.guard import frame_guard
from kring.errors import KringError, NotFound, Refused, Unavailable
from kring.flow import adapters, history
from kring.flow.checking import hide
from kring.flow.deciding import Opened, open_answerers, open_decider
from kring.flow.project import Project
from kring.flow.recording import sealing_for
from kring.flow.scoring.input import Rows, as_batch, open_rows, staged_reader
from kring.flow.scoring.order import Order, ranked_by, refuse_order, refuse_rows, stamps
from kring.flow.scoring.output import ID, VERSION, Part, answer_schema, in_order, part_of, with_ids
from kring.flow.versions import require_same_reading
from kring.host.clock import stopwatch
from kring.ports.decision_log import DecisionLog
from kring.ports.files import Appender
from kring.ports.ledger import Ledger
from kring.ports.sink import Table
from kring.record.decision import PackedDecisions
from kring.record.event import Segment
from kring.record.rollout import Pointer
from kring.record.scored import Scored
from kring.serve.decider import REJECTED, UNANSWERED, Decider
from kring.sources import file as source
from kring.watch.inputs import breaches

WORKERS: Final = min(4, os.cpu_count() or 1)
"""Chunks that are decided at once; one more waits, and no others are held."""


@dataclass
class Course:
    """One file on its way: who decides it as which batch, what is told of each row, and what came of it so far."""

    id: str
    at: int
    decider: Decider[pl.DataFrame]
    schema: pl.Schema
    log: DecisionLog
    vault_turn: Lock = field(default_factory=Lock)
    rows: int = 0
    decided: int = 0
    rejected: int = 0
    unanswered: int = 0
    flagged: int = 0
    fallback: int = 0
    written: int = 0
    first_id: str = ""
    last_id: str = ""

    def count(self, record: PackedDecisions) -> None:
        self.rows += record.n
        if record.answered_by == REJECTED:
            self.rejected += record.n
        elif record.answered_by == UNANSWERED:
            self.unanswered += record.n
        else:
            self.decided += record.n
            self.flagged += breaches(record.guards)
            self.fallback += record.n if record.fallback else 0


class Ready(NamedTuple):
    """A chunk that is decided: who answered which rows, and the columns of texts of which each is a number."""

    parts: list[Part]
    numbers: list[str]


class Answers(NamedTuple):
    """Rows to hand out, and the columns of texts in which no sign has to be guarded."""

    rows: pl.DataFrame
    sure: Sequence[str] = ()


class Handed:
    """Fulfils `kring.ports.sink.Target`: a file that is not there yet, and the digest of its bytes."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self.digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self._appender.write(data)
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        """What is written is made durable at the end."""


def score(project: Project, order: Order) -> Scored:
    """Decide every row of a CSV, Parquet or JSON-lines file (also a folder or glob) with the live version.

    What is wrong with the order or the file is a `UserError` before any work. Memory does not grow with the rows.
    On any failure, and on Ctrl-C, there is no file of answers.
    """
    began = stopwatch()
    sink = adapters.sink_of(order.out)
    refuse_order(order, home=project.home.root)
    pointer = live_pointer(project)
    opened = open_all(project, pointer)
    rows = open_rows(project, order.path, keep=order.keep, opened=opened)
    decider = file_decider(project, pointer, opened, rows)
    schema = answer_schema([opened[pointer.live].answerer, decider.baseline], no_values(project))
    refuse_rows(order, rows, schema, sink=sink)
    project.say(f"score   {order.path} with {pointer.live}")
    with project.working(), project.ledger() as ledger, open_log(project) as log:
        course = Course(id=project.new_id("b"), at=project.clock.now(), decider=decider, schema=schema, log=log)
        with unfinished(project, order.out) as appender:
            handed = Handed(appender)
            table = sink.open_table(handed, schema=pl.Schema({**rows.given, **schema}))
            digest = write_answers(project, order, rows, course, table=table)
            appender.sync()
            digests = digest, handed.digest.hexdigest()
            scored = summary(project, order, course, digests=digests, seconds=stopwatch() - began)
            remember(project, ledger, log, scored)
            appender.close()
            project.files.publish(partial_of(order.out), order.out, replace=order.force)
    return scored


def live_pointer(project: Project) -> Pointer:
    """Who answers now; `NotFound` says how to get a live version."""
    state = None
    if project.home.ledger.exists():
        with project.ledger() as ledger:
            state = history.operator_state(ledger)
    if state is None or state.pointer is None:
        raise NotFound("there is no live version yet", next=f"run kring go {project.folder} first")
    return state.pointer


def open_all(project: Project, pointer: Pointer) -> dict[str, Opened]:
    """Every version that the pointer names. The live one must open; another that does not is left out, and said."""
    opened = {pointer.live: open_answerers(project, pointer.live)}
    require_same_reading(project, opened[pointer.live].loaded)
    for version in (pointer.previous, pointer.canary):
        if version and version not in opened:
            try:
                opened[version] = open_answerers(project, version)
            except KringError as error:
                project.say(f"version {version} can't be opened and answers nothing: {error.message}")
    return opened


def file_decider(project: Project, pointer: Pointer, opened: Mapping[str, Opened], rows: Rows) -> Decider[pl.DataFrame]:
    """The one way of a decision, for rows as they stand in a file: what can't be read breaks the contract."""
    if pointer.canary not in opened:
        pointer = msgspec.structs.replace(pointer, canary="", share=0.0)
    fields = [one for one in project.contract.fields if one.name not in project.known_later and not one.identifier]
    return replace(
        open_decider(project, pointer, opened, clock=project.clock),
        read=staged_reader(project),
        guard=frame_guard(project.contract, fields=[one.name for one in fields], made=rows.made),
    )


def no_values(project: Project) -> pl.DataFrame:
    """One row in which everything is missing."""
    fields = [one for one in project.contract.fields if one.name not in project.known_later]
    return pl.DataFrame({one.name: [None] for one in fields}, schema={one.name: DTYPES[one.type] for one in fields})


@contextmanager
def open_log(project: Project) -> Iterator[DecisionLog]:
    """A writer of the decision log, closed whatever happens; others may be writing beside it."""
    system = project.system
    writer = adapters.free_writer(
        project.home.log,
        files=project.files,
        system=system.name,
        durability=system.log.durability,
        first=adapters.BESIDE,
    )
    log = sealing_for(project, writer)
    try:
        yield log
    finally:
        log.close()


def partial_of(out: Path) -> Path:
    """Where the answers are gathered: beside the file they will be."""
    return out.with_name(f".{out.name}.part")


@contextmanager
def unfinished(project: Project, out: Path) -> Iterator[Appender]:
    """The gathering file, empty at first and gone when anything fails. `Busy` while another command fills it."""
    partial = partial_of(out)
    appender = project.files.append(partial)
    try:
        if appender.size():
            project.files.truncate(partial, 0)
        yield appender
    except BaseException:
        appender.close()
        with suppress(Unavailable):
            project.files.remove(partial)
        raise


def write_answers(project: Project, order: Order, rows: Rows, course: Course, *, table: Table) -> str:
    """Decide, record and write chunk by chunk; the digest of what was read. `Refused` when it changed meanwhile."""
    before = stamps(order)
    try:
        with ThreadPoolExecutor(1) as aside, ThreadPoolExecutor(1) as hand:
            digest = aside.submit(source.digest, order.path)
            answers = decided(project, rows, course)
            if order.top:
                answers = work_list(answers, order.top, by=ranked_by(order, course.schema))
            writing: Future[None] | None = None
            for part in answers:  # one part is written while the next is decided
                if writing is not None:
                    writing.result()
                writing = hand.submit(table.write, part.rows, sure=part.sure)
                course.written += part.rows.height
            if writing is not None:
                writing.result()
        table.finish()
    except BaseException:
        table.abandon()
        raise
    if stamps(order) != before:
        raise Refused(f"{order.path} changed while it was read", next="run the command again when it is complete")
    return digest.result()


def decided(project: Project, rows: Rows, course: Course) -> Iterator[Answers]:
    """What is handed out, chunk by chunk in order; each is durable in the log before it is yielded."""
    waiting: deque[tuple[pl.DataFrame, Future[Ready]]] = deque()
    pool = ThreadPoolExecutor(WORKERS)
    try:
        first = 0
        for chunk in rows.chunks():
            given = chunk.select(rows.given.names())
            waiting.append((given, pool.submit(parts_of, project, course, rows, chunk, first)))
            first += chunk.height
            if len(waiting) > WORKERS:
                yield settled(course, *waiting.popleft())
        while waiting:
            yield settled(course, *waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def parts_of(project: Project, course: Course, rows: Rows, chunk: pl.DataFrame, first: int) -> Ready:
    """One chunk through the decider: an answer for every row, or the reason why there is none."""
    staged, numbers = rows.staged(chunk)
    with course.vault_turn:
        hidden = hide(project, staged)
    found = course.decider.decide(as_batch(hidden), at=course.at, kind="batch")
    return Ready([part_of(one, batch=course.id, first=first, schema=course.schema) for one in found], numbers)


def settled(course: Course, given: pl.DataFrame, ready: Future[Ready]) -> Answers:
    """Put a decided chunk on record, durably, and give its rows their ids."""
    told = []
    parts, numbers = ready.result()
    for part in parts:
        told.append(with_ids(part, course.log.append(part.record)))
        course.count(part.record)
    course.log.commit()
    answers = in_order(told)
    course.first_id = course.first_id or str(answers[ID][0])
    course.last_id = str(answers[ID][-1])
    return Answers(given.hstack(answers.select(course.schema.names())), (*numbers, ID, VERSION))


def work_list(answers: Iterator[Answers], most: int, *, by: str) -> Iterator[Answers]:
    """The `most` rows with the largest values of `by`, the earlier one first where they are equal; none without."""
    best: pl.DataFrame | None = None
    for part, _ in answers:
        rows = part if best is None else pl.concat([best, part])
        values = rows[by].cast(pl.Float64).fill_null(np.nan).to_numpy()
        known = int((~np.isnan(values)).sum())
        best = rows[np.argsort(-values, kind="stable")[: min(most, known)]]
    if best is not None:
        yield Answers(best)


def summary(project: Project, order: Order, course: Course, *, digests: tuple[str, str], seconds: float) -> Scored:
    """What the ledger keeps of the batch."""
    return Scored(
        id=course.id,
        system=project.system.name,
        version=course.decider.pointer.live,
        source=order.path.name,
        source_digest=digests[0],
        output=order.out.name,
        output_digest=digests[1],
        at=course.at,
        rows=course.rows,
        decided=course.decided,
        rejected=course.rejected,
        flagged=course.flagged,
        fallback=course.fallback,
        unanswered=course.unanswered,
        written=course.written,
        first_id=course.first_id,
        last_id=course.last_id,
        seconds=seconds,
    )


def remember(project: Project, ledger: Ledger, log: DecisionLog, scored: Scored) -> None:
    """The batch and the sealed segments that hold its decisions, on the ledger in one transaction."""
    now = project.clock.now()
    known = {segment.id for segment in history.all_of(ledger, Segment)}
    records: list[Segment | Scored] = [segment for segment in log.seal() if segment.id not in known]
    records.append(scored)
    ledger.append([history.entry(record, id=record.id, actor=project.actor, at=now) for record in records])
