"""Which decisions are looked at: why, in which order, and the same ones everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.learn.review import LEAST_SURE, Made, settled, sureness, wanted
from kring.record.running import Review


def made(
    number: int, *, sure: float = math.nan, flagged: bool = False, disagreed: bool = False, to: str = "no"
) -> Made:
    return Made(f"d_{number:05d}", number, to, sure, flagged, disagreed)


def test_nothing_is_looked_at_unless_it_was_declared() -> None:
    all_of = [made(1, sure=0.0, flagged=True, disagreed=True)]
    assert wanted(Review(), all_of, salt="s") == []
    assert [one.why for one in wanted(Review(), [made(1, to="review")], salt="s")] == [("asked",)]


def test_each_cause_by_itself_and_all_together() -> None:
    one = made(1, sure=0.0, flagged=True, disagreed=True)
    assert wanted(Review(flagged=True), [one], salt="s")[0].why == ("flagged",)
    assert wanted(Review(disagreeing=True), [one], salt="s")[0].why == ("disagreeing",)
    assert wanted(Review(uncertain=True), [one], salt="s")[0].why == ("uncertain",)
    plan = Review(share=1.0, flagged=True, disagreeing=True, uncertain=True)
    assert wanted(plan, [one], salt="s")[0].why == ("flagged", "disagreeing", "uncertain", "drawn")


@given(st.integers(0, 1000), st.integers(1, 400))
def test_who_is_drawn_does_not_depend_on_the_others(first: int, n: int) -> None:
    plan = Review(share=0.1)
    together = {one.made.id for one in wanted(plan, [made(first + row) for row in range(n)], salt="s")}
    alone = {made(first + row).id for row in range(n) if wanted(plan, [made(first + row)], salt="s")}
    assert together == alone


def test_the_share_is_kept_and_grows_by_adding() -> None:
    decisions = [made(row) for row in range(20_000)]
    small = {one.made.id for one in wanted(Review(share=0.01), decisions, salt="s")}
    large = {one.made.id for one in wanted(Review(share=0.05), decisions, salt="s")}
    assert 150 < len(small) < 250
    assert small < large


def test_the_least_sure_are_looked_at_the_least_sure_first() -> None:
    decisions = [made(row, sure=row / 1000) for row in range(1000)]
    found = wanted(Review(uncertain=True), decisions, salt="s")
    assert [one.made.id for one in found] == [made(row).id for row in range(int(1000 * LEAST_SURE))]
    assert wanted(Review(uncertain=True), [made(row) for row in range(10)], salt="s") == [], "nobody said how sure"


def test_no_cause_starves_another() -> None:
    decisions = [made(row, flagged=row < 50, disagreed=row >= 50) for row in range(100)]
    found = wanted(Review(flagged=True, disagreeing=True), decisions, salt="s")
    assert [one.why[0] for one in found[:4]] == ["flagged", "disagreeing"] * 2
    assert [one.made.at for one in found[:4]] == [49, 99, 48, 98], "the newest first"


def test_how_sure_an_answer_is() -> None:
    near = sureness({"probability": [0.5, 0.9, None]}, labels=("no", "yes"), threshold=0.4, n=3)
    np.testing.assert_allclose(near[:2], [0.1, 0.5])
    assert math.isnan(near[2])
    three = {f"probability.{name}": [value] for name, value in (("a", 0.5), ("b", 0.3), ("c", 0.2))}
    assert sureness(three, labels=("a", "b", "c"), threshold=0.5, n=1)[0] == pytest.approx(0.2)
    assert sureness({"support": [0.7]}, labels=(), threshold=0.5, n=1)[0] == pytest.approx(0.7)
    assert np.isnan(sureness({"value": [3.0, 4.0]}, labels=(), threshold=0.5, n=2)).all()


def test_what_most_people_say() -> None:
    assert settled({"ada": True, "bo": True, "cy": False}) is True
    assert settled({"ada": True, "bo": False}) is None
    assert settled({}) is None
    assert settled({"ada": 1.0, "bo": True}) is None, "a number is no yes"
