"""The ladder: whoever stands highest and can answer, answers; the reason names those who could not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from answerers import POLICY, Says, answerer
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError, IntegrityError, KringError, Unavailable
from kring.record.batch import Batch
from kring.serve.fallback import Answered, Answerer, answer_with_fallback, rows_of

ERRORS: tuple[type[KringError], ...] = (Unavailable, DataError, IntegrityError)


def declared(n: int) -> Batch:
    return Batch(n, {"decision": ["no"] * n})


def answers(
    ladder: Sequence[Answerer[Batch]], batch: Batch, *, default: Callable[[int], Batch] = declared
) -> list[Answered]:
    return answer_with_fallback(ladder, batch, n=batch.n, some=lambda left: rows_of(batch, left), default=default)


@given(st.lists(st.one_of(st.none(), st.sampled_from(ERRORS)), max_size=5))
def test_the_first_who_can_answers(rungs: list[type[KringError] | None]) -> None:
    runtimes = [Says(float(i), error(f"fault {i}") if error else None) for i, error in enumerate(rungs)]
    ladder = [answerer(f"v_{i}", runtime) for i, runtime in enumerate(runtimes)]
    (answered,) = answers(ladder, Batch(2, {"x": [1, 2]}))
    able = next((i for i, error in enumerate(rungs) if error is None), None)
    failed = len(rungs) if able is None else able
    assert answered.reason == "; ".join(f"v_{i}: fault {i}" for i in range(failed))
    assert [runtime.asked for runtime in runtimes] == [1] * min(failed + 1, len(rungs)) + [0] * (
        len(rungs) - failed - 1
    )
    if able is None:
        assert (answered.version, answered.outputs) == ("default", declared(2))
    else:
        assert answered.version == f"v_{able}"
        assert answered.outputs.columns["decision"] == [float(able)] * 2


def test_nobody_and_no_default() -> None:
    def none(n: int) -> Batch:
        raise Unavailable("nothing can answer", next="roll back")

    ladder = [answerer("v_1", Says(1, Unavailable("asleep"))), answerer("v_1/baseline", Says(1, Unavailable("gone")))]
    with pytest.raises(Unavailable, match="nothing can answer") as refused:
        answers(ladder, Batch(1, {}), default=none)
    assert refused.value.got == "v_1: asleep; v_1/baseline: gone"
    assert refused.value.next == "roll back"


def test_a_failure_on_the_way_to_the_runtime_falls_as_well() -> None:
    def broken(rows: Batch) -> Batch:
        raise DataError("a field is missing")

    first = Answerer(version="v_2", prepare=broken, runtime=Says(2), policy=POLICY, decide=lambda out, policy: out)
    (answered,) = answers([first, answerer("v_1", Says(1))], Batch(1, {}))
    assert (answered.version, answered.reason) == ("v_1", "v_2: a field is missing")


def test_a_fault_of_the_program_is_not_hidden_by_a_fallback() -> None:
    def bug(rows: Batch) -> Batch:
        raise ZeroDivisionError

    first = Answerer(version="v_2", prepare=bug, runtime=Says(2), policy=POLICY, decide=lambda out, policy: out)
    with pytest.raises(ZeroDivisionError):
        answers([first, answerer("v_1", Says(1))], Batch(1, {}))


def test_only_the_rows_without_an_answer_are_asked_of_the_next() -> None:
    first, second, third = Says(2, without=(3, 4)), Says(1, without=(4,)), Says(0)
    ladder = [answerer("v_2", first), answerer("v_1", second), answerer("v_2/baseline", third)]
    batch = Batch(4, {"x": [1, 4, 3, 2]})
    parts = answers(ladder, batch)
    assert [(part.version, part.rows.tolist(), list(part.outputs.columns["value"])) for part in parts] == [
        ("v_2", [0, 3], [2.0, 2.0]),
        ("v_1", [2], [1.0]),
        ("v_2/baseline", [1], [0.0]),
    ]
    assert [part.reason for part in parts] == [
        "",
        "v_2: no usable answer",
        "v_2: no usable answer; v_1: no usable answer",
    ]


def test_no_rows_need_no_fallback() -> None:
    (answered,) = answers([answerer("v_1", Says(1))], Batch(0, {"x": []}))
    assert (answered.version, answered.outputs.n, answered.reason) == ("v_1", 0, "")
