"""Quality of probabilities over several labels before any label is known (CBPE for several labels).

A row that is decided as j is of the label i with the probability it was given, so that the table of truth by decision
is known in expectation; see `kring.metrics.estimated`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from kring.metrics.estimated import LEAST, TOLERANCE, cells_of
from kring.metrics.intervals import Z
from kring.metrics.label_counts import SCALE, LabelSums
from kring.metrics.labels import least_cost
from kring.metrics.ranking import Floats, ratio
from kring.ports.task import Counts

CONDITIONS: Final = "holds while the probability of each label still means what it meant when labels last came"


def foreseen_labels(probabilities: Floats, *, prices: Floats) -> dict[str, tuple[int, ...]]:
    """Integer counts of `probabilities` (n, k) alone: summed millionths of each label (k·k) by the decision, rows of
    each decision (k). Rows without an answer are left out."""
    given = probabilities[~np.isnan(probabilities).any(axis=1)]
    labels = given.shape[1]
    said = least_cost(given, prices)
    whole = np.rint(given * SCALE)
    table = [np.bincount(said, weights=column, minlength=labels).astype(np.int64) for column in whole.T]
    return {
        "seen": tuple(np.bincount(said, minlength=labels).tolist()),
        "seen_p": tuple(np.concatenate(table).tolist()) if labels else (),
    }


def expected_labels(seen: Counts, *, labels: int, draws: int, seed: int) -> LabelSums | None:
    """The table that labels would give, with a leading axis 1 + draws; nothing else of the sums is known. None without
    rows."""
    rows = cells_of(seen, "seen", width=labels)
    if not rows.sum():
        return None
    table = cells_of(seen, "seen_p", width=labels * labels).reshape(labels, labels) / SCALE
    shares = ratio(table, table.sum(axis=0)[None], empty=1 / labels)
    drawn = np.random.default_rng(seed).multinomial(
        rows.astype(np.int64)[None].repeat(draws, axis=0), np.clip(shares.T, 0, 1)[None]
    )
    tables = np.concatenate([(shares * rows)[None], drawn.swapaxes(1, 2).astype(np.float64)])
    return LabelSums(tables, np.full((draws + 1, 3, 10), np.nan), np.full((draws + 1, 3), np.nan))


def sureness_changed(recent: Counts) -> str:
    """Why the newest labels say that the most probable label is right more or less often than was said; empty when it
    isn't. Allowed is `TOLERANCE` beyond the 95 % interval of chance."""
    rows, right, said = (float(cells_of(recent, f"sure_{name}", width=10).sum()) for name in ("rows", "right", "sum"))
    if rows < LEAST:
        return f"too few labels: {rows:,.0f} newer ones, {LEAST} are needed"
    share, sure = right / rows, said / SCALE / rows
    noise = Z * float(np.sqrt(max(share * (1 - share), 1e-4) / rows))
    if abs(share - sure) - noise <= TOLERANCE:
        return ""
    return (
        f"probabilities no longer mean what they say: on the newest {rows:,.0f} labels the most probable one was right "
        f"in {share:.1%}, {sure:.1%} were said, {TOLERANCE + noise:.1%} apart is allowed"
    )
