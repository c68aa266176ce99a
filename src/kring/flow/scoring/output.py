"""Decided rows as the record keeps them, and as the person who asked gets them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from kring.contracts.columns import MARK
from kring.decide.policy import says_review
from kring.metrics.ids import PAIRS, decision_bytes, decision_id
from kring.metrics.packing import packed
from kring.record.batch import Batch, Column
from kring.record.decision import OUTLIER, Packed, PackedDecisions, Place
from kring.serve.decider import REJECTED, UNANSWERED, Decided
from kring.serve.fallback import Answerer

ID: Final = "decision_id"
DECISION: Final = "decision"
VERSION: Final = "version"
GUARDS: Final = "guards"
REASON: Final = "reason"
PLACE: Final = f"place{MARK}"
BROKEN: Final = "rejected: the row breaks the contract"
PAIRS_COLUMN: Final = pl.Series(PAIRS)
LOW_BITS: Final = 10


@dataclass(frozen=True)
class Part:
    """The rows of one chunk that one rung answered: the record, and what is told of them, without ids."""

    record: PackedDecisions
    told: pl.DataFrame


def answer_schema(answerers: Sequence[Answerer[pl.DataFrame]], nothing: pl.DataFrame) -> pl.Schema:
    """The columns that are told of a row, `decision` first among the answers. The first of `answerers` that can
    say anything to `nothing`, one row without values, says which answers there are."""
    for answerer in answerers:
        try:
            said = answerer.answer(nothing)
        except Exception:  # noqa: BLE001  the model boundary: asked for the form of an answer only
            continue
        columns = {name: dtype_of(column) for name, column in said.columns.items()}
        break
    else:
        columns = {answerers[0].policy.output: pl.Float64(), DECISION: pl.String()}
    policy = answerers[0].policy
    if policy.labels or says_review(policy):
        columns[DECISION] = pl.String()
    if policy.outliers != "off":
        columns[OUTLIER] = pl.Float64()
    others = {name: dtype for name, dtype in columns.items() if name not in (DECISION, REASON)}
    told = {VERSION: pl.String(), GUARDS: pl.String(), REASON: pl.String()}
    return pl.Schema({ID: pl.String(), DECISION: columns[DECISION], **others, **told})


def strengths(schema: pl.Schema) -> list[str]:
    """The answers that a work list can be ordered by: the numbers beside the decision, else the decision if it is
    one."""
    numbers = [name for name, dtype in schema.items() if dtype.is_numeric()]
    return [name for name in numbers if name not in (DECISION, OUTLIER)] or numbers


def dtype_of(column: Column) -> pl.DataType:
    """Arrays of numbers and truth values keep their kind; all else is told as text."""
    kind = column.dtype.kind if isinstance(column, np.ndarray) else "O"
    numbers: Mapping[str, pl.DataType] = {
        "f": pl.Float64(),
        "i": pl.Int64(),
        "u": pl.Int64(),
        "b": pl.Boolean(),
    }
    return numbers.get(kind, pl.String())


def part_of(decided: Decided[pl.DataFrame], *, batch: str, first: int, schema: pl.Schema) -> Part:
    """One rung's answers to rows of the chunk that begins with row `first` of the file."""
    about, outputs = decided.about, decided.outputs
    answers = {name: series_of(name, outputs, schema[name]) for name in outputs.columns if name in schema}
    places = None if is_run(decided.rows) else packed(decided.rows + first)
    record = PackedDecisions(
        system=about.system,
        version=about.version,
        answered_by=about.answered_by,
        arm=about.arm,
        kind=about.kind,
        at=about.at,
        n=about.n,
        inputs={name: pack(column) for name, column in inputs_of(decided.inputs).items()},
        outputs={name: pack(column) for name, column in answers.items()},
        latency_us=about.latency_us,
        cost=about.cost,
        fallback=about.fallback,
        guards=about.guards,
        subject=decided.subject,
        batch=batch,
        first=first + int(decided.rows[0]) if len(decided.rows) else first,
        rows=places,
    )
    return Part(record, told_of(decided, answers, schema))


def is_run(rows: np.typing.NDArray[np.int64]) -> bool:
    """Whether the row numbers follow one another."""
    return len(rows) == 0 or int(rows[-1]) - int(rows[0]) + 1 == len(rows)


