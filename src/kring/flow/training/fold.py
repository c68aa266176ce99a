"""Cross-validation: every fitted candidate's answers to rows that it did not learn from, and what they are worth.

The folds are parts of the rows to learn from; the held-out rows are never touched. Lookups need no fold of their
own: a row to learn from sees them as they were when it was decided.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import CandidateError, DataError
from kring.experiment.folds import Fold, fold_rows
from kring.flow import adapters
from kring.flow.training.build import Session, chained, maker_of, names_of, opened, said
from kring.flow.training.fit import fold_candidate
from kring.flow.training.material import select
from kring.frameworks.params import PARAMS
from kring.metrics.folds import CROSS_VALIDATED, folded
from kring.record.evidence import Curve, Measure
from kring.record.system import Candidate

FOLDS: Final = 5
"""How many, where `evidence.folds` names none and something needs them."""

DRAWS: Final = 1
"""Each fold's value is wanted, not its interval: that comes from how the folds differ."""

Answers = tuple[NDArray[np.float64], ...]


def learns(candidate: Candidate) -> bool:
    """Whether `candidate` is fitted on rows, so that folds mean something."""
    return bool(candidate.fit) or candidate.builtin in PARAMS


def folds_of(session: Session) -> tuple[Fold, ...]:
    """The folds of this training, the same for all its candidates. `DataError` when there are too few rows."""
    material = session.material
    count = session.project.system.evidence.folds or FOLDS
    return fold_rows(material.train_rows, material.train_truth, by=material.split_by, count=count, seed=session.seed)


def fold_answers(session: Session, candidate: Candidate, folds: tuple[Fold, ...]) -> Answers:
    """For each fold the answers to its rows, by `candidate` fitted on the fold's rows to learn from; a rule
    or code answers as it is. `CandidateError` when it can't be fitted within its time and memory."""
    material, project = session.material, session.project
    prepared = material.prepared_for(candidate)
    batch = select(material.train_batch, names_of(prepared))
    if candidate.rule or candidate.code:
        made = maker_of(candidate)(session, candidate, prepared)
        with opened(candidate, *chained(session, candidate, prepared, made)) as runtime:
            outputs = said(session, candidate, runtime, batch)
        return tuple(outputs[fold.answer] for fold in folds)
    return fold_candidate(
        candidate,
        framework=adapters.framework(candidate.builtin),
        folder=project.folder,
        policy=material.policy,
        columns=prepared.columns,
        train=batch,
        truth=material.train_truth,
        folds=folds,
        seed=session.seed,
    )


def out_of_fold(session: Session, candidate: Candidate) -> NDArray[np.float64]:
    """An answer to every row to learn from by a candidate that did not learn from it: first axis rows, NaN for
    rows that no fold answers (the first span, where windows expand). Kept for the rest of the training.

    `CandidateError` or `DataError` when there is no such answer: see `fold_answers` and `folds_of`.
    """
    if candidate.name not in session.out_of_fold:
        folds = folds_of(session)
        found = fold_answers(session, candidate, folds)
        outputs = np.full((session.material.train_batch.n, *found[0].shape[1:]), np.nan)
        for fold, part in zip(folds, found, strict=True):
            outputs[fold.answer] = part
        session.out_of_fold[candidate.name] = outputs
    return session.out_of_fold[candidate.name]


def cross_validated(session: Session, candidate: Candidate) -> tuple[list[Measure], list[Curve], tuple[str, ...]]:
    """The task's measures as `cross_validated.NAME`, the first of them fold by fold as a curve, and a warning where
    there are none. Nothing for candidates that don't learn, and without `evidence.folds`."""
    if not session.project.system.evidence.folds or not learns(candidate):
        return [], [], ()
    session.project.say(f"folds   {candidate.name}, {session.project.system.evidence.folds} of them")
    try:
        folds = folds_of(session)
        outputs = out_of_fold(session, candidate)
        baseline = out_of_fold(session, session.project.system.baseline)
    except (CandidateError, DataError) as error:
        return [], [], (f"not cross-validated: {error.lasting}",)
    scores = [_scores(session, fold, outputs, baseline) for fold in folds]
    measures = [
        _measure(name, [each[name] for each in scores], folds, tuned=candidate.tune is not None)
        for name in scores[0]
        if all(name in each for each in scores)
    ]
    return measures, _curves(session, scores), ()


def fold_values(session: Session, metric: str, folds: tuple[Fold, ...], answers: Answers) -> list[float]:
    """What `metric` is in each fold; folds in which it is not defined are left out."""
    task, material = session.project.task, session.material
    values = []
    for fold, outputs in zip(folds, answers, strict=True):
        known = task.answered(outputs)
        found = _measured(session, material.train_truth[fold.answer][known], outputs[known], outputs[known])
        values += [found[metric].value] if metric in found else []
    return values


def _scores(
    session: Session, fold: Fold, outputs: NDArray[np.float64], baseline: NDArray[np.float64]
) -> dict[str, Measure]:
    """All measures over the fold's rows that both answer, beside the baseline."""
    mine, theirs, truth = outputs[fold.answer], baseline[fold.answer], session.material.train_truth[fold.answer]
    known = session.project.task.answered(mine) & session.project.task.answered(theirs)
    return _measured(session, truth[known], mine[known], theirs[known])


def _measured(
    session: Session, truth: NDArray[np.float64], outputs: NDArray[np.float64], baseline: NDArray[np.float64]
) -> dict[str, Measure]:
    try:
        measures, _ = session.project.task.measure(
            truth,
            outputs,
            baseline,
            groups=np.arange(len(truth)),
            policy=session.material.policy,
            draws=DRAWS,
            seed=session.seed,
        )
    except DataError:  # too few rows of this fold were answered
        return {}
    return {measure.name: measure for measure in measures}


def _measure(name: str, scores: list[Measure], folds: tuple[Fold, ...], *, tuned: bool) -> Measure:
    values = np.array([score.value for score in scores])
    learned = np.array([len(fold.learn) for fold in folds], dtype=np.float64)
    value, low, high = folded(values, answered=np.array([score.rows for score in scores]), learned=learned)
    first = scores[0]
    said = first.method.partition(";")[0]
    optimistic = "; its params were chosen on the same folds, so it is optimistic" if tuned else ""
    return Measure(
        name=CROSS_VALIDATED + name,
        value=value,
        low=low,
        high=high,
        rows=sum(score.rows for score in scores),
        groups=len(scores),
        better=first.better,
        method=f"{said}; mean of {len(scores)} folds, from {values.min():.4g} to {values.max():.4g}; "
        f"corrected resampled t (Nadeau & Bengio 2003){optimistic}",
        unit=first.unit,
    )


def _curves(session: Session, scores: list[dict[str, Measure]]) -> list[Curve]:
    metric = next(iter(session.project.task.metrics))
    if not all(metric in each for each in scores):
        return []
    return [
        Curve(
            name="folds",
            x=tuple(float(number) for number in range(1, len(scores) + 1)),
            y=tuple(each[metric].value for each in scores),
            weight=tuple(float(each[metric].rows) for each in scores),
        )
    ]
