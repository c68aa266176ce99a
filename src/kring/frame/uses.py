"""What becomes of each column: an input, a role, or left out, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.frame.aim import Aim
from kring.frame.holdout import Holdout
from kring.frame.inspect import Looked, Seen
from kring.frame.wording import shown
from kring.metrics.association import is_yes_no, labels_told, linear_copy, strength
from kring.record.batch import Column

MOST_INPUTS: Final = 200
MOST_COPIED: Final = 300
MOST_CATEGORIES: Final = 1000
MOSTLY: Final = 0.95
WORDS: Final = 4.0
AUC_LIMIT: Final = 0.99
CORRELATION_LIMIT: Final = 0.998
TOLD_LIMIT: Final = 0.995
"""A little below the limits at which training refuses a column."""

NAMED: Final = re.compile(
    r"(?i)(^|[ _.-])(id|uuid|guid|index|idx|instant|rownum|row|key|serial|nr|no|number)$|Id$|^unnamed"
)
DIRECT: Final = re.compile(
    r"(?i)(^|[ _-])(e?-?mail|phone|telephone|mobile|telefon|ssn|bsn|iban|passport|social_security|"
    r"(first|last|full|sur|given|family)[ _-]?name|surname|vorname|nachname|street|address)($|[ _-])"
)
ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PROTECTED: Final = re.compile(
    r"(?i)(^|[ _-])(sex|gender|female|male|race|ethnic(ity)?|religion|nationality|disab(led|ility)|orientation|"
    r"pregnan(t|cy)|geschlecht|geslacht)($|[ _-])"
)
AGE: Final = re.compile(
    r"(?i)(^|[ _-])(age|senior|elderly|birth|birthdate|dob|born|alter|leeftijd)($|[ _-])|senior_citizen"
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Use:
    """What becomes of one column. `left_out` says why it is no input; an input or a part of a moment has a
    `note` at the most. `strength` is what it says of the outcome on its own."""

    seen: Seen
    left_out: str = ""
    note: str = ""
    protected: bool = False
    identifier: bool = False
    strength: float = 0.0


def clear(looked: Looked, target: str) -> dict[str, Use]:
    """What can be told of each column but `target` without looking at outcomes."""
    return {name: _clear(seen, looked) for name, seen in looked.columns.items() if name != target}


def weighed(uses: Mapping[str, Use], looked: Looked, aim: Aim, split: Holdout) -> dict[str, Use]:
    """`uses` with what outcomes tell: columns that give the answer away, copies of it, and the weakest of too many."""
    done = {name: _roled(use, split) for name, use in uses.items()}
    done = {name: _held(use, looked, aim) for name, use in done.items()}
    done = _without_copies(done, looked, aim)
    return _strongest(done)


def _clear(seen: Seen, looked: Looked) -> Use:
    if seen.field is None:
        return Use(seen, left_out=seen.note)
    column = looked.sample[seen.name]
    named = DIRECT.search(seen.name) and seen.type in ("string", "integer") and not seen.values
    if named or _addresses(column, seen):
        return Use(seen, left_out="names somebody directly: kept as a token only", identifier=True)
    protected = bool(PROTECTED.search(seen.name) or AGE.search(seen.name))
    return Use(seen, left_out=_useless(seen, column, looked.rows), protected=protected, note=seen.note)


def _useless(seen: Seen, column: pl.Series, rows: int) -> str:
    share = seen.missing / max(1, rows)
    if seen.missing == rows:
        return "nothing is there in any row"
    if len(seen.values) == 1 and not seen.missing:
        return f"always {shown(seen.values[0])}"
    if share >= MOSTLY:
        return f"missing in {share:.1%} of the rows"
    if seen.type == "string":
        return _useless_text(seen, column, rows)
    if seen.type == "integer" and seen.unique:
        low, high = seen.low or 0, seen.high or 0
        if NAMED.search(seen.name) or high - low + 1 == rows:
            return "another number in each row: it counts or names the rows"
    return ""


def _useless_text(seen: Seen, column: pl.Series, rows: int) -> str:
    if seen.note:
        return seen.note
    texts = column.drop_nulls()
    words = _mean(texts.head(2000).str.count_matches(r"\S+"))
    different = texts.n_unique() / max(1, len(texts))
    if words >= WORDS and different > 0.5:
        return f"free text, {words:.0f} words on average: the built-in candidates can't read it"
    if different > 0.9 and len(texts) > 20:
        return "another text in nearly every row: it names the rows"
    if seen.distinct > MOST_CATEGORIES or (not seen.values and different > 0.3):
        return f"about {seen.distinct:,} different texts in {rows:,} rows: too many to learn from each"
    return ""


def _mean(column: pl.Series) -> float:
    mean = column.mean()
    return mean if isinstance(mean, float) else 0.0


def _addresses(column: pl.Series, seen: Seen) -> bool:
    texts = column.drop_nulls().head(50).to_list() if seen.type == "string" else []
    return len(texts) > 4 and all(ADDRESS.fullmatch(text) for text in texts)


def _roled(use: Use, split: Holdout) -> Use:
    name = use.seen.name
    if name == split.group:
        return Use(use.seen, left_out="says whose row it is: rows of one belong together", protected=use.protected)
    return use


def _held(use: Use, looked: Looked, aim: Aim) -> Use:
    """`use` with its strength; left out when it gives the answer away."""
    if use.left_out:
        return use
    column = _column(looked.sample[use.seen.name])
    known = ~np.isnan(aim.truth)
    found, limit, told = _strength(column, aim, known)
    if found >= limit:
        why = f"gives the answer away ({told} {found:.3f} on its own): is it known when the decision is made?"
        return Use(use.seen, left_out=why, protected=use.protected, strength=found)
    why = ""
    if use.protected and not AGE.search(use.seen.name):
        why = "protected: answers are compared by it, but it is no input; is there a lawful reason to use it?"
    return Use(use.seen, left_out=why, note=use.note, protected=use.protected, strength=found)


def _strength(column: Column, aim: Aim, known: NDArray[np.bool_]) -> tuple[float, float, str]:
    """What the column says on its own, from where on it gives the answer away, and what was measured."""
    if aim.output != "probabilities":
        yes_no = is_yes_no(aim.truth[known])
        return strength(column, aim.truth, known), *(
            (AUC_LIMIT, "AUC") if yes_no else (CORRELATION_LIMIT, "correlation")
        )
    labels = aim.truth[known].astype(np.int64)
    common = np.bincount(labels).max() / max(1, len(labels)) if len(labels) else 1.0
    limit = max(TOLD_LIMIT, 1 - 0.1 * (1 - common))
    return labels_told(np.asarray(column)[known], labels), float(limit), "share of right labels"


def _column(series: pl.Series) -> Column:
    """Numbers as float64, texts as short codes."""
    if series.dtype == pl.String:
        return series.rank("dense").fill_null(0).cast(pl.Int64).cast(pl.String).to_numpy()
    return _floats(series)


def _floats(series: pl.Series) -> Floats:
    values: Floats = series.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values


def _without_copies(uses: dict[str, Use], looked: Looked, aim: Aim) -> dict[str, Use]:
    """Leave out the columns that add up to the target, until none do."""
    while aim.output != "probabilities":
        numbers = sorted(
            (use for use in uses.values() if not use.left_out and use.seen.type in ("number", "integer", "boolean")),
            key=lambda use: -use.strength,
        )[:MOST_COPIED]
        chosen = {use.seen.name for use in numbers}
        columns = {name: _floats(looked.sample[name]) for name in uses if name in chosen}
        whole = ~np.isnan(np.column_stack([aim.truth, *columns.values()])).any(axis=1)
        copies = linear_copy({name: values[whole] for name, values in columns.items()}, aim.truth[whole])
        if not copies:
            break
        target = aim.target.name
        why = f"{' and '.join(copies)} {'add' if len(copies) > 1 else 'adds'} up to {target}: a copy of the outcome"
        uses = uses | {
            name: Use(uses[name].seen, left_out=why, protected=uses[name].protected, strength=uses[name].strength)
            for name in copies
        }
    return uses


def _strongest(uses: dict[str, Use]) -> dict[str, Use]:
    inputs = sorted((name for name, use in uses.items() if not use.left_out), key=lambda name: -uses[name].strength)
    why = f"not among the {MOST_INPUTS} columns that say most on their own"
    return uses | {
        name: Use(uses[name].seen, left_out=why, protected=uses[name].protected, strength=uses[name].strength)
        for name in inputs[MOST_INPUTS:]
    }
