"""What is asked of a table: the kind of answer that its target needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.errors import DataError
from kring.frame.inspect import FEW, Looked, Seen
from kring.frame.wording import did_you_mean
from kring.record.contract import Scalar
from kring.record.version import Output

LABELS: Final = 20
"""Numbers of up to so many whole values are labels."""

LEAST_EACH: Final = 8
LEAST_LABEL: Final = 16
"""Rows that each of two values, and each of several labels, has at the least, so that both parts hold some."""

YES: Final = ("yes", "y", "true", "t", "1", "ja", "j", "oui", "o", "si", "sí", "positive", "pos")


@dataclass(frozen=True, slots=True)
class Aim:
    """The target, what is answered about it and why; `truth` (n,) are the sample's outcomes as numbers, NaN where
    missing: 1 for `positive`, the number of a label in `labels`, or the value."""

    target: Seen
    output: Output
    why: str
    truth: NDArray[np.float64]
    labels: tuple[Scalar, ...] = ()
    positive: Scalar = None
    positive_why: str = ""


def aim(looked: Looked, target: str) -> Aim:
    """What `target` asks for. `DataError` for a column that is absent, constant, empty, a moment, or a text of
    its own in each row."""
    seen = _target(looked, target)
    values = [value for value in seen.values if isinstance(value, bool | int | float | str)]
    whole = all(not isinstance(value, float) or value.is_integer() for value in values)
    column = looked.sample[target]
    if len(values) == 2:
        _require_enough(looked, column, LEAST_EACH)
        return _yes_or_no(seen, values, column)
    numbers = seen.type != "string"
    labelled = 2 < len(values) <= LABELS and whole and not _rare(looked, column, LEAST_LABEL)
    if labelled or not numbers:
        _require_enough(looked, column, LEAST_LABEL)
        labels = tuple(values)
        found = column.replace_strict(list(labels), list(range(len(labels))), default=None, return_dtype=pl.Float64)
        why = f"{target} has {len(labels)} different values: which of them?"
        if seen.type != "string":
            why += " If the distance between them matters, ask how much instead"
        return Aim(target=seen, output="probabilities", why=why, truth=_floats(found), labels=labels)
    why = f"{target} is a number with about {seen.distinct:,} different values: how much?"
    return Aim(target=seen, output="value", why=why, truth=_floats(column))


def require_column(names: Sequence[str], target: str) -> None:
    """`DataError` with the nearest name when `target` is none of `names`."""
    if target in names:
        return
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
    raise DataError(
        "the data have no such column" if target else "which column is to be foretold?",
        got=target,
        allowed=shown,
        next=did_you_mean(target, names, otherwise="name the column to be foretold: --target COLUMN"),
        key="--target",
    )


def _target(looked: Looked, target: str) -> Seen:
    require_column(list(looked.columns), target)
    seen = looked.columns[target]
    if seen.field is None:
        raise DataError(f"{target} can't be the target: {seen.note}", next="export it in another type", key="--target")
    if seen.missing == looked.rows:
        raise DataError(
            f"{target} is missing in every row", got=f"{looked.rows:,} rows", allowed="known outcomes", key="--target"
        )
    if len(seen.values) == 1:
        raise DataError(
            f"{target} is the same in every row: there is nothing to learn",
            got=repr(seen.values[0]),
            allowed="at least two different outcomes",
            next="name another column, or take rows with other outcomes in",
            key="--target",
        )
    if seen.type in ("date", "timestamp"):
        raise DataError(
            f"{target} is a moment, and no kind of question answers with one",
            got=seen.type,
            allowed="two values, some labels, or a number",
            next="compute what matters about it, such as days until then, and name that column",
            key="--target",
        )
    if seen.type == "string" and not seen.values:
        raise DataError(
            f"{target} holds too many different texts to be labels",
            got=f"about {seen.distinct:,} in {looked.rows:,} rows",
            allowed=f"at most {FEW}",
            next="name another column, or group the texts first",
            key="--target",
        )
    return seen


def _rare(looked: Looked, column: pl.Series, least: int) -> list[object]:
    """The values that fewer rows than `least` have, as far as the sample says."""
    scale = looked.rows / max(1, looked.sample.height)
    return [value for value, count in column.drop_nulls().value_counts(sort=True).iter_rows() if count * scale < least]


def _require_enough(looked: Looked, column: pl.Series, least: int) -> None:
    rare = _rare(looked, column, least)
    if rare:
        raise DataError(
            f"{column.name} has outcomes that are too rare to learn and to measure",
            got=", ".join(str(value) for value in rare[:5]) + f" in fewer than {least} rows",
            allowed=f"at least {least} rows of each outcome",
            next="gather more rows, or put rare outcomes together",
            key="--target",
        )


def _yes_or_no(seen: Seen, values: list[bool | int | float | str], column: pl.Series) -> Aim:
    positive, why = _positive(values, column)
    truth = _floats((column == positive).cast(pl.Float64))
    told = "" if seen.type == "boolean" else why
    return Aim(
        target=seen,
        output="probability",
        why=f"{seen.name} has two values: yes or no?",
        truth=truth,
        labels=tuple(values),
        positive=None if seen.type == "boolean" else positive,
        positive_why=told,
    )


def _positive(values: list[bool | int | float | str], column: pl.Series) -> tuple[bool | int | float | str, str]:
    """The value that means yes: a word for yes, else the rarer one."""
    words = [value for value in values if str(value).strip().lower() in YES]
    if len(words) == 1:
        return words[0], "a word for yes"
    counts: Mapping[object, int] = dict(column.drop_nulls().value_counts().iter_rows())
    rarer = min(reversed(values), key=lambda value: counts.get(value, 0))
    share = counts.get(rarer, 0) / max(1, sum(counts.values()))
    return rarer, f"the rarer value ({share:.1%} of the rows): is that what you look for?"


def _floats(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()
