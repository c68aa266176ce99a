from __future__ import annotations

import numpy as np

from kring.metrics.gates import parse_line
from kring.record.evidence import Measure
from kring.record.system import Frame
from kring.tasks.classification import TASK
from kring.watch.quality import breach_of, judge_quality

POLICY = TASK.policy(Frame(decision="warn"), [False, True])
LINES = [
    parse_line("roc_auc", ">= 0.65"),
    parse_line("lift_over_baseline.roc_auc", "> 0"),
    parse_line("calibration_error", "<= 0.05"),
    parse_line("average_precision", ">= 0.3"),
    parse_line("latency_p99_ms", "<= 20"),
]


def month(seed: int, *, seen: float = 1.0, shifted: float = 0.0, days: int = 30) -> list[Measure]:
    """Counts of a month in which the model sees a part of what matters, and says too little by `shifted`."""
    rng = np.random.default_rng(seed)
    mine, theirs = [], []
    for _ in range(days):
        chance = rng.beta(2, 4, 400)
        truth = (rng.random(400) < chance).astype(float)
        said = seen * chance + (1 - seen) * rng.permutation(chance)
        mine.append(TASK.count(truth, np.clip(said - shifted, 0, 1), POLICY))
        theirs.append(TASK.count(truth, np.full(400, 1 / 3), POLICY))
    return TASK.measure_counts(mine, theirs, policy=POLICY, draws=200, seed=seed)


def judged(measures, *, min_rows: int = 100):
    return judge_quality(LINES, measures, min_rows=min_rows)


def breaches(found):
    return [breach_of(one, since=123) for one in found if one.result == "fail"]


def test_a_good_month_is_silent_and_leaves_out_what_counts_can_not_give():
    found = judged(month(1))
    assert [judgement.result for judgement in found] == ["pass", "pass", "pass"]
    assert not {judgement.metric for judgement in found} & {"average_precision", "latency_p99_ms"}


def test_a_blind_model_breaks_the_line_on_order():
    [breach] = breaches(judged(month(2, seen=0.0)))[:1]
    assert breach.metric == "roc_auc"
    assert breach.high < 0.65
    assert (breach.allowed, breach.rows, breach.since) == ("roc_auc >= 0.65", 12_000, 123)
    assert "at least 0.65 is asked for" in breach.what


def test_a_shifted_model_breaks_the_line_on_calibration_alone():
    assert [breach.metric for breach in breaches(judged(month(3, shifted=0.15)))] == ["calibration_error"]


def test_an_interval_over_the_limit_is_no_alarm():
    measures = [Measure(name="roc_auc", value=0.6, low=0.5, high=0.7, rows=500, groups=30, better=1, method="m")]
    (found,) = judged(measures)
    assert found.result == "investigate"


def test_too_little_says_nothing():
    assert breaches(judged(month(4, seen=0.0), min_rows=20_000)) == []
    assert judged([]) == ()


def test_a_line_for_many_measures_is_judged_for_each():
    lines = [parse_line("lift_over_baseline.*", "> 0")]
    found = judge_quality(lines, month(5, seen=0.0), min_rows=1)
    assert len(found) > 3
    assert {breach.metric for breach in breaches(found)} >= {"lift_over_baseline.brier"}
