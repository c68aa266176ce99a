"""E-values for counts of two arms: evidence that may be looked at at any time.

An e-value has a mean of at most 1 when its null hypothesis is true; by Ville's inequality a product of them over time
ever reaches 1/α with a probability of at most α (Ville 1939; Grünwald, de Heide & Koolen 2024). Logarithms throughout.
A ratio is an *odds ratio*: how many times the odds of being bad are those of the old arm.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlogy

from kring.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRAIN: Final = 2.0**-30
"""Logs are kept as multiples of this: sums below 2^23 are then exact, and so the same in any order."""

BLOCK: Final = 1 << 16
"""How many terms of a sum are held at once for each ratio."""


class Bets(NamedTuple):
    """A mixture: the `ratios` that are bet on against the null hypothesis `null`, with their `weights`."""

    null: float
    ratios: tuple[float, ...]
    weights: tuple[float, ...]


HARM: Final = Bets(1.0, (1.2, 1.4, 2.0, 3.0, 6.0), (0.1, 0.6, 0.15, 0.1, 0.05))
"""Against "the new version is not worse". Few bets, and most on 1.4: each more would have to be paid for by all others,
and 1.4 is nearly as good at 1.3 as a bet on just that (docs/choices/e-values.md has what was tried)."""

SAFE_RATIOS: Final = (1.0, 0.95, 0.9, 0.8, 0.6)
SAFE_WEIGHTS: Final = (0.5, 0.2, 0.15, 0.1, 0.05)

SIDES: Final = (1.01, 1.02, 1.05, 1.1, 1.2, 1.5)
BALANCE: Final = Bets(1.0, SIDES + tuple(1 / side for side in SIDES), (1 / (2 * len(SIDES)),) * (2 * len(SIDES)))
"""Against "both arms alike", on either side."""

FLOOR_SHARES: Final = (0.0, 0.1, 0.25, 0.5)
"""The rates that are bet on against "the rate is at least the floor", as shares of the floor; equal weights."""


def safe(margin: float) -> Bets:
    """Against "the new version is at least `margin` times as bad"."""
    return Bets(margin, SAFE_RATIOS, SAFE_WEIGHTS)


def settled(logs: Floats) -> Floats:
    """`logs` rounded down to a multiple of `GRAIN`: an e-value stays one, and sums don't depend on their order."""
    return np.floor(np.asarray(logs, dtype=np.float64) / GRAIN) * GRAIN


def cohort_logs(counts: ArrayLike, bets: Bets) -> Floats:
    """log e of cohorts for each bet, shape (m, bets), of `counts` (m, 4): new and old units that were not yet bad, and
    how many of each are newly bad.

    `e = (ψ/ψ0)^k A(ψ0)/A(ψ)`, the ratio of two likelihoods. It holds for any base rate and any share. At ψ0 = 1 nothing
    is assumed but that arms were drawn at random; else that the ratio is the same within the cohort. For ratios beyond
    ψ0 the mean is smaller still, as the likelihood ratio is monotone. `DataError` for counts that can't be.
    """
    likely = likelihoods(counts, ratios=(bets.null, *bets.ratios))
    return likely[:, 1:] - likely[:, :1]


def likelihoods(counts: ArrayLike, *, ratios: tuple[float, ...]) -> Floats:
    """log of `ψ^k / A(ψ)` for the counts (m, 4) of `cohort_logs` and each ratio ψ: (m, ratios).

    Given how many units are newly bad, x, the number k of new ones among them is Fisher's noncentral hypergeometric:
    `P(k) = Hyp(k) ψ^k / A(ψ)` with `A(ψ) = Σ_k Hyp(k; new + old, new, x) ψ^k`. What does not depend on ψ is left out;
    where only one k is possible nothing does.
    """
    table = checked(counts)
    bad = table[:, 2:].sum(axis=1)
    wide = np.minimum(table[:, 0], bad) - np.maximum(0, bad - table[:, 1]) + 1
    logs = np.zeros((len(table), len(ratios)))
    order = np.argsort(wide, kind="stable")
    start = int(np.count_nonzero(wide == 1))
    while start < len(order):
        room = wide[order[start:]] * np.arange(1, len(order) - start + 1)
        some = order[start : start + max(int(np.searchsorted(room, BLOCK, side="right")), 1)]
        logs[some] = table[some, 2, None] * np.log(ratios) - _normalisers(table[some], np.log(ratios))
        start += len(some)
    return logs


