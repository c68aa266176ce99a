"""What a trial says, in words."""

from __future__ import annotations

from math import exp
from typing import Final

import msgspec

from kring.record.running import Trial
from kring.record.trial import Compared, OutcomeSeen, TrialSeen

DOUBT: Final = 0.01
"""A split with a p below this is worth a look, though it proves nothing by itself."""

BRAKES: Final = {
    "split": "the arms did not get their shares of the units: something assigns, loses or counts one arm differently, "
    "and no comparison can be believed. Find out what before looking at any result",
    "coverage": "outcomes are known in one arm more often than in the other: who is missing may be what differs. Find "
    "out why reports are lost",
    "no_data": "no outcome was reported of an arm whose time has passed: missing reports are no result. Look whether "
    "they are sent",
}


def said_of(seen: TrialSeen, terms: Trial) -> TrialSeen:
    """`seen` with its words: what is proven, or what keeps anything from being so."""
    words = [BRAKES[brake] for brake in seen.brakes]
    for number, outcome in enumerate(seen.outcomes):
        words += [_said(one, outcome, terms, decides=number == 0) for one in outcome.compared]
    if "split" not in seen.brakes and seen.split.p < DOUBT:
        words.append(
            f"the split is doubtful: p = {seen.split.p:.2g} for one look, e = {exp(min(seen.split.log_e, 700)):.3g} at "
            "any time (1,000 would stop all conclusions). Look how units are assigned and recorded"
        )
    if seen.handled.in_two_arms:
        words.append(f"{seen.handled.in_two_arms:,} units were seen in two arms; they count in the first")
    return msgspec.structs.replace(seen, words=tuple(words))


def _said(one: Compared, outcome: OutcomeSeen, terms: Trial, *, decides: bool) -> str:
    known = {arm.arm: arm.known for arm in outcome.arms}
    short = [arm for arm in (one.arm, terms.control) if known[arm] < terms.least_units]
    about = f"{outcome.name}: {one.arm} against {terms.control}"
    if one.finding == "void":
        return f"{about}: nothing is concluded while a brake is on"
    if one.difference is None:
        return f"{about}: nothing is known yet"
    figures = f"{about}: {amount(one.difference, outcome)} ({between(one, outcome)}{lifted(one)})"
    if short:
        return f"{figures}; too few units yet, {terms.least_units:,} in each arm are needed"
    if one.finding == "open":
        return f"{figures}; neither better nor worse is proven"
    sure = f"{100 * (1 - outcome.alpha):.4g} %"
    end = "" if decides else ", which does not decide"
    return f"{figures}; {one.finding}, proven at {sure} however often one looks{end}"


def amount(value: float, outcome: OutcomeSeen) -> str:
    """A difference in the outcome's units: points of a percentage, or its own."""
    return f"{100 * value:+.2f} points" if outcome.kind == "rate" else f"{value:+.4g}"


def between(one: Compared, outcome: OutcomeSeen) -> str:
    """The interval that holds at any time."""
    return f"{amount(one.low, outcome)} to {amount(one.high, outcome)}"


def lifted(one: Compared) -> str:
    if one.lift is None or one.lift_low is None or one.lift_high is None:
        return ""
    return f"; lift {100 * one.lift:+.1f} %, {100 * one.lift_low:+.1f} to {100 * one.lift_high:+.1f} %"
