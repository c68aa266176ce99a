"""What came in and how it was answered: counts that add, and what they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kring.record.decision import Decisions, RecordClass
from kring.record.running import Watch
from kring.watch.judging import figures, judge_traffic
from kring.watch.traffic import count_traffic
from kring.watch.windows import merge_counts

GUARDS = ["amount.range", "region.null", "outlier", "abstained", "imputed", "repaired: 7 → 8"]


def answers(
    n: int,
    *,
    guards: dict[int, list[str]] | None = None,
    who: str = "north",
    ms: float = 5,
    cost: float = 0.0,
    fallback: str = "",
    by: str = "v",
    kind: RecordClass = "online",
) -> Decisions:
    return Decisions(
        system="s", version="v", answered_by=by, arm="live", kind=kind, at=1, n=n, inputs={"who": [who] * n},
        outputs={}, latency_us=int(ms * 1000), cost=cost, fallback=fallback, guards=guards or {},
    )  # fmt: skip


batches = st.builds(
    answers,
    st.integers(1, 5),
    guards=st.dictionaries(st.integers(0, 0), st.lists(st.sampled_from(GUARDS), max_size=4), max_size=1),
    who=st.sampled_from(["north", "south"]),
    ms=st.floats(0, 1e4),
    cost=st.sampled_from([0.0, 0.25, 3.0]),
    fallback=st.sampled_from(["", "v: no answer"]),
    by=st.sampled_from(["v", "nobody", "rejected"]),
    kind=st.sampled_from(["online", "batch", "streamed"]),
)


@given(st.lists(batches, max_size=20), st.integers(0, 20))
def test_counts_add_in_any_order(records: list[Decisions], cut: int) -> None:
    def counted(some: list[Decisions]) -> dict[str, tuple[int, ...]]:
        return count_traffic(some, supplier="who")

    left, right = counted(records[:cut]), counted(records[cut:])
    assert merge_counts(left, right) == merge_counts(right, left) == merge_counts(counted(records), {})


def test_a_row_counts_once_however_many_rules_it_broke() -> None:
    counts = count_traffic([answers(4, guards={0: ["a", "b"], 1: ["a", "outlier"], 2: ["abstained", "repaired: x"]})])
    assert counts["violations"] == (2,)
    assert (counts["rule a"], counts["rule b"]) == ((2,), (1,))
    assert (counts["outliers"], counts["abstained"], counts["imputed"]) == ((1,), (1,), (0,))
    assert "rule repaired: x" not in counts


def test_broken_rules_and_their_suppliers_are_named() -> None:
    bad = [answers(1, who="south", guards={0: ["amount.range"]}) for _ in range(60)]
    counts = count_traffic([answers(100), *bad], supplier="who")
    found = {each.key: each.breach for each in judge_traffic(counts, Watch(violations=0.05), since=7)}
    whole, north, south = (
        found["data_quality/violations//"],
        found["data_quality/violations//supplier = north"],
        found["data_quality/violations//supplier = south"],
    )
    assert whole is not None
    assert "most often amount.range (37.5%)" in whole.what
    assert north is None
    assert south is not None
    assert (south.value, south.since, south.rows) == (1.0, 7, 60)


def test_each_monitor_has_its_limit_and_its_interval() -> None:
    slow = [answers(1, ms=900, cost=5.0, guards={0: ["outlier"]}) for _ in range(300)]
    watch = Watch(outliers=0.1, cost=0.5, latency_ms=100)
    found = {each.key: each.breach for each in judge_traffic(count_traffic(slow), watch, since=0, currency="EUR")}
    for key in ("outliers/outliers//", "cost/cost//", "latency/p99//"):
        breach = found[key]
        assert breach is not None, key
        assert breach.low is not None
        assert breach.sure
    fine = count_traffic([answers(300)])
    assert not [each for each in judge_traffic(fine, watch, since=0) if each.breach is not None]


@given(st.floats(1e-6, 1e6), st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_a_price_that_is_allowed_is_never_too_dear(price: float, groups: list[int]) -> None:
    """In whatever groups it comes: a mean of equal prices is not quite the price."""
    counts = count_traffic([answers(n, cost=n * price) for n in groups])
    found = {each.key: each.breach for each in judge_traffic(counts, Watch(cost=price), since=0)}
    assert found["cost/cost//"] is None
    dearer = {each.key: each.breach for each in judge_traffic(counts, Watch(cost=price / 1.01), since=0)}
    assert dearer["cost/cost//"] is not None


def test_what_a_moment_of_a_machine_costs_is_counted() -> None:
    """A tenth of a millisecond of a machine for 5 cents an hour: billionths of a cent."""
    counts = count_traffic([answers(1, cost=0.05 / 3600 * 1e-4)] * 1000)
    found = {each.name: each for each in figures(counts)}
    assert abs(found["cost"].value / (0.05 / 3600 * 1e-4) - 1) < 1e-3


def test_a_monitor_without_a_limit_looks_at_nothing() -> None:
    keys = [each.key for each in judge_traffic(count_traffic([answers(300)]), Watch(), since=0)]
    assert keys == ["data_quality/violations//", "fallback/fallbacks//"]


def test_a_window_without_rows_says_nothing() -> None:
    assert judge_traffic({}, Watch(outliers=0.1, cost=1, latency_ms=1), since=0) == []
    assert count_traffic([]) == {}
    assert figures({}) == ()


def test_figures_are_shares_waits_and_costs() -> None:
    counts = count_traffic([answers(90, cost=90.0), answers(10, by="nobody", ms=50)])
    found = {each.name: each for each in figures(counts, currency="EUR")}
    assert found["answered"].value == 0.9
    assert found["answered"].low < 0.9 < found["answered"].high
    assert abs(found["p50"].value / 5 - 1) < 0.03
    assert found["cost"].unit == "EUR"
    assert abs(found["cost"].value - 0.9) < 1e-9
