"""What answers cost: a price for each, a price for the time, and no difference where arithmetic makes one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.prices import is_dearer, per_row, share_dearer, spent
from kring.record.version import Price

amounts = st.floats(0, 1e6, allow_subnormal=False)
prices = st.builds(Price, decision=amounts, second=amounts)
some = st.none() | prices
groups = st.integers(1, 5000)


@given(groups, some, st.floats(0, 600), some)
def test_answers_cost_what_each_costs_and_the_time(
    answers: int, answered: Price | None, seconds: float, asked: Price | None
) -> None:
    found = spent(answers=answers, answered=answered, seconds=seconds, asked=asked)
    parts = [answers * answered.decision if answered else 0.0, seconds * asked.second if asked else 0.0]
    assert found == pytest.approx(sum(parts))
    assert found >= 0


@given(prices, st.floats(0, 600), st.lists(groups, min_size=1, max_size=5))
def test_the_parts_of_a_group_cost_what_the_group_costs(price: Price, seconds: float, parts: list[int]) -> None:
    """However its rows fall to those who answer: each has its part of the time."""
    rows = sum(parts)
    whole = spent(answers=rows, answered=price, seconds=seconds, asked=price)
    shared = [spent(answers=n, answered=price, seconds=seconds * n / rows, asked=price) for n in parts]
    assert sum(shared) == pytest.approx(whole)


@given(amounts, groups, groups)
def test_one_price_is_never_dearer_than_itself(decision: float, rows: int, others: int) -> None:
    """A price times rows, divided by rows, is not quite the price; a limit is a quantile of such."""
    price = Price(decision=decision)
    one, other = (per_row(spent(answers=n, answered=price, seconds=0, asked=None), n) for n in (rows, others))
    limit = float(np.quantile([one, other, one], 0.9))
    assert not is_dearer(one, limit)
    assert share_dearer(np.array([one, other]), limit) == 0.0
    assert is_dearer(other * 1.001, limit) == (decision > 0)


def test_without_rows_there_is_nothing_to_pay() -> None:
    assert per_row(0.0, 0) == 0.0
    assert share_dearer(np.zeros(0), 1.0) == 0.0
    assert share_dearer(np.array([1.0, 2.0, 3.0, 4.0]), 2.0) == 0.5
