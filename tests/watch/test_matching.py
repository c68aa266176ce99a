"""Outcomes find their decisions by nothing but the id, whatever the order in which they come."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.ids import decision_block
from kring.record.decision import Place
from kring.watch.matching import Matcher


@st.composite
def frames(draw: st.DrawFn) -> list[tuple[Place, int, int]]:
    """Frames in the order of a log: (place, rows, window), with gaps where shadows and outcomes lie."""
    found = []
    segment, sequence, at = draw(st.integers(0, 3)), draw(st.integers(0, 5)), 1000
    for _ in range(draw(st.integers(1, 6))):
        rows = draw(st.integers(1, 8))
        found.append(
            (Place(at_ms=at, writer=0, segment=segment, sequence=sequence), rows, draw(st.integers(0, 2)) * 100)
        )
        sequence += rows + draw(st.integers(0, 4))
        at += draw(st.integers(0, 3))
        if draw(st.booleans()):
            segment, sequence = segment + 1, 0
    return found


def told(found: list[tuple[Place, int, int]]) -> tuple[Matcher, list[bytes]]:
    matcher = Matcher()
    ids = []
    for place, rows, window in found:
        matcher.decided(place, n=rows, window=window, live="v_1")
        ids += [bytes(row) for row in decision_block(place, rows)]
    return matcher, ids


def truths(matcher: Matcher) -> list[list[float]]:
    return [rows.truth.tolist() for window in (0, 100, 200) for rows in matcher.rows(window)]


@given(frames(), st.data())
def test_order_repetition_and_batches_change_nothing(found: list[tuple[Place, int, int]], data: st.DataObject) -> None:
    """The last word on each decision counts; what is known is counted once."""
    matcher, ids = told(found)
    last = {id: data.draw(st.sampled_from([0.0, 1.0])) for id in ids if data.draw(st.booleans())}
    corrected = [(id, 1 - value) for id, value in last.items() if data.draw(st.booleans())]
    first = data.draw(st.permutations(corrected))
    final = data.draw(st.permutations([*last.items(), *data.draw(st.permutations(list(last.items())))[:3]]))
    said = [*first, *final]
    counted: dict[int, int] = {}
    while said:
        size = data.draw(st.integers(1, len(said)))
        part, said = said[:size], said[size:]
        settled = matcher.settle([id for id, _ in part], np.array([value for _, value in part]))
        for window, known in settled.items():
            counted[window] = counted.get(window, 0) + known
    other, _ = told(found)
    at_once = other.settle(list(last), np.array(list(last.values())))
    np.testing.assert_equal(truths(matcher), truths(other))
    assert {window: known for window, known in counted.items() if known} == at_once
    assert sum(at_once.values()) == len(last)


@given(frames())
def test_each_truth_stands_at_its_own_row(found: list[tuple[Place, int, int]]) -> None:
    matcher = Matcher()
    held = [matcher.decided(place, n=rows, window=window, live="v_1") for place, rows, window in found]
    ids = [bytes(row) for place, rows, _ in found for row in decision_block(place, rows)]
    matcher.settle(ids, np.arange(len(ids), dtype=np.float64))
    numbered = iter(range(len(ids)))
    for waiting in held:
        assert waiting.truth.tolist() == [float(next(numbered)) for _ in range(waiting.n)]


@given(frames(), st.data())
def test_what_is_let_go_of_takes_nothing_else_with_it(found: list[tuple[Place, int, int]], data: st.DataObject) -> None:
    """Outcomes of windows that are over are passed over; those of the others find their rows as before."""
    matcher, ids = told(found)
    untouched, _ = told(found)
    before = data.draw(st.sampled_from([0, 100, 200, 300]))
    gone = matcher.forget(before)
    assert sum(rows.n for rows in gone) == sum(rows for _, rows, window in found if window < before)
    values = np.arange(len(ids), dtype=np.float64)
    settled, whole = matcher.settle(ids, values), untouched.settle(ids, values)
    assert settled == {window: known for window, known in whole.items() if window >= before}
    for window in (0, 100, 200):
        kept = [rows.truth.tolist() for rows in matcher.rows(window)]
        assert kept == ([rows.truth.tolist() for rows in untouched.rows(window)] if window >= before else [])


@given(frames())
def test_ids_of_nobody_are_passed_over(found: list[tuple[Place, int, int]]) -> None:
    matcher, _ = told(found)
    end = found[-1][0]
    strange = [
        Place(at_ms=1, writer=0, segment=end.segment, sequence=end.sequence + found[-1][1] + 3),
        Place(at_ms=1, writer=0, segment=end.segment + 7, sequence=0),
    ]
    ids = [bytes(decision_block(place, 1)[0]) for place in strange]
    assert sum(matcher.settle(ids, np.ones(2)).values()) == 0
    assert all(np.isnan(truth).all() for truth in truths(matcher))


def test_an_outcome_can_be_taken_back_and_given_again() -> None:
    place = Place(at_ms=1, writer=0, segment=0, sequence=0)
    matcher, ids = told([(place, 3, 0)])
    assert matcher.settle(ids, np.array([1.0, 0.0, np.nan])) == {0: 2}
    assert matcher.settle(ids[:1], np.array([np.nan])) == {0: -1}
    assert matcher.settle(ids[:1], np.array([0.0])) == {0: 1}
    assert matcher.settle(ids[:1], np.array([1.0])) == {0: 0}


def test_nothing_waits_and_nothing_comes() -> None:
    matcher = Matcher()
    assert matcher.settle([bytes(16)], np.ones(1)) == {}
    assert matcher.rows(0) == []
    matcher, _ = told([(Place(at_ms=1, writer=0, segment=1, sequence=4), 2, 0)])
    assert matcher.settle([], np.zeros(0)) == {}
    before = bytes(decision_block(Place(at_ms=1, writer=0, segment=0, sequence=0), 1)[0])
    assert matcher.settle([before], np.ones(1)) == {}


def test_frames_of_several_writers_keep_apart() -> None:
    places = [Place(at_ms=1, writer=writer, segment=1, sequence=4) for writer in (0, 7, 3)]
    matcher, ids = told([(place, 2, place.writer) for place in places])
    assert matcher.settle([ids[5], ids[0], ids[3]], np.array([1.0, 2.0, 3.0])) == {0: 1, 3: 1, 7: 1}
    assert [matcher.rows(writer)[0].truth.tolist() for writer in (0, 3, 7)] == [
        pytest.approx([2.0, np.nan], nan_ok=True),
        pytest.approx([np.nan, 1.0], nan_ok=True),
        pytest.approx([np.nan, 3.0], nan_ok=True),
    ]
    stranger = bytes(decision_block(Place(at_ms=1, writer=8, segment=1, sequence=4), 1)[0])
    assert matcher.settle([stranger], np.ones(1)) == {}


def test_what_became_known_later_stays_whatever_is_heard_after_it() -> None:
    place = Place(at_ms=1, writer=0, segment=0, sequence=0)
    matcher, ids = told([(place, 3, 0)])
    assert matcher.settle(ids[:2], np.array([1.0, 1.0]), at=20) == {0: 2}
    assert matcher.settle(ids, np.array([0.0, 0.0, 0.0]), at=10) == {0: 1}
    assert truths(matcher) == [[1.0, 1.0, 0.0]]
    assert matcher.settle(ids[:1], np.array([np.nan]), at=20) == {0: -1}


def test_an_outcome_counts_as_long_as_its_window_lasts() -> None:
    place = Place(at_ms=1, writer=0, segment=0, sequence=0)
    matcher = Matcher(lasts_us=50)
    matcher.decided(place, n=2, window=100, live="v_1")
    ids = [bytes(row) for row in decision_block(place, 2)]
    assert matcher.settle(ids[:1], np.ones(1), at=150) == {100: 1}
    assert matcher.settle(ids, np.zeros(2), at=151) == {100: 0}
    assert matcher.rows(100)[0].truth.tolist() == pytest.approx([1.0, np.nan], nan_ok=True)


def test_rows_lie_together_by_who_was_asked_and_who_answered() -> None:
    matcher = Matcher()
    for number, (live, by) in enumerate([("v_1", "v_1"), ("v_1", ""), ("v_1", "v_1"), ("v_2", "v_1")]):
        place = Place(at_ms=1, writer=0, segment=0, sequence=number)
        matcher.decided(place, n=1, window=0, live=live, answered_by=by)
    assert [(rows.live, rows.answered_by, rows.n) for rows in matcher.rows(0)] == [
        ("v_1", "v_1", 2),
        ("v_1", "", 1),
        ("v_2", "v_1", 1),
    ]


def test_memory_follows_from_numbers_and_not_from_frames() -> None:
    """Each frame of one row, with an outcome, in a log where something lies between any two of them."""
    frames = 4_000
    tracemalloc.start()
    matcher = Matcher()
    for number in range(frames):
        place = Place(at_ms=1, writer=0, segment=0, sequence=2 * number)
        waiting = matcher.decided(place, n=1, window=0, live="v_1")
        waiting.rows.say("v_1", waiting.start, np.array([0.5]))
    ids = [bytes(decision_block(Place(at_ms=1, writer=0, segment=0, sequence=2 * row), 1)[0]) for row in range(100)]
    matcher.settle(ids, np.ones(100))
    held = tracemalloc.get_traced_memory()[0]
    for rows in matcher.forget(1):
        rows.clear()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 100 * frames
    assert left < held / 10
