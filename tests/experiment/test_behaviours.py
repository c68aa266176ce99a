"""Behaviour tests through a chain: what passes, what fails, and how a failure is told."""

from collections.abc import Sequence

import numpy as np
import pytest

from kring.experiment.behaviours import Tryout, run_behaviours
from kring.record.batch import Batch
from kring.record.behaviour import Behaviours, Direction, Example, Inputs, Invariance
from kring.record.system import Frame
from kring.record.version import Policy
from kring.tasks.classification import TASK
from kring.tasks.multiclass import TASK as SEVERAL
from kring.tasks.regression import TASK as NUMBERS

HELD = Batch(
    50,
    {
        "income": [None if number == 7 else float(number) for number in range(50)],
        "sex": ["f" if number % 2 else "m" for number in range(50)],
    },
)


def loan(rows: Sequence[Inputs]) -> Batch:
    """More income, more likely; women a little less; no answer without an income."""
    given = [
        np.nan if row.get("income") is None else row["income"] / 50 - 0.1 * (row.get("sex") == "f") for row in rows
    ]
    return Batch(len(rows), {"probability": np.clip(np.array(given, dtype=float), 0, 1)})


def tryout(answer=loan, *, task=TASK, policy: Policy | None = None, held: Batch = HELD) -> Tryout:
    return Tryout(task, answer, held, policy=policy or TASK.policy(Frame(decision="d"), [True, False]), seed=0)


def ran(*, on: Tryout | None = None, **tests):
    measures, done = run_behaviours(Behaviours(**tests), on or tryout())
    return measures, done


def test_the_share_that_passed_is_exact() -> None:
    (measure,), done = ran(
        examples=(
            Example(name="rich", inputs={"income": 49.0}, decision="true", above=0.9),
            Example(name="poor", inputs={"income": 1.0, "sex": "m"}, decision="true"),
        ),
        directions=(Direction(name="more helps", change="income", by=1, output="not lower", sample=20),),
    )
    assert [one.passed for one in done] == [True, False, True]
    assert measure.name == "behaviours"
    assert measure.value == measure.low == measure.high == pytest.approx(2 / 3)
    assert measure.rows == 3
    assert measure.probe
    assert done[1].failures[0].said == "false"
    assert done[1].failures[0].expected == "decision true"
    assert done[1].failures[0].inputs == "income = 1.0, sex = m"


@pytest.mark.parametrize(
    ("bounds", "passed"),
    [
        ({"above": 0.4}, True),
        ({"above": 0.5}, True),
        ({"above": 0.51}, False),
        ({"below": 0.5}, True),
        ({"below": 0.49}, False),
        ({"above": 0.4, "below": 0.6}, True),
        ({"above": 0.6, "below": 0.7}, False),
        ({"below": 0.5, "label": "false"}, True),
        ({"above": 0.6, "label": "false"}, False),
    ],
)
def test_outputs_within_bounds(bounds: dict, passed: bool) -> None:
    _, (done,) = ran(examples=(Example(name="e", inputs={"income": 25.0}, **bounds),))
    assert done.passed is passed


def test_no_answer_is_no_success() -> None:
    example = Example(name="e", inputs={"sex": "f"}, below=1.0)
    direction = Direction(name="d", change="income", by=1, output="not lower", rows=({"income": None},))
    change = Invariance(name="i", change="sex", to=("m",), rows=({"sex": "f"},), tolerance=1.0)
    _, done = ran(examples=(example,), directions=(direction,), invariances=(change,))
    assert [one.passed for one in done] == [False, False, False]
    assert done[0].failures[0].said == "no answer"
    assert done[2].rows == 0
    assert done[2].failures[0].inputs == "no row to try it on"


def test_invariance_of_the_decision_and_of_the_output() -> None:
    rows = ({"income": 40.0, "sex": "m"}, {"income": 27.0, "sex": "m"})
    decision = Invariance(name="decision", change="sex", to=("f", "m"), rows=rows)
    loose = Invariance(name="loose", change="sex", to=("f",), rows=rows, tolerance=0.11)
    strict = Invariance(name="strict", change="sex", to=("f",), rows=rows, tolerance=0.05)
    _, done = ran(invariances=(decision, loose, strict))
    assert [(one.passed, one.rows, one.failed) for one in done] == [(False, 2, 1), (True, 2, 0), (False, 2, 2)]
    assert done[0].failures[0].inputs == "row 2, sex from m to f"
    assert done[0].failures[0].said == "true to false"
    assert done[2].failures[0].said == "0.8 to 0.7"
    assert done[2].failures[0].expected == "within 0.05"


