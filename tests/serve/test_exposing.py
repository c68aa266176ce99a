"""Exposures: once for each subject, flag, variant and day, whatever is asked how often."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from kring.record.exposure import Exposure
from kring.serve.exposing import DAY_US, Exposing, Shown

FLAG = Shown("shop.arm", "canary", "SPLIT", version="v_2")
OTHER = Shown("button", "green", "TARGETING_MATCH", trial="t_1")


class Told:
    """What was put on record, and a clock to turn."""

    def __init__(self, *, most: int = 100) -> None:
        self.records: list[Exposure] = []
        self.at = 20_000 * DAY_US + 5
        self.dropped: list[int] = []
        self.exposing = Exposing("shop", now=lambda: self.at, dropped=self.dropped.append, most=most)

    def ask(self, subject: str, *shown: Shown) -> None:
        record = self.exposing.told(subject, shown, generation=3)
        if record is not None:
            self.records.append(record)

    @property
    def rows(self) -> Sequence[tuple[str, ...]]:
        return [
            row
            for one in self.records
            for row in zip(one.subjects, one.flags, one.variants, one.reasons, one.versions, one.trials, strict=True)
        ]


def test_a_poll_leaves_one_exposure_a_day() -> None:
    told = Told()
    for _ in range(50):
        told.ask("ann", FLAG, OTHER)
        told.ask("ann", OTHER)
    assert told.rows == [
        ("ann", "shop.arm", "canary", "SPLIT", "v_2", ""),
        ("ann", "button", "green", "TARGETING_MATCH", "", "t_1"),
    ]
    assert (told.records[0].system, told.records[0].at, told.records[0].generation) == ("shop", told.at, 3)
    told.at += DAY_US - 6
    told.ask("ann", FLAG)
    assert len(told.records) == 1
    told.at += 1
    told.ask("ann", FLAG)
    assert len(told.records) == 2


def test_another_subject_variant_or_version_is_another_exposure() -> None:
    told = Told()
    told.ask("ann", FLAG)
    told.ask("bea", FLAG)
    told.ask("ann", FLAG._replace(variant="live"))
    told.ask("ann", FLAG._replace(version="v_3"))
    told.ask("ann", FLAG)
    assert len(told.records) == 4


def test_what_was_lost_is_counted_and_told_again() -> None:
    told = Told()
    told.ask("ann", FLAG, OTHER)
    told.exposing.lost([])
    told.ask("ann", FLAG)
    assert (len(told.records), told.dropped) == (1, [])
    told.exposing.lost(["a copy", *told.records])
    told.ask("ann", FLAG)
    assert (len(told.records), told.dropped) == (2, [2])


def test_nothing_told_leaves_nothing() -> None:
    told = Told()
    told.ask("ann")
    assert told.records == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([FLAG, OTHER])), max_size=60), st.integers(1, 4))
def test_what_is_forgotten_is_told_again_and_never_lost(asked: list[tuple[str, Shown]], most: int) -> None:
    told = Told(most=most)
    for subject, shown in asked:
        told.ask(subject, shown)
        assert len(told.exposing._seen) <= most
    assert {row[:2] for row in told.rows} == {(subject, shown.flag) for subject, shown in asked}
    assert len(told.rows) <= len(asked)
