"""LIME, through the package `lime` (extra `explain`): a linear model of the answers round one row.

Ribeiro, Singh and Guestrin 2016, "'Why should I trust you?': explaining the predictions of any classifier".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import lime.lime_tabular
import numpy as np
from numpy.typing import NDArray

from kring.errors import Refused
from kring.explain.shap import Answer, Effects
from kring.record.batch import Batch, Column

ROWS: Final = 3_000
"""Rows drawn round the one that is explained."""

MEANT: Final = 0
"""The column that is explained, of the two that the package takes an answer as."""

LEAST: Final = 2
"""With fewer background rows there are no quartiles to draw from."""


def by_lime(answer: Answer, row: Batch, background: Batch, seed: int) -> tuple[Effects, float | None]:
    """The effects of the columns of `row` (n = 1) that stand in `background`, and the share of the answers' variance
    that the linear model fits (R², weighted by nearness). A column whose value is missing stays as it is.

    The effect of a number is that of lying in its quarter of the background, of a category that of being the one it
    is. `Refused` when there is nothing to draw from, or when not every drawn row has an answer.
    """
    names = [name for name in background.columns if name in row.columns and not _is_missing(row.columns[name])]
    value = float(answer(row)[0])
    if not names or background.n < LEAST:
        raise Refused(
            "there is nothing to draw rows from",
            got=f"{background.n} background rows of {len(names)} columns that the row has values for",
            allowed=f"{LEAST} rows or more of one column or more",
            next="explain with --method shap",
        )
    encoded, codes = _encoded(names, row, background)
    explainer = lime.lime_tabular.LimeTabularExplainer(
        encoded[1:],
        feature_names=names,
        categorical_features=[place for place, name in enumerate(names) if name in codes],
        categorical_names={place: codes[name] for place, name in enumerate(names) if name in codes},
        random_state=seed % (1 << 32),
    )
    asked = [0]
    predict = _predictor(answer, row, names, codes, asked)
    found = explainer.explain_instance(encoded[0], predict, labels=(MEANT,), num_features=len(names), num_samples=ROWS)
    effects = np.zeros(len(names))
    for place, weight in found.local_exp[MEANT]:
        effects[place] = weight
    base = float(answer(_tiled(row, background, names)).mean())
    shown = Effects(
        tuple(names), effects, np.zeros(len(names)), value, base, False, background.n, asked[0] + background.n + 1
    )
    return shown, float(found.score)


def _encoded(names: list[str], row: Batch, background: Batch) -> tuple[NDArray[np.float64], dict[str, list[str]]]:
    """The row and then the background as numbers, (1 + n, columns): categories as places among their texts, missing
    numbers as the median."""
    codes: dict[str, list[str]] = {}
    matrix = np.zeros((background.n + 1, len(names)))
    for place, name in enumerate(names):
        values = [row.columns[name][0], *background.columns[name]]
        if isinstance(values[0], str):
            codes[name] = sorted({str(value) for value in values})
            where = {text: code for code, text in enumerate(codes[name])}
            matrix[:, place] = [where[str(value)] for value in values]
        else:
            numbers = np.array(values, dtype=np.float64)
            numbers[np.isnan(numbers)] = np.nanmedian(numbers)
            matrix[:, place] = numbers
    return matrix, codes


def _predictor(
    answer: Answer, row: Batch, names: list[str], codes: dict[str, list[str]], asked: list[int]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """From encoded rows to answers in column `MEANT`, beside what adds up to 1 with them; `asked` counts them."""

    def predict(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        columns: dict[str, Column] = _repeated(row, len(matrix))
        for place, name in enumerate(names):
            kind = np.asarray(row.columns[name]).dtype
            if name in codes:
                columns[name] = np.array(codes[name], dtype=kind)[matrix[:, place].astype(np.intp)]
            else:
                columns[name] = matrix[:, place].astype(kind)
        asked[0] += len(matrix)
        said = answer(Batch(len(matrix), columns))
        if np.isnan(said).any():
            raise Refused(
                "this answer can't be explained by LIME: not every row beside it has an answer",
                got=f"no answer to {int(np.isnan(said).sum()):,} of {len(said):,} rows",
                next="explain with --method shap",
            )
        return np.stack([said, 1 - said], axis=1)

    return predict


def _tiled(row: Batch, background: Batch, names: list[str]) -> Batch:
    """The background rows, with the row's own values in all other columns."""
    return Batch(background.n, {**_repeated(row, background.n), **{name: background.columns[name] for name in names}})


def _repeated(row: Batch, n: int) -> dict[str, Column]:
    return {name: np.repeat(np.asarray(column), n) for name, column in row.columns.items()}


def _is_missing(column: Column) -> bool:
    value = column[0]
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
