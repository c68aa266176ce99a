"""The parameters of built-in candidates: name, default, range. A number's type is its default's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kring.errors import CandidateError
from kring.record.contract import Scalar


class Param(msgspec.Struct, frozen=True):
    """One parameter: from `low` to `high`, both allowed."""

    name: str
    default: int | float
    low: float
    high: float
    meaning: str

    @property
    def range(self) -> str:
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{self.name}: {kind} from {self.low:g} to {self.high:g}, {self.default:g} if left out ({self.meaning})"


def checked(builtin: str, given: Mapping[str, Scalar], allowed: Sequence[Param]) -> dict[str, int | float]:
    """Every parameter of `allowed` with its given or default value; `CandidateError` for anything else."""
    known = {param.name: param for param in allowed}
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
    whole = isinstance(param.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
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
    return value if whole else float(value)