def inputs_of(batch: Batch) -> dict[str, pl.Series]:
    """The inputs as series, without what is said about how they were read."""
    return {
        name: column if isinstance(column, pl.Series) else pl.Series(name, list(column))
        for name, column in batch.columns.items()
        if MARK not in name
    }


def told_of(decided: Decided[pl.DataFrame], answers: Mapping[str, pl.Series], schema: pl.Schema) -> pl.DataFrame:
    """What is told of each row, without its id; `PLACE` is its number in the chunk."""
    about = decided.about
    nobody = not decided.answered
    reason = {REJECTED: BROKEN, UNANSWERED: f"nobody answered: {about.fallback}"}.get(about.answered_by, about.fallback)
    same = {VERSION: None if nobody else about.answered_by, REASON: reason or None}
    if REASON in answers and reason:
        answers = {**answers, REASON: answers[REASON].fill_null(reason)}
    columns = [
        answers[name]
        if name in answers
        else guards_told(about.guards, about.n)
        if name == GUARDS
        else pl.repeat(same.get(name), about.n, dtype=dtype, eager=True).alias(name)
        for name, dtype in schema.items()
        if name != ID
    ]
    return pl.DataFrame([pl.Series(PLACE, decided.rows), *columns])


def guards_told(guards: Mapping[int, list[str]], n: int) -> pl.Series:
    """The guards that fired, row by row; null where none did."""
    empty = pl.repeat(None, n, dtype=pl.String, eager=True).alias(GUARDS)
    if not guards:
        return empty
    return empty.scatter(list(guards), [", ".join(names) for names in guards.values()])


def series_of(name: str, outputs: Batch, dtype: pl.DataType) -> pl.Series:
    """One column of answers in the type that is told; what is no text becomes one where texts are told."""
    column = outputs.columns[name]
    values = column.tolist() if isinstance(column, np.ndarray) and column.dtype.kind == "O" else column
    series = values if isinstance(values, np.ndarray) else list(values)
    if dtype != pl.String():
        numbers = pl.Series(name, series, strict=False)
        return numbers if numbers.dtype == dtype else numbers.cast(dtype, strict=False)
    try:
        return pl.Series(name, series, dtype=pl.String)
    except TypeError:
        return pl.Series(name, [text_of(value) for value in series], dtype=pl.String)


def text_of(value: object) -> str | None:
    """A value in the words of labels: a truth as `true` or `false`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def pack(column: pl.Series) -> Packed:
    """A series as the record keeps it; texts as places among the different ones."""
    known = column.is_not_null().to_numpy() if column.null_count() else None
    if column.dtype == pl.Null:
        return packed(np.zeros(len(column), dtype=np.bool_), known=known)
    if column.dtype == pl.String:
        words = column.drop_nulls().unique(maintain_order=True)
        codes = column.cast(pl.Enum(words)).to_physical().fill_null(0)
        return packed(codes.to_numpy(), known=known, words=words.to_list() or [""])
    plain = column.to_physical()
    empty = False if plain.dtype == pl.Boolean else 0
    return packed((plain.fill_null(empty) if known is not None else plain).to_numpy(), known=known)


def with_ids(part: Part, place: Place) -> pl.DataFrame:
    """What is told of each row, with its id first."""
    return part.told.insert_column(0, id_column(place, part.record.n))


def id_column(first: Place, n: int) -> pl.Series:
    """The text ids of `n` decisions that follow one another from `first`; equal to `kring.metrics.ids.decision_ids`,
    put together from heads and pairs without a Python text for each."""
    begin = int.from_bytes(decision_bytes(first), "big")
    low = begin & (1 << LOW_BITS) - 1
    heads = range(begin >> LOW_BITS, (begin + max(n, 1) - 1 >> LOW_BITS) + 1)
    texts = [decision_id((head << LOW_BITS).to_bytes(16, "big"))[:-2] for head in heads]
    place = np.arange(low, low + n)
    parts = [pl.Series(texts).gather(place >> LOW_BITS), PAIRS_COLUMN.gather(place & (1 << LOW_BITS) - 1)]
    return pl.select(pl.concat_str(parts)).to_series().alias(ID)


def in_order(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The parts of one chunk as its rows stood in the file."""
    if len(parts) == 1:
        return parts[0].drop(PLACE)
    return pl.concat(parts).sort(PLACE).drop(PLACE)
