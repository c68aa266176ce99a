"""The units of a rollout: counted once, in the cohort and arm in which they were first seen, in any order."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.metrics.assignment import assigned, unit_names
from kring.record.progress import Cohort, Look
from kring.record.rollout import Guardrail, Terms, UnitKind
from kring.release.units import GRACE_US, Matured, UnitBook, nothing_matured

DAY = 86_400_000_000
NOON = 20_000 * DAY + DAY // 2
ERROR, OUTCOME = 1, 2


def terms(unit: UnitKind = "subject_day", *, outcome: bool = False) -> Terms:
    guardrails = [Guardrail(name="error", kind="error", route="absolute")]
    if outcome:
        guardrails.append(Guardrail(name="outcome", kind="outcome", route="relative", age_us=DAY))
    return Terms(
        unit=unit, salt="s", steps=(20, 50), margins=(1.5, 1.25), alpha=0.05, beta=0.05, floor=0.005, delta=0.01,
        holdback=0.05, min_units=100, shadow_us=0, step_us=DAY, bake_us=DAY, guardrails=tuple(guardrails), config="",
        at=NOON,
    )  # fmt: skip


def book(unit: UnitKind = "subject_day", *, share: float = 0.2, outcome: bool = False) -> UnitBook:
    made = UnitBook(terms(unit, outcome=outcome))
    made.turned(share, at=NOON)
    return made


def arm(subject: str, share: float, unit: UnitKind = "subject_day") -> bool:
    return bool(assigned(unit_names([subject], unit, at=NOON), salt="s", share=share)[0])


def told(
    made: UnitBook, subjects: list[str], *, share: float = 0.2, bad: tuple[str, ...] = (), at: int = NOON, key: int = 0
) -> None:
    """Each subject's row in the arm that the hash gives it."""
    for number, subject in enumerate(subjects):
        made.hear(
            (0, 0, key + number), at=at + GRACE_US + number, n=1, subjects=[subject], is_new=arm(subject, share),
            bits=ERROR * (subject in bad),
        )  # fmt: skip


