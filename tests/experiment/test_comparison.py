from __future__ import annotations

import msgspec
import pytest

from kring.errors import UserError
from kring.experiment.comparison import compare
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
