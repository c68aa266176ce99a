"""What a decision costs stands in its record, whoever answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from answerers import Says, answerer

from kring.errors import Unavailable
from kring.record.batch import Batch
from kring.record.decision import Decisions
from kring.record.rollout import Pointer
from kring.record.version import Price
from kring.serve.decider import REJECTED, UNANSWERED, Decider

LIVE = Pointer(system="s", live="v_2", previous="v_1", generation=2, rollout="r", at=0)
CANARY = Pointer(system="s", live="v_2", previous="v_1", generation=3, rollout="r", at=0, canary="v_3", share=1.0)
PRICES = {"v_1": Price(decision=1.0), "v_2": Price(decision=10.0, second=4.0), "v_3": Price(decision=100.0, second=1.0)}
TAKEN_S = 0.5


def decider(
    *,
    pointer: Pointer = LIVE,
    prices: Mapping[str, Price] = PRICES,
    without: Mapping[str, Collection[float]] | None = None,
    failing: Collection[str] = (),
    reject: bool = False,
) -> Decider[Batch]:
    """Each question takes half a second, whoever is asked."""
    clock = iter(range(10_000))
    names = ["v_1", "v_2", "v_3", "v_2/baseline"]
    known = {
        name: replace(
            answerer(
                name,
                Says(1.0, Unavailable("asleep") if name in failing else None, without=(without or {}).get(name, ())),
            ),
            price=prices.get(name),
        )
        for name in names
    }
    return Decider(
        system="s",
        pointer=pointer,
        versions=known,
        baseline=known.pop("v_2/baseline"),
        read=lambda batch: batch,
        guard=lambda batch: {row: ["x.minimum"] for row, x in enumerate(batch.columns["x"]) if float(str(x)) < 0},
        out_of_contract="reject" if reject else "flag",
        default=None,
        subject="",
        monotonic=lambda: next(clock) * TAKEN_S,
    )


def costs(one: Decider[Batch], xs: list[float]) -> dict[str, float]:
    """What was paid for the rows of each who answered."""
    return {each.record.answered_by: each.record.cost for each in one.decide(rows(xs), at=1, kind="batch")}


def rows(xs: list[float]) -> Batch:
    return Batch(len(xs), {"x": xs})


def test_each_answer_has_its_price_and_the_time_has_one() -> None:
    assert costs(decider(), [1, 2, 3]) == {"v_2": pytest.approx(3 * 10 + TAKEN_S * 4)}
    assert costs(decider(pointer=CANARY), [1]) == {"v_3": pytest.approx(100 + TAKEN_S)}


def test_who_answers_for_another_has_its_own_price_and_the_time_that_of_who_was_asked() -> None:
    """Half of the rows fall to the version before: to each half its half of the time."""
    found = costs(decider(without={"v_2": (1, 2)}), [1, 2, 3, 4])
    assert found == {"v_2": pytest.approx(2 * 10 + TAKEN_S * 4 / 2), "v_1": pytest.approx(2 * 1 + TAKEN_S * 4 / 2)}
    assert costs(decider(pointer=CANARY, failing=["v_3"]), [1]) == {"v_2": pytest.approx(10 + TAKEN_S)}


def test_who_has_no_price_costs_the_time_alone() -> None:
    """The baseline answers for nothing, and so does nobody."""
    assert costs(decider(failing=["v_1", "v_2"]), [1]) == {"v_2/baseline": pytest.approx(TAKEN_S * 4)}
    nobody = decider(failing=["v_1", "v_2", "v_2/baseline"])
    assert costs(nobody, [1]) == {UNANSWERED: pytest.approx(TAKEN_S * 4)}


def test_who_is_turned_away_costs_nothing() -> None:
    assert costs(decider(reject=True), [-1, 2]) == {REJECTED: 0.0, "v_2": pytest.approx(10 + TAKEN_S * 4)}


def test_without_prices_nothing_costs_anything() -> None:
    assert costs(decider(prices={}), [1, 2]) == {"v_2": 0.0}


def shadowed(one: Decider[Batch], xs: list[float]) -> Decisions:
    [live] = one.decide(rows(xs), at=1, kind="batch")
    return one.shadow(live, one.versions["v_3"], ids=[b"x" * 16] * len(xs))


def test_a_shadow_costs_what_it_answers_and_its_time() -> None:
    assert shadowed(decider(), [1, 2]).cost == pytest.approx(2 * 100 + TAKEN_S)
    assert shadowed(decider(without={"v_3": (2,)}), [1, 2]).cost == pytest.approx(100 + TAKEN_S)
    assert shadowed(decider(failing=["v_3"]), [1, 2]).cost == pytest.approx(TAKEN_S)
    assert shadowed(decider(prices={}), [1, 2]).cost == 0.0
