from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.assignment import assigned

UNITS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=40)


@given(UNITS, st.text("abc", max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_who_is_in_at_a_share_is_in_at_every_larger_one(units: list[str], salt: str, one: float, other: float) -> None:
    small, large = sorted([one, other])
    inside = assigned(units, salt=salt, share=small)
    assert inside.shape == (len(units),)
    assert not (inside & ~assigned(units, salt=salt, share=large)).any()


@given(UNITS, st.floats(0, 1))
def test_a_unit_is_judged_alone(units: list[str], share: float) -> None:
    together = assigned(units, salt="s", share=share)
    alone = [bool(assigned([unit], salt="s", share=share)[0]) for unit in units]
    assert together.tolist() == alone


def test_the_hash_is_that_of_the_plan() -> None:
    """SHA-256(salt ‖ unit) mod 2^32 < share · 2^32, with whole numbers only."""
    units = [f"subject {number}" for number in range(500)]
    expected = [int(hashlib.sha256(f"salt{unit}".encode()).hexdigest(), 16) % 2**32 < 2**32 * 0.3 for unit in units]
    assert assigned(units, salt="salt", share=0.3).tolist() == expected


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
def test_a_share_is_met_and_salts_are_independent(share: float) -> None:
    units = [str(number) for number in range(20_000)]
    one, other = (assigned(units, salt=salt, share=share) for salt in ("a", "b"))
    width = 4 * np.sqrt(share * (1 - share) / len(units))
    assert abs(one.mean() - share) < width
    assert abs(other.mean() - share) < width
    assert abs((one & other).mean() - share**2) < 4 * np.sqrt(share**2 / len(units))


def test_the_ends_are_exact() -> None:
    units = [str(number) for number in range(100)]
    assert not assigned(units, salt="s", share=0).any()
    assert assigned(units, salt="s", share=1).all()
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            assigned(units, salt="s", share=share)
