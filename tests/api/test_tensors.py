"""Tensors and tables as pure functions: what goes in comes out, and what does not fit is told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.api.mlflow import from_inputs
from kring.api.tables import from_columns, from_csv, from_table, from_values, outputs_of, predictions
from kring.api.tensors import (
    DATATYPES,
    NUMPY,
    Tensor,
    outputs,
    packed,
    parameters,
    require_rows,
    rows_of,
    tensor,
    unpacked,
)
from kring.errors import UserError
from kring.record.answer import Answer
from kring.record.contract import Field
from kring.record.version import Policy, Ruling

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def line(*fields: tuple[str, str], made: tuple[str, ...] = (), policy: Policy | None = None) -> Any:
    """What these functions see of a line."""
    names = tuple(name for name, _ in fields)
    reader = SimpleNamespace(
        names=names,
        asked=tuple(name for name in names if name not in made),
        fields=tuple(Field(name=name, type=kind) for name, kind in fields),  # type: ignore[arg-type]
    )
    answerer = SimpleNamespace(policy=policy or Policy(output="probability", labels=("no", "yes")))
    decider = SimpleNamespace(pointer=SimpleNamespace(live="v_1"), versions={"v_1": answerer}, baseline=None)
    return SimpleNamespace(reader=reader, decider=decider)


def made(make: Callable[[], Any]) -> Any:
    """What came of it, or the refusal, which says what was got and what is allowed."""
    try:
        return make()
    except UserError as error:
        if not (error.got and error.allowed):
            raise
        return error


def elements(datatype: str) -> st.SearchStrategy[Any]:
    if datatype == "BYTES":
        return TEXTS
    if datatype == "BOOL":
        return st.booleans()
    if datatype.startswith("FP"):
        return st.floats(width=int(datatype[2:]), allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
    limits = np.iinfo(NUMPY[datatype])
    return st.integers(int(limits.min), int(limits.max))


@given(st.data(), st.sampled_from(DATATYPES))
def test_raw_bytes_come_back_as_they_went(data: st.DataObject, datatype: str) -> None:
    values = data.draw(st.lists(elements(datatype), min_size=1, max_size=6))
    sent = Tensor("x", (len(values),), datatype, values)
    assert unpacked("x", [len(values)], datatype, packed(sent)) == sent


@given(st.data(), st.sampled_from(DATATYPES), st.integers(1, 4), st.integers(1, 4))
def test_nested_and_flat_data_are_the_same(data: st.DataObject, datatype: str, rows: int, columns: int) -> None:
    flat = data.draw(st.lists(elements(datatype), min_size=rows * columns, max_size=rows * columns))
    nested = [flat[at : at + columns] for at in range(0, len(flat), columns)]
    assert tensor("x", [rows, columns], datatype, flat) == tensor("x", [rows, columns], datatype, nested)


@given(st.binary(max_size=40), st.sampled_from(DATATYPES), st.lists(st.integers(-2, 9), max_size=3))
def test_raw_bytes_of_anybody_are_read_or_refused(raw: bytes, datatype: str, shape: list[int]) -> None:
    read = made(lambda: unpacked("x", shape, datatype, raw))
    assert isinstance(read, UserError) or len(read.data) == np.prod(shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.sampled_from([*DATATYPES, "FP8", ""]), st.lists(st.integers(-1, 3), max_size=3))
def test_data_of_anybody_are_read_or_refused(data: object, datatype: str, shape: list[int]) -> None:
    read = made(lambda: tensor("x", shape, datatype, data))
    assert isinstance(read, UserError) or (datatype in DATATYPES and len(read.data) == np.prod(shape))


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("INT8", 128),
        ("UINT8", -1),
        ("INT64", 1 << 63),
        ("INT32", 1.0),
        ("INT16", True),
        ("FP64", True),
        ("FP32", "1"),
        ("BOOL", 2),
        ("BOOL", "true"),
        ("BYTES", 1),
        ("BF16", 1.0),
    ],
)
def test_an_element_of_another_type_is_told(datatype: str, value: object) -> None:
    with pytest.raises(UserError, match="does not fit") as caught:
        tensor("amount", [1], datatype, [value])
    assert caught.value.allowed


def test_a_missing_value_is_none() -> None:
    assert tensor("x", [3], "FP64", [1.0, None, 2.0]).data == [1.0, None, 2.0]


def test_one_tensor_for_each_field() -> None:
    asked = line(("a", "number"), ("b", "string"))
    tensors = [tensor("a", [2, 1], "FP64", [[1], [2]]), tensor("b", [2], "BYTES", ["x", "y"])]
    assert rows_of(asked, tensors) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_one_tensor_for_all_fields_leaves_out_what_is_made() -> None:
    asked = line(("at", "timestamp"), ("a", "number"), ("b", "integer"), made=("at",))
    whole = tensor("input-0", [2, 2], "FP32", [[1, 2], [3, 4]])
    assert rows_of(asked, [whole]) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def rows(asked: Any, sent: list[Tensor]) -> Any:
    require_rows(asked, sent)
    return rows_of(asked, sent)


@pytest.mark.parametrize(
    ("tensors", "word"),
    [
        ([("a", [1], "FP64", [1]), ("a", [1], "FP64", [1])], "same name"),
        ([("a", [1, 2], "FP64", [1, 2]), ("b", [1], "BYTES", ["x"])], "does not fit"),
        ([("a", [2], "FP64", [1, 2]), ("b", [1], "BYTES", ["x"])], "not equally long"),
        ([("all", [1, 3], "FP64", [1, 2, 3])], "does not fit"),
        ([("all", [1, 2], "FP64", [1, 2])], "does not fit"),
        ([("all", [2], "BYTES", ["1", "x"])], "does not fit"),
    ],
)
def test_tensors_that_make_no_rows_are_told(tensors: list[tuple[str, list[int], str, list[Any]]], word: str) -> None:
    with pytest.raises(UserError, match=word) as caught:
        rows(line(("a", "number"), ("b", "string")), [tensor(*one) for one in tensors])
    assert caught.value.got
    assert caught.value.allowed


@pytest.mark.parametrize(
    "shapes",
    [
        {"a": [1 << 40]}, {"a": [1, 1 << 40]}, {"a": [1] * (1 << 20)}, {"all": [1, 1 << 40]}, {"all": [1 << 40, 2]},
        {"a": [1], "b": [1], "c": [1]}, {"a": []}, {"a": [0]},
    ],
)  # fmt: skip
def test_shapes_that_hold_no_rows_are_told_before_any_element(shapes: dict[str, list[int]]) -> None:
    with pytest.raises(UserError) as caught:
        require_rows(line(("a", "number"), ("b", "string")), [Tensor(*one, "FP64", []) for one in shapes.items()])
    assert caught.value.allowed
    assert len(str(caught.value)) < 400


def test_texts_may_stand_for_all_fields() -> None:
    whole = tensor("all", [1, 2], "BYTES", ["1.5", "x"])
    assert rows_of(line(("a", "number"), ("b", "string")), [whole]) == [{"a": "1.5", "b": "x"}]


def answer(decision: Any, **given: Any) -> Answer:
    return Answer(id="d_1", decision=decision, outputs=given, version="v_1", arm="live", answered_by="v_1")


def test_a_number_that_a_row_lacks_leaves_its_output_out() -> None:
    told = outputs(line(("a", "number")), [answer("yes", probability=0.7), answer("no")])
    assert told == [Tensor("decision", (2,), "BYTES", ["yes", "no"])]


def test_decisions_of_two_kinds_are_told_as_texts() -> None:
    policy = Policy(output="value", rules=(Ruling(when="a > 1", decision=3.0),))
    told = outputs(line(("a", "number"), policy=policy), [answer(1.5, value=1.5), answer("review", value=9.0)])
    assert told == [
        Tensor("decision", (2,), "BYTES", ["1.5", "review"]),
        Tensor("value", (2,), "FP64", [1.5, 9.0]),
        Tensor("reason", (2,), "BYTES", ["", ""]),
    ]


def test_only_outputs_that_there_are_can_be_asked_for() -> None:
    with pytest.raises(UserError, match="no such output") as caught:
        outputs(line(("a", "number")), [], asked=["score"])
    assert caught.value.allowed == "decision, probability"


def test_parameters_say_where_the_answers_are_on_record() -> None:
    both = [answer("yes"), Answer(id="d_2", decision="no", outputs={}, version="v_2", arm="canary", answered_by="x")]
    assert parameters(both) == {"decision_ids": "d_1,d_2", "versions": "v_1,v_2"}
    assert parameters(both[:1]) == {"decision_ids": "d_1", "versions": "v_1"}


def test_each_kind_of_output_has_its_columns() -> None:
    several = Policy(output="probabilities", labels=("a", "b"), outliers="flag")
    assert [column.name for column in outputs_of(line(policy=several))] == [
        "decision",
        "probability.a",
        "probability.b",
        "outlier",
    ]


def test_a_prediction_says_none_where_there_is_none() -> None:
    told = predictions(line(("a", "number")), [answer("no")])
    assert told == [{"decision": "no", "probability": None, "id": "d_1", "version": "v_1"}]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), st.booleans())
def test_csv_with_and_without_a_heading_is_the_same(rows: list[tuple[str, str]], has_heading: bool) -> None:
    rows = [(one.replace("\r", "").replace("\0", "") + "x", two.replace("\0", "")) for one, two in rows]
    file = io.StringIO()
    csv.writer(file).writerows([("a", "b"), *rows] if has_heading else rows)
    read = from_csv(line(("a", "string"), ("b", "string")), file.getvalue().encode())
    assert read == [{"a": one, "b": two or None} for one, two in rows]


@given(st.binary(max_size=60))
def test_csv_of_anybody_is_read_or_refused(body: bytes) -> None:
    rows = made(lambda: from_csv(line(("a", "string"), ("b", "string")), body))
    assert isinstance(rows, UserError) or all(row.keys() <= {"a", "b"} for row in rows)


@given(st.dictionaries(TEXTS, st.lists(JSON, max_size=3), max_size=3))
def test_columns_of_one_length_are_rows(columns: dict[str, list[object]]) -> None:
    rows = made(lambda: from_columns(columns))
    if isinstance(rows, UserError):
        assert len({len(column) for column in columns.values()}) > 1
    else:
        assert json.dumps({name: [row[name] for row in rows] for name in columns}) == json.dumps(columns)


def test_tables_that_are_none_are_told() -> None:
    for names, rows in ((["a", "a"], []), ([1], []), (["a"], [[1, 2]]), (["a"], [1]), (["a"], [{"a": 1}])):
        with pytest.raises(UserError):
            from_table(names, rows)


def test_one_value_alone_is_a_row_of_a_system_that_asks_for_one() -> None:
    assert from_values(line(("a", "string")), ["x", ["y"]]) == [{"a": "x"}, {"a": "y"}]
    with pytest.raises(UserError, match="does not fit"):
        from_values(line(("a", "string"), ("b", "string")), ["x"])


def test_more_axes_than_anybody_needs_are_not_multiplied() -> None:
    with pytest.raises(UserError) as told:
        tensor("a", [1] * 9, "BOOL", [True])
    assert "8 axes" in told.value.allowed
    with pytest.raises(UserError) as told:
        unpacked("a", [1 << 61] * 100_000, "BOOL", b"")
    assert "8 axes" in told.value.allowed


def test_more_columns_than_there_are_fields_are_not_read() -> None:
    asked = line(("a", "string"), ("b", "string"))
    assert from_inputs(asked, {"a": ["x"], "b": ["y"]}) == [{"a": "x", "b": "y"}]
    with pytest.raises(UserError, match="more columns"):
        from_inputs(asked, {"a": ["x"], "b": ["y"], "c": ["z"]})
