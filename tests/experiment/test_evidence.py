from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from kring.errors import DataError, NotFound
from kring.experiment.evidence import MEASURES, LatencySample, groups_of, measure_evidence
from kring.record.system import Frame
from kring.tasks.classification import TASK

POLICY = TASK.policy(Frame(decision="warn"), [False, True])
START = datetime(2024, 3, 1, tzinfo=UTC)


def world(seed: int = 0, n: int = 1000):
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 3, n)
    truth = (rng.random(n) < probability).astype(float)
    return truth, probability, rng.permutation(probability), np.arange(n) // 50


def evidence(truth, outputs, baseline, groups, **changes):
    given = {
        "id": "e_1", "run": "r_2", "baseline_run": "r_1", "candidate": "boosted", "snapshot": "s_1", "truth": truth,
        "outputs": outputs, "baseline": baseline, "groups": groups, "group_by": "day", "policy": POLICY,
        "latency": None, "size_bytes": 1_500_000, "at": 7, "draws": 100, "seed": 3,
    }  # fmt: skip
    return measure_evidence(TASK, **given | changes)


def by_name(found):
    return {measure.name: measure for measure in found.measures}


def test_it_holds_the_measures_of_the_task_and_of_the_house():
    sample = LatencySample(seconds=tuple(np.linspace(0.001, 0.002, 400).tolist()))
    found = evidence(*world(), latency=sample, memory_mb=(4.0, 5.0, 4.5))
    names = by_name(found)
    assert TASK.metrics.keys() - names.keys() == {
        "expected_cost", "best_threshold", "best_threshold_cost",
        "lift_over_baseline.expected_cost", "lift_over_baseline.best_threshold_cost",
    }  # fmt: skip
    assert names.keys() >= MEASURES.keys()
    assert (found.rows, found.groups, found.group_by, found.threshold) == (1000, 20, "day", 0.5)
    assert (names["size_mb"].value, names["size_mb"].low, names["size_mb"].high) == (1.5, 1.5, 1.5)
    assert (names["memory_mb"].value, names["memory_mb"].low, names["memory_mb"].high) == (4.5, 4.0, 5.0)
    assert names["memory_mb"].probe
    assert names["latency_p50_ms"].value == pytest.approx(1.5, abs=0.01)
    assert names["latency_p50_ms"].low < 1.5 < names["latency_p50_ms"].high
    assert names["latency_p99_ms"].low < 1.99 <= names["latency_p99_ms"].high
    assert names["coverage"].value == 1
    assert {curve.name for curve in found.curves} >= {"roc", "calibration"}


def test_a_row_without_outcome_is_no_label():
    truth, outputs, baseline, groups = world()
    whole = by_name(evidence(truth, outputs, baseline, groups))
    padded = evidence(
        np.append(truth, np.full(250, np.nan)),
        np.append(outputs, np.zeros(250)),
        np.append(baseline, np.ones(250)),
        np.append(groups, np.full(250, 99)),
    )
    assert (padded.rows, padded.groups) == (1000, 20)
    for name, measure in by_name(padded).items():
        if name == "coverage":
            assert measure.value == 0.8
            assert measure.low < 0.8 < measure.high
        elif name != "size_mb":
            assert measure == whole[name]


def test_too_short_a_latency_sample_gives_no_measure():
    names = by_name(evidence(*world(), latency=LatencySample(seconds=(0.001,) * 300)))
    assert "latency_p50_ms" in names
    assert "latency_p99_ms" not in names
    assert not [name for name in by_name(evidence(*world())) if name.startswith("latency")]


def test_no_outcomes_and_too_few_groups_are_refused_in_words():
    truth, outputs, baseline, groups = world()
    with pytest.raises(DataError, match="no held-out row has an outcome"):
        evidence(np.full(1000, np.nan), outputs, baseline, groups)
    with pytest.raises(DataError, match="too few groups"):
        evidence(truth, outputs, baseline, groups // 5)


def test_intervals_resample_the_group_else_the_day_else_the_row():
    frame = pl.DataFrame(
        {
            "at": [START + timedelta(hours=12 * hour) for hour in range(12)],
            "who": ["b", "a", None, "b"] * 3,
        }
    )
    groups, name = groups_of(frame, group="who", time="at")
    assert (groups.tolist(), name) == ([2, 1, 0, 2] * 3, "who")
    groups, name = groups_of(frame, time="at")
    assert (groups.tolist(), name) == ([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], "day")
    assert groups_of(frame.head(8), time="at")[1] == "row"
    groups, name = groups_of(frame)
    assert (groups.tolist(), groups.dtype, name) == (list(range(12)), np.int64, "row")
    with pytest.raises(NotFound, match="at, who"):
        groups_of(frame, group="whom")


def test_days_that_differ_widen_the_interval():
    """Lateness comes in bad days: intervals by row would promise too much."""
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(40), 100)
    chance = np.clip(0.3 + rng.normal(0, 0.15, 40), 0.02, 0.98)[day]
    truth = (rng.random(4000) < chance).astype(float)
    guess = np.full(4000, 0.3)
    by_day, by_row = (
        by_name(evidence(truth, guess, guess, groups))["calibration_error"] for groups in (day, np.arange(4000))
    )
    assert by_day.high - by_day.low > 2 * (by_row.high - by_row.low)
