from __future__ import annotations

import msgspec
import pytest

from kring.errors import UserError
from kring.experiment.comparison import compare, frontier, trades
from kring.record.evidence import Evidence, Measure


def measure(name: str, value: float, *, better: int = 1, half: float = 0.01) -> Measure:
    return Measure(
        name=name, value=value, low=value - half, high=value + half, rows=100, groups=10, better=better, method="m"
    )


def evidence(candidate: str, auc: float, loss: float) -> Evidence:
    return Evidence(
        id=f"e_{candidate}", run=f"r_{candidate}", baseline_run="r_rule", candidate=candidate, snapshot="s_1",
        rows=100, groups=10, group_by="day", draws=10, seed=0, threshold=0.5, curves=(), at=0,
        measures=(
            measure("auc", auc), measure("loss", loss, better=-1), measure("rate", 0.2, better=0),
            measure("lift_over_baseline.auc", auc - 0.6), measure("lift_over_baseline.loss", 0.5 - loss),
        ),
    )  # fmt: skip


RULE, LINEAR, BOOSTED, FOREST = (
    evidence("rule", 0.60, 0.50),
    evidence("linear", 0.70, 0.45),
    evidence("boosted", 0.75, 0.40),
    evidence("forest", 0.755, 0.41),
)


def test_the_best_comes_first_with_its_lift_over_the_baseline():
    rows = compare([RULE, LINEAR, BOOSTED, FOREST])
    assert [row.candidate for row in rows] == ["forest", "boosted", "linear", "rule"]
    by_loss = compare([RULE, LINEAR, BOOSTED, FOREST], metrics=["loss"])
    assert by_loss[0].candidate == "boosted"
    assert [row.baseline for row in rows] == [False, False, False, True]
    assert rows[0].lifts["auc"].value == pytest.approx(0.155)
    assert not [name for row in rows for name in row.measures if name.startswith("lift")]


def test_who_is_worse_everywhere_and_clearly_worse_somewhere_is_dominated():
    rows = {row.candidate: row.dominated_by for row in compare([RULE, LINEAR, BOOSTED, FOREST])}
    assert rows == {
        "rule": ("linear", "boosted", "forest"),
        "linear": ("boosted", "forest"),
        "boosted": (),
        "forest": (),
    }
    close = compare([evidence("one", 0.700, 0.45), evidence("other", 0.701, 0.449)])
    assert [row.dominated_by for row in close] == [(), ()]


def test_other_rows_are_not_compared():
    other = msgspec.structs.replace(LINEAR, snapshot="s_2")
    with pytest.raises(UserError, match="same rows") as error:
        compare([RULE, other])
    assert "s_2" in error.value.got
    assert compare([]) == ()


def test_a_candidate_without_the_metric_comes_last():
    blind = msgspec.structs.replace(LINEAR, measures=LINEAR.measures[1:2])
    assert [row.candidate for row in compare([blind, RULE], metrics=["auc"])] == ["rule", "linear"]


def probed(candidate: str, auc: float, *, milliseconds: float, megabytes: float, unfair: float) -> Evidence:
    more = (
        msgspec.structs.replace(measure("latency_p50_ms", milliseconds, better=-1, half=0.1), probe=True),
        msgspec.structs.replace(measure("memory_mb", megabytes, better=-1, half=0.5), probe=True),
        measure("fairness.selection_rate.sex", 0.3, better=0),
        measure("fairness.demographic_parity_difference.sex", unfair, better=-1),
        measure("fairness.demographic_parity_difference.age", 0.01, better=-1),
    )
    return msgspec.structs.replace(evidence(candidate, auc, 0.4), measures=(measure("auc", auc), *more))


def test_what_is_traded_is_what_everybody_has_and_where_they_differ():
    both = [
        probed("slow", 0.80, milliseconds=9, megabytes=20, unfair=0.05),
        probed("fast", 0.75, milliseconds=1, megabytes=5, unfair=0.2),
    ]
    assert trades(both, quality="auc") == {
        "quality": "auc",
        "latency": "latency_p50_ms",
        "memory": "memory_mb",
        "fairness": "fairness.demographic_parity_difference.sex",
    }
    without = msgspec.structs.replace(both[1], measures=both[1].measures[:1])
    assert trades([both[0], without], quality="auc") == {"quality": "auc"}


def test_a_candidate_that_is_better_in_anything_is_on_the_frontier():
    many = [
        probed("slow", 0.80, milliseconds=9, megabytes=20, unfair=0.05),
        probed("fast", 0.75, milliseconds=1, megabytes=5, unfair=0.2),
        probed("worse", 0.74, milliseconds=1.05, megabytes=30, unfair=0.3),
    ]
    rows = compare(many, metrics=tuple(trades(many, quality="auc").values()))
    assert frontier(rows) == ("slow", "fast")
    assert {row.candidate: row.dominated_by for row in rows}["worse"] == ("fast",)


def test_a_probe_within_its_noise_is_not_worse():
    """A twentieth of a millisecond is no reason to keep a candidate that is clearly worse."""
    pair = [
        probed("good", 0.80, milliseconds=1.05, megabytes=5, unfair=0.1),
        probed("bad", 0.70, milliseconds=1.00, megabytes=5, unfair=0.1),
    ]
    rows = compare(pair, metrics=tuple(trades(pair, quality="auc").values()))
    assert {row.candidate: row.dominated_by for row in rows} == {"good": (), "bad": ("good",)}
