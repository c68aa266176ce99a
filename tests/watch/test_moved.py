"""What an alarm tells as long as it rings: always what is so, and since when, whichever way it turns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kring.record.alarm import Breach
from kring.record.drift import References, Stretch
from kring.record.running import Watch
from kring.watch.binning import counter_of, part_of, reference_of
from kring.watch.drift import detector_of, looked
from kring.watch.moved import MOST_STRETCHES, remembered

DAY = 86_400_000_000
YEAR = 365


def told_over(learned: np.ndarray, levels: np.ndarray, *, rows: int = 24) -> list[tuple[int, Breach]]:
    """(day, finding) of a column that lay around `learned` (days,) when it was learned and around `levels` (days,)
    later."""
    random = np.random.default_rng(5)
    before, days = random.normal(np.repeat(learned, rows), 0.5), np.repeat(np.arange(len(learned)), rows)
    reference = reference_of("heat", before, kind="number", groups=[days])
    eye = detector_of(References(inputs=(reference,)), version="v_1", family="drift", plan=Watch())
    assert eye is not None
    count, state, found = counter_of([reference]), None, []
    for day, level in enumerate(levels.tolist()):
        part = part_of("v_1", day * DAY, count({"heat": random.normal(level, 0.5, rows)}))
        look = looked(eye, state, part, end=(day + 1) * DAY)
        state = look.state
        found += [(day, breach) for breach in look.breaches]
    return found


def test_of_a_year_that_is_cold_warm_and_cold_every_look_tells_what_is_so() -> None:
    """The interval of what is told never reaches what was expected, also while an alarm fades: a bet that still wins of
    July is not told with the rows of October."""
    random = np.random.default_rng(1)
    year = -0.5 * np.cos(np.arange(YEAR) / YEAR * 2 * np.pi)
    weather = [random.normal(0, 0.3, days) for days in (YEAR, 500)]
    found = told_over(year + weather[0], np.tile(year, 2)[180 : 180 + 500] + weather[1])
    told = {breach.what.split(":")[0] for _, breach in found}
    assert told >= {"heat is higher than in training", "heat is lower than in training"}
    for day, breach in found:
        low, high = (float(part.removesuffix(" %")) for part in breach.allowed.split(" to "))
        assert breach.value is not None
        assert breach.low is not None
        assert breach.high is not None
        assert not low <= 100 * breach.value <= high, (day, breach.what)
        assert not breach.low < (low + high) / 200 < breach.high, (day, breach.what)


def test_since_when_is_known_long_after() -> None:
    """To a fifth of how long ago it was, though only 32 stretches are kept."""
    levels = np.where(np.arange(300) < 40, -1.0, np.where(np.arange(300) < 120, 0.0, 0.8))
    day, last = told_over(np.zeros(200), levels)[-1]
    assert day == 299
    assert last.what.startswith("heat is higher")
    assert abs(last.since // DAY - 120) <= (299 - 120) / 5


def stretch(start: int, rows: int) -> Stretch:
    return Stretch(start=start * DAY, cells=(rows, 1, 0), expected=(rows / 2, rows / 2, 1.0))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 50)), min_size=1, max_size=200))
def test_what_is_remembered_adds_up(windows: list[tuple[int, int]]) -> None:
    """Nothing is lost or counted twice, the first window stays the first, the newest are told apart."""
    recent: tuple[Stretch, ...] = ()
    start = 0
    for gap, rows in windows:
        start += gap
        recent = remembered((*recent, stretch(start, rows)))
    assert len(recent) == min(len(windows), MOST_STRETCHES)
    assert recent[0].start == windows[0][0] * DAY
    assert recent[-1] == stretch(start, windows[-1][1])
    assert all(before.start < after.start for before, after in pairwise(recent))
    assert sum(one.cells[0] for one in recent) == sum(rows for _, rows in windows)
    assert sum(one.cells[1] for one in recent) == len(windows)


def test_a_long_past_is_kept_as_exactly_as_it_is_long_ago() -> None:
    recent: tuple[Stretch, ...] = ()
    for day in range(1000):
        recent = remembered((*recent, stretch(day, 1)))
    for first, second in pairwise(recent):
        assert second.start - first.start <= max(DAY, (recent[-1].start - first.start) / 3)
