from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from scipy.stats import binom

from kring.metrics.e_values import Bets, cohort_logs, floor_log
from kring.metrics.growth import detection_units, floor_growth, proof_growth, typical

BATCH = 100


def exact(bets: Bets, *, share: float, new_rate: float, old_rate: float) -> float:
    """The mean log e of the first bet for each new unit, over all counts of one batch."""
    total = 0.0
    for new in range(1, BATCH):
        weight = float(binom.pmf(new, BATCH, share))
        if weight < 1e-12:
            continue
        new_bad, old_bad = np.arange(min(new, 30) + 1), np.arange(min(BATCH - new, 60) + 1)
        counts = np.array([(new, BATCH - new, a, b) for a in new_bad for b in old_bad])
        chance = np.outer(binom.pmf(new_bad, new, new_rate), binom.pmf(old_bad, BATCH - new, old_rate)).ravel()
        total += weight * float(chance @ cohort_logs(counts, bets)[:, 0])
    return total / (BATCH * share)


@pytest.mark.parametrize(("share", "margin", "rate"), [(0.05, 2.0, 0.01), (0.2, 1.5, 0.01), (0.5, 1.25, 0.05)])
def test_proof_grows_as_the_closed_form_says(share: float, margin: float, rate: float) -> None:
    found = exact(Bets(margin, (1.0,), (1.0,)), share=share, new_rate=rate, old_rate=rate)
    assert proof_growth(share=share, margin=margin, rate=rate) == pytest.approx(found, rel=0.15)


def test_detection_takes_about_as_long_as_its_quickest_bet() -> None:
    found = exact(Bets(1.0, (2.0,), (1.0,)), share=0.05, new_rate=0.02 / 1.01, old_rate=0.01)
    units = detection_units(share=0.05, rate=0.01, times=2.0, line=log(20))
    assert units == pytest.approx(typical(log(20) + log(1 / 0.15)) / found, rel=0.2)


def test_half_of_the_walks_are_there_by_then() -> None:
    generator = np.random.default_rng(3)
    drift = 0.01
    for line in (1.0, 3.0, 6.0):
        walks = np.cumsum(generator.normal(drift, (2 * drift) ** 0.5, size=(2000, 1200)), axis=1)
        there = (walks[:, : round(typical(line) / drift)] >= line).any(axis=1).mean()
        assert there == pytest.approx(0.5, abs=0.06)
    assert typical(0.0) == typical(-1.0) == 0


def test_what_never_ends() -> None:
    assert detection_units(share=0.05, rate=0.0, times=2.0, line=3.0) == inf
    assert detection_units(share=0.05, rate=0.01, times=1.0, line=3.0) == inf
    assert detection_units(share=1.0, rate=0.01, times=2.0, line=3.0) == inf
    assert proof_growth(share=0.2, margin=1.5, rate=0.0) == 0
    assert proof_growth(share=1.0, margin=1.5, rate=0.1) == 0
    assert floor_growth(floor=0.005, rate=0.005) <= 0


def test_the_floor_is_cleared_as_fast_as_said() -> None:
    grown = float(floor_log(20_000, 0, floor=0.005) - floor_log(10_000, 0, floor=0.005)) / 10_000
    assert floor_growth(floor=0.005, rate=0.0) == pytest.approx(grown, rel=1e-3)
