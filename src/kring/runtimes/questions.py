"""Questions in, answers out: the columns that every link that answers in words gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from kring.errors import Unavailable
from kring.record.batch import Batch

MISSING: Final = "(missing)"
"""What a prepared text is when there was none."""


class Answer(NamedTuple):
    """What is said to one question: the text, what it is cited by, best first, and how far that supports it, 0 to 1."""

    text: str
    citations: Sequence[str]
    support: float


NOTHING: Final = Answer("", (), 0.0)


def answered(batch: Batch, inputs: tuple[str, ...], answer: Callable[[str], Answer], *, link: str) -> Batch:
    """`answer` and `citations` (texts, these separated by blanks) and `support` (float64) for every row.

    A question is the texts of the columns `inputs`; where all of them are missing, nothing is said. `Unavailable`
    for a column that is not there.
    """
    for name in inputs:
        if name not in batch.columns:
            raise Unavailable(f"{link} needs the column {name}", got=", ".join(batch.columns) or "no columns", key=name)
    rows = zip(*(list(batch.columns[name]) for name in inputs), strict=True)
    questions = [" ".join(str(text) for text in row if text not in (None, MISSING)) for row in rows]
    said = [answer(question) if question.strip() else NOTHING for question in questions]
    return Batch(
        batch.n,
        {
            "answer": np.array([each.text for each in said], dtype=object),
            "citations": np.array([" ".join(each.citations) for each in said], dtype=object),
            "support": np.array([each.support for each in said], dtype=np.float64),
        },
    )
