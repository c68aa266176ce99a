from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.e_bh import rejected

LOGS = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


@given(LOGS, st.floats(0.01, 0.3))
def test_as_it_is_defined(logs: list[float], alpha: float) -> None:
    values = np.exp(logs)
    count = max(
        (k for k in range(1, len(values) + 1) if np.sum(values >= len(values) / (alpha * k) * (1 + 1e-12)) >= k),
        default=0,
    )
    assert rejected(logs, alpha=alpha).sum() >= count
    if count:
        assert set(np.argsort(values)[::-1][:count]) <= set(np.flatnonzero(rejected(logs, alpha=alpha)))


def test_one_of_many_needs_more_evidence_than_one_alone() -> None:
    assert rejected([np.log(21)], alpha=0.05).tolist() == [True]
    assert rejected([np.log(21), 0.0], alpha=0.05).tolist() == [False, False]
    assert rejected([np.log(41), 0.0], alpha=0.05).tolist() == [True, False]
    assert rejected([np.log(21), np.log(21)], alpha=0.05).tolist() == [True, True]


def test_of_nothing_nothing_is_named() -> None:
    assert rejected([], alpha=0.05).tolist() == []