def test_values_that_may_not_be_shown_are_hidden_in_failures() -> None:
    on = Tryout(TASK, loan, HELD, policy=tryout().policy, seed=0, hidden=["income"])
    lower = Direction(name="d", change="income", by=1, output="not higher", sample=9)
    fixed = Invariance(name="i", change="income", to=(3.5,), sample=9, tolerance=0.0)
    _, done = ran(on=on, directions=(lower,), invariances=(fixed,))
    told = [failure.inputs.partition(", ")[2] for one in done for failure in one.failures]
    assert set(told) == {"income from (hidden) to (hidden)", "income from (hidden) to 3.5"}


def test_held_out_rows_are_drawn_by_the_seed() -> None:
    test = Invariance(name="i", change="sex", to=("f", "m"), sample=20, tolerance=0.0)
    _, (one,) = ran(invariances=(test,))
    _, (other,) = ran(invariances=(test,))
    assert one == other
    assert one.rows == 20
    assert one.failures[0].inputs.startswith("held-out row ")
    _, (every,) = ran(invariances=(Invariance(name="i", change="sex", to=("f", "m"), sample=5000),))
    assert every.rows == 50


def test_direction_either_way_and_with_slack() -> None:
    def wavy(rows: Sequence[Inputs]) -> Batch:
        return Batch(len(rows), {"probability": np.array([0.5 + 0.01 * (int(row["income"]) % 2) for row in rows])})

    def test(**more) -> Direction:
        return Direction(name=str(more), change="income", by=1, rows=({"income": 2},), **more)

    up, down = test(output="not lower"), test(output="not higher")
    _, done = ran(on=tryout(wavy), directions=(up, down, test(output="not higher", slack=0.02)))
    assert [one.passed for one in done] == [True, False, True]
    assert done[1].failures[0].inputs == "row 1, income from 2 to 3"
    assert done[1].failures[0].said == "0.5 to 0.51"


def test_whole_numbers_stay_whole_and_rows_without_the_number_are_skipped() -> None:
    seen: list[object] = []

    def noting(rows: Sequence[Inputs]) -> Batch:
        seen.extend(row["income"] for row in rows)
        return Batch(len(rows), {"probability": np.full(len(rows), 0.5)})

    _, (done,) = ran(
        on=tryout(noting),
        directions=(
            Direction(name="d", change="income", by=2.0, output="not lower", rows=({"income": 3}, {"income": None})),
        ),
    )
    assert done.rows == 1
    assert seen == [3, 5]
    assert isinstance(seen[1], int)


def test_several_labels_mean_the_one_that_is_named() -> None:
    policy = Policy(output="probabilities", labels=("a", "b", "c"))

    def answer(rows: Sequence[Inputs]) -> Batch:
        return Batch(len(rows), {"probabilities": np.array([[0.2, 0.7, 0.1]] * len(rows))})

    on = tryout(answer, task=SEVERAL, policy=policy)
    _, done = ran(
        on=on,
        examples=(
            Example(name="b", inputs={}, decision="b", above=0.6, label="b"),
            Example(name="c", inputs={}, above=0.6, label="c"),
        ),
        invariances=(Invariance(name="i", change="sex", to=("f",), rows=({"sex": "m"},)),),
    )
    assert [one.passed for one in done] == [True, False, True]


def test_numbers_are_compared_in_their_own_unit() -> None:
    def answer(rows: Sequence[Inputs]) -> Batch:
        return Batch(len(rows), {"value": np.array([100.0 + (row["sex"] == "f") for row in rows])})

    on = tryout(answer, task=NUMBERS, policy=Policy(output="value"))
    rows = ({"sex": "m"},)
    _, done = ran(
        on=on,
        invariances=(
            Invariance(name="loose", change="sex", to=("f",), rows=rows, tolerance=1.0),
            Invariance(name="strict", change="sex", to=("f",), rows=rows),
        ),
    )
    assert [one.passed for one in done] == [True, False]


def test_no_tests_are_no_measure() -> None:
    assert ran() == ([], [])
