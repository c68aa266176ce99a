"""The parameters of built-in candidates: name, default, range. A number's type is its default's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kring.errors import CandidateError
from kring.record.contract import Scalar

SHARE: Final = "categories rarer than this share of rows are one"


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter: from `low` to `high`, both allowed. A `log` one is searched by factors, not by steps."""

    name: str
    default: int | float
    low: float
    high: float
    meaning: str
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return isinstance(self.default, int)

    @property
    def range(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{self.name}: {kind} from {self.low:g} to {self.high:g}, {self.default:g} if left out ({self.meaning})"


def _param(name: str, default: float, low: float, high: float, *, meaning: str, log: bool = False) -> Param:
    return Param(name=name, default=default, low=low, high=high, meaning=meaning, log=log)


RARE: Final = _param("min_frequency", 0.005, 0.0, 0.5, meaning=SHARE)
LEARNING: Final = ("learning_rate", 0.05, 1e-4, 1.0)
ADDED: Final = "how much of each tree is added"
ROWS_SEEN: Final = _param("subsample", 1.0, 0.05, 1.0, meaning="share of the rows that each tree sees")
COLUMNS_SEEN: Final = _param("colsample_bytree", 1.0, 0.05, 1.0, meaning="share of the columns that each tree sees")

PARAMS: Final[Mapping[str, Sequence[Param]]] = {
    "prior": (),
    "linear": (
        _param("alpha", 1.0, 1e-9, 1e9, meaning="strength of the pull of all weights towards zero", log=True),
        _param("max_iter", 1000, 1, 100_000, meaning="steps of the solver at the most"),
        _param("min_frequency", 0.0, 0.0, 0.5, meaning=SHARE),
    ),
    "boosted": (
        _param(*LEARNING, meaning=ADDED, log=True),
        _param("max_iter", 60, 1, 5000, meaning="number of trees"),
        _param("max_leaf_nodes", 15, 2, 1024, meaning="leaves of a tree at the most"),
        _param("min_samples_leaf", 50, 1, 1_000_000, meaning="rows in a leaf at the least", log=True),
        _param("l2_regularization", 0.0, 0.0, 1e6, meaning="pull of the leaves towards zero"),
        RARE,
    ),
    "forest": (
        _param("n_estimators", 100, 1, 2000, meaning="number of trees"),
        _param("max_leaf_nodes", 128, 2, 4096, meaning="leaves of a tree at the most", log=True),
        _param("min_samples_leaf", 10, 1, 1_000_000, meaning="rows in a leaf at the least", log=True),
        _param("max_features", 0.4, 0.01, 1.0, meaning="share of the columns that each split may choose from"),
        RARE,
    ),
    "lightgbm": (
        _param(*LEARNING, meaning=ADDED, log=True),
        _param("n_estimators", 100, 1, 5000, meaning="number of trees"),
        _param("num_leaves", 15, 2, 1024, meaning="leaves of a tree at the most"),
        _param("min_child_samples", 50, 1, 1_000_000, meaning="rows in a leaf at the least", log=True),
        _param("reg_lambda", 0.0, 0.0, 1e6, meaning="pull of the leaves towards zero"),
        ROWS_SEEN,
        COLUMNS_SEEN,
        RARE,
    ),
    "xgboost": (
        _param(*LEARNING, meaning=ADDED, log=True),
        _param("n_estimators", 100, 1, 5000, meaning="number of trees"),
        _param("max_depth", 5, 1, 12, meaning="splits from the root to a leaf at the most"),
        _param("min_child_weight", 10.0, 0.0, 1e6, meaning="summed weight of the rows in a leaf at the least"),
        _param("reg_lambda", 1.0, 0.0, 1e6, meaning="pull of the leaves towards zero"),
        ROWS_SEEN,
        COLUMNS_SEEN,
        RARE,
    ),
}
"""Every built-in that learns from rows. No library is needed to read them."""


def checked(builtin: str, given: Mapping[str, Scalar]) -> dict[str, int | float]:
    """Every parameter of `builtin` with its given or default value; `CandidateError` for anything else."""
    allowed = PARAMS[builtin]
    known = {param.name for param in allowed}
    for name in given:
        if name not in known:
            raise CandidateError(
                f"{builtin} has no parameter {name!r}",
                got=name,
                allowed="; ".join(param.range for param in allowed) or "no parameters",
                key=f"params.{name}",
            )
    return {param.name: _value(builtin, param, given.get(param.name, param.default)) for param in allowed}


def _value(builtin: str, param: Param, value: Scalar) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int if param.whole else int | float):
        fits = False
    else:
        fits = param.low <= value <= param.high
    if not fits or value is None or isinstance(value, str):
        raise CandidateError(
            f"{builtin} can't take this value of {param.name}",
            got=repr(value),
            allowed=param.range,
            key=f"params.{param.name}",
        )
    return value if param.whole else float(value)
