"""What the log knows of the feed's rows: outcomes that were reported, and corrections of people who looked."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

import polars as pl

from kring.flow import adapters
from kring.flow.keyed import columns_of, physical, row_key
from kring.flow.project import Project
from kring.flow.recording import unsealing
from kring.learn.review import settled
from kring.metrics.ids import decision_block
from kring.record.decision import Decisions, Outcomes, Value
from kring.record.review import REVIEWED

FEED: Final = "feed"
"""The source of outcomes that the feed itself brought."""

LABEL: Final = "kring.label"
SINCE: Final = "kring.label_since"
REVIEW: Final = "kring.label_reviewed"


class Label(NamedTuple):
    """What a decision turned out as, known since (microseconds UTC), and whether people looked at it."""

    value: Value
    since: int
    is_reviewed: bool


class Labelled(NamedTuple):
    """The feed with its labels, and in words what they changed; no words where nothing was."""

    frame: pl.DataFrame
    note: str


def labelled(project: Project, frame: pl.DataFrame, *, as_of: int) -> Labelled:
    """`frame` (typed, identifiers hidden) with what the log knew of its rows at `as_of` (microseconds UTC).

    What people said who looked at the decision takes the place of the feed's own outcome; what was reported fills an
    outcome that the feed does not have. A row and a decision belong together by the fields that name them both
    (`row_key`); where several rows share them, or reviewers contradict each other, nothing is changed.
    """
    target, names = project.system.data.target, row_key(project)
    if not project.home.log.exists() or target not in frame.columns or not set(names) <= set(frame.columns):
        return Labelled(frame, "")
    known, disputed = labels_of(project, as_of=as_of)
    if not known:
        return Labelled(frame, "")
    labels = by_key(project, frame, known)
    if not labels.height:
        return Labelled(frame, "")
    joined = joined_with(frame, labels, names)
    is_new = pl.col(LABEL).is_not_null() & (pl.col(target).is_null() | pl.col(REVIEW))
    differs = is_new & pl.col(target).is_not_null() & (pl.col(target) != pl.col(LABEL))
    fills = is_new & pl.col(target).is_null()
    counts = joined.select(fills.sum().alias("filled"), differs.sum().alias("corrected")).row(0)
    changed = joined.with_columns(pl.when(is_new).then(LABEL).otherwise(target).alias(target), *since(project, fills))
    return Labelled(changed.select(frame.columns), words(*counts, disputed=disputed))


def labels_of(project: Project, *, as_of: int) -> tuple[dict[bytes, Label], int]:
    """The label of each decision (16 bytes) that others than the feed spoke of until `as_of`; and of how many
    reviewers contradict each other."""
    reported: dict[bytes, Label] = {}
    reviews: dict[bytes, dict[str, Label]] = defaultdict(dict)
    for logged in adapters.read_log(project.home.log, system=project.system.name).read():
        record = logged.record
        if not isinstance(record, Outcomes) or record.source == FEED or record.at > as_of:
            continue
        reviewer = record.source.removeprefix(REVIEWED) if record.source.startswith(REVIEWED) else ""
        for raw, value in zip(record.ids, record.values, strict=True):
            label = Label(value, record.at, bool(reviewer))
            if reviewer:
                reviews[raw][reviewer] = newer(reviews[raw].get(reviewer), label)
            else:
                reported[raw] = newer(reported.get(raw), label)
    disputed = 0
    for raw, said in reviews.items():
        value = settled({name: one.value for name, one in said.items()})
        disputed += value is None
        if value is not None:
            reported[raw] = Label(value, min(one.since for one in said.values()), True)
        else:
            reported.pop(raw, None)
    return reported, disputed


def newer(known: Label | None, label: Label) -> Label:
    return label if known is None or known.since <= label.since else known


def by_key(project: Project, frame: pl.DataFrame, known: dict[bytes, Label]) -> pl.DataFrame:
    """The labels beside the fields that name their rows, as `frame` has them; one row for each key."""
    names, target = row_key(project), project.system.data.target
    found: dict[tuple[Value, ...], Label] = {}
    with unsealing(project) as unseal:
        for logged in adapters.read_log(project.home.log, system=project.system.name).read():
            record = logged.record
            if not isinstance(record, Decisions) or record.arm == "shadow" or not record.inputs:
                continue
            raw = decision_block(logged.place, record.n).tobytes()
            ids = [raw[at : at + 16] for at in range(0, len(raw), 16)]
            rows = [row for row, id in enumerate(ids) if id in known]
            columns = columns_of(unseal(record), names) if rows else []
            for row in rows:
                key, label = tuple(column[row] for column in columns), known[ids[row]]
                before = found.get(key)
                if before is None or (label.is_reviewed, label.since) >= (before.is_reviewed, before.since):
                    found[key] = label
    schema = physical(frame.head(0)).schema
    columns = [[key[place] for key in found] for place in range(len(names))]
    series = [
        pl.Series(name, column, dtype=schema[name], strict=False) for name, column in zip(names, columns, strict=True)
    ]
    said = pl.Series(LABEL, [one.value for one in found.values()], dtype=schema[target], strict=False)
    return pl.DataFrame(
        [
            *series,
            said,
            pl.Series(SINCE, [one.since for one in found.values()], dtype=pl.Int64),
            pl.Series(REVIEW, [one.is_reviewed for one in found.values()], dtype=pl.Boolean),
        ]
    )


def joined_with(frame: pl.DataFrame, labels: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """`frame` with the labels of the rows that their key names alone."""
    keys = physical(frame.select(names)).select(pl.all().name.prefix("kring.key."))
    named = [f"kring.key.{name}" for name in names]
    labels = labels.rename({name: f"kring.key.{name}" for name in names})
    alone = pl.len().over(named) == 1
    wide = frame.hstack(keys).with_columns(alone.alias("kring.alone"))
    joined = wide.join(labels, on=named, how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(
        pl.when("kring.alone").then(LABEL).alias(LABEL), pl.col(REVIEW).fill_null(value=False).alias(REVIEW)
    )


def since(project: Project, fills: pl.Expr) -> list[pl.Expr]:
    """When a label became known that the feed does not have, in the column for it if there is one."""
    name = project.system.data.outcome_at
    if not name:
        return []
    moment = pl.col(SINCE).cast(pl.Datetime("us", "UTC"))
    return [pl.when(fills & pl.col(name).is_null()).then(moment).otherwise(pl.col(name)).alias(name)]


def words(filled: int, corrected: int, *, disputed: int) -> str:
    """What the log's labels changed."""
    parts = [f"{filled:,} outcomes filled in" if filled else ""]
    parts += [f"{corrected:,} corrected by people who looked" if corrected else ""]
    parts += [f"{disputed:,} of which reviewers contradict each other left as they are" if disputed else ""]
    said = ", ".join(part for part in parts if part)
    return f"from the log: {said}" if said else ""