def _normalisers(table: Ints, ratios: Floats) -> Floats:
    """log Σ_k C(new, k) C(old, x − k) ψ^k for the counts (m, 4) and log ratios (r,): (m, r). Summed one by one from the
    least k on, so that a sum does not depend on how wide its neighbours are."""
    new, old, bad = table[:, 0, None], table[:, 1, None], table[:, 2:].sum(axis=1)[:, None]
    least, most = np.maximum(0, bad - old), np.minimum(new, bad)
    k = least + np.arange(int((most - least).max()) + 1)
    inside, k = k <= most, np.minimum(k, most)
    terms = np.where(inside, _choices(new, k) + _choices(old, bad - k), -np.inf)[:, None] + k[:, None] * ratios[:, None]
    highest = terms.max(axis=2)
    sums: Floats = highest + np.log(np.cumsum(np.exp(terms - highest[:, :, None]), axis=2)[:, :, -1])
    return sums


def _choices(n: Ints, k: Ints) -> Floats:
    """log of n over k."""
    logs: Floats = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return logs


def checked(counts: ArrayLike) -> Ints:
    """`counts` as whole numbers (m, 4); `DataError` for negative ones and for more bad units than units."""
    table = np.asarray(counts, dtype=np.int64).reshape(-1, 4)
    if len(table) and (table.min() < 0 or (table[:, 2:] > table[:, :2]).any()):
        wrong = table[(table.min(axis=1) < 0) | (table[:, 2:] > table[:, :2]).any(axis=1)][0].tolist()
        raise DataError(
            "counts of a cohort that can't be",
            got=f"{wrong[0]} new and {wrong[1]} old units, {wrong[2]} and {wrong[3]} of them bad",
            allowed="whole numbers from 0, no more bad units than units",
            next="count each unit once, in the arm it was first assigned to",
        )
    return table


def mixed(logs: ArrayLike, weights: tuple[float, ...]) -> Floats:
    """log Σ_k w_k e_k over the last axis of `logs` (…, k), which may be −∞ but not all of them."""
    values = np.asarray(logs, dtype=np.float64)
    highest = values.max(axis=-1)
    total: Floats = highest + np.log(np.exp(values - highest[..., None]) @ np.array(weights))
    return total


def floor_log(good: ArrayLike, bad: ArrayLike, *, floor: float) -> Floats:
    """log e against "a unit is bad with a probability of `floor` or more", of complete units, good and bad (…,).

    `mean_k Π (q_k/τ)^bad ((1 − q_k)/(1 − τ))^good` with q_k below τ. Each unit counts once, when it is complete.
    """
    goods, bads = (np.asarray(count, dtype=np.float64)[..., None] for count in (good, bad))
    rates = floor * np.array(FLOOR_SHARES)
    logs = goods * (np.log1p(-rates) - np.log1p(-floor)) + xlogy(bads, FLOOR_SHARES)
    return mixed(logs, (1 / len(rates),) * len(rates))


def split_logs(counts: ArrayLike, shares: ArrayLike) -> Floats:
    """log e against "each unit is new with the probability `share`", for each bet of `BALANCE`: (m, bets), of `counts`
    (m, 2) of new and old units and `shares` (m,) between 0 and 1.

    A bet is on odds that are `ratio` times the planned ones (Lindon & Malek 2022). A share of 0 or 1 leaves nothing to
    bet on: any unit in the wrong arm is an error of the program, and gives log e = 0 here.
    """
    table = np.asarray(counts, dtype=np.float64).reshape(-1, 2)
    share = np.asarray(shares, dtype=np.float64).reshape(-1, 1)
    ratios = np.array(BALANCE.ratios)
    logs = table[:, :1] * np.log(ratios) - table.sum(axis=1)[:, None] * np.log1p(share * (ratios - 1))
    return np.where((share > 0) & (share < 1), logs, 0.0)
