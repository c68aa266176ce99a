"""Quality of yes/no probabilities before any label is known (confidence-based performance estimation, CBPE).

If of the rows given the probability p a share p turns out to be yes, then the cells of the confusion table are known in
expectation: every yes is right with its own probability and wrong with the rest (Białek et al. 2024, arXiv 2407.08649).
What older labels say about the gap between probability and share is added in ten bins first.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.calibration import BINS, FINE, coarse, fine_bin
from kring.metrics.counts import SCALE, Sums, window_sums
from kring.metrics.ranking import Floats, ratio
from kring.metrics.scores import SMALLEST, Confusion
from kring.ports.task import Counts

TOLERANCE: Final = 0.03
"""How far, on average, probabilities may mean something else than they did, beyond what chance explains."""

PRIOR: Final = 20.0
"""So many rows' weight has the claim that a probability means what it says."""

TRIES: Final = 400
LEAST: Final = 200
"""Labels, older and newer ones, without which nobody knows what probabilities mean."""

CONDITIONS: Final = (
    "holds while a probability still means what it meant when labels last came: inputs may change, but of the rows "
    "that are given 0.3 still 30 % turn out to be yes"
)


def foreseen(probability: Floats, *, threshold: float) -> dict[str, tuple[int, ...]]:
    """Integer counts of `probability` (n,) alone: rows and summed millionths, each (400,), by fine bin, below the
    threshold and then above it. Rows without an answer (NaN) are left out."""
    given = probability[~np.isnan(probability)]
    place = fine_bin(given) + FINE * (given >= threshold)
    summed = np.bincount(place, weights=np.rint(given * SCALE), minlength=2 * FINE)
    return {
        "seen": tuple(np.bincount(place, minlength=2 * FINE).tolist()),
        "seen_p": tuple(summed.astype(np.int64).tolist()),
    }


def expected_sums(seen: Counts, learned: Counts, *, draws: int, seed: int) -> Sums | None:
    """The sums that labels would give, with a leading axis 1 + draws: as expected, then with the chance of rows and
    of what was learned. `learned` are counts of labelled rows (`kring.metrics.counts.count_rows`). None without rows.
    """
    rows = np.array(seen.get("seen", ()), dtype=np.float64)
    if not rows.sum():
        return None
    said = ratio(np.array(seen["seen_p"], dtype=np.float64) / SCALE, rows, empty=0.0)
    gap, error = _gaps(learned)
    random = np.random.default_rng(seed)
    bins = np.tile(np.repeat(np.arange(BINS), FINE // BINS), 2)
    shifts = np.concatenate([gap[None], gap + error * random.standard_normal((draws, BINS))])
    share = np.clip(said + shifts[:, bins], 0.0, 1.0)
    positive = rows * share
    positive[1:] = random.binomial(rows.astype(np.int64), share[1:])
    return _sums(rows, said, positive)


def meaning_changed(learned: Counts, recent: Counts, *, seed: int = 0) -> str:
    """Why the newest labels say that probabilities mean something else than before; empty when they don't.

    The mean gap over the ten bins between the two, beyond the 97.5 % point of what chance gives, must be at most
    `TOLERANCE`.
    """
    older, newer = (_calibration(each) for each in (learned, recent))
    if min(older[0].sum(), newer[0].sum()) < LEAST:
        return (
            f"too few labels: {older[0].sum():,.0f} older and {newer[0].sum():,.0f} newer, {LEAST} of each are needed"
        )
    gaps = [ratio(positive - said, rows, empty=0.0) for rows, positive, said in (older, newer)]
    both = np.minimum(older[0], newer[0]) > 0
    weight = np.where(both, newer[0], 0.0) / newer[0].sum()
    distance = float((weight * np.abs(gaps[1] - gaps[0])).sum())
    rate = np.clip(ratio(older[1] + newer[1], older[0] + newer[0], empty=0.5), 0.01, 0.99)
    error = np.sqrt(rate * (1 - rate) * (1 / np.maximum(older[0], 1) + 1 / np.maximum(newer[0], 1)))
    chance = np.abs(np.random.default_rng(seed).standard_normal((TRIES, BINS)) * error) @ weight
    noise = float(np.quantile(chance, 0.975))
    if distance - noise <= TOLERANCE:
        return ""
    return (
        f"probabilities no longer mean what they meant: on the newest {newer[0].sum():,.0f} labels they are off by "
        f"{distance:.3f} on average, chance explains {noise:.3f} and {TOLERANCE:g} is allowed"
    )


def _gaps(learned: Counts) -> tuple[Floats, Floats]:
    """How much more often yes came true than was said, in ten bins, drawn towards 0; and its standard error."""
    rows, positive, said = _calibration(learned)
    rate = np.clip(ratio(positive, rows, empty=0.5), 0.01, 0.99)
    weight = rows / (rows + PRIOR)
    error = np.sqrt(rate * (1 - rate) / (rows + PRIOR))
    return weight * ratio(positive - said, rows, empty=0.0), np.asarray(error, dtype=np.float64)


def _calibration(counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Rows, positives and summed probability in ten bins, (10,) each."""
    sums = window_sums([counts], np.ones((1, 1)))
    positive = coarse(sums.positive[0])
    return positive + coarse(sums.negative[0]), positive, coarse(sums.predicted[0])


def _sums(rows: Floats, said: Floats, positive: Floats) -> Sums:
    """Sums from rows and mean probability by side and bin, (400,), and positives (draws, 400)."""
    negative = rows - positive
    no, yes = slice(0, FINE), slice(FINE, 2 * FINE)
    both = [each[:, no] + each[:, yes] for each in (positive, negative)]
    sums = (positive[:, yes], negative[:, yes], negative[:, no], positive[:, no])
    cells = Confusion(*(each.sum(axis=1) for each in sums))
    safe = np.clip(said, SMALLEST, 1 - SMALLEST)
    log_loss = -(positive @ np.log(safe) + negative @ np.log1p(-safe))
    brier = positive @ (1 - said) ** 2 + negative @ said**2
    predicted = (rows * said)[no] + (rows * said)[yes]
    return Sums(both[0], both[1], np.broadcast_to(predicted, both[0].shape), cells, log_loss, brier)


def cells_of(counts: Counts, name: str, *, width: int) -> NDArray[np.float64]:
    """A vector of counts as floats, zeros where there is none."""
    return np.array(counts.get(name, (0,) * width), dtype=np.float64)
