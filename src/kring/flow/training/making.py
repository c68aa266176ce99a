"""How candidates came to be what they are, in one line each: searches, variants, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable

from kring.record.contract import Scalar
from kring.record.run import Run
from kring.record.tuning import Tuned
from kring.record.variant import Variant


def notes(runs: Iterable[Run]) -> tuple[tuple[str, str], ...]:
    """(candidate, line): the search for its params, its difference to the candidate it comes from, its warnings."""
    return tuple((run.candidate, line) for run in runs for line in _lines(run))


def _lines(run: Run) -> list[str]:
    lines = [_search(run.tuned)] if run.tuned else []
    lines += [_difference(run.variant)] if run.variant else []
    return [*lines, *run.warnings]


def _search(tuned: Tuned) -> str:
    params = ", ".join(f"{name} = {_shown(value)}" for name, value in tuned.params.items()) or "as written"
    failed = sum(trial.value is None for trial in tuned.trials)
    written = tuned.trials[0].value
    before = "" if written is None else f" ({written:.4g} as written)"
    skipped = f", {failed} of which failed" if failed else ""
    return (
        f"{params}: {tuned.metric} {tuned.value:.4g}{before} over {tuned.folds} folds, "
        f"best of {len(tuned.trials)} settings{skipped}; the search ended by its {tuned.ended}"
    )


def _difference(variant: Variant) -> str:
    decisions = f"{variant.decisions:,} of {variant.rows:,} decisions differ" if variant.rows else "no rows"
    return (
        f"{variant.of} kept as {variant.precision}: {variant.bytes:,} bytes instead of {variant.bytes_before:,}; "
        f"answers differ by {variant.largest:.2g} at the most, {decisions}"
    )


def _shown(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
