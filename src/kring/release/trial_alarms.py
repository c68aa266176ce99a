"""What of a trial is told to people who did not ask: a brake, an arm that is proven worse, an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kring.record.alarm import Breach
from kring.record.trial import OutcomeSeen, TrialSeen
from kring.release.trial_words import amount, between

ENDED: Final = "ended"
WORSE: Final = "worse"
BRAKES: Final = ("split", "coverage", "no_data")
BY_CHANCE: Final = "by chance that happens to one trial in 1,000 at the most"


def breaches_of(seen: TrialSeen) -> list[Breach]:
    """What is found of a trial that runs."""
    found = [
        _breach(seen, one.brake, f"the trial {seen.name} can't be concluded: {one.why}", since=one.since,
                sure=BY_CHANCE if one.brake != "no_data" else "")
        for one in seen.on
    ]  # fmt: skip
    for outcome in seen.outcomes:
        found += _worse(seen, outcome)
    if seen.stops:
        found.append(_breach(seen, ENDED, f"the trial {seen.name} is over: {seen.stops}", since=seen.at))
    return found


def looked_at(seen: TrialSeen) -> tuple[str, ...]:
    """The keys of what was judged; while a brake is on no arm is compared."""
    slice = slice_of(seen.name)
    keys = [f"trial/{brake}//{slice}" for brake in BRAKES]
    if not seen.brakes:
        keys += [f"trial/{WORSE}/{arm} on {outcome.name}/{slice}" for outcome in seen.outcomes for arm in arms(outcome)]
    return tuple(keys)


def slice_of(name: str) -> str:
    """How the trial of that name is told from others."""
    return f"trial = {name}"


def arms(outcome: OutcomeSeen) -> list[str]:
    return [one.arm for one in outcome.compared]


def _worse(seen: TrialSeen, outcome: OutcomeSeen) -> Iterator[Breach]:
    """Arms that do harm, on whichever outcome: one that does not decide ends nothing, so somebody has to look."""
    sure = f"proven at {100 * (1 - outcome.alpha):.4g} %, however often one looks"
    for one in outcome.compared:
        if one.finding == WORSE and one.difference is not None:
            what = (
                f"{one.arm} does worse than {seen.control} in the trial {seen.name}: {outcome.name}"
                f" {amount(one.difference, outcome)} ({between(one, outcome)})"
            )
            yield _breach(seen, WORSE, what, since=seen.at, sure=sure, feature=f"{one.arm} on {outcome.name}")


def _breach(seen: TrialSeen, metric: str, what: str, *, since: int, sure: str = "", feature: str = "") -> Breach:
    rows = sum(seen.split.units.values())
    return Breach(
        kind="trial", metric=metric, value=None, low=None, high=None, allowed="", rows=rows, since=since, what=what,
        sure=sure, feature=feature, slice=slice_of(seen.name),
    )  # fmt: skip
