"""What decides beside the threshold, row by row and for many rows at once."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.contracts.to_polars import DTYPES
from kring.decide.policy import (
    Outlying,
    judge_of,
    judged,
    pinned_rules,
    row_masks,
    says_review,
    undecided,
    unfit,
    unjudged,
)
from kring.decide.policy_frames import frame_masks
from kring.errors import ConfigError, ExpressionError
from kring.record.batch import Batch
from kring.record.contract import LogicalType
from kring.record.prepare import ColumnKind
from kring.record.version import Policy, Ruling

TYPES: dict[str, LogicalType] = {
    "amount": "number",
    "people": "integer",
    "region": "string",
    "member": "boolean",
    "at": "timestamp",
    "day": "date",
}
KINDS: dict[str, ColumnKind] = {"rate": "number", "group": "category", "amount": "number"}
CONDITIONS = st.sampled_from(
    [
        "amount > 10",
        "probability >= 0.5 and region == 'north'",
        "is_null(amount)",
        "rate < 0.25 or group == '(missing)'",
        "member",
        "people > 2 and not member",
        "hour(at) < 12",
        "weekday(day) == 1",
        "amount / people > 3",
        "true",
        "probability > 0.4 and probability < 0.6",
        "lower(region) in ('north', 'west')",
    ]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.none() | st.floats(allow_nan=False) | st.sampled_from([10.0, -0.0, 11.0]),
            "people": st.none() | st.integers(-3, 5),
            "region": st.none() | st.sampled_from(["north", "North", "west", "", "ß"]),
            "member": st.none() | st.booleans(),
            "at": st.none() | st.integers(0, 10**15),
            "day": st.none() | st.integers(0, 20_000),
            "rate": st.floats(0, 1, width=32) | st.just(math.nan),
            "group": st.sampled_from(["a", "(missing)"]),
            "probability": st.floats(0, 1) | st.just(math.nan) | st.sampled_from([0.4, 0.5, 0.6]),
        }
    ),
    max_size=9,
)
RULINGS = st.lists(
    st.builds(
        Ruling, when=CONDITIONS, decision=st.sampled_from(["yes", "no", "review"]), reason=st.sampled_from(["", "so"])
    ),
    max_size=3,
)


def policy(*rules: Ruling, abstain: str = "") -> Policy:
    return Policy(output="probability", threshold=0.5, labels=("no", "yes"), rules=rules, abstain=abstain)


def said(*probabilities: float) -> Batch:
    given = np.array(probabilities, dtype=np.float64)
    decision = np.where(np.isnan(given), None, np.where(given >= 0.5, "yes", "no")).astype(object)
    return Batch(len(given), {"probability": given, "decision": decision})


def mask(*truths: bool) -> np.ndarray:
    return np.array(truths, dtype=np.bool_)


@given(rows=ROWS, rules=RULINGS, abstain=st.just("") | CONDITIONS)
def test_rows_and_frames_are_judged_alike(rows: list[dict[str, object]], rules: list[Ruling], abstain: str) -> None:
    plan = policy(*rules, abstain=abstain)
    n = len(rows)
    raw = Batch(n, {name: [row[name] for row in rows] for name in TYPES})
    physical = {"at": pl.Int64(), "day": pl.Int32()}
    frame = pl.DataFrame(
        {name: pl.Series(name, raw.columns[name], dtype=physical.get(name, DTYPES[TYPES[name]])) for name in TYPES}
    ).with_columns(pl.col("at").cast(DTYPES["timestamp"]), pl.col("day").cast(DTYPES["date"]))
    prepared = Batch(
        n,
        {
            "rate": np.array([row["rate"] for row in rows], dtype=np.float32),
            "group": np.array([row["group"] for row in rows], dtype=object),
        },
    )
    outputs = said(*(float(str(row["probability"])) for row in rows))
    by_rows = judge_of(plan, row_masks(plan, types=TYPES, kinds=KINDS))(raw, prepared, outputs)
    by_frame = judge_of(plan, frame_masks(plan, types=TYPES, kinds=KINDS))(frame, prepared, outputs)
    assert by_rows.guards == by_frame.guards
    assert list(by_rows.outputs.columns) == list(by_frame.outputs.columns)
    for name in ("decision", "reason"):
        if name in by_rows.outputs.columns:
            assert list(by_rows.outputs.columns[name]) == list(by_frame.outputs.columns[name])


@given(rows=ROWS.filter(bool), rules=RULINGS)
def test_no_row_depends_on_its_neighbours(rows: list[dict[str, object]], rules: list[Ruling]) -> None:
    plan = policy(*rules, abstain="probability > 0.4 and probability < 0.6")
    judge = judge_of(plan, row_masks(plan, types=TYPES, kinds=KINDS))

    def asked(some: list[dict[str, object]]) -> list[object]:
        raw = Batch(len(some), {name: [row[name] for row in some] for name in TYPES})
        kept = Batch(len(some), {name: [row[name] for row in some] for name in ("rate", "group")})
        return list(
            judge(raw, kept, said(*(float(str(row["probability"])) for row in some))).outputs.columns["decision"]
        )

    assert asked(rows) == [asked([row])[0] for row in rows]


def test_the_first_rule_that_fires_wins_and_says_why() -> None:
    rules = (Ruling(when="a", decision="no", reason="too much"), Ruling(when="b", decision="yes"))
    found = judged(policy(*rules), said(0.9, 0.9, 0.1), [mask(True, False, False), mask(True, True, False)])
    assert list(found.outputs.columns["decision"]) == ["no", "yes", "no"]
    assert list(found.outputs.columns["reason"]) == ["too much", "b", None]
    assert found.guards == {}


def test_a_reason_is_only_recorded_where_a_rule_fired() -> None:
    found = judged(policy(Ruling(when="a", decision="no")), said(0.9), [mask(False)])
    assert "reason" not in found.outputs.columns


def test_an_abstention_hands_the_row_to_a_person_unless_a_rule_decides() -> None:
    plan = policy(Ruling(when="a", decision="yes"), abstain="b")
    found = judged(plan, said(0.1, 0.1, 0.1), [mask(True, False, False), mask(True, True, False)])
    assert list(found.outputs.columns["decision"]) == ["yes", "review", "no"]
    assert found.guards == {1: ["abstained"]}


def test_nothing_stands_in_for_a_model_that_does_not_answer() -> None:
    plan = policy(Ruling(when="a", decision="yes"), abstain="b")
    found = judged(plan, said(math.nan), [mask(True), mask(True)], Outlying(np.array([99.0]), 1.0))
    assert list(found.outputs.columns["decision"]) == [None]
    assert found.guards == {}
    assert undecided(found.outputs) == [0]


@pytest.mark.parametrize(("mode", "decision"), [("flag", "yes"), ("review", "review")])
def test_an_outlier_is_flagged_or_reviewed(mode: str, decision: str) -> None:
    plan = Policy(output="probability", threshold=0.5, labels=("no", "yes"), outliers=mode)  # type: ignore[arg-type]
    found = judged(plan, said(0.9, 0.9), [], Outlying(np.array([7.0, 6.9]), 6.95))
    assert list(found.outputs.columns["decision"]) == [decision, "yes"]
    assert found.guards == {0: ["outlier"]}
    assert list(found.outputs.columns["outlier"]) == [7.0, 6.9]


def test_a_rule_decides_on_an_outlier_too_and_the_guard_is_named() -> None:
    plan = Policy(
        output="probability",
        threshold=0.5,
        labels=("no", "yes"),
        outliers="review",
        rules=(Ruling(when="a", decision="no"),),
    )
    found = judged(plan, said(0.9), [mask(True)], Outlying(np.array([7.0]), 1.0))
    assert list(found.outputs.columns["decision"]) == ["no"]
    assert found.guards == {0: ["outlier"]}


def test_numbers_stay_numbers_until_a_person_is_asked() -> None:
    plan = Policy(output="value", rules=(Ruling(when="a", decision=5.0),), abstain="b")
    outputs = Batch(2, {"value": np.array([1.0, 2.0]), "decision": np.array([1.0, 2.0])})
    capped = judged(plan, outputs, [mask(True, False), mask(False, False)]).outputs.columns["decision"]
    assert np.asarray(capped).dtype == np.float64
    assert list(capped) == [5.0, 2.0]
    unsure = judged(plan, outputs, [mask(True, False), mask(True, True)]).outputs
    assert list(unsure.columns["decision"]) == [5.0, "review"]
    assert undecided(unsure) == []


def test_a_policy_without_more_is_left_alone() -> None:
    plan = policy()
    assert row_masks(plan, types=TYPES, kinds=KINDS) is None
    assert frame_masks(plan, types=TYPES, kinds=KINDS) is None
    assert judge_of(plan, None) is unjudged
    outputs = said(0.3)
    assert unjudged(None, outputs, outputs).outputs is outputs


def test_the_output_comes_before_the_raw_field_and_this_before_the_prepared_column() -> None:
    plan = Policy(output="value", rules=(Ruling(when="value > 1 and amount > 1", decision=0.0),))
    masks = row_masks(plan, types={"value": "number", "amount": "number"}, kinds={"amount": "number"})
    assert masks is not None
    raw = Batch(1, {"value": [0.0], "amount": [2.0]})
    found = masks(raw, Batch(1, {"amount": np.array([0.0])}), Batch(1, {"value": np.array([2.0]), "decision": [2.0]}))
    assert found[0].tolist() == [True]


@pytest.mark.parametrize(
    ("output", "labels", "decision", "pinned"),
    [
        ("probability", ("false", "true"), False, "false"),
        ("probability", ("0", "1"), 1, "1"),
        ("probability", ("no", "yes"), "review", "review"),
        ("value", (), 3, 3.0),
        ("answer", (), "call us", "call us"),
    ],
)
def test_decisions_are_pinned_as_the_system_takes_them(
    output: str, labels: tuple[str, ...], decision: object, pinned: object
) -> None:
    plan = Policy(output=output, labels=labels)  # type: ignore[arg-type]
    rule = pinned_rules([Ruling(when="true", decision=decision)], plan)[0]  # type: ignore[arg-type]
    assert rule.decision == pinned
    assert type(rule.decision) is type(pinned)


@pytest.mark.parametrize(
    ("output", "labels", "decision"),
    [("probability", ("no", "yes"), "maybe"), ("value", (), "much"), ("value", (), True)],
)
def test_a_decision_that_nobody_knows_is_refused(output: str, labels: tuple[str, ...], decision: object) -> None:
    plan = Policy(output=output, labels=labels)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        pinned_rules([Ruling(when="true", decision=decision)], plan)  # type: ignore[arg-type]
    assert caught.value.key == "policy.rule[0].decision"
    assert "review" in caught.value.allowed


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("amount > 1", ""),
        ("amount", "neither true nor false"),
        ("amoumt > 1", "amoumt"),
        ("amount >", "not an expression"),
        ('lookup("x", key=[region]) > 1', "look things up"),
        ("region > 1", "type"),
    ],
)
def test_what_is_wrong_with_a_condition_is_said(text: str, wrong: str) -> None:
    found = unfit(text, dict(TYPES), key="policy.abstain")
    assert (wrong in f"{found}") if wrong else found is None
    assert found is None or found.key == "policy.abstain"


def test_a_label_that_is_not_there_has_no_probability() -> None:
    plan = Policy(output="probabilities", labels=("a", "b", "c"), abstain='field("probability.d") > 0.5')
    with pytest.raises(ExpressionError):
        row_masks(plan, types={}, kinds={})
    fine = Policy(output="probabilities", labels=("a", "b", "c"), abstain='field("probability.b") > 0.5')
    masks = row_masks(fine, types={}, kinds={})
    assert masks is not None
    found = masks(Batch(2, {}), Batch(2, {}), Batch(2, {"probability.b": np.array([0.6, 0.4])}))
    assert found[0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("plan", "review"),
    [
        (policy(), False),
        (policy(abstain="true"), True),
        (policy(Ruling(when="true", decision="review")), True),
        (policy(Ruling(when="true", decision="no")), False),
        (Policy(output="value", outliers="review"), True),
        (Policy(output="value", outliers="flag"), False),
    ],
)
def test_whether_a_person_may_be_asked_is_known_beforehand(plan: Policy, review: bool) -> None:
    assert says_review(plan) is review
