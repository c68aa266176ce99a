"""The judgement of a rollout: looks are multiplied into e-values, and e-values say what to do.

Pure, and the same in any order: a look is counts of one sealed batch, each is taken once, and logs are kept as
multiples of one grain, so that their sums don't depend on who comes first. Nothing here reads a clock or a log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest
from math import log

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kring.errors import DataError
from kring.metrics.e_bh import rejected
from kring.metrics.e_values import BALANCE, HARM, SAFE_RATIOS, Floats, cohort_logs, likelihoods, settled, split_logs
from kring.metrics.paired import STAKES, paired_logs, worse_logs
from kring.record.progress import (
    Cohort,
    Counts,
    GuardrailProgress,
    Judged,
    Look,
    PairedLook,
    PartProgress,
    Progress,
    Sign,
    Standing,
)
from kring.record.rollout import Terms
from kring.release.brakes import braked, counted_brakes
from kring.release.guardrails import is_smoke, last_step, margin_name, new_units, standing
from kring.release.looks import arms_together, holds, including, table, units_together
from kring.release.words import told_guilty, told_missing, told_proven, told_step, told_waiting

Added = tuple[Floats, dict[str, Floats]]


def started(rollout: str, terms: Terms) -> Progress:
    """What is known at the start: nothing, every e-value 1."""
    safe = {margin_name(margin): (0.0,) * len(SAFE_RATIOS) for margin in terms.margins}
    part = PartProgress(harm=(0.0,) * len(HARM.ratios), safe=safe)
    return Progress(
        rollout=rollout,
        guardrails=tuple(
            GuardrailProgress(
                name=guardrail.name,
                kind=guardrail.kind,
                route=guardrail.route,
                parts=(part,) * max(len(guardrail.limits), 1),
            )
            for guardrail in terms.guardrails
        ),
        split=(0.0,) * len(BALANCE.ratios),
        coverage=(0.0,) * len(BALANCE.ratios),
        paired=(0.0,) * len(STAKES),
        paired_harm=(0.0,) * len(STAKES),
    )


def advanced(progress: Progress, look: Look, terms: Terms) -> Progress:
    """`progress` with one look more; unchanged when its batch has been looked at before.

    `DataError` for a guardrail that the terms don't name, the wrong number of limits, or counts that can't be.
    """
    if holds(progress.seen, look.batch):
        return progress
    counted = _checked(progress, look)
    added = iter(_added([counts.cohorts for parts in counted for counts in parts], terms))
    guardrails = tuple(
        msgspec.structs.replace(
            guardrail,
            parts=tuple(
                _part(part, counts, next(added)) for part, counts in zip(guardrail.parts, several, strict=True)
            ),
        )
        for guardrail, several in zip(progress.guardrails, counted, strict=True)
    )
    shares = arms_together(look.arms)
    arms = np.array([(arm.new, arm.old) for arm in shares], dtype=np.int64).reshape(-1, 2)
    labelled = table(look.coverage)
    return msgspec.structs.replace(
        progress,
        seen=including(progress.seen, look.batch),
        units=units_together((progress.units, look.units)),
        timed=units_together((progress.timed, look.timed)),
        arms=arms_together((*progress.arms, *shares)),
        guardrails=guardrails,
        split=_plus(progress.split, settled(split_logs(arms, [arm.share for arm in shares]))),
        coverage=_plus(progress.coverage, settled(cohort_logs(labelled, BALANCE))),
        labels=_labels(progress.labels, labelled),
    )


def paired_look(batch: int, differences: ArrayLike, terms: Terms) -> PairedLook:
    """The look at a batch of shadowed rows, of `differences` (n,) from −1 to 1: (new loss − old loss) / largest loss.

    `DataError` for differences beyond that, or that are no number.
    """
    values = np.asarray(differences, dtype=np.float64)
    return PairedLook(
        batch=batch,
        rows=len(values),
        logs=tuple(paired_logs(values, delta=terms.delta).tolist()),
        worse=float(settled(values).sum()),
        harm=tuple(worse_logs(values, delta=terms.delta).tolist()),
    )


def paired_advanced(progress: Progress, look: PairedLook) -> Progress:
    """`progress` with one batch of shadowed rows more; unchanged when that batch was seen before."""
    if holds(progress.paired_seen, look.batch):
        return progress
    return msgspec.structs.replace(
        progress,
        paired=tuple(known + added for known, added in zip(progress.paired, look.logs, strict=True)),
        paired_harm=tuple(
            known + added for known, added in zip_longest(progress.paired_harm, look.harm, fillvalue=0.0)
        ),
        paired_rows=progress.paired_rows + look.rows,
        paired_worse=progress.paired_worse + look.worse,
        paired_seen=including(progress.paired_seen, look.batch),
    )


def judged(progress: Progress, terms: Terms, *, step: int, brakes: Collection[str] = ()) -> Judged:
    """What to do now at `step`: percent of the units, 0 while the version is only shadowed, and more than the last of
    the steps once it is promoted. `brakes` are those that counts don't show.

    A rollback wins over everything; a brake holds whatever is proven; without either, what is not proven is waited for,
    so that missing data never counts as success.
    """
    standings = tuple(standing(guardrail, progress, terms, step=step) for guardrail in progress.guardrails)
    harms = [each.harm for each in standings]
    harm = float(np.logaddexp.reduce(harms)) - log(len(harms)) if harms else 0.0
    line = log(1 / terms.alpha)
    pulled = tuple(sorted({*brakes, *counted_brakes(progress)}))
    missing = tuple(_missing(progress, terms, step=step, standings=standings))
    guilty: tuple[str, ...] = ()
    verdict: Sign
    if harm >= line:
        verdict, guilty = "roll_back", _guilty(standings, alpha=terms.alpha)
        why = told_guilty(standings, progress, terms, guilty=guilty)
    elif pulled:
        verdict, why = "hold", "; ".join(braked(progress, brake) for brake in pulled)
    elif missing:
        verdict, why = "wait", told_waiting(len(missing), terms=terms, step=step)
    else:
        verdict, why = "advance", told_proven(terms, step=step)
    return Judged(
        verdict=verdict,
        why=why,
        guilty=guilty,
        missing=missing,
        brakes=pulled,
        harm=harm,
        harm_line=line,
        standings=standings,
    )


def _guilty(standings: Sequence[Standing], *, alpha: float) -> tuple[str, ...]:
    """The guardrails that e-BH names; when all together are beyond the line and none is by itself, the worst one."""
    named = rejected([each.harm for each in standings], alpha=alpha)
    if not named.any():
        return (max(standings, key=lambda each: each.harm).name,)
    return tuple(each.name for each, is_named in zip(standings, named, strict=True) if is_named)


def _missing(progress: Progress, terms: Terms, *, step: int, standings: Sequence[Standing]) -> Iterable[str]:
    """What lacks to advance from `step`, in words."""
    if step:
        needed = terms.smoke_units if is_smoke(terms, step=step) else terms.min_units
        there = new_units(progress, terms, step=step)
        if there < needed:
            yield f"{there:,} of {needed:,} units of the new version at {told_step(terms, step=step)}"
    if step > last_step(terms) or is_smoke(terms, step=step):
        return
    if not standings:
        yield "a guardrail: without one nothing can be proven"
    for each in standings:
        if each.proof < each.proof_line and (step or each.route == "paired"):
            yield told_missing(each, progress, terms, step=step)


def _checked(progress: Progress, look: Look) -> list[tuple[Counts, ...]]:
    """For each guardrail of `progress` the counts of its limits, none where the look has none."""
    given = {counted.name: counted.parts for counted in look.guardrails}
    known = {guardrail.name: len(guardrail.parts) for guardrail in progress.guardrails}
    for name, parts in given.items():
        if known.get(name) != len(parts):
            raise DataError(
                f"counts for {name!r} that the rollout's terms don't have",
                got=f"{len(parts)} limits of {name!r}",
                allowed=", ".join(f"{count} of {guardrail!r}" for guardrail, count in known.items()),
                next="count what was frozen at the start; other guardrails are another rollout",
            )
    return [given.get(name, (Counts(),) * count) for name, count in known.items()]


def _added(several: Sequence[tuple[Cohort, ...]], terms: Terms) -> Iterable[Added]:
    """What the cohorts of each limit add to log e: of harm, and of safe by margin."""
    margins = sorted(set(terms.margins))
    ratios = (HARM.null, *HARM.ratios, *SAFE_RATIOS, *margins)
    likely = likelihoods(np.concatenate([table(cohorts) for cohorts in several]), ratios=ratios)
    first, last = 1 + len(HARM.ratios), 1 + len(HARM.ratios) + len(SAFE_RATIOS)
    harm = settled(likely[:, 1:first] - likely[:, :1])
    safe = [settled(likely[:, first:last] - likely[:, last + i, None]) for i in range(len(margins))]
    start = 0
    for cohorts in several:
        own = slice(start, start + len(cohorts))
        start = own.stop
        yield harm[own], {margin_name(margin): logs[own] for margin, logs in zip(margins, safe, strict=True)}


def _part(part: PartProgress, counts: Counts, added: Added) -> PartProgress:
    harm, safe = added
    found = table(counts.cohorts).sum(axis=0).tolist()
    return PartProgress(
        harm=_plus(part.harm, harm),
        safe={margin: _plus(logs, safe[margin]) for margin, logs in part.safe.items()},
        new_found=part.new_found + found[2],
        old_found=part.old_found + found[3],
        new_good=part.new_good + counts.new_good,
        new_bad=part.new_bad + counts.new_bad,
        old_good=part.old_good + counts.old_good,
        old_bad=part.old_bad + counts.old_bad,
    )


def _plus(logs: Sequence[float], added: Floats) -> tuple[float, ...]:
    """`logs` (k,) and all rows of `added` (m, k)."""
    return tuple((np.array(logs) + added.sum(axis=0)).tolist())


def _labels(known: tuple[int, int, int, int], added: NDArray[np.int64]) -> tuple[int, int, int, int]:
    new, old, new_known, old_known = (np.array(known) + added.sum(axis=0)).tolist()
    return new, old, new_known, old_known
