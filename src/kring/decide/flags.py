"""The value of a flag for somebody: the kill switch, then the rules, then a trial, then the default. Pure, and light.

Who is chosen for a share stays chosen: a unit is hashed with the flag, the condition and the variant, so that neither
time nor the order of rules moves anybody, and a larger share keeps those who are in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from kring.contracts.context import Context, condition
from kring.errors import NotFound
from kring.metrics.assignment import assigned, chosen
from kring.record.contract import LogicalType, Scalar
from kring.record.running import Flag, FlagRule
from kring.record.trial import TrialRun

Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DEFAULT", "DISABLED"]
"""OpenFeature's words for how a value came about."""

UNIT: Final = "targetingKey"


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A flag's value for somebody. In a `trial`, `arm` is theirs."""

    flag: str
    variant: str
    value: Scalar
    reason: Reason
    trial: str = ""
    arm: str = ""


class Board:
    """The flags of one system, ready to be asked; `trials` are those that run.

    `ExpressionError` for a condition that can't be read.
    """

    def __init__(self, flags: Sequence[Flag], *, trials: Iterable[TrialRun] = ()) -> None:
        self.flags: Mapping[str, Flag] = {flag.name: flag for flag in flags}
        self._rules = {flag.name: [_ruled(flag, rule) for rule in flag.rules] for flag in flags}
        self._trials = {one.terms.flag: one for one in trials if one.is_running and one.terms.flag}

    def evaluate(self, name: str, context: Context, *, unit: str = "", off: Collection[str] = ()) -> Evaluated:
        """The value in a context for a `unit`, else for its `targetingKey`; `off` names the flags whose kill switch is
        pulled.

        A value of the context that is of another type than a rule wants, or missing, makes that rule apply to nobody.
        `NotFound` for what is no flag.
        """
        flag = self.flags.get(name)
        if flag is None:
            raise NotFound("there is no such flag", got=repr(name)[:80], allowed=", ".join(self.flags) or "none")
        if name in off:
            return _valued(flag, flag.off, "DISABLED")
        unit = unit or str(context[UNIT])
        for rule, applies in self._rules[name]:
            if applies(context, unit):
                split = 0 < rule.share < 1
                plain: Reason = "TARGETING_MATCH" if rule.when else "STATIC"
                return _valued(flag, rule.variant, "SPLIT" if split else plain)
        trial = self._trials.get(name)
        if trial is not None:
            arm = arm_of(trial, unit)
            found = _valued(flag, trial.terms.arms[arm], "SPLIT")
            return msgspec.structs.replace(found, trial=trial.name, arm=arm)
        return _valued(flag, flag.default, "DEFAULT" if flag.rules else "STATIC")


def arm_of(trial: TrialRun, unit: str) -> str:
    """The arm of a unit, the same for as long as the trial lasts."""
    terms = trial.terms
    names = sorted(terms.arms)
    return names[chosen(unit, salt=trial.salt, shares=[terms.shares[name] for name in names])]


def subject_text(text: str, kind: LogicalType) -> str:
    """A subject as records write one of its kind: a number as a number, whatever noughts stand before it."""
    try:
        if kind == "integer":
            return str(int(text))
        return str(float(text)) if kind == "number" else text
    except ValueError:
        return text


def _valued(flag: Flag, variant: str, reason: Reason) -> Evaluated:
    return Evaluated(flag=flag.name, variant=variant, value=flag.variants[variant], reason=reason)


def _ruled(flag: Flag, rule: FlagRule) -> tuple[FlagRule, Callable[[Context, str], bool]]:
    """A rule and whether it applies to a unit in a context."""
    holds = condition(rule.when, key=f"flag.{flag.name}.rule.when") if rule.when else None
    salt = "\n".join(("flag", flag.name, rule.when, rule.variant))

    def applies(context: Context, unit: str) -> bool:
        if holds is not None and holds(context) is not True:
            return False
        return bool(assigned([unit], salt=salt, share=rule.share)[0])

    return rule, applies
