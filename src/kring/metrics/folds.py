"""From the scores of folds to one score with an interval."""

from __future__ import annotations

from typing import Final

import numpy as np

from kring.metrics.intervals import student
from kring.metrics.ranking import Floats

CROSS_VALIDATED: Final = "cross_validated."
"""Before the name of a metric: its mean over folds."""


def folded(scores: Floats, *, answered: Floats, learned: Floats) -> tuple[float, float, float]:
    """The mean of `scores` (k,) of k ≥ 2 folds with its 95 % interval.

    Folds learn from the same rows, so that their scores vary less than they should: the variance of the mean is
    s² · (1/k + n_answered / n_learned), with s² the sample variance, and the interval is Student's with k − 1
    degrees of freedom (Nadeau & Bengio 2003, "corrected resampled t-test"). `answered` and `learned` (k,) are the
    rows of each fold; where windows expand, their mean ratio stands for the one that the paper has.
    """
    count = len(scores)
    spread = float(np.var(scores, ddof=1)) * (1 / count + float(np.mean(answered / learned)))
    mean, half = float(np.mean(scores)), student(count - 1) * spread**0.5
    return mean, mean - half, mean + half