def look(made: UnitBook, batch: int, *, now: int = NOON + DAY // 4) -> Look:
    return made.look(batch, now=now, matured=nothing_matured())


def cohorts(found: Look, name: str = "error") -> tuple[Cohort, ...]:
    return next(one for one in found.guardrails if one.name == name).parts[0].cohorts


PEOPLE = [f"p{number}" for number in range(200)]
NEW = [one for one in PEOPLE if arm(one, 0.2)]
OLD = [one for one in PEOPLE if not arm(one, 0.2)]


def test_a_cohort_is_counted_whether_or_not_its_units_come_back() -> None:
    made = book()
    told(made, PEOPLE, bad=(NEW[0],))
    first = look(made, 1)
    assert cohorts(first) == (Cohort(1, len(NEW), len(OLD), 1, 0),)
    assert [(one.new, one.old) for one in first.arms] == [(len(NEW), len(OLD))]
    told(made, [OLD[0]], bad=(OLD[0],), key=1000)
    assert cohorts(look(made, 2)) == (Cohort(1, len(NEW) - 1, len(OLD), 0, 1),)
    told(made, [OLD[0], NEW[0]], bad=(OLD[0], NEW[0]), key=2000)
    assert cohorts(look(made, 3)) == (), "a unit is bad once"


def test_a_unit_that_the_share_moves_leaves_its_cohort_whether_or_not_it_comes_back() -> None:
    made = book()
    told(made, PEOPLE)
    look(made, 1)
    made.turned(0.5, at=NOON + DAY // 4)
    moved = [one for one in OLD if arm(one, 0.5)]
    stays = next(one for one in OLD if not arm(one, 0.5))
    told(made, [stays, *moved], share=0.5, bad=(stays, *moved), at=NOON + DAY // 4, key=1000)
    assert cohorts(look(made, 2)) == (Cohort(1, len(NEW), len(OLD) - len(moved), 0, 1),)


def test_units_seen_before_the_whole_machine_knows_a_share_say_nothing_about_the_split() -> None:
    made = book()
    made.hear((0, 0, 1), at=NOON + 1, n=1, subjects=["early"], is_new=False, bits=0)
    made.hear((0, 0, 2), at=NOON + GRACE_US, n=1, subjects=["late"], is_new=False, bits=0)
    assert [(one.new, one.old) for one in look(made, 1).arms] == [(0, 1)]


def test_a_day_is_complete_at_its_end_and_a_request_at_once() -> None:
    days, requests = book(), book("request")
    for made in (days, requests):
        told(made, PEOPLE, bad=(NEW[0],))
    assert sum(part_of(look(days, 1))) == 0
    assert part_of(look(days, 2, now=NOON + DAY)) == (len(NEW) - 1, 1, len(OLD), 0)
    assert part_of(look(days, 3, now=NOON + 2 * DAY)) == (0, 0, 0, 0), "each once"
    assert part_of(look(requests, 1)) == (len(NEW) - 1, 1, len(OLD), 0)


def part_of(found: Look) -> tuple[int, int, int, int]:
    part = found.guardrails[0].parts[0]
    return part.new_good, part.new_bad, part.old_good, part.old_bad


def test_outcomes_count_for_labelled_units_only_and_coverage_for_all() -> None:
    made = book("request", outcome=True)
    units = made.hear((0, 0, 0), at=NOON + GRACE_US, n=10, subjects=[], is_new=True, bits=0)
    others = made.hear((0, 0, 10), at=NOON + GRACE_US, n=10, subjects=[], is_new=False, bits=0)
    look(made, 1)
    rows = np.concatenate([units, others])
    labelled = np.arange(20) % 2 == 0
    bits = np.where(np.isin(np.arange(20), (0, 1, 10)), OUTCOME, 0).astype(np.uint32)
    found = made.look(2, now=NOON + 2 * DAY, matured=Matured(rows, labelled, bits))
    assert found.coverage == (Cohort(1, 10, 10, 5, 5),)
    assert cohorts(found, "outcome") == (Cohort(1, 5, 5, 1, 1),)
    again = made.look(3, now=NOON + 3 * DAY, matured=Matured(rows, labelled, bits))
    assert again.coverage == (), "each once"


def test_a_row_without_a_name_is_a_unit_of_its_own() -> None:
    made = book()
    made.hear((0, 0, 1), at=NOON + 1, n=3, subjects=[], is_new=False, bits=0)
    assert made.unseen == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["subject_day", "subject", "request"]), st.booleans())
def test_the_order_of_rows_within_a_batch_changes_nothing(seed: int, unit: UnitKind, turns: bool) -> None:
    """And neither does how they are cut into frames; what moves arms within the batch is not counted in any order."""
    draw = random.Random(seed)
    rows = [
        (number, draw.choice(PEOPLE), draw.random() < 0.1, NOON + GRACE_US + draw.randrange(DAY // 4))
        for number in range(300)
    ]
    looks = []
    for order in (rows, draw.sample(rows, len(rows))):
        made = book(unit)
        for half, batch in (
            (order[:0] + [one for one in order if one[0] < 150], 1),
            ([one for one in order if one[0] >= 150], 2),
        ):
            for number, subject, bad, at in half:
                share = 0.5 if turns and batch == 2 else 0.2
                made.hear(
                    (0, 0, number), at=at, n=1, subjects=[subject], is_new=arm(subject, share, "subject_day"),
                    bits=ERROR * bad,
                )  # fmt: skip
            looks.append((batch, msgspec.json.encode(look(made, batch))))
    assert looks[:2] == looks[2:]


@pytest.mark.parametrize("unit", ["subject_day", "subject", "request"])
def test_all_units_are_in_exactly_one_arm_and_cohort(unit: UnitKind) -> None:
    made = book(unit)
    told(made, PEOPLE * 2)
    assert made.unseen == (400 if unit == "request" else 200)
    found = look(made, 1)
    assert sum(one.new + one.old for one in found.arms) == (400 if unit == "request" else 200)
    assert made.unseen == 0


LATENCY = msgspec.structs.replace(
    terms("request"), guardrails=(Guardrail(name="latency", kind="latency", route="relative", limits=(5.0,)),)
)


def test_only_units_that_were_asked_alone_are_timed() -> None:
    """Groups take as long as they are large, and the arm with the smaller share has the smaller ones."""
    made = UnitBook(LATENCY)
    made.turned(0.2, at=NOON)
    for number in range(100):
        is_new = number % 5 == 0
        at = NOON + GRACE_US + number
        made.hear((0, 0, 20 * number), at=at, n=1, subjects=[], is_new=is_new, bits=number < 10, alone=True)
        made.hear((0, 0, 20 * number + 1), at=at, n=2, subjects=[], is_new=True, bits=0)
        made.hear((0, 0, 20 * number + 3), at=at, n=15, subjects=[], is_new=False, bits=1)
    found = look(made, 1)
    assert (found.units, found.timed) == ((220, 1580), (20, 80))
    assert cohorts(found, "latency") == (Cohort(1, 20, 80, 2, 8),)
    counts = found.guardrails[0].parts[0]
    assert (counts.new_good, counts.new_bad, counts.old_good, counts.old_bad) == (18, 2, 72, 8)


def test_whoever_was_timed_first_counts_later_too() -> None:
    made = UnitBook(msgspec.structs.replace(LATENCY, unit="subject"))
    made.turned(0.2, at=NOON)
    for number, (name, alone) in enumerate([(OLD[0], True), (OLD[1], False)]):
        made.hear((0, 0, number), at=NOON + GRACE_US + number, n=1, subjects=[name], is_new=False, bits=0, alone=alone)
    assert cohorts(look(made, 1), "latency") == ()
    for number, name in enumerate(OLD[:2]):
        made.hear(
            (0, 1, number), at=NOON + 2 * GRACE_US + number, n=1, subjects=[name], is_new=False, bits=1, alone=True
        )
    assert cohorts(look(made, 2), "latency") == (Cohort(1, 0, 1, 0, 1),)


def asked(made: UnitBook, writer: int, *, at: int, new: int, old: int, bad: bool, key: int = 0) -> None:
    """A group of requests that one worker decided, with all of them bad or none."""
    for place, (is_new, n) in enumerate(((False, old), (True, new))):
        if n:
            made.hear((writer, key, place), at=at, n=n, subjects=[], is_new=is_new, bits=ERROR * bad)


def test_what_a_worker_answers_before_it_knows_of_the_new_version_does_not_count() -> None:
    """Something breaks for everybody a moment after the start: the old version alone had answered until then."""
    made = book("request", share=0.5)
    asked(made, 0, at=NOON + 1, new=0, old=300, bad=False)
    asked(made, 1, at=NOON + 2, new=0, old=200, bad=False)
    asked(made, 0, at=NOON + 900_000, new=10, old=10, bad=True, key=1)
    asked(made, 0, at=NOON + 900_001, new=50, old=50, bad=True, key=2)
    asked(made, 1, at=NOON + 900_002, new=0, old=40, bad=True, key=2)
    asked(made, 1, at=NOON + GRACE_US, new=0, old=7, bad=True, key=3)
    found = look(made, 1)
    assert cohorts(found) == (Cohort(1, 50, 57, 50, 57),)
    assert found.units == (50, 57)


def test_what_comes_right_after_another_share_does_not_count() -> None:
    made = book("request", share=0.2)
    asked(made, 0, at=NOON + GRACE_US, new=20, old=80, bad=False)
    assert look(made, 1).units == (20, 80)
    made.turned(0.5, at=NOON + 2 * GRACE_US)
    asked(made, 0, at=NOON + 2 * GRACE_US + 1, new=20, old=80, bad=True, key=1)
    asked(made, 0, at=NOON + 3 * GRACE_US, new=50, old=50, bad=True, key=2)
    found = look(made, 2)
    assert cohorts(found) == (Cohort(2, 50, 50, 50, 50),)
    assert found.guardrails[0].parts[0].new_bad == 50
