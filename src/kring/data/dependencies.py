"""What one column decides of another, and the repairs that follow from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.metrics.near import masked, slips
from kring.record.recipe import Dependency, Split, Trust

SUPPORT: Final = 3
"""So many rows have to agree before a value decides another."""
MAJORITY: Final = 0.8
EXCEPTIONS: Final = 0.02
"""The largest share of rows that may contradict, misspellings apart."""
LIFT: Final = 0.1
"""Exceptions are at most this part of those that the most frequent value alone would have."""
WIDEST: Final = 60
"""So many columns are held against each other at the most: those with the fewest distinct values."""
DECIDERS: Final = 4
SCREEN: Final = 50_000


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as numbers: `codes` (n,) with -1 for missing and for values that may be misspelt, the text of each
    code, and how often it stands there."""

    name: str
    codes: NDArray[np.int64]
    texts: tuple[str, ...]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Decides:
    """`table[value of by] = value of column`, from groups of at least `SUPPORT` rows; `exceptions` is the share of
    their rows that say otherwise."""

    by: str
    column: str
    table: dict[str, str]
    exceptions: float


def splits(frame: pl.DataFrame) -> Iterator[Split]:
    """Columns whose last word stands in another column in other rows, where that one is missing."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String][:WIDEST]
    tails = {name: frame[name].str.extract(r"[ ,;](\S+)$", 1) for name in texts}
    for into in texts:
        missing = frame[into].is_null()
        known = frame[into].drop_nulls()
        if not missing.any() or known.n_unique() * 5 > known.len():
            continue
        domain = set(_recurring(known))
        for name in texts:
            if name == into:
                continue
            tail = tails[name].filter(missing & frame[name].is_not_null())
            inside = tail.is_in(list(domain)).fill_null(False)
            usual = tails[name].filter(~missing).is_in(list(domain)).fill_null(False).mean()
            if inside.sum() >= SUPPORT and inside.sum() >= MAJORITY * len(tail) and _mean(usual) <= EXCEPTIONS:
                why = f"{inside.sum():,} values of {name} end with a value of {into}, which is missing there"
                yield Split(
                    id=f"split.{name}",
                    column=name,
                    into=into,
                    tails=tuple(sorted(domain, key=str)),
                    why=why,
                    trust="likely",
                )


def _recurring(values: pl.Series) -> list[str]:
    counted = values.alias("text").value_counts(name="rows")
    return counted.filter(pl.col("rows") >= SUPPORT)["text"].to_list()


def _mean(value: object) -> float:
    return value if isinstance(value, float) else 0.0


def coded(frame: pl.DataFrame, *, doubtful: Mapping[str, Sequence[str]]) -> list[Coded]:
    """The columns of texts and whole numbers in which values recur, with fewer distinct values first."""
    made: list[Coded] = []
    for name, dtype in frame.schema.items():
        if dtype != pl.String and not dtype.is_integer():
            continue
        texts = frame[name].cast(pl.String).alias("text").to_frame()
        distinct = texts["text"].n_unique()
        if distinct < 2 or distinct * 2 > max(frame.height, 1):
            continue
        if doubtful.get(name):
            doubted = pl.col("text").is_in(list(doubtful[name]))
            texts = texts.select(pl.when(doubted.not_()).then(pl.col("text")).alias("text"))
        values = texts["text"].drop_nulls().unique().sort()
        order = pl.DataFrame({"text": values, "code": np.arange(len(values), dtype=np.int64)})
        joined = texts.join(order, on="text", how="left", maintain_order="left")
        codes = joined["code"].fill_null(-1).to_numpy()
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        made.append(Coded(name, codes, tuple(values.to_list()), counts))
    return sorted(made, key=lambda one: len(one.texts))[:WIDEST]


def decides(by: Coded, column: Coded, *, rows: int | None = None) -> Decides | None:
    """What `by` says of `column`, when it does; from the first `rows` only, when given."""
    left, right = by.codes[:rows], column.codes[:rows]
    both = (left >= 0) & (right >= 0)
    pairs, counts = np.unique(left[both] * len(column.texts) + right[both], return_counts=True)
    if not len(pairs):
        return None
    group, value = np.divmod(pairs, len(column.texts))
    sizes = np.bincount(group, weights=counts, minlength=len(by.texts))
    order = np.lexsort((value, -counts, group))
    first = order[np.unique(group[order], return_index=True)[1]]
    best, top, owner = counts[first], value[first], group[first]
    strong = (best >= SUPPORT) & (best >= MAJORITY * sizes[owner])
    wide = sizes >= SUPPORT
    total = float(sizes[wide].sum())
    if total < 10 * SUPPORT or strong.sum() < 3 or len(np.unique(top[strong])) < 2:
        return None
    agree = float(best[wide[owner]].sum())
    exceptions = 1 - agree / total
    share = np.bincount(right[both], minlength=len(column.texts)).max() / both.sum()
    if exceptions > max(EXCEPTIONS, 0.06) or exceptions > LIFT * (1 - share) or total < 0.3 * both.sum():
        return None
    table = {by.texts[key]: column.texts[one] for key, one in zip(owner[strong], top[strong], strict=True)}
    return Decides(by.name, column.name, table, exceptions)


def dependencies(frame: pl.DataFrame, *, doubtful: Mapping[str, Sequence[str]], signs: str) -> Iterator[Dependency]:
    """One repair for each column that others decide and that has cells they would mend."""
    columns = coded(frame, doubtful=doubtful)
    found: defaultdict[str, list[Decides]] = defaultdict(list)
    for column in columns:
        for by in columns:
            if by is not column and len(by.texts) >= len(column.texts) * 0.2 and decides(by, column, rows=SCREEN):
                rule = decides(by, column)
                if rule:
                    found[column.name].append(rule)
    made = {one.name: one for one in columns}
    bold: list[Dependency] = []
    for name, rules in found.items():
        rules.sort(key=lambda rule: (rule.exceptions, -len(rule.table), rule.by))
        for repair in _repairs(frame, made[name], rules, doubtful=doubtful.get(name, ()), signs=signs):
            if repair.over == "unknown":
                yield repair
            else:
                bold.append(repair)
    yield from _one_way(sorted(bold, key=lambda one: (-_length(made[one.column]), one.column)))


def _length(column: Coded) -> float:
    return sum(map(len, column.texts)) / len(column.texts)


def _one_way(repairs: Sequence[Dependency]) -> Iterator[Dependency]:
    """Without those that would decide what decides another: of two columns that decide each other, the one with
    the longer texts is decided, because codes are rarely wrong alone."""
    decided, deciding = set[str](), set[str]()
    for repair in repairs:
        if repair.column not in deciding and decided.isdisjoint(repair.by):
            decided.add(repair.column)
            deciding.update(repair.by)
            yield repair


def _repairs(
    frame: pl.DataFrame, column: Coded, rules: list[Decides], *, doubtful: Sequence[str], signs: str
) -> Iterator[Dependency]:
    wrong = _contradictions(frame, column.name, rules[:DECIDERS])
    unknown = {
        value for value in doubtful if signs and any(masked(value, right, signs=signs) for right in wrong[value])
    }
    slipped = {
        value
        for value in wrong
        if value and not unknown and column_count(column, value) <= 2 and _slip(value, wrong[value])
    }
    told = " and ".join(rule.by for rule in rules[:DECIDERS])
    if unknown or slipped or wrong[""]:
        yield _over_unknown(column, rules, unknown=unknown, slipped=slipped, holes=wrong[""], signs=signs, told=told)
    plain = {value: rights for value, rights in wrong.items() if value and value not in unknown | slipped}
    cells = sum(rights.total() for rights in plain.values())
    exact = [rule for rule in rules if 0 < rule.exceptions <= EXCEPTIONS][:1]
    if cells and exact:
        yield Dependency(
            id=f"decided-against.{column.name}",
            column=column.name,
            by={rule.by: rule.table for rule in exact},
            over="any",
            why=f"{exact[0].by} decides {column.name} in all but {exact[0].exceptions:.2%} of the rows; these differ",
            trust="ask",
        )


def _over_unknown(
    column: Coded,
    rules: list[Decides],
    *,
    unknown: set[str],
    slipped: set[str],
    holes: Counter[str],
    signs: str,
    told: str,
) -> Dependency:
    exact = rules[0].exceptions <= EXCEPTIONS / 4
    only = signs if unknown else ""
    known = tuple(text for text in column.texts if column_count(column, text) >= 2 and text not in slipped)
    trust: Trust = "likely" if exact and (only or not slipped or len(rules) > 1) else "ask"
    what = f"{len(unknown | slipped):,} misspelt values" + (f" and {holes.total():,} gaps" if holes and exact else "")
    return Dependency(
        id=f"decided.{column.name}",
        column=column.name,
        by={rule.by: rule.table for rule in rules[:DECIDERS]},
        over="unknown",
        fill=bool(holes) and exact,
        signs=only,
        known=known,
        why=f"{told} decide{'s' if ' and ' not in told else ''} {column.name}: {what}",
        trust=trust,
    )


def column_count(column: Coded, text: str) -> int:
    """How often a text stands in the column; 0 for one that may be misspelt."""
    at = int(np.searchsorted(np.array(column.texts, dtype=object), text))
    return int(column.counts[at]) if at < len(column.texts) and column.texts[at] == text else 0


def _slip(value: str, rights: Counter[str]) -> bool:
    return any(slips(value, right) > 0 for right in rights)


def _contradictions(frame: pl.DataFrame, name: str, rules: list[Decides]) -> defaultdict[str, Counter[str]]:
    """Values of the column (empty: missing) that a table contradicts, each with what the tables say instead and in
    how many rows."""
    wrong: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for rule in rules:
        table = pl.DataFrame({"by": list(rule.table), "right": list(rule.table.values())})
        texts = frame.select(by=pl.col(rule.by).cast(pl.String), value=pl.col(name).cast(pl.String))
        told = texts.join(table, on="by", how="inner").filter(pl.col("value").ne_missing(pl.col("right")))
        for value, right, rows in told.group_by("value", "right").len().sort("value", "right").iter_rows():
            wrong[value or ""][right] = max(wrong[value or ""][right], rows)
    return wrong
