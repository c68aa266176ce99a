"""The seeded simulations in their short form, and that what they judge is what ships."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kring.metrics.e_values import HARM
from kring.record.progress import Arms, Cohort, Counted, Counts, Look
from kring.record.rollout import Guardrail, Terms
from kring.release.judging import advanced, judged, started

FOLDER = Path(__file__).parents[2] / "benchmarks" / "release"
NAMES = ("simulated", "false_rollbacks", "detection", "promotion", "paired_shadow", "intervals")
SHORT: Mapping[str, Mapping[str, int]] = {
    "false_rollbacks": {"runs": 300, "batches": 800, "to_compare": 50},
    "detection": {"runs": 120},
    "promotion": {"runs": 200, "batches": 1500, "units": 5000},
    "paired_shadow": {"runs": 400, "batches": 200},
    "intervals": {"runs": 20, "looks": 10},
}
LONG: Mapping[str, Mapping[str, int]] = {
    "false_rollbacks": {"runs": 500, "batches": 10_000, "to_compare": 100},
    "detection": {"runs": 1000},
    "promotion": {"runs": 1000, "batches": 4000, "units": 10_000},
    "paired_shadow": {"runs": 2000, "batches": 1000},
    "intervals": {"runs": 100, "looks": 20},
}
TERMS = Terms(
    unit="request",
    salt="",
    steps=(1, 5, 20, 50),
    margins=(2.0, 2.0, 1.5, 1.25),
    alpha=0.05,
    beta=0.05,
    floor=0.005,
    delta=0.01,
    holdback=0.05,
    min_units=500,
    shadow_us=0,
    step_us=0,
    bake_us=0,
    guardrails=(Guardrail(name="error", kind="error", route="relative"),),
    config="",
    at=0,
)


@pytest.fixture(scope="module")
def simulations() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(FOLDER))
    try:
        yield SimpleNamespace(**{name: import_module(name) for name in NAMES})
    finally:
        sys.path.remove(str(FOLDER))


def look(batch: int, share: float, counts: list[int]) -> Look:
    new, old, new_bad, old_bad = counts
    part = Counts(
        cohorts=(Cohort(batch, *counts),),
        new_good=new - new_bad,
        new_bad=new_bad,
        old_good=old - old_bad,
        old_bad=old_bad,
    )
    return Look(batch=batch, arms=(Arms(share, new, old),), guardrails=(Counted(name="error", parts=(part,)),))


def test_a_simulated_path_is_that_of_the_shipped_fold(simulations: SimpleNamespace) -> None:
    """Each bet's log e to the last bit, batch after batch."""
    stream = simulations.simulated.streamed(
        np.random.default_rng(4), runs=2, share=np.full(150, 0.2), new_rate=0.03, old_rate=0.02
    )
    logs = np.cumsum(simulations.simulated.Logs(HARM).of(stream), axis=1)
    for run in range(2):
        progress = started("ro_1", TERMS)
        for batch in range(150):
            counts = [int(table[run, batch]) for table in stream]
            progress = advanced(progress, look(batch, 0.2, counts), TERMS)
            assert progress.guardrails[0].parts[0].harm == tuple(logs[run, batch].tolist())


@pytest.mark.parametrize("rates", [(0.01, 0.01), (0.015, 0.01), (0.03, 0.01)])
def test_a_simulated_walk_is_that_of_the_shipped_judgement(
    simulations: SimpleNamespace, rates: tuple[float, float]
) -> None:
    """Every step, rollback and promotion falls on the same batch."""
    told: list[tuple[Any, Any]] = []
    walk = simulations.simulated.walked(
        np.random.default_rng(9),
        simulations.promotion.RULES,
        runs=3,
        rates=rates,
        most=1500,
        told=lambda stream, steps: told.append((stream, steps.copy())),
    )
    for run in range(3):
        progress, places, place = started("ro_1", TERMS), [*TERMS.steps, 100], 0
        for batch, (stream, steps) in enumerate(told):
            if steps[run] == -1:
                break
            assert steps[run] == places[place]
            counts = [int(table[run, 0]) for table in stream]
            progress = advanced(progress, look(batch, places[place] / 100, counts), TERMS)
            verdict = judged(progress, TERMS, step=places[place]).verdict
            if verdict in ("roll_back", "advance"):
                place = place + 1 if verdict == "advance" else -1
            if verdict == "roll_back":
                assert walk.ended[run] == 0
                break
        assert walk.ended[run] == (0 if place == -1 else places[place])


@pytest.mark.parametrize("name", SHORT)
def test_every_number_is_within_its_error_of_the_goal(simulations: SimpleNamespace, name: str) -> None:
    """`error` is two standard errors of so few rollouts; twice that is allowed."""
    module: ModuleType = getattr(simulations, name)
    findings: Callable[..., list[Any]] = module.findings
    for one in findings(**SHORT[name]):
        if one.goal is not None:
            off = one.goal - one.value if one.least else one.value - one.goal
            assert off <= 2 * one.error, one


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_every_number_is_reached(simulations: SimpleNamespace, name: str) -> None:
    """Some minutes; the whole of it by `python benchmarks/run.py release/...`."""
    module: ModuleType = getattr(simulations, name)
    for one in module.findings(**LONG[name]):
        if one.goal is not None:
            off = one.goal - one.value if one.least else one.value - one.goal
            assert off <= one.error, one
