"""Rows are held until their window has matured; afterwards its counts say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.flow.watching.labelled import Labelled
from kring.flow.watching.monitors import Monitors
from kring.flow.watching.tallied import Tallied
from kring.flow.watching.watcher import Known, Watcher
from kring.metrics.ids import decision_block
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.decision import Decisions, Outcomes, Place, Value
from kring.record.drift import DriftSeen
from kring.record.running import Watch
from kring.record.scrutiny import Group
from kring.record.version import Policy
from kring.tasks.answering import TASK as ANSWERING
from kring.tasks.classification import TASK as CLASSIFICATION
from kring.tasks.multiclass import TASK as MULTICLASS
from systems import BARE

DAY = 86_400_000_000
DAYS = 12
YES_NO = Policy(output="probability", threshold=0.5, labels=("no", "yes"))
FEW, MORE = (Policy(output="probabilities", labels=tuple(labels)) for labels in ("acd", "abcd"))
TRUE = ["a", "b", "c", "d"]


def windows(task: Task = CLASSIFICATION, **policies: Policy) -> Labelled:
    made = Labelled(BARE, task)
    for version, policy in (policies or {"v_1": YES_NO}).items():
        groups = [Group(column="sex", name=name, rows=9, share=0.5, judged=True) for name in ("f", "m")]
        made.knows(version, policy, groups=groups)
    return made


def answers(version: str, outputs: Mapping[str, Sequence[Value]], *, at: int, by: str | None = None) -> Decisions:
    n = len(next(iter(outputs.values())))
    return Decisions(
        system="s",
        version=version,
        answered_by=version if by is None else by,
        arm="live",
        kind="online",
        at=at,
        n=n,
        inputs={"sex": ["f", "m", "f", "x"][:n]},
        outputs={name: [*values] for name, values in outputs.items()},
        latency_us=9,
    )


def said(*shares: float) -> dict[str, list[Value]]:
    return {"probability": [*shares]}


def place(day: int, number: int) -> Place:
    return Place(at_ms=0, writer=day, segment=0, sequence=4 * number)


def ids(day: int, number: int, n: int) -> list[bytes]:
    return [bytes(row) for row in decision_block(place(day, number), n)]


def held(made: Labelled) -> dict[int, int]:
    """Rows by day."""
    rows = {start // DAY: sum(one.n for one in made._matcher.rows(start)) for start, _, _ in made.volumes()}
    return {day: n for day, n in rows.items() if n}


def everything(made: Labelled) -> list[object]:
    span = {"start": 0, "end": DAYS * DAY}
    found: list[object] = [made.volumes()]
    for version in ("v_1", "v_2"):
        found += [made.labelled(version, **span), made.past(version, **span)]
        found += [made.foreseen(version, **span), made.grouped(version, **span)]
    pairs = [("live", "baseline"), ("baseline", "baseline"), ("frozen", "baseline"), ("v_2", "v_2/baseline")]
    return [*found, *(made.measures(*pair, **span, seed=1, draws=20) for pair in pairs)]


Frame_ = tuple[int, list[float], str, str, bool, list[bool | None], int]
SHARES = st.lists(st.sampled_from([0.1, 0.4, 0.6, 0.9]), min_size=1, max_size=4)


@st.composite
def days(draw: st.DrawFn) -> list[Frame_]:
    """(day, answers, who was asked, who answered, whether a shadow did, what turned out, after so many days)."""
    found = []
    for day in range(DAYS):
        for _ in range(draw(st.integers(0, 2)) + 1):
            shares, asked = draw(SHARES), draw(st.sampled_from(["v_1", "v_2"]))
            by = draw(st.sampled_from([asked, f"{asked}/baseline", "(default)"]))
            truth = draw(st.lists(st.sampled_from([True, False, None]), min_size=len(shares), max_size=len(shares)))
            found.append((day, shares, asked, by, draw(st.booleans()), truth, draw(st.integers(0, 2))))
    return found


def tell(made: Labelled, frames: Sequence[tuple[int, Frame_]], *, late: bool) -> None:
    """Day by day as things come, or each thing at the end of time, the last day first."""
    known: list[tuple[int, int, list[bytes], list[Value]]] = []
    for number, (day, shares, asked, by, shadowed, truth, after) in frames:
        while known and not late and min(known)[0] < day:
            first = min(known)
            known.remove(first)
            made.outcomes(first[2], first[3], at=first[0] * DAY + 1)
        waiting = made.decisions(place(day, number), answers(asked, said(*shares), at=day * DAY, by=by))
        for version in (f"{asked}/baseline", "v_1") if shadowed else ():
            if version != by:
                made.shadow(waiting, answers(version, said(*(1 - share for share in shares)), at=day * DAY))
        values: list[Value] = [None if one is None else ("no", "yes")[one] for one in truth]
        known.append((day + after, number, ids(day, number, len(shares)), values))
    for at, _, whose, values in known:
        made.outcomes(whose, values, at=at * DAY + 1)


@given(days())
@settings(max_examples=15, deadline=None)
def test_what_has_matured_says_what_its_rows_said(found: list[Frame_]) -> None:
    numbered = [*enumerate(found)]
    passing = windows(v_1=YES_NO, v_2=YES_NO)
    whole = windows(v_1=YES_NO, v_2=YES_NO)
    tell(passing, numbered, late=False)
    tell(whole, sorted(numbered, key=lambda one: (-one[1][0], one[0])), late=True)
    assert set(held(passing)) <= {DAYS - 4, DAYS - 3, DAYS - 2, DAYS - 1}
    assert set(held(whole)) == set(range(DAYS))
    assert everything(passing) == everything(whole)
    whole.forget(DAYS * DAY)
    assert not held(whole)
    assert everything(passing) == everything(whole)


def test_an_outcome_that_comes_too_late_is_passed_over() -> None:
    made = windows()
    made.decisions(place(0, 0), answers("v_1", said(0.9, 0.1), at=0))
    made.outcomes(ids(0, 0, 1), ["yes"], at=3 * DAY)
    made.outcomes(ids(0, 0, 2), ["no", "no"], at=3 * DAY + 1)
    assert made.volumes() == [(0, 2, 1)]


def test_who_begins_again_holds_no_more_than_who_went_on() -> None:
    """Whoever watched before has closed the windows up to the last day."""
    monitors = Monitors(BARE, CLASSIFICATION)
    watcher = Watcher(
        monitors, known_of=lambda _: Known(YES_NO, None, None), window_us=DAY, seen=DriftSeen(until=DAYS * DAY)
    )
    for day in range(DAYS):
        record = answers("v_" + "0" * 26, said(0.9, 0.1), at=day * DAY)
        watcher.hear(Logged(place=place(day, 0), record=record, cursor=(0, 0)))
        told = Outcomes(system="s", at=day * DAY + 5, ids=ids(day, 0, 2), values=["yes", "no"])
        watcher.hear(Logged(place=place(day, 1), record=told, cursor=(0, 0)))
    assert set(held(monitors.windows)) == {DAYS - 4, DAYS - 3, DAYS - 2, DAYS - 1}
    assert len(monitors.windows.labelled("v_" + "0" * 26, start=0, end=DAYS * DAY)) == DAYS


def test_counts_that_nothing_judges_any_more_go_too() -> None:
    made = windows()
    for day in range(DAYS):
        made.decisions(place(day, 0), answers("v_1", said(0.9), at=day * DAY))
        made.outcomes(ids(day, 0, 1), ["yes"], at=day * DAY)
    made.drop(5 * DAY)
    assert [start // DAY for start, _, _ in made.volumes()] == [*range(5, DAYS)]
    assert [*made.labelled("v_1", start=0, end=DAYS * DAY)] == [day * DAY for day in range(5, DAYS)]


def sure(labels: Sequence[str], wanted: Sequence[str]) -> dict[str, list[Value]]:
    """The most likely label is the wanted one, or the first where that is not known."""
    best = [each if each in labels else labels[0] for each in wanted]
    rest = 0.1 / (len(labels) - 1)
    return {f"probability.{label}": [0.9 if label == one else rest for one in best] for label in labels}


@pytest.mark.parametrize("let_go", [False, True])
def test_versions_with_other_labels_are_counted_by_their_own(let_go: bool) -> None:
    """(a, c, d) for six days, then (a, b, c, d), which is always right; both of them on the sixth day."""
    made = windows(MULTICLASS, v_1=FEW, v_2=MORE)
    for day in range(DAYS):
        for number, (version, policy) in enumerate([("v_1", FEW), ("v_2", MORE)]):
            if (day <= 5, day >= 5)[number]:
                made.decisions(place(day, number), answers(version, sure(policy.labels, TRUE), at=day * DAY))
                made.outcomes(ids(day, number, 4), [*TRUE], at=day * DAY)
    if let_go:
        made.forget(DAYS * DAY)
    assert sum(outcomes for _, _, outcomes in made.volumes()) == 4 * (DAYS + 1)

    def measured(version: str, start: int, end: int) -> dict[str, tuple[float, int]]:
        found = made.measures(version, version, start=start * DAY, end=end * DAY, seed=1, draws=50)
        return {one.name: (one.value, one.rows) for one in found}

    assert measured("v_2", 0, DAYS)["accuracy"] == (1.0, 4 * (DAYS - 5))
    assert measured("v_2", 0, DAYS)["recall.b"] == (1.0, 4 * (DAYS - 5))
    assert measured("v_1", 0, DAYS)["accuracy"] == (1.0, 3 * 6), "b is nothing that it could have said"
    assert measured("live", 0, 5) == measured("v_1", 0, 5)
    assert measured("live", 6, DAYS) == measured("v_2", 6, DAYS)
    whole = measured("live", 0, DAYS)
    assert whole == {"mistakes": (pytest.approx(6 / (4 * (DAYS + 1))), 4 * (DAYS + 1))}
    sixth = made.labelled("v_1", start=5 * DAY, end=6 * DAY), made.labelled("v_2", start=5 * DAY, end=6 * DAY)
    assert [len(each[5 * DAY]["table"]) for each in sixth] == [9, 16]


def test_a_label_that_comes_up_later_does_not_move_the_others() -> None:
    made = windows(MULTICLASS, v_1=FEW)
    waiting = made.decisions(place(0, 0), answers("v_1", sure(FEW.labels, TRUE), at=0))
    made.outcomes(ids(0, 0, 4), ["d", "b", "c", "d"], at=0)
    before = made.labelled("v_1", start=0, end=DAY)
    made.knows("v_2", MORE)
    made.outcomes(ids(0, 0, 2), ["a", "b"], at=1)
    made.shadow(waiting, answers("v_2", sure(MORE.labels, TRUE), at=0))
    made.outcomes(ids(0, 0, 1), ["d"], at=2)
    assert made.labelled("v_1", start=0, end=DAY) == before
    assert made.labelled("v_2", start=0, end=DAY)[0]["n"] == (4,)


def test_a_shadow_with_more_labels_agrees_where_it_decides_alike() -> None:
    made = windows(MULTICLASS, v_1=FEW, v_2=MORE)
    for number in range(3):
        waiting = made.decisions(place(0, number), answers("v_1", sure(FEW.labels, TRUE), at=number))
        made.shadow(waiting, answers("v_2", sure(MORE.labels, TRUE), at=number))
    found = made.compared("v_2", since=1)
    assert (found.rows, found.failures, found.agreement) == (8, 0, 0.75)
    assert found.mean_difference == pytest.approx((3 * 0.1 / 3 + 0.9) / 4)


def test_a_shadow_is_compared_in_numbers_that_do_not_grow() -> None:
    """More rows than are held one by one, of which one in four was left without an answer."""
    made, n = windows(v_1=YES_NO, v_2=YES_NO), 40_000
    shares = np.linspace(0, 1, n).round(3)
    for number in range(6):
        first = Place(at_ms=0, writer=0, segment=0, sequence=n * number)
        waiting = made.decisions(first, answers("v_1", {"probability": shares.tolist()}, at=number))
        other = [None if row % 4 == 0 else share for row, share in enumerate(shares.tolist())]
        made.shadow(waiting, answers("v_2", {"probability": other}, at=number))
        found = made.compared("v_2", since=1)
        assert (found.rows, found.failures) == (n * number, n * number // 4)
        assert found.agreement == (1.0 if number else 0.0)
    assert made.compared("v_2", since=5).rows == n
    assert len(made._shadows["v_2"]._pairs["no", "yes"]._at) <= 1 << 17


def test_what_a_shadow_says_of_rows_that_are_gone_is_passed_over() -> None:
    made = windows(v_1=YES_NO, v_2=YES_NO)
    waiting = made.decisions(place(0, 0), answers("v_1", said(0.9), at=0))
    made.forget(DAY)
    made.shadow(waiting, answers("v_2", said(0.9), at=0))
    assert made.compared("v_2").rows == 0


def test_answers_in_words_find_their_outcomes() -> None:
    """Truth of several numbers a row."""
    policy = Policy(output="answer", threshold=0.5)
    made = windows(ANSWERING, v_1=policy)
    cited: dict[str, list[Value]] = {"answer": ["x", "y"], "support": [0.9, 0.9], "citations": ["a.md#b", "c.md"]}
    for day in range(DAYS):
        made.decisions(place(day, 0), answers("v_1", cited, at=day * DAY))
        assert made.labelled("v_1", start=day * DAY, end=(day + 1) * DAY) == {}
        made.outcomes(ids(day, 0, 2), ["a.md", "d.md"], at=day * DAY)
    found = made.measures("v_1", "v_1", start=0, end=DAYS * DAY, seed=1, draws=20)
    assert {one.name: one.value for one in found}["answer_accuracy"] == 0.5


def test_what_was_asked_is_judged_once_and_let_go() -> None:
    """Windows that whoever watched before has judged are not counted again."""
    asking = msgspec.structs.replace(BARE, watch=Watch(queries=True))
    tallied = Tallied(asking, CLASSIFICATION, windows(), seen=DriftSeen(until=2 * DAY))
    for day in range(DAYS):
        for _ in range(60):
            tallied.hold(answers("v_1", said(0.9, 0.1, 0.5, 0.2), at=day * DAY))
    tallied.count()
    assert [*tallied._queries] == [day * DAY for day in range(2, DAYS)]
    looked = [tallied.queries(day * DAY)[1] for day in range(DAYS)]
    assert [bool(keys) for keys in looked] == [day >= 2 for day in range(DAYS)]
    assert not tallied._queries
    tallied.hold(answers("v_1", said(0.9), at=DAY))
    assert tallied.queries(DAY) == ([], [])
    assert not tallied._queries
