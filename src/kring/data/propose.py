"""Looks at a feed and proposes repairs: nothing is applied here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from kring.contracts.row_rules import text_markers
from kring.data.dependencies import dependencies, splits
from kring.data.misspelt import doubtful, misspelt, replacing_signs
from kring.data.outsized import outsized
from kring.data.profile import private
from kring.data.recipes import columns_of
from kring.data.repairs import apply, changes
from kring.data.spellings import Facts, found_in
from kring.decide.repairs import ORDER
from kring.errors import DataError
from kring.record.contract import Contract
from kring.record.recipe import Change, Dates, Decimal, Duplicates, Missing, Proposal, Repair, Split, Text

CELLS: Final = 8_000_000
"""So many cells are looked at for proposals; a larger feed is looked at in blocks spread over it."""
BLOCK: Final = 1_000
EXAMPLES: Final = 5
SHOWN: Final = 60
LONGEST_TEXT: Final = 2_000
"""Longer texts are prose, not values: nothing is proposed for them."""

NAMELESS: Final = (Text, Missing, Decimal, Dates)
"""Repairs that name no value of the feed: the only ones for columns whose values may not be shown."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """What may be repaired; found in `looked` of `rows` rows, counted in all of them."""

    proposals: tuple[Proposal, ...]
    looked: int
    rows: int


def propose(
    feed: pl.LazyFrame, contract: Contract, *, accepted: Sequence[Repair] = (), later: Collection[str] = ()
) -> Proposals:
    """Repairs that `feed` needs beyond those `accepted`, in the order in which they would be applied. Columns known
    only `later` than a decision neither mend others nor are mended by them: outcomes are not told, nor invented.

    Every one of them is counted as if all were accepted; those that would change nothing are left out. No value of
    a personal column or an identifier stands in any of them. `DataError` when the feed can't be read.
    """
    hidden = {field.name for field in contract.fields if private(field)}
    try:
        feed = apply(feed, accepted)
        sample, rows = _sample(feed)
        found = _named(
            _found(sample, feed, contract, hidden=hidden, later=later), taken={repair.id for repair in accepted}
        )
        counted = {change.repair: change for change in changes(feed, found)}
        useful = [repair for repair in found if counted[repair.id].cells]
        proposals = tuple(
            _proposal(sample, useful, at, counted[one.id], hidden=hidden) for at, one in enumerate(useful)
        )
        return Proposals(proposals, looked=sample.height, rows=rows)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "the feed can't be read", got=str(error).splitlines()[0][:200], next="check the file"
        ) from error


def _sample(feed: pl.LazyFrame) -> tuple[pl.DataFrame, int]:
    """Whole blocks of rows, evenly spread, and the number of all rows."""
    columns = max(1, len(feed.collect_schema()))
    rows = int(feed.select(pl.len()).collect(engine="streaming").item())
    every = max(1, -(-rows * columns // CELLS))
    if every == 1:
        return feed.collect(engine="streaming"), rows
    block = min(BLOCK, max(1, rows // (4 * every)))
    numbered = feed.with_row_index("\x1frow").filter((pl.col("\x1frow") // block) % every == 0).drop("\x1frow")
    return numbered.collect(engine="streaming"), rows


def _found(
    sample: pl.DataFrame,
    feed: pl.LazyFrame,
    contract: Contract,
    *,
    hidden: Collection[str],
    later: Collection[str],
) -> Iterator[Repair]:
    """Repairs of single columns first; what compares values, and columns, sees what they leave and nothing `hidden`."""
    first = [
        repair
        for facts in _facts(sample, contract)
        for repair in found_in(facts)
        if facts.name not in hidden or isinstance(repair, NAMELESS)
    ]
    yield from first
    sample = sample.drop(hidden, strict=False)
    yield from outsized(sample)
    sample = apply(sample.lazy(), [one for one in first if one.trust != "ask"]).collect()
    moved = list(splits(sample.drop(later, strict=False)))
    yield from moved
    sample = apply(sample.lazy(), moved).collect()
    columns = {facts.name: facts for facts in _facts(sample, contract)}
    signs = replacing_signs(columns)
    second = [repair for facts in columns.values() for repair in misspelt(facts, signs=signs)]
    yield from second
    sample = apply(sample.lazy(), [one for one in second if one.trust != "ask"]).collect()
    unsure = {facts.name: list(doubtful(facts, signs=signs)) for facts in _facts(sample, contract)}
    yield from dependencies(sample.drop(later, strict=False), doubtful=unsure, signs=signs)
    yield from _duplicates(feed, contract)


def _facts(sample: pl.DataFrame, contract: Contract) -> Iterator[Facts]:
    fields = {field.name: field for field in contract.fields}
    markers = text_markers(contract)
    for name, dtype in sample.schema.items():
        if dtype != pl.String:
            continue
        counted = sample[name].alias("text").drop_nulls().value_counts(name="rows")
        counted = counted.filter(pl.col("text").str.len_chars() <= LONGEST_TEXT).sort("rows", "text", descending=True)
        counts: Mapping[str, int] = dict(counted.iter_rows())
        marked = frozenset(str(text) for text in markers.get(name, ()))
        yield Facts(name, counts, field=fields.get(name), markers=marked)


def _duplicates(feed: pl.LazyFrame, contract: Contract) -> Iterator[Duplicates]:
    key = tuple(field.name for field in contract.fields if field.primary_key)
    names = feed.collect_schema().names()
    if not key or not set(key) <= set(names):
        return
    hashes = feed.select(pl.struct(pl.all()).hash().alias("row")).collect(engine="streaming")["row"]
    repeated = len(hashes) - hashes.n_unique()
    if repeated:
        why = f"{repeated:,} times, a row repeats an earlier one with the same {' and '.join(key)} in every column"
        yield Duplicates(id="duplicates", key=key, why=why, trust="safe")


def _named(repairs: Iterator[Repair], *, taken: Collection[str]) -> list[Repair]:
    """Ids of letters, digits, dots, dashes and underlines, each once."""
    used, named = set(taken), list[Repair]()
    for repair in repairs:
        plain = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in repair.id)[:80]
        id, number = plain, 1
        while id in used:
            number += 1
            id = f"{plain}-{number}"
        used.add(id)
        named.append(msgspec.structs.replace(repair, id=id))
    return named


def _proposal(
    sample: pl.DataFrame, repairs: Sequence[Repair], at: int, change: Change, *, hidden: Collection[str]
) -> Proposal:
    """With examples of what the repair does to rows that the earlier ones left; without where they are `hidden`."""
    repair = msgspec.structs.replace(repairs[at], cells=change.cells, rows=change.rows)
    if isinstance(repair, Duplicates) or repair.column in hidden:
        return Proposal(repair=repair)
    name = repair.column
    before = [one for one in repairs[:at] if isinstance(one, (*ORDER, Split)) and one.trust != "ask"]
    columns = {column for _, column in columns_of(repair)}
    columns |= {one.into for one in before if isinstance(one, Split) and one.column in columns}
    alone = sample.lazy().select([column for column in sample.columns if column in columns])
    earlier = [one for one in before if columns.issuperset(column for _, column in columns_of(one))]
    alone = apply(alone, earlier)
    pairs = pl.concat(
        [
            alone.select(pl.col(name).cast(pl.String).alias("before")),
            apply(alone, [repair]).select(pl.col(name).cast(pl.String).alias("after")),
        ],
        how="horizontal",
    )
    moved = pairs.filter(pl.col("before").ne_missing(pl.col("after"))).unique(maintain_order=True).head(EXAMPLES)
    shown = tuple(f"{_shown(before)} → {_shown(after)}" for before, after in moved.collect().iter_rows())
    return Proposal(repair=repair, examples=shown)


def _shown(value: str | None) -> str:
    if value is None:
        return "nothing"
    return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}…")
