"""Load tests, drawn: what is known is shown, what isn't is said."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from kring.charts import load
from kring.charts.render import svg
from kring.record.load import Level, ProcessCost

WORKER = ProcessCost(name="worker", cpu_us=60.0, rss_mb=100.0)
OTHER = ProcessCost(name="kring", cpu_us=1.5, rss_mb=120.0)


def level(connections: int = 16, **more: object) -> Level:
    asked = {
        "connections": connections,
        "seconds": 3.0,
        "answered": 300,
        "refused": 0,
        "failed": 0,
        "per_s": 100.0,
        "p50_ms": 1.0,
        "p90_ms": 2.0,
        "p99_ms": 9.0,
        "processes": (WORKER, OTHER),
    }
    return Level(**{**asked, **more})  # type: ignore[arg-type]


def test_every_chart_draws_its_levels_in_their_order() -> None:
    levels = [level(1), level(16), level(64, refused=3, failed=1)]
    for draw in (load.throughput, load.latency, load.cpu, load.failures):
        spec = draw(levels)
        assert '"sort": ["1", "16", "64"]' in json.dumps(spec), draw.__name__
        assert svg(spec).startswith("<svg"), draw.__name__


def test_the_deadline_is_a_line() -> None:
    assert '{"limit": 200.0}' in json.dumps(load.latency([level()], limit_ms=200.0))


def test_shares_are_of_all_requests() -> None:
    values = load.failures([level(answered=90, refused=9, failed=1)])["data"]["values"]  # type: ignore[index, call-overload]
    assert [value["value"] for value in values] == [0.09, 0.01]


def test_what_is_not_known_is_said() -> None:
    dead = level(answered=0, per_s=0.0, p50_ms=None, p90_ms=None, p99_ms=None, processes=())
    assert "Nothing was answered." in svg(load.throughput([dead]))
    assert "Nothing was answered." in svg(load.latency([dead]))
    assert "is not known" in svg(load.cpu([dead]))
    assert "Every request was answered." in svg(load.failures([dead]))
    assert dead.cpu_us is None


@given(st.lists(st.floats(0, 1e6), max_size=5))
def test_the_cpu_of_a_level_is_that_of_all_its_processes(costs: list[float]) -> None:
    found = tuple(ProcessCost(name="one", cpu_us=cost, rss_mb=1.0) for cost in costs)
    assert level(processes=found).cpu_us == (sum(costs) if costs else None)
