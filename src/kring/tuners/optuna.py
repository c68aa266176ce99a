"""Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from kring.ports.tuner import Tuner
from kring.record.contract import Scalar
from kring.record.tuning import Range

SEEDS: Final = 2**32


class OptunaTuner:
    """One study in memory."""

    def __init__(self, ranges: Sequence[Range], *, seed: int) -> None:
        self._ranges = {each.name: _distribution(each) for each in ranges}
        self._study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed % SEEDS))
        self._asked: Trial | None = None

    def ask(self) -> dict[str, Scalar]:
        self._asked = self._study.ask(self._ranges)
        return dict(self._asked.params)

    def tell(self, value: float | None) -> None:
        if self._asked is None:
            raise ValueError("nothing was asked for")
        if value is None:
            self._study.tell(self._asked, state=TrialState.FAIL)
        else:
            self._study.tell(self._asked, value)
        self._asked = None


def open_tuner(ranges: Sequence[Range], *, seed: int) -> Tuner:
    """A search over `ranges` that no other search knows of."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return OptunaTuner(ranges, seed=seed)


def _distribution(range: Range) -> BaseDistribution:
    if range.choices:
        return CategoricalDistribution(range.choices)
    if range.whole:
        return IntDistribution(int(range.low), int(range.high), log=range.log)
    return FloatDistribution(range.low, range.high, log=range.log)
