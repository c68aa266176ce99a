"""Rows whose outcome looks wrong, as a list to look through. Nothing is removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ranking import Floats
from kring.metrics.suspects import Doubted, doubted_labels, doubted_numbers
from kring.ports.task import Task
from kring.record.scrutiny import Suspect, Suspects
from kring.record.version import Policy

MOST_LISTED: Final = 100
LABELS: Final = "labels that a model which never saw the row contradicts, and is sure (confident learning)"
NUMBERS: Final = "numbers further from what a model which never saw the row says than is usual"


def suspects_of(
    task: Task, *, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy, keys: Sequence[str]
) -> Suspects | None:
    """What out-of-fold `outputs` say about `truth`; rows without either are left out. `keys` (n,) name the rows.

    None where answers are neither probabilities of labels nor numbers, or truth is no single value.
    """
    rows = np.flatnonzero(task.known(truth) & task.answered(outputs))
    if not (policy.labels or policy.output == "value") or truth.ndim != 1 or not len(rows):
        return None
    given, said = truth[rows], outputs[rows]
    labelled = bool(policy.labels)
    doubted = doubted_labels(given.astype(np.intp), _by_label(said)) if labelled else doubted_numbers(given, said)
    losses = task.losses(given, said, policy)
    return Suspects(
        rows=len(rows),
        count=len(doubted.rows),
        false_share=doubted.false_share,
        method=LABELS if labelled else NUMBERS,
        listed=tuple(
            Suspect(
                row=keys[rows[row]],
                given=policy.labels[int(given[row])] if labelled else f"{given[row]:.6g}",
                said=_said(doubted, place, said=said[row], policy=policy),
                loss=float(losses[row]),
            )
            for place, row in enumerate(doubted.rows[:MOST_LISTED].tolist())
        ),
    )


def _by_label(said: NDArray[np.float64]) -> Floats:
    """Probabilities of every label, (n, k)."""
    return said if said.ndim == 2 else np.stack([1 - said, said], axis=1)


def _said(doubted: Doubted, place: int, *, said: NDArray[np.float64], policy: Policy) -> str:
    if not policy.labels:
        return f"{doubted.instead[place]:.6g}"
    label = int(doubted.instead[place])
    probability = float(_by_label(said[None])[0, label])
    return f"{policy.labels[label]} ({probability:.3f})"
