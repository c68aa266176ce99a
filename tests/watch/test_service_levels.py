"""Error budgets: when they burn too fast, and when nothing can be said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kring.record.decision import Decisions, RecordClass
from kring.record.running import Slo
from kring.watch.service_levels import budgets, count_service, judge_service, merge_slots, slot_us

DAY = 86_400_000_000
MINUTE = 60_000_000
NOW = 40 * DAY
SLO = Slo(availability=0.999, latency=0.95, latency_ms=50.0, success=0.99)


def answers(
    at: int, n: int, *, by: str = "v", fallback: str = "", ms: float = 10, kind: RecordClass = "online"
) -> Decisions:
    return Decisions(
        system="s", version="v", answered_by=by, arm="live", kind=kind, at=at, n=n, inputs={}, outputs={},
        latency_us=int(ms * 1000), fallback=fallback,
    )  # fmt: skip


def month(n: int = 100) -> list[Decisions]:
    return [answers(NOW - minutes * 30 * MINUTE - 1, n) for minutes in range(48 * 30)]


def test_a_month_without_a_fault_keeps_its_budget() -> None:
    slots = count_service(month(), SLO)
    assert {each.level: (each.bad, each.left) for each in budgets(slots, SLO, now=NOW)} == {
        "availability": (0, 1.0),
        "latency": (0, 1.0),
        "success": (0, 1.0),
    }
    breaches, keys = judge_service(slots, SLO, now=NOW)
    assert not breaches
    assert keys == [f"service_level/{level}//" for level in ("availability", "latency", "success")]


def test_an_outage_burns_the_budget_in_both_windows() -> None:
    lost = [answers(NOW - 1 - minute * MINUTE, 10, by="nobody") for minute in range(20)]
    breaches, _ = judge_service(count_service([*month(), *lost], SLO), SLO, now=NOW)
    assert {each.metric for each in breaches} == {"availability", "success"}, "a fifth may be late for a while"
    [one] = [each for each in breaches if each.metric == "availability"]
    assert one.kind == "service_level"
    assert one.low is not None
    assert one.high is not None
    assert one.value is not None
    assert one.low < one.value < one.high < 0.999
    assert "of the error budget is left" in one.what


def test_an_outage_that_is_over_rings_no_more() -> None:
    lost = [answers(NOW - 30 * MINUTE - minute * MINUTE, 2, by="nobody") for minute in range(5)]
    since = [answers(NOW - 1 - minute * MINUTE, 2000) for minute in range(25)]
    breaches, _ = judge_service(count_service([*month(), *lost, *since], SLO), SLO, now=NOW)
    assert not [each for each in breaches if each.metric == "availability"]
    [left] = [
        each.left
        for each in budgets(count_service([*month(), *lost], SLO), SLO, now=NOW)
        if each.level == "availability"
    ]
    assert left is not None
    assert left < 1


def test_one_lost_request_of_few_alarms_nobody() -> None:
    few = [answers(NOW - 1 - minute * MINUTE, 1) for minute in range(5)]
    breaches, _ = judge_service(
        count_service([*few, answers(NOW - 2, 1, by="nobody")], Slo(availability=0.9)), Slo(availability=0.9), now=NOW
    )
    assert not breaches


def test_a_fallback_breaks_success_and_nothing_else() -> None:
    stood_in = [answers(NOW - 1 - minute * MINUTE, 100, by="v0", fallback="v: no answer") for minute in range(60)]
    breaches, _ = judge_service(count_service(stood_in, SLO), SLO, now=NOW)
    assert [each.metric for each in breaches] == ["success"]


def test_nothing_is_said_without_requests_or_promises() -> None:
    assert judge_service({}, SLO, now=NOW) == ([], [])
    assert judge_service(count_service(month(), SLO), Slo(), now=NOW) == ([], [])
    assert [each.left for each in budgets({}, SLO, now=NOW)] == [None, None, None]
    assert not count_service([answers(NOW, 10, kind="batch", by="nobody")], SLO)


@given(st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(1, 9), st.booleans()), max_size=30), st.integers(0, 30))
def test_slots_add_in_any_order(rows: list[tuple[int, int, bool]], cut: int) -> None:
    records = [answers(at, n, by="nobody" if lost else "v") for at, n, lost in rows]
    parts = count_service(records[:cut], SLO), count_service(records[cut:], SLO)
    assert merge_slots(*parts) == merge_slots(*reversed(parts)) == merge_slots(count_service(records, SLO), {})
    assert all(start % slot_us(SLO) == 0 for start in merge_slots(*parts))
