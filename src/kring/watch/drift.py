"""Drift: whether windows still look like the reference of their version, and what moved.

One e-detector for each version's inputs and one for its outputs. A window is looked at once, when it is closed; rows
that come later are counted in the next one. Without a reference, or without rows, nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.errors import IntegrityError
from kring.metrics.drift import (
    BETS,
    ERRORS,
    Bets,
    Floats,
    advanced,
    bets_of,
    carried,
    errors_of,
    log_mean,
    shares,
)
from kring.metrics.e_bh import rejected
from kring.record.alarm import Breach, Effect
from kring.record.drift import OFF, Cells, DriftState, FeatureCounts, FeatureState, Reference, References, Stretch
from kring.record.running import Season, Watch
from kring.watch.binning import Share, shares_of
from kring.watch.moved import Moved, moved_of, percent, remembered, told
from kring.watch.windows import window_start

Family = Literal["drift", "prediction_drift"]
FILE: Final = "drift.json"
METRIC: Final = "distribution"

EffectOf = Callable[[str], Effect | None]
"""What the drift of a feature is estimated to do to quality and money."""

HOUR_US: Final = 3_600_000_000
WEEK_HOURS: Final = 168
THURSDAY_HOURS: Final = 72
"""1970 began on a Thursday; weeks begin on Monday."""


class Look(NamedTuple):
    """The state after a window, what lies beyond its tolerance, the keys of all alarms that were judged, and by
    feature why nothing could be said of it."""

    state: DriftState
    breaches: tuple[Breach, ...] = ()
    looked: tuple[str, ...] = ()
    unseen: Mapping[str, str] = {}


class Expected(NamedTuple):
    """Of one class of windows: the share of each cell (cells,), the share and tolerance of each test (tests,), its
    bets, and which features have any, (features,)."""

    cells: Floats
    share: Floats
    tolerance: Floats
    bets: Bets
    features: NDArray[np.bool_]


class Detector:
    """The tests of all columns of one family of a version, and by class of windows their bets."""

    def __init__(self, references: Sequence[Reference], *, version: str, family: Family, season: Season, plan: Watch):
        self.references = {one.feature: one for one in references}
        self.version, self.family, self.season = version, family, season
        self.alpha, self.horizon, self.least = plan.alpha, plan.horizon, plan.drift
        self.tests: list[list[Share]] = [shares_of(one) for one in self.references.values()]
        self._expected: dict[str, Expected] = {}

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """Which feature each test belongs to, (tests,)."""
        return np.repeat(np.arange(len(self.tests)), [len(tests) for tests in self.tests])

    @cached_property
    def effects(self) -> Floats:
        """The design effect of each test, (tests,)."""
        found: list[float] = []
        for one, tests in zip(self.references.values(), self.tests, strict=True):
            found += one.effects if len(one.effects) == len(tests) else [1.0] * len(tests)
        return np.array(found)

    @cached_property
    def open(self) -> NDArray[np.bool_]:
        """On which sides of each test a bet can be placed in any class of windows, (tests, 2). The mean is over these
        bets, always the same: in a class that has no room for one, it neither wins nor loses."""
        classes = sorted({name for one in self.references.values() for name in one.cells})
        sides = np.zeros((len(self.owner), 2), dtype=np.bool_)
        for name in classes:
            sides |= self.expected(name).bets.open
        return sides

    def counted(self, cells: Mapping[str, Cells]) -> tuple[Floats, Floats]:
        """Hits and rows of each test, (tests,); both 0 where a feature was not counted."""
        pairs = []
        for name, tests in zip(self.references, self.tests, strict=True):
            here = np.array(cells[name], dtype=np.float64) if name in cells else np.zeros(len(tests[0].hits))
            pairs += [(one.hits @ here, one.over @ here) for one in tests]
        found = np.array(pairs).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def expected(self, of: str) -> Expected:
        """What windows of the class `of` are expected to hold; of a column without classes, what all are."""
        if of not in self._expected:
            self._expected[of] = self._expect(of)
        return self._expected[of]

    def _expect(self, of: str) -> Expected:
        known = {name: one.cells.get(of) or one.cells.get("") for name, one in self.references.items()}
        cells = {name: each for name, each in known.items() if each}
        hits, rows = self.counted(cells)
        share = shares(hits, rows)
        tolerance = np.maximum(self.least, ERRORS * errors_of(hits, rows, self.effects))
        bets = bets_of(share, tolerance, self.effects)
        features = np.bincount(self.owner, weights=bets.open.any(axis=1), minlength=len(self.tests)) > 0
        by_cell = [np.array(cells.get(name, (0,) * len(tests[0].hits))) for name, tests in self._named()]
        each = np.concatenate([one / max(one.sum(), 1) for one in by_cell]) if by_cell else np.zeros(0)
        return Expected(each, share, tolerance, bets, features)

    def _named(self) -> list[tuple[str, list[Share]]]:
        return list(zip(self.references, self.tests, strict=True))


def references_in(files: Mapping[str, bytes]) -> References | None:
    """The references among the verified files of a version; None of a version that was made without them.
    `IntegrityError` for a file that holds something else."""
    if FILE not in files:
        return None
    try:
        return msgspec.json.decode(files[FILE], type=References)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"{FILE} of the version holds no references",
            got=str(error),
            next="roll back, or make the version again: kring go",
        ) from error


def detector_of(references: References | None, *, version: str, family: Family, plan: Watch) -> Detector | None:
    """The detector of a version's inputs or outputs; None where drift is not watched, or the version has no
    reference: then nothing is judged, and nothing is said to be well."""
    if references is None or not plan.drift:
        return None
    columns = references.inputs if family == "drift" else references.outputs
    return Detector(columns, version=version, family=family, season=references.season, plan=plan) if columns else None


def looked(
    detector: Detector, state: DriftState | None, counts: FeatureCounts, *, end: int, effect: EffectOf | None = None
) -> Look:
    """Look at one closed window, which ended at `end` (microseconds UTC). One that was looked at before, or holds no
    rows, changes nothing."""
    state = state or DriftState(version=detector.version)
    hits, rows = detector.counted(counts.features)
    if end <= state.until or not rows.any():
        return Look(state, unseen=dict.fromkeys(detector.references, "no rows"))
    expected = detector.expected(class_of(counts.start, detector.season))
    now = advanced(_won(detector, state), hits, rows, expected.bets)
    seen = np.bincount(detector.owner, weights=rows, minlength=len(detector.tests)) > 0
    able = seen & expected.features
    won = [_log_m(now[mine], detector.open[mine]) for mine in (detector.owner == number for number in range(len(able)))]
    log_e = [each - math.log(detector.horizon) if fine else -math.inf for each, fine in zip(won, able, strict=True)]
    state = _carried(detector, state, counts, now=now, expected=expected, able=able, end=end)
    keys = [_key(detector, name) for name, fine in zip(detector.references, able, strict=True) if fine]
    unseen = {
        name: OFF if seen[number] else "no rows" for number, name in enumerate(detector.references) if not able[number]
    }
    breaches = _breaches(detector, state, log_e, now=now, expected=expected, effect=effect)
    return Look(state, breaches, (*keys, _key(detector, "")) if keys else (), unseen)


def class_of(start: int, season: Season) -> str:
    """The class of the window that begins at `start` (microseconds UTC): the hour of its week from Monday on, 0 to 167,
    the month, 1 to 12, or the one class of all windows."""
    if season == "hour_of_week":
        return str((start // HOUR_US + THURSDAY_HOURS) % WEEK_HOURS)
    return str(datetime.fromtimestamp(start / 1e6, tz=UTC).month) if season == "month" else ""


def classes_of(times: NDArray[np.int64], *, season: Season, width: int) -> NDArray[np.str_] | None:
    """The class of the window, `width` microseconds wide, in which each of `times` (n,) lies; None where all windows
    are compared."""
    if not season:
        return None
    starts, places = np.unique(times - times % width, return_inverse=True)
    return np.array([class_of(start, season) for start in starts.tolist()], dtype=np.str_)[places]


def counting_window(at: int, *, width: int, closed: int) -> int:
    """The start of the window that counts a row of the moment `at`: its own, or the first after `closed` (all in
    microseconds UTC), up to which windows were looked at."""
    return window_start(max(at, closed), width=width)


def _won(detector: Detector, state: DriftState) -> Floats:
    """log(1 + M) of all bets, (tests, 2, bets)."""
    shape = (len(detector.owner), 2, len(BETS))
    parts = []
    for name, tests in zip(detector.references, detector.tests, strict=True):
        known = state.features.get(name)
        size = len(tests) * 2 * len(BETS)
        parts.append(np.array(known.won) if known and len(known.won) == size else np.zeros(size))
    return np.concatenate(parts).reshape(shape) if parts else np.zeros(shape)


def _log_m(now: Floats, room: NDArray[np.bool_]) -> float:
    """The log of the mean of all bets of one feature that can be placed."""
    return log_mean(now, np.broadcast_to(room[..., None], now.shape).astype(np.float64))


def _carried(
    detector: Detector,
    state: DriftState,
    counts: FeatureCounts,
    *,
    now: Floats,
    expected: Expected,
    able: NDArray[np.bool_],
    end: int,
) -> DriftState:
    """What is kept of this window for the next one; of a feature that could not be judged, what was known before."""
    most = math.log(max(now.size, 1) * detector.horizon / detector.alpha)
    won = carried(now, most=most)
    features = dict(state.features)
    first = 0
    for number, (name, tests) in enumerate(zip(detector.references, detector.tests, strict=True)):
        wide = len(tests[0].hits)
        share = expected.cells[first : first + wide]
        first += wide
        if not able[number]:
            continue
        mine = detector.owner == number
        best = float(np.max(now[mine], initial=-np.inf, where=detector.open[mine][..., None]))
        cells = counts.features[name]
        here = Stretch(start=counts.start, cells=cells, expected=tuple((share * sum(cells)).tolist()))
        known = features[name].recent if name in features else ()
        recent = remembered((*known, here)) if best > 0 else ()
        features[name] = FeatureState(won=tuple(won[mine].ravel().tolist()), recent=recent)
    return DriftState(version=state.version, windows=state.windows + 1, until=end, features=features)


def _key(detector: Detector, feature: str) -> str:
    return "/".join((detector.family, METRIC, feature, ""))


def _breaches(
    detector: Detector,
    state: DriftState,
    log_e: Sequence[float],
    *,
    now: Floats,
    expected: Expected,
    effect: EffectOf | None,
) -> tuple[Breach, ...]:
    """Nothing while the mean over all features is below its line; else the features that e-BH names, or, where it
    names none, one finding about all of them."""
    mean = log_mean(np.array(log_e), np.ones(len(log_e)))
    if mean < -math.log(detector.alpha):
        return ()
    names = list(detector.references)
    guilty = np.flatnonzero(rejected(log_e, alpha=detector.alpha)).tolist()
    named = sorted(guilty, key=lambda number: -log_e[number])
    found = []
    for number in named or [int(np.argmax(log_e))]:
        feature = state.features[names[number]]
        mine = detector.owner == number
        won = np.where(detector.open[mine][..., None], now[mine], -np.inf)
        test, side, bet = (int(place) for place in np.unravel_index(np.argmax(won), won.shape))
        moved = moved_of(
            detector.references[names[number]],
            detector.tests[number],
            feature.recent,
            test=test,
            side=side,
            bet=bet,
            tolerance=float(expected.tolerance[mine][test]),
            effect=float(detector.effects[mine][test]),
        )
        log_mine = log_e[number] if named else mean
        found.append(_breach(detector, moved, names[number] if named else "", log_e=log_mine, effect=effect))
    return tuple(found)


def _breach(detector: Detector, moved: Moved, name: str, *, log_e: float, effect: EffectOf | None) -> Breach:
    what = told(moved) if name else f"some columns, none of which can be named; perhaps {told(moved)}"
    return Breach(
        kind=detector.family,
        metric=METRIC,
        feature=name,
        version=detector.version,
        value=moved.now,
        low=moved.low,
        high=moved.high,
        allowed=f"{percent(max(moved.was - moved.tolerance, 0))} to {percent(min(moved.was + moved.tolerance, 1))}",
        rows=moved.rows,
        since=moved.since,
        what=what,
        sure=sure_of(log_e, alpha=detector.alpha, horizon=detector.horizon),
        effect=effect(name) if effect and name else None,
    )


def sure_of(log_e: float, *, alpha: float, horizon: int) -> str:
    """How sure an alarm is, in words with its e-value."""
    value = f"{math.exp(log_e):,.0f}" if log_e < math.log(1e6) else f"10^{log_e / math.log(10):.0f}"
    return (
        f"if nothing had moved, at most {100 * alpha:g} of 100 systems would have a false alarm in {horizon:,} "
        f"windows; the evidence (e-value) is {value}, and {1 / alpha:,.0f} raises an alarm"
    )
