"""From the answers of one version to counts, and what those say where versions know different labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.measured import Formula, measured, on_windows
from kring.metrics.ranking import Floats, ratio
from kring.ports.task import Counts, Task
from kring.record.evidence import Measure
from kring.record.version import Policy
from kring.watch.groups import Grouping, count_groups
from kring.watch.matching import NOBODY, Rows
from kring.watch.truths import Truths
from kring.watch.windows import Counted, merge_counts

SCALE: Final = 1_000_000
MISTAKES: Final[Mapping[str, Formula]] = {
    "mistakes": Formula(-1, "mean of how bad a decision turned out, from 0 for a right one to 1; labels differ")
}


def count_answers(
    task: Task, policy: Policy, rows: Rows, *, version: str, truths: Truths, groupings: Mapping[str, Grouping]
) -> Counted:
    """What the answers of `version` to `rows` come to, by the labels of its own `policy`: an outcome for which it has
    no label counts as a mistake, and in nothing else. `groupings` are those by which the rows were grouped."""
    outputs = rows.outputs(version)
    answered = task.answered(outputs)
    raw = rows.truth if rows.has_outcomes else np.repeat(truths.read([None]), rows.n, axis=0)
    truth = truths.told(raw, policy)
    settled = task.known(truth) & answered
    mine, said = truth[settled], outputs[settled]
    groups: Counts = {}
    if len(mine):
        for column in groupings.keys() & rows.columns:
            codes = rows.codes(column)[settled]
            there = codes != NOBODY
            if there.any():
                rated = task.rates(mine[there], said[there], policy)
                groups = merge_counts(groups, count_groups(rated, {column: codes[there]}, groupings))
    return Counted(
        counts=task.count(mine, said, policy) if len(mine) else {},
        mistakes=_mistakes(task, policy, mine, said, strange=int((task.known(raw) & answered & ~settled).sum())),
        foresaw=task.foresee(outputs[answered], policy),
        learned=task.foresee(said, policy) if len(mine) else {},
        groups=groups,
    )


def measure_mistakes(windows: Sequence[Counts], baseline: Sequence[Counts], *, draws: int, seed: int) -> list[Measure]:
    """`mistakes` and `lift_over_baseline.mistakes` of windows, paired by position: the mean of the task's own
    `mistakes` over rows, whichever version with whichever labels answered them; intervals resample windows. Nothing
    from fewer than five windows with outcomes."""
    paired = on_windows(windows, baseline, draws=draws, seed=seed)
    if paired is None:
        return []
    mine, theirs = ({"mistakes": _mean(each, paired.weights)} for each in (paired.mine, paired.baseline))
    return measured(MISTAKES, mine, theirs, basis=paired.basis)


def _mistakes(
    task: Task, policy: Policy, truth: NDArray[np.float64], said: NDArray[np.float64], *, strange: int
) -> Counts:
    """Rows, and the sum of their mistakes in millionths; `strange` ones turned out as the version has no word for."""
    if not policy.labels or not len(truth) + strange:
        return {}
    made = np.rint(task.mistakes(truth, said, policy) * SCALE).astype(np.int64).sum() if len(truth) else 0
    return {"n": (len(truth) + strange,), "mistakes": (int(made) + strange * int(task.largest_mistake * SCALE),)}


def _mean(windows: Sequence[Counts], weights: Floats) -> Floats:
    """Mistakes per row, (draws,), of windows weighted by (draws, windows)."""
    sums = (np.array([each.get(name, (0,))[0] for each in windows], dtype=np.float64) for name in ("mistakes", "n"))
    made, rows = (weights @ each for each in sums)
    return ratio(made / SCALE, rows)
