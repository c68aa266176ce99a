"""Target columns as labels: every value is known by the text that people write for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Final

import numpy as np

from kring.metrics.ranking import Floats
from kring.record.batch import Column

SPELLINGS: Final[Mapping[str, bool]] = {"false": False, "0": False, "true": True, "1": True}


def label_of(value: object) -> str:
    """`true`, `false`, whole numbers without a point, anything else as Python writes it."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def number_of(label: str) -> float | None:
    """The number a label stands for: truth values are 0 and 1, and equal them as keys."""
    if label in SPELLINGS:
        return float(SPELLINGS[label])
    try:
        return float(label)
    except ValueError:
        return None


def rows_of_labels(target: Column) -> dict[str, int]:
    """How many rows each label has, in the order of the numbers they stand for if all do, else of the texts."""
    there = (value for value in plain(target) if not (value is None or (isinstance(value, float) and isnan(value))))
    rows = Counter(label_of(value) for value in there)
    numbers = {label: number_of(label) for label in rows}
    return {label: rows[label] for label in sorted(rows, key=lambda label: _place(label, numbers))}


def codes_of(target: Column, labels: Sequence[str]) -> Floats:
    """The place of each row's label among `labels`, (n,); NaN for what is missing or none of them."""
    codes: dict[object, float] = {}
    for code, label in enumerate(labels):
        codes[label] = float(code)
        value = number_of(label)
        if value is not None:
            codes[value] = float(code)
    return np.array([codes.get(value, np.nan) for value in plain(target)], dtype=np.float64)


def plain(column: Column) -> Iterable[object]:
    """The values as Python's own."""
    return column.tolist() if isinstance(column, np.ndarray) else column


def _place(label: str, numbers: Mapping[str, float | None]) -> tuple[float, str]:
    values = [number for number in numbers.values() if number is not None and not isnan(number)]
    number = numbers[label] if len(values) == len(numbers) else None
    return (0.0 if number is None else number, label)
