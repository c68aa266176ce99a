"""How surprising a row is to a version, in nats: how far its numbers lie from the usual ones, taken together, and
how rare its categories are. Imports no polars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.decide.policy import Outlying, Rows, Scorer
from kring.errors import IntegrityError
from kring.metrics.numbers import side_by_side
from kring.record.batch import Batch
from kring.record.outliers import Usual, UsualNumbers
from kring.record.prepare import Prepared
from kring.record.version import Policy

FILE: Final = "outliers.json"
PREPARE: Final = "prepare.json"
ALONE: Final = 100_000
"""Multiplications that one thread does without help."""

Floats = NDArray[np.float64]
T = TypeVar("T", bound=msgspec.Struct)


def surprise_of(usual: Usual) -> Callable[[Batch], Floats]:
    """A function from prepared columns to the surprise of each row, (n,).

    Numbers are taken as normal after robust scaling: half the squared Mahalanobis distance (Mahalanobis 1936), the
    part of the negative log density that tells rows apart; a missing one lies in the middle, and costs what its
    absence does. Categories cost minus the log of their share. Both are taken as independent of each other.
    """
    numbers = usual.numbers
    names = numbers.names
    whiten = np.array(numbers.whiten, dtype=np.float64).reshape(len(names), len(names))
    present, absent = np.array(numbers.present), np.array(numbers.absent)
    scaled = scaler(numbers)
    words = [(one.name, dict(zip(one.words, one.surprise, strict=True)), one.other) for one in usual.words]

    def surprise(prepared: Batch) -> Floats:
        total = np.zeros(prepared.n)
        if names:
            side = side_by_side(prepared, names)
            columns = side if side is not None else [prepared.columns[name] for name in names]
            values = np.array(columns, dtype=np.float64).T
            missing = np.isnan(values)
            placed = np.where(missing, 0.0, scaled(values))
            total += 0.5 * squared_lengths(placed, whiten)
            total += np.where(missing, absent, present).sum(axis=1)
        for name, costs, other in words:
            column = prepared.columns[name]
            total += np.fromiter((costs.get(str(word), other) for word in column), dtype=np.float64, count=prepared.n)
        return total

    return surprise


def squared_lengths(rows: Floats, matrix: Floats) -> Floats:
    """The squared length of each row, (n, k), times the matrix, (k, k). In parts so small that no library shares them
    out among threads, which costs a busy server more than it saves."""
    step = max(16, ALONE // max(1, matrix.size))
    parts = [((rows[first : first + step] @ matrix) ** 2).sum(axis=1) for first in range(0, max(1, len(rows)), step)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def scaler(numbers: UsualNumbers) -> Callable[[Floats], Floats]:
    """A function from raw numbers, (n, k), to scaled ones around 0; NaN stays."""
    center, scale = np.array(numbers.center), np.array(numbers.scale)
    mean, heavy = np.array(numbers.mean), np.flatnonzero(numbers.heavy)

    def scaled(values: Floats) -> Floats:
        placed = (values - center) / scale
        if len(heavy):
            placed[:, heavy] = np.arcsinh(placed[:, heavy])
        return np.asarray(placed - mean, dtype=np.float64)

    return scaled


def scorer_of(
    policy: Policy, files: Mapping[str, bytes], *, preparer: Callable[[Prepared], Callable[[Rows], Batch]]
) -> Scorer[Rows] | None:
    """The scorer of a version with these files; None where its policy asks for none.

    `preparer` opens the version's own prepare link: its baseline, which prepares other columns, is judged by the same
    score. `IntegrityError` for files that are absent or not what they should be.
    """
    if policy.outliers == "off":
        return None
    usual, prepared = _read(files, FILE, Usual), _read(files, PREPARE, Prepared)
    surprise, prepare = surprise_of(usual), preparer(prepared)
    wanted = {*usual.numbers.names, *(one.name for one in usual.words)}

    def score(rows: Rows, own: Batch) -> Outlying:
        columns = own if wanted <= own.columns.keys() else prepare(rows)
        return Outlying(surprise(columns), usual.threshold)

    return score


def _read(files: Mapping[str, bytes], name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(files[name], type=kind)
    except (KeyError, msgspec.MsgspecError) as error:
        raise IntegrityError(
            f"{name} of the version is not what its outlier score needs",
            got="no such file" if isinstance(error, KeyError) else str(error),
            next="roll back, or make the version again: kring go",
        ) from error
