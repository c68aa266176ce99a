"""One way of a decision: every row is answered or turned away once, and its record says all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec
import numpy as np
import pytest
from answerers import Says, answerer
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import Refused, Unavailable
from kring.record.batch import Batch
from kring.record.contract import Scalar
from kring.record.decision import Decisions, RecordClass
from kring.record.rollout import Pointer
from kring.serve.decider import REJECTED, SELDOM, UNANSWERED, Decided, Decider

DAY = 86_400_000_000
POINTER = Pointer(system="s", live="v_2", previous="v_1", generation=2, rollout="ro_1", at=0)


def guard(batch: Batch) -> Mapping[int, list[str]]:
    """Negative numbers break the contract."""
    return {row: ["x.minimum"] for row, x in enumerate(batch.columns["x"]) if float(str(x)) < 0}


def decider(
    *,
    failing: tuple[str, ...] = (),
    without: Mapping[str, Collection[float]] | None = None,
    out_of_contract: str = "flag",
    default: Scalar = None,
    subject: str = "",
    pointer: Pointer = POINTER,
    timed: bool = False,
) -> Decider[Batch]:
    names = ["v_1", "v_2", "v_3", "v_2/baseline"]
    known = {
        name: answerer(
            name,
            Says(float(i), Unavailable("asleep") if name in failing else None, without=(without or {}).get(name, ())),
        )
        for i, name in enumerate(names, 1)
    }
    baseline = known.pop("v_2/baseline")
    clock = iter(range(1_000_000))
    return Decider(
        system="s",
        pointer=pointer,
        versions=known,
        baseline=baseline,
        read=lambda batch: batch,
        guard=guard,
        out_of_contract=out_of_contract,  # type: ignore[arg-type]
        default=default,
        subject=subject,
        monotonic=lambda: next(clock) / 1000,
        timed=timed,
    )


def ask(one: Decider[Batch], xs: list[float], *, kind: RecordClass = "batch", at: int = DAY) -> list[Decided[Batch]]:
    return one.decide(Batch(len(xs), {"x": xs, "who": [f"p{int(x)}" for x in xs]}), at=at, kind=kind)


@pytest.mark.parametrize(
    ("failing", "answered_by", "value"),
    [
        ((), "v_2", 2.0),
        (("v_2",), "v_1", 1.0),
        (("v_2", "v_1"), "v_2/baseline", 4.0),
        (("v_2", "v_1", "v_2/baseline"), "default", None),
    ],
)
def test_live_then_previous_then_baseline_then_the_declared_default(
    failing: tuple[str, ...], answered_by: str, value: float | None
) -> None:
    record = ask(decider(failing=failing, default="no"), [1, 2])[0].record
    assert (record.version, record.answered_by) == ("v_2", answered_by)
    said = {"decision": ["no"] * 2} if value is None else {"value": [value] * 2, "decision": [value] * 2}
    assert record.outputs == said
    assert record.fallback == "; ".join(f"{name}: asleep" for name in failing)


def test_without_a_default_nothing_is_made_up() -> None:
    one = decider(failing=("v_1", "v_2", "v_2/baseline"))
    with pytest.raises(Unavailable, match="nothing can answer") as refused:
        ask(one, [1], kind="online")
    assert "v_2: asleep; v_1: asleep; v_2/baseline: asleep" in refused.value.got


def test_a_row_that_nobody_can_answer_does_not_end_the_others() -> None:
    answered, nobody = ask(decider(without=dict.fromkeys(("v_1", "v_2", "v_2/baseline"), (2,))), [1, 2])
    assert (answered.rows.tolist(), answered.record.answered_by, answered.answered) == ([0], "v_2", True)
    assert (nobody.rows.tolist(), nobody.record.answered_by, nobody.answered) == ([1], UNANSWERED, False)
    assert nobody.record.outputs == {}
    assert nobody.record.fallback == "; ".join(f"{name}: no usable answer" for name in ("v_2", "v_1", "v_2/baseline"))


@pytest.mark.parametrize("default", [False, 0, 0.0, ""])
def test_a_default_that_looks_like_nothing_is_a_default(default: Scalar) -> None:
    record = ask(decider(failing=("v_1", "v_2", "v_2/baseline"), default=default), [1])[0].record
    assert record.outputs == {"decision": [default]}


def test_the_canary_falls_back_to_the_live_version() -> None:
    pointer = Pointer(system="s", live="v_2", previous="v_1", generation=3, rollout="r", at=0, canary="v_3", share=1.0)
    record = ask(decider(pointer=pointer, failing=("v_3",)), [1])[0].record
    assert (record.arm, record.version, record.answered_by) == ("canary", "v_3", "v_2")


def test_an_online_batch_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(Refused, match="1 of 3 rows break the contract") as refused:
        ask(decider(out_of_contract="reject"), [1, -2, 3], kind="online")
    assert refused.value.got == "row 1: x.minimum"
    assert ask(decider(out_of_contract="reject"), [1, 2], kind="online")[0].record.answered_by == "v_2"


ROWS = st.lists(st.integers(-5, 20).map(float), min_size=1, max_size=30)


@given(ROWS, st.sampled_from(["flag", "reject"]), st.floats(0, 1), st.booleans())
def test_every_row_is_answered_or_turned_away_once(xs: list[float], policy: str, share: float, named: bool) -> None:
    pointer = Pointer(
        system="s", live="v_2", previous="v_1", generation=3, rollout="r", at=0, canary="v_3", share=share, salt="r"
    )
    parts = ask(decider(pointer=pointer, out_of_contract=policy, subject="who" if named else ""), xs)
    assert sorted(row for part in parts for row in part.rows.tolist()) == list(range(len(xs)))
    for part in parts:
        record = part.record
        mine = [xs[row] for row in part.rows.tolist()]
        assert record.n == len(mine) == len(part.rows)
        assert record.inputs == {"x": mine, "who": [f"p{int(x)}" for x in mine]}
        assert all(len(column) == record.n for column in record.outputs.values())
        assert record.subjects == ([f"p{int(x)}" for x in mine] if named else [])
        assert record.guards == {row: ["x.minimum"] for row, x in enumerate(mine) if x < 0}
        assert record.version == ("v_3" if record.arm == "canary" else "v_2")
        assert (record.system, record.at, record.kind, record.refers) == ("s", DAY, "batch", [])
        if policy == "reject" and record.guards:
            assert not part.answered
            assert (record.answered_by, record.outputs, len(record.guards)) == (REJECTED, {}, record.n)
        else:
            assert part.answered
            assert record.answered_by == record.version


HOLES = st.sets(st.integers(-5, 20).map(float))


def told(parts: list[Decided[Batch]]) -> dict[int, tuple[object, ...]]:
    """What the records say of each row of the batch."""
    rows: dict[int, tuple[object, ...]] = {}
    for part in parts:
        record = part.record
        for place, row in enumerate(part.rows.tolist()):
            assert row not in rows
            columns = {**record.inputs, **record.outputs}
            values = tuple((name, column[place]) for name, column in columns.items())
            rows[row] = (
                record.version, record.answered_by, record.arm, record.fallback, values,
                record.guards.get(place), record.subjects[place], part.read.columns["x"][place],
            )  # fmt: skip
    return rows


@given(ROWS, st.tuples(HOLES, HOLES, HOLES), st.sampled_from(["flag", "reject"]), st.sampled_from(["", "v_1", "v_2"]))
def test_a_row_is_answered_in_company_as_it_is_alone(
    xs: list[float], holes: tuple[set[float], ...], policy: str, failing: str
) -> None:
    one = decider(
        failing=(failing,),
        without=dict(zip(["v_1", "v_2", "v_2/baseline"], holes, strict=True)),
        out_of_contract=policy,
        default="no",
        subject="who",
    )
    together = told(ask(one, xs))
    assert list(sorted(together)) == list(range(len(xs)))
    for row, x in enumerate(xs):
        assert together[row] == told(ask(one, [x]))[0]


def test_a_shadow_leaves_rows_without_an_answer_and_says_so() -> None:
    one = decider()
    decided = ask(one, [1, 2])[0]
    said = one.shadow(decided, answerer("v_9", Says(9, without=(2,))), ids=[bytes(16), bytes(15) + b"\1"])
    assert (said.answered_by, said.fallback) == ("v_9", "v_9: no usable answer")
    assert said.outputs["value"][0] == 9.0
    assert np.isnan(float(str(said.outputs["value"][1])))


@given(ROWS, ROWS, st.floats(0.05, 0.95))
def test_a_subject_stays_in_its_arm_for_the_day(first: list[float], second: list[float], share: float) -> None:
    pointer = Pointer(
        system="s", live="v_2", previous="v_1", generation=3, rollout="r", at=0, canary="v_3", share=share, salt="r"
    )
    one = decider(pointer=pointer, subject="who")
    arms: dict[str, str] = {}
    for xs, at in ((first, DAY), (second, 2 * DAY - 1)):
        for part in ask(one, xs, at=at):
            for subject in part.record.subjects:
                assert arms.setdefault(subject, part.record.arm) == part.record.arm


def test_the_canary_gets_its_share() -> None:
    pointer = Pointer(
        system="s", live="v_2", previous="", generation=3, rollout="r", at=0, canary="v_3", share=0.2, salt="r"
    )
    xs = [float(x) for x in range(5000)]
    arms = Counter({part.record.arm: part.record.n for part in ask(decider(pointer=pointer, subject="who"), xs)})
    assert 900 < arms["canary"] < 1100
    unnamed = Counter({part.record.arm: part.record.n for part in ask(decider(pointer=pointer), xs)})
    assert 900 < unnamed["canary"] < 1100


def test_a_shadow_refers_to_what_it_shadows_and_its_failure_is_on_record() -> None:
    one = decider()
    decided = ask(one, [1, 2])[0]
    ids = [bytes(16), bytes(15) + b"\1"]
    said = one.shadow(decided, answerer("v_9", Says(9)), ids=ids)
    assert (said.arm, said.kind, said.version, said.answered_by) == ("shadow", "shadow", "v_9", "v_9")
    assert (said.refers, said.inputs, said.n, said.at) == (ids, {}, 2, decided.record.at)
    assert said.outputs["decision"] == [9.0, 9.0]
    failed = one.shadow(decided, answerer("v_9", Says(9, Unavailable("asleep"))), ids=ids)
    assert (failed.outputs, failed.fallback, failed.n) == ({}, "v_9: asleep", 2)


def test_latency_is_what_the_clock_says() -> None:
    record = ask(decider(), [1])[0].record
    assert record.latency_us == 1000


def test_arrays_become_plain_values() -> None:
    one = decider()
    batch = Batch(2, {"x": np.array([1.5, 2.5]), "who": np.array(["a", "b"], dtype=object)})
    record: Decisions = one.decide(batch, at=0, kind="batch")[0].record
    assert record.inputs == {"x": [1.5, 2.5], "who": ["a", "b"]}
    assert all(type(value) in (float, str) for column in record.inputs.values() for value in column)


HALF = Pointer(system="s", live="v_2", previous="v_1", generation=3, rollout="r", at=0, canary="v_3", share=0.5)


@pytest.mark.parametrize("seed", range(8))
def test_while_two_versions_are_timed_the_first_row_is_asked_alone(seed: int) -> None:
    """By whichever version its lot says, and every row once: only such a row's time is that of its version."""
    xs = [float(seed * 100 + x) for x in range(20)]
    alone, *others = ask(decider(pointer=HALF, timed=True, subject="who"), xs)
    together = ask(decider(pointer=HALF, subject="who"), xs)
    assert (alone.rows.tolist(), alone.about.alone, alone.about.n) == ([0], True, 1)
    assert not any(one.about.alone for one in [*others, *together])
    assert {one.about.arm for one in others} == {"live", "canary"}
    assert sorted(row for one in [alone, *others] for row in one.rows.tolist()) == list(range(20))
    arms = {row: one.about.arm for one in together for row in one.rows.tolist()}
    assert {row: one.about.arm for one in [alone, *others] for row in one.rows.tolist()} == arms


def test_one_version_alone_is_timed_now_and_then() -> None:
    timed = decider(timed=True)
    found = [ask(timed, [1, 2, 3], at=DAY + moment) for moment in range(10 * SELDOM)]
    assert sum(several[0].about.alone is True for several in found) == 10
    assert all(sum(one.about.n for one in several) == 3 for several in found)
    assert ask(timed, [1], at=DAY + 1)[0].about.alone, "who comes alone is asked alone"
    assert not ask(decider(), [1])[0].about.alone
    assert [one.about.n for one in ask(timed, [], at=DAY)] == [0]


def test_a_row_that_is_turned_away_says_nothing_of_how_long_a_version_takes() -> None:
    (turned,) = ask(decider(timed=True, out_of_contract="reject"), [-1])
    assert turned.about.answered_by == REJECTED
    assert turned.about.alone is msgspec.UNSET
