"""What kring.toml asks of candidates beyond fitting them: searches, variants, folds; held against what there is."""

from __future__ import annotations

from typing import Final

from kring.errors import ConfigError
from kring.frame.wording import did_you_mean, shown
from kring.frameworks.params import PARAMS, Param
from kring.record.contract import Scalar
from kring.record.system import Candidate, System
from kring.record.tuning import Range

FACTORS: Final = 100
"""A range of positive numbers that spans this factor is searched by factors, where nobody says otherwise."""

NUMBERS: Final = "[lowest, highest], two numbers of which the first is smaller"


def ranges_of(candidate: Candidate) -> tuple[Range, ...]:
    """The ranges of `candidate.tune`; `ConfigError` for the first that is wrong, with its key below `candidate`."""
    if candidate.tune is None:
        return ()
    if not (candidate.fit or candidate.builtin in PARAMS):
        raise ConfigError(
            f"there is nothing to search: candidate {candidate.name} does not learn",
            got=candidate.kind,
            allowed="tune for a candidate with fit, or with a builtin that learns",
            next="remove tune",
            key="tune",
        )
    return tuple(_range(candidate, name, values) for name, values in candidate.tune.ranges.items())


def untunable(system: System) -> list[ConfigError]:
    """The first fault of every candidate's `tune`, each with its key."""
    faults = []
    for number, candidate in enumerate(system.candidates):
        try:
            ranges_of(candidate)
        except ConfigError as error:
            key = f"candidate[{number}].{error.key}"
            faults.append(ConfigError(error.message, got=error.got, allowed=error.allowed, next=error.next, key=key))
    return faults


def overdetermined(system: System) -> list[ConfigError]:
    """Keys by which a variant would differ from the candidate it comes from in more than its precision."""
    return [
        ConfigError(
            f"variant {candidate.name} takes its {key} from candidate {candidate.of}",
            got=key,
            allowed="name, of and precision",
            next=f"remove {key}, or write it at {candidate.of}",
            key=f"candidate[{number}].{key}",
        )
        for number, candidate in enumerate(system.candidates)
        for key, given in (("columns", candidate.columns), ("params", candidate.params))
        if candidate.of and given
    ]


def single_fold(system: System) -> list[ConfigError]:
    """One fold leaves nothing to learn from, or nothing to compare with."""
    if system.evidence.folds != 1:
        return []
    return [
        ConfigError(
            "one fold is no cross-validation",
            key="evidence.folds",
            got="1",
            allowed="2 to 20, or 0 for none",
            next="write folds = 5",
        )
    ]


def _range(candidate: Candidate, name: str, values: tuple[Scalar, ...]) -> Range:
    if candidate.builtin:
        return _of_builtin(_param(candidate, name), values)
    if values and all(isinstance(value, str | bool) for value in values):
        return _choice(name, values)
    low, high = _ends(name, values, allowed=f"{NUMBERS}; or a list of texts to choose from")
    whole = isinstance(low, int) and isinstance(high, int)
    return Range(name=name, low=low, high=high, whole=whole, log=low > 0 and high >= FACTORS * low)


def _param(candidate: Candidate, name: str) -> Param:
    known = {param.name: param for param in PARAMS[candidate.builtin]}
    if name not in known:
        raise ConfigError(
            f"{candidate.builtin} has no parameter {name!r} to search",
            got=shown(name),
            allowed="; ".join(param.range for param in known.values()) or "no parameters",
            next=did_you_mean(name, known, otherwise="remove the range"),
            key=f"tune.ranges.{name}",
        )
    return known[name]


def _of_builtin(param: Param, values: tuple[Scalar, ...]) -> Range:
    low, high = _ends(param.name, values, allowed=f"{NUMBERS}, within {param.range}")
    whole = isinstance(low, int) and isinstance(high, int)
    if low < param.low or high > param.high or (param.whole and not whole):
        raise ConfigError(
            f"this range goes beyond what {param.name} may be",
            got=shown(list(values)),
            allowed=param.range,
            next="whole numbers stay whole" if param.whole and not whole else "narrow the range",
            key=f"tune.ranges.{param.name}",
        )
    return Range(name=param.name, low=low, high=high, whole=param.whole, log=param.log)


def _ends(name: str, values: tuple[Scalar, ...], *, allowed: str) -> tuple[int | float, int | float]:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2:
        reason, next = "this is no range", ""
    elif numbers[0] >= numbers[1]:
        reason = "this range is reversed" if numbers[0] > numbers[1] else "this range holds one value only"
        next = "swap the two" if numbers[0] > numbers[1] else f"write it under params: {name} = {numbers[0]}"
    else:
        return numbers[0], numbers[1]
    raise ConfigError(reason, got=shown(list(values)), allowed=allowed, next=next, key=f"tune.ranges.{name}")


def _choice(name: str, values: tuple[Scalar, ...]) -> Range:
    if len(set(values)) < max(2, len(values)):
        raise ConfigError(
            "there is nothing to choose from" if len(values) < 2 else "a choice is listed twice",
            got=shown(list(values)),
            allowed="at least two different texts",
            key=f"tune.ranges.{name}",
        )
    return Range(name=name, choices=values)
