"""The search for better params of one candidate, within a budget, on the rows to learn from alone."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from kring.errors import CandidateError
from kring.experiment.folds import Fold
from kring.flow import adapters
from kring.flow.asked import ranges_of
from kring.flow.training.build import Session
from kring.flow.training.fold import fold_answers, fold_values, folds_of
from kring.host.clock import stopwatch
from kring.record.contract import Scalar
from kring.record.system import Candidate, Tune
from kring.record.tuning import Trial, Tuned

SHOWN: Final = 4
"""Digits of a value that people read."""


def tune(session: Session, candidate: Candidate) -> tuple[Candidate, Tuned | None]:
    """`candidate` with the best params found, and the search; unchanged and None when nothing is to be searched.

    A setting is worth the mean of the task's first metric over the folds. The candidate as it is written is tried
    first and stays unless something is better. A setting that fails is recorded and skipped; `CandidateError`
    when all of them fail, `DataError` when there are too few rows for folds. The same seed searches the same,
    unless time runs out.
    """
    if candidate.tune is None:
        return candidate, None
    metric, better = next(iter(session.project.task.metrics.items()))
    folds, began = folds_of(session), stopwatch()
    trials, ended = _searched(session, candidate, candidate.tune, folds, metric=metric, better=better)
    found = [(trial, trial.value) for trial in trials if trial.value is not None]
    if not found:
        raise CandidateError(
            f"candidate {candidate.name}: none of the settings that were tried can be fitted",
            got=trials[-1].reason,
            next="mend the ranges, or give it more time",
            key=f"candidate.{candidate.name}.tune",
        )
    best, value = max(found, key=lambda each: better * each[1])
    session.project.say(f"tune    {candidate.name}: {metric} {value:.{SHOWN}g} after {len(trials)} settings")
    tuned = Tuned(
        metric=metric,
        value=value,
        params=best.params,
        folds=len(folds),
        trials=tuple(trials),
        ended=ended,
        seconds=stopwatch() - began,
        seed=session.seed,
    )
    return msgspec.structs.replace(candidate, params={**candidate.params, **best.params}), tuned


def _searched(
    session: Session, candidate: Candidate, plan: Tune, folds: tuple[Fold, ...], *, metric: str, better: int
) -> tuple[list[Trial], str]:
    """Every setting that was tried, and which budget ended the search."""
    tuner = adapters.open_tuner(ranges_of(candidate), seed=session.seed)
    until = stopwatch() + plan.timeout_us / 1e6
    trials = [_tried(session, candidate, {}, folds, metric=metric, until=until)]
    for _ in range(plan.trials):
        if stopwatch() >= until:
            return trials, "timeout"
        trial = _tried(session, candidate, tuner.ask(), folds, metric=metric, until=until)
        tuner.tell(None if trial.value is None else better * trial.value)
        trials.append(trial)
    return trials, "trials"


def _tried(
    session: Session,
    candidate: Candidate,
    params: dict[str, Scalar],
    folds: tuple[Fold, ...],
    *,
    metric: str,
    until: float,
) -> Trial:
    began = stopwatch()
    left = min(candidate.timeout_us, max(1, int((until - began) * 1e6)))
    setting = msgspec.structs.replace(candidate, params={**candidate.params, **params}, timeout_us=left)
    value, reason = None, ""
    try:
        values = fold_values(session, metric, folds, fold_answers(session, setting, folds))
        value = float(np.mean(values)) if len(values) == len(folds) else None
        reason = "" if value is not None else f"{metric} is not defined in every fold"
    except CandidateError as error:
        reason = error.lasting
    return Trial(params=params, value=value, seconds=stopwatch() - began, reason=reason)
