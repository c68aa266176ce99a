"""Where each guardrail of a rollout stands: how sure it is that it got worse, how sure that it did not."""

from __future__ import annotations

from math import ceil, log
from typing import Final

import numpy as np

from kring.metrics.e_values import HARM, SAFE_WEIGHTS, floor_log, mixed
from kring.metrics.growth import RARE, floor_growth, proof_growth, typical
from kring.metrics.paired import paired_log
from kring.record.progress import GuardrailProgress, PartProgress, Progress, Standing
from kring.record.rollout import Route, Terms

FIRST_COST: Final = log(2)
"""What a mixture loses to its best bet before it knows which that is."""

TINY: Final = 1e-9


def margin_name(margin: float) -> str:
    """How a margin is named in the record."""
    return f"{margin:g}"


def last_step(terms: Terms) -> int:
    """The largest share of traffic, in percent, before all of it; 0 when there are no steps."""
    return terms.steps[-1] if terms.steps else 0


def is_smoke(terms: Terms, *, step: int) -> bool:
    """Whether `step` only looks for smoke: the first, of at most 1 %. No proof is asked there."""
    return step in terms.steps[:1] and step <= 1


def margin_at(terms: Terms, *, step: int) -> float:
    """How many times as bad a version may be without being stopped at `step`; beyond the last step, the last margin."""
    return dict(zip(terms.steps, terms.margins, strict=True)).get(step, (1.0, *terms.margins)[-1])


def new_units(progress: Progress, terms: Terms, *, step: int) -> int:
    """Units first seen by the new version at `step`; once promoted, since then."""
    promoted = step > last_step(terms)
    return sum(
        arms.new
        for arms in progress.arms
        if (arms.share * 100 > last_step(terms) + TINY if promoted else abs(arms.share * 100 - step) < TINY)
    )


def harm_of(guardrail: GuardrailProgress, progress: Progress) -> float:
    """log e against "not worse than before": the mean over the guardrail's limits, an e-value whatever they share. Of
    pairs of answers against "no worse than by `delta`"; rollouts from before that was counted have none."""
    if guardrail.route == "paired":
        return paired_log(progress.paired_harm) if progress.paired_harm else 0.0
    logs = [float(mixed(np.array(part.harm), HARM.weights)) for part in guardrail.parts]
    return float(np.logaddexp.reduce(logs)) - log(len(logs))


def standing(guardrail: GuardrailProgress, progress: Progress, terms: Terms, *, step: int) -> Standing:
    """Where one guardrail stands at `step`.

    Each limit has to be proven by itself, so the weakest proof is that of the guardrail: by the mean over limits a
    doubled tail would pass on the strength of an unchanged median.
    """
    proofs = [_proof(guardrail.route, part, progress, terms=terms, step=step) for part in guardrail.parts]
    weakest = guardrail.parts[proofs.index(min(proofs))]
    new_units, old_units = weakest.new_good + weakest.new_bad, weakest.old_good + weakest.old_bad
    is_timed = any(one.is_timed for one in terms.guardrails if one.name == guardrail.name)
    seen = (new_units, old_units) if guardrail.kind == "outcome" else progress.timed if is_timed else progress.units
    return Standing(
        name=guardrail.name,
        route=guardrail.route,
        harm=harm_of(guardrail, progress),
        harm_line=log(1 / terms.alpha),
        proof=min(proofs),
        proof_line=log(1 / terms.beta),
        new_units=new_units,
        new_bad=weakest.new_bad,
        old_units=old_units,
        old_bad=weakest.old_bad,
        new_found=weakest.new_found,
        old_found=weakest.old_found,
        new_seen=seen[0],
        old_seen=seen[1],
    )


def _proof(route: Route, part: PartProgress, progress: Progress, *, terms: Terms, step: int) -> float:
    if route == "paired":
        return paired_log(progress.paired)
    if route == "absolute":
        return float(floor_log(part.new_good, part.new_bad, floor=terms.floor))
    logs = part.safe.get(margin_name(margin_at(terms, step=step)), (0.0,) * len(SAFE_WEIGHTS))
    return float(mixed(np.array(logs), SAFE_WEIGHTS))


def units_to_prove(route: Route, *, terms: Terms, step: int, rate: float, so_far: float = 0.0) -> int | None:
    """About how many more units of the new version an equal one needs at `step` on the absolute or relative `route`,
    with log e `so_far` and bad units at `rate` (0 to 1); None when there is no end in sight."""
    lacking = log(1 / terms.beta) - so_far
    if lacking <= 0:
        return 0
    lacking += FIRST_COST if so_far <= 0 else 0.0
    if route == "absolute":
        grown, speed = lacking, floor_growth(floor=terms.floor, rate=rate)
    else:
        grown, speed = typical(lacking), proof_growth(share=step / 100, margin=margin_at(terms, step=step), rate=rate)
    return ceil(grown / speed) if speed > RARE else None
