"""What a version carries beside its chain: rows to explain against, what is usual among those learned from, and what
its inputs and outputs looked like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from kring.contracts.grammar import fields_of, parse
from kring.data.profile import private
from kring.decide import outliers
from kring.experiment.outliers import usual_rows
from kring.flow.policy_asked import fields_read
from kring.flow.training.build import Built, Session, names_of
from kring.flow.training.material import select
from kring.flow.training.references import read_only
from kring.flow.training.said import output_references
from kring.record.background import Background
from kring.record.batch import Batch, Column
from kring.record.decision import Value
from kring.record.drift import References
from kring.record.prepare import PreparedColumn
from kring.record.system import Candidate
from kring.watch import drift

BACKGROUND: Final = "background.json"
MOST_ROWS: Final = 100


def companions_of(session: Session, candidate: Candidate, built: Built) -> dict[str, bytes]:
    """The files by name. For a candidate that answers in words only how its questions and answers are spread: its
    citations are its explanation.

    No column that reads a personal field or an identifier stands in any of them.
    """
    files = {} if session.material.policy.output == "answer" else explaining(session, candidate)
    if not candidate.baseline:
        files[drift.FILE] = _encoded(references(session, candidate, built, files))
    return files


def references(session: Session, candidate: Candidate, built: Built, files: Mapping[str, bytes]) -> References:
    """Of the raw fields that the candidate reads or its policy does, and of what is said in the end."""
    material = session.material
    pinned = material.pinned_for(material.prepared_for(candidate))
    fields = {name for column in pinned.columns for name in reads(column)} | set(fields_read(material.policy))
    found = read_only(material.references, fields)
    return msgspec.structs.replace(found, outputs=output_references(session.project, material, built, files))


def explaining(session: Session, candidate: Candidate) -> dict[str, bytes]:
    """Rows to explain answers against, and the model of outliers where the policy asks for one."""
    material, project = session.material, session.project
    prepared = material.prepared_for(candidate)
    hidden = {field.name for field in project.contract.fields if private(field)}
    shown = [column for column in prepared.columns if not reads(column) & hidden]
    withheld = tuple(name for name in names_of(prepared) if name not in {column.name for column in shown})
    names = [column.name for column in shown]
    learned = select(material.train_batch, names)
    files = {BACKGROUND: _encoded(background(learned, withheld=withheld, seed=session.seed))}
    if material.policy.outliers != "off" and not candidate.baseline:
        kinds = {column.name: column.kind for column in shown}
        usual = usual_rows(learned, select(material.test_batch, names), kinds=kinds)
        project.say(
            f"usual   {candidate.name}: {1 - usual.quantile:.1%} of {usual.rows:,} rows are outliers by definition, "
            f"and {usual.held_out:.1%} of the held-out rows"
        )
        files[outliers.FILE] = _encoded(usual)
    return files


def reads(column: PreparedColumn) -> set[str]:
    """The raw fields that a prepared column reads, those of lookup keys included."""
    return set(fields_of(parse(column.expression)))


def background(learned: Batch, *, withheld: tuple[str, ...], seed: int) -> Background:
    """At most 100 rows, drawn by `seed`, in the order in which they were learned from."""
    n = min(MOST_ROWS, learned.n)
    rows = np.sort(np.random.default_rng(seed).choice(learned.n, n, replace=False)) if n else np.arange(0)
    columns = {name: _plain(np.asarray(column)[rows]) for name, column in learned.columns.items()}
    return Background(n=n, columns=columns, withheld=withheld)


def _plain(column: Column) -> list[Value]:
    values = np.asarray(column)
    if values.dtype.kind == "f":
        return [None if np.isnan(value) else float(value) for value in values]
    return [str(value) for value in values]


def _encoded(record: msgspec.Struct) -> bytes:
    return msgspec.json.encode(record, order="sorted")
