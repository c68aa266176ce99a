"""Drift: found when it is there, silent when it is not; whatever the order in which counts come."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import IntegrityError
from kring.record.alarm import Breach, Effect
from kring.record.batch import Column
from kring.record.drift import DriftState, FeatureCounts, Reference, References
from kring.record.running import Season, Watch
from kring.watch.binning import counter_of, merge, part_of, reference_of
from kring.watch.drift import (
    Detector,
    Look,
    class_of,
    classes_of,
    counting_window,
    detector_of,
    looked,
    references_in,
)

DAY = 86_400_000_000
HOUR = 3_600_000_000
WORDS = np.array(["road", "rail", "sea"])
ROWS = 20_000


def columns(rows: int, *, seed: int, shift: float = 0.0, missing: float = 0.0) -> dict[str, Column]:
    """A number, a category and a share of missing values."""
    random = np.random.default_rng(seed)
    heat = random.normal(shift, 1.0, rows)
    heat[random.random(rows) < missing] = np.nan
    return {"heat": heat, "way": WORDS[random.choice(3, rows, p=[0.5, 0.3, 0.2])].tolist()}


def made(**more: object) -> References:
    learned = columns(ROWS, seed=0)
    return References(
        inputs=(
            reference_of("heat", learned["heat"], kind="number"),
            reference_of("way", learned["way"], kind="category"),
        ),
        **more,  # type: ignore[arg-type]  # the fields of References
    )


def detector(references: References | None = None, plan: Watch | None = None) -> Detector:
    found = detector_of(references or made(), version="v_1", family="drift", plan=plan or Watch())
    assert found is not None
    return found


def watched(
    eye: Detector, windows: Sequence[Mapping[str, Column]], *, state: DriftState | None = None, first: int = 0
) -> list[Look]:
    """One look for each window of a day."""
    count, found = counter_of(eye.references.values()), []
    for number, window in enumerate(windows, start=first):
        counts = part_of("v_1", number * DAY, count(window))
        found.append(looked(eye, state, counts, end=(number + 1) * DAY))
        state = found[-1].state
    return found


def breaches(looks: Sequence[Look]) -> list[tuple[Breach, ...]]:
    return [look.breaches for look in looks]


def test_what_stays_as_it_was_raises_nothing() -> None:
    looks = watched(detector(), [columns(400, seed=seed) for seed in range(1, 200)])
    assert not any(breaches(looks))
    assert looks[-1].looked == ("drift/distribution/heat/", "drift/distribution/way/", "drift/distribution//")
    assert looks[-1].state.windows == 199


def test_a_shift_is_found_named_and_told() -> None:
    quiet = [columns(500, seed=seed) for seed in range(1, 6)]
    moved = [columns(500, seed=seed, shift=0.6) for seed in range(6, 10)]
    looks = watched(detector(), quiet + moved)
    assert not any(breaches(looks[:5]))
    (breach,) = looks[6].breaches
    assert (breach.kind, breach.feature, breach.version) == ("drift", "heat", "v_1")
    assert breach.since == 5 * DAY
    assert breach.rows == 1000
    assert breach.what.startswith("heat is higher than in training: ")
    assert 0 < (breach.low or 0) < (breach.value or 0) < (breach.high or 0) < 0.5
    assert "20 raises an alarm" in breach.sure


def test_an_alarm_ends_when_the_drift_does() -> None:
    moved = [columns(500, seed=seed, shift=1.0) for seed in range(1, 40)]
    quiet = [columns(500, seed=seed) for seed in range(40, 60)]
    looks = watched(detector(), moved + quiet)
    assert all(breaches(looks[1:39]))
    assert not any(breaches(looks[50:]))
    assert "drift/distribution/heat/" in looks[-1].looked


def test_missing_values_and_a_category_are_found() -> None:
    eye = detector()
    (found,) = watched(eye, [columns(2000, seed=3, missing=0.2)])[0].breaches
    assert found.feature == "heat"
    assert found.what.endswith(" % of rows have no value, 0.0 % were expected")
    window = dict(columns(2000, seed=4), way=["rail"] * 1000 + ["road"] * 1000)
    (found,) = watched(eye, [window])[0].breaches
    assert found.feature == "way"
    assert "'rail'" in found.what


def test_a_million_new_categories_are_one_cell_and_an_alarm() -> None:
    eye = detector()
    window = dict(columns(1_000_000, seed=5), way=[f"way {number}" for number in range(1_000_000)])
    (look,) = watched(eye, [window])
    (found,) = look.breaches
    assert found.what.startswith("way: 100.0 % of values are none of the 3 known ones, 0.0 % were expected")
    assert len(msgspec.json.encode(look.state)) < 10_000


def test_a_window_without_rows_says_nothing() -> None:
    eye = detector()
    first = watched(eye, [columns(500, seed=1, shift=1.0)])[-1]
    empty = looked(eye, first.state, part_of("v_1", DAY, {}), end=2 * DAY)
    assert empty == Look(first.state, unseen={"heat": "no rows", "way": "no rows"})
    zero = looked(
        eye, first.state, part_of("v_1", DAY, counter_of(eye.references.values())({"heat": [], "way": []})), end=2 * DAY
    )
    assert zero == empty


@pytest.mark.parametrize(
    ("learned", "now", "told"),
    [
        (
            [0] * 700 + [1] * 300,
            [1] * 900,
            "x is higher than in training: 0.0 % of values are at most 0, 70.0 % were expected",
        ),
        (
            [0.0] * 900 + list(range(1, 101)),
            [5.5] * 900,
            "x is higher than in training: 0.0 % of values are at most 0, 90.0 %",
        ),
        (list(range(1000)), [2000] * 900, "x is higher than in training: "),
        ([3.0] * 900, [4.0] * 900, "x: 100.0 % of values are not 3, 0.0 % were expected"),
        ([True] * 900, [False] * 900, "x: 100.0 % of values are not 'true', 0.0 % were expected"),
        (
            [f"{n:04}" for n in range(900)],
            [f"{n:07}" for n in range(900)],
            "x: 100.0 % of texts are shorter than 4 or longer than 4 ",
        ),
    ],
)
def test_what_moved_is_told_in_words(learned: list[object], now: list[object], told: str) -> None:
    kind = "category" if isinstance(learned[0], (bool, str)) else "number"
    eye = detector(References(inputs=(reference_of("x", learned, kind=kind),)))
    (breach,) = watched(eye, [{"x": now}] * 3)[-1].breaches
    assert breach.what.startswith(told), breach.what
    assert "e-3" not in breach.what


def test_a_column_that_does_not_come_is_not_said_to_be_well() -> None:
    eye = detector()
    (look,) = watched(eye, [{"heat": columns(500, seed=1)["heat"]}])
    assert look.looked == ("drift/distribution/heat/", "drift/distribution//")
    assert look.unseen == {"way": "no rows"}


def test_without_a_reference_nothing_is_watched() -> None:
    assert detector_of(None, version="v_1", family="drift", plan=Watch()) is None
    assert detector_of(made(), version="v_1", family="prediction_drift", plan=Watch()) is None
    assert detector_of(made(), version="v_1", family="drift", plan=Watch(drift=0.0)) is None


def test_a_reference_of_few_rows_widens_the_tolerance() -> None:
    learned = columns(50, seed=0)["heat"]
    few = References(inputs=(reference_of("heat", learned, kind="number"),))
    eye = detector(few)
    assert not any(
        breaches(watched(eye, [{"heat": columns(500, seed=seed, shift=0.3)["heat"]} for seed in range(1, 30)]))
    )
    nothing = References(inputs=(reference_of("heat", [None, None], kind="number"),))
    (look,) = watched(detector(nothing), [columns(500, seed=1)])
    assert look.breaches == ()


def test_rows_that_belong_together_raise_no_alarm_alone() -> None:
    """Days differ from each other; a tenth as many independent rows would say the same."""
    random = np.random.default_rng(8)
    days = 200

    def some(count: int) -> np.ndarray:
        return (random.normal(0, 0.5, count)[:, None] + random.normal(0, 1, (count, 100))).ravel()

    learned, group = some(days), np.repeat(np.arange(days), 100)
    windows = [{"heat": some(1)} for _ in range(200)]
    careful = References(inputs=(reference_of("heat", learned, kind="number", groups=[group]),))
    careless = References(inputs=(reference_of("heat", learned, kind="number"),))
    assert not any(breaches(watched(detector(careful), windows)))
    assert any(breaches(watched(detector(careless), windows)))


@pytest.mark.parametrize(("season", "width", "span"), [("hour_of_week", HOUR, 4 * 168), ("month", DAY, 2 * 365)])
def test_what_comes_back_every_season_is_no_drift(season: Season, width: int, span: int) -> None:
    def level(start: int) -> float:
        return float(class_of(start, season)) % 24 if season == "hour_of_week" else float(class_of(start, season))

    starts = np.arange(span) * width
    times = np.repeat(starts, 50)
    learned = np.repeat([level(one) for one in starts.tolist()], 50) + np.random.default_rng(2).normal(size=len(times))
    classes = classes_of(times, season=season, width=width)
    kept = References(inputs=(reference_of("heat", learned, kind="number", classes=classes),), season=season)
    plain = References(inputs=(reference_of("heat", learned, kind="number"),))
    count = counter_of(kept.inputs)

    def found(references: References, extra: float) -> bool:
        eye, state, seen = detector(references), None, 0
        for start in (starts[:100] + span * width).tolist():
            values = level(start) + extra + np.random.default_rng(start // width).normal(size=50)
            look = looked(eye, state, part_of("v_1", start, count({"heat": values})), end=start + width)
            state, seen = look.state, seen + len(look.breaches)
        return seen > 0

    assert not found(kept, 0.0)
    assert found(kept, 1.5)
    assert found(plain, 0.0)


def test_a_class_of_windows_without_a_reference_says_so() -> None:
    references = References(
        inputs=(reference_of("heat", columns(500, seed=0)["heat"], kind="number", classes=np.array(["1"] * 500)),),
        season="month",
    )
    eye = detector(references)
    count = counter_of(references.inputs)
    look = looked(eye, None, part_of("v_1", 40 * DAY, count({"heat": [9.0] * 900})), end=41 * DAY)
    assert (look.breaches, look.looked, look.unseen) == ((), (), {"heat": "no reference"})


def test_a_column_without_classes_is_compared_in_every_season() -> None:
    plain = made()
    seasonal = msgspec.structs.replace(plain, season="month")
    windows = [columns(500, seed=seed, shift=0.3) for seed in range(1, 8)]
    assert breaches(watched(detector(seasonal), windows)) == breaches(watched(detector(plain), windows))


def test_classes_are_hours_of_the_week_from_monday_on_and_months() -> None:
    monday = 4 * DAY
    assert [class_of(monday + hour * HOUR, "hour_of_week") for hour in (0, 1, 167, 168)] == ["0", "1", "167", "0"]
    assert class_of(31 * DAY, "month") == "2"
    assert class_of(31 * DAY, "") == ""
    assert classes_of(np.array([0, 30 * DAY, 31 * DAY + 5]), season="month", width=DAY).tolist() == ["1", "1", "2"]  # type: ignore[union-attr]  # a season is given
    assert classes_of(np.array([0]), season="", width=DAY) is None


def test_late_rows_count_in_the_next_window() -> None:
    assert counting_window(5 * DAY + 7, width=DAY, closed=3 * DAY) == 5 * DAY
    assert counting_window(2 * DAY + 7, width=DAY, closed=3 * DAY) == 3 * DAY


def test_the_same_window_is_looked_at_once() -> None:
    eye = detector()
    count = counter_of(eye.references.values())
    counts = part_of("v_1", 0, count(columns(500, seed=1, shift=0.2)))
    once = looked(eye, None, counts, end=DAY)
    assert looked(eye, once.state, counts, end=DAY).state == once.state


def test_a_state_goes_through_json_and_goes_on() -> None:
    eye = detector()
    windows = [columns(300, seed=seed, shift=0.25) for seed in range(1, 50)]
    straight = watched(eye, windows)
    half = watched(eye, windows[:20])[-1].state
    again = msgspec.json.decode(msgspec.json.encode(half), type=DriftState)
    assert again == half
    assert breaches(watched(detector(), windows[20:], state=again, first=20)) == breaches(straight[20:])


def test_what_it_does_to_quality_is_asked_for_named_features_only() -> None:
    eye = detector()
    counts = part_of("v_1", 0, counter_of(eye.references.values())(columns(2000, seed=1, shift=1.0)))
    effect = Effect(metric="roc_auc", value=-0.02)
    (breach,) = looked(eye, None, counts, end=DAY, effect={"heat": effect}.get).breaches
    assert breach.effect == effect


def test_many_features_that_moved_a_little_are_told_as_one() -> None:
    """Where the mean reaches its line and no single one is sure enough, nobody is accused."""
    random = np.random.default_rng(4)
    names = [f"x{number}" for number in range(12)]
    references = tuple(reference_of(name, random.normal(size=ROWS), kind="number") for name in names)
    eye = detector(References(inputs=references))
    count, state, seen = counter_of(references), None, []
    for window in range(40):
        drawn = {name: random.normal(0.11, 1.0, 300) for name in names}
        look = looked(eye, state, part_of("v_1", window * DAY, count(drawn)), end=(window + 1) * DAY)
        state = look.state
        seen += look.breaches
    assert seen
    assert all(one.feature or one.what.startswith("some columns, none of which can be named") for one in seen)


def test_references_are_read_from_the_files_of_a_version() -> None:
    references = made(withheld=("income",))
    assert references_in({"drift.json": msgspec.json.encode(references)}) == references
    assert references_in({"background.json": b"{}"}) is None


@pytest.mark.parametrize(
    "reference",
    [
        "3",
        '{"feature": "x", "kind": "colour"}',
        '{"feature": "x", "kind": "number", "cuts": [1, 1]}',
        '{"feature": "x", "kind": "number", "cuts": [2, null]}',
        '{"feature": "x", "kind": "category", "words": ["a", "a"]}',
        '{"feature": "x", "kind": "category", "words": ["a"], "cuts": [1]}',
        '{"feature": "x", "kind": "number", "cuts": [1], "cells": {"": [1, 2]}}',
        '{"feature": "x", "kind": "number", "cuts": [1], "cells": {"": [1, 2, -3]}}',
        '{"feature": "x", "kind": "number", "cuts": [1], "effects": [0.5]}',
    ],
)
def test_what_is_no_reference_is_not_read(reference: str) -> None:
    with pytest.raises(IntegrityError, match="holds no references"):
        references_in({"drift.json": f'{{"inputs": [{reference}]}}'.encode()})


PARTS = st.lists(
    st.builds(
        FeatureCounts,
        version=st.sampled_from(["v_1", "v_2"]),
        start=st.sampled_from([0, DAY]),
        replica=st.integers(0, 2),
        seq=st.integers(0, 3),
        features=st.fixed_dictionaries(
            {"a": st.tuples(*[st.integers(0, 9)] * 3)}, optional={"b": st.tuples(*[st.integers(0, 9)] * 2)}
        ),
    ),
    max_size=8,
    unique_by=lambda part: (part.version, part.start, part.replica, part.seq),
)


@given(parts=PARTS, data=st.data())
def test_parts_merge_in_any_order_and_duplicates_change_nothing(
    parts: list[FeatureCounts], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(parts + data.draw(st.lists(st.sampled_from(parts)) if parts else st.just([]))))
    together = merge(parts)
    assert merge(shuffled) == together
    for key, whole in together.items():
        mine = [part for part in parts if (part.version, part.start) == key]
        for name in {name for part in mine for name in part.features}:
            rows = [part.features[name] for part in mine if name in part.features]
            assert whole.features[name] == tuple(map(sum, zip(*rows, strict=True)))


def test_parts_of_other_bins_are_refused() -> None:
    parts = [FeatureCounts(version="v", start=0, seq=seq, features={"a": (1,) * (seq + 2)}) for seq in (0, 1)]
    with pytest.raises(ValueError, match="'a' was counted in 2 and in 3 cells"):
        merge(parts)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_any_split_and_any_order_of_rows_gives_the_counts_of_one_stream(seed: int, cuts: list[int]) -> None:
    references = REFERENCES
    window = columns(400, seed=seed, shift=0.3, missing=0.1)
    order = np.random.default_rng(seed).permutation(400)
    mixed = {"heat": np.asarray(window["heat"])[order], "way": [window["way"][row] for row in order.tolist()]}
    count = counter_of(references)
    parts = [
        part_of("v", 0, count({name: mixed[name][first:last] for name in mixed}), replica=number % 2, seq=number)
        for number, (first, last) in enumerate(itertools.pairwise(sorted([0, *cuts, 400])))
    ]
    assert merge(parts) == merge([part_of("v", 0, count(window))])


REFERENCES: tuple[Reference, ...] = made().inputs
