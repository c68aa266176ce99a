"""What a search for better params tried, and what came of it."""

from __future__ import annotations

import msgspec

from kring.record.contract import Scalar


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Where one param may lie: from `low` to `high`, both allowed, in `whole` numbers or not, by factors (`log`)
    or by steps; or one of `choices`."""

    name: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    choices: tuple[Scalar, ...] = ()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that was tried: its value, or why there is none."""

    params: dict[str, Scalar]
    value: float | None
    seconds: float
    reason: str = ""


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """A search that ended. `value` is the mean of `metric` over `folds` folds of the rows to learn from, `params`
    the best setting; the first of `trials` is the candidate as it was written. `ended` says which budget ran out."""

    metric: str
    value: float
    params: dict[str, Scalar]
    folds: int
    trials: tuple[Trial, ...]
    ended: str
    seconds: float
    seed: int
