"""What the live version takes and costs, from a log of any length."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from kring.flow.operating.limits import OUTCOME_RATE, Habits
from kring.metrics.ids import decision_block
from kring.metrics.sampled import MOST
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.decision import Decisions, Outcomes, Place
from kring.record.progress import Reckoned
from kring.record.rollout import Guardrail, Terms
from kring.record.running import GuardrailKind, RolloutPlan
from kring.record.version import Policy
from kring.release.terms import LEAST
from kring.tasks.classification import TASK
from kring.tasks.regression import TASK as REGRESSION
from systems import BARE

MINUTE = 60_000_000
POLICY = Policy(output="value")
TERMS = Terms(
    unit="request", salt="", steps=(5,), margins=(2.0,), alpha=0.05, beta=0.05, floor=0.005, delta=0.01, holdback=0.0,
    min_units=1, shadow_us=0, step_us=0, bake_us=0, guardrails=(), config="", at=0,
)  # fmt: skip


def habits(*kinds: GuardrailKind, task: Task = TASK, subject: str = "", policy: Policy = POLICY) -> Habits:
    system = msgspec.structs.replace(
        BARE,
        data=msgspec.structs.replace(BARE.data, subject=subject),
        rollout=msgspec.structs.replace(RolloutPlan(), guardrails=kinds, label_after_us=MINUTE),
    )
    return Habits(system, task, version="v_1", policy=policy)


def frame(number: int, *, n: int = 1, taken: int = 5, cost: float = 0.0, alone: bool = False) -> Logged:
    record = Decisions(
        system="s",
        version="v_1",
        answered_by="v_1",
        arm="live",
        kind="online",
        at=1 + number * MINUTE,
        n=n,
        inputs={},
        outputs={"value": [1.0] * n},
        latency_us=taken,
        cost=cost,
        alone=alone,
    )
    return Logged(place=place(number), record=record, cursor=(0, 0))


def test_subjects_are_counted_once_a_day() -> None:
    found = habits("error", subject="who")
    for hour in range(24 * 5):
        logged = frame(60 * hour)
        found.hear(msgspec.structs.replace(logged, record=msgspec.structs.replace(logged.record, subjects=["a", "b"])))
    assert (found.units, len(found._subjects)) == (10, 2)


def place(number: int) -> Place:
    return Place(at_ms=0, writer=0, segment=1, sequence=10 * number)


def test_memory_follows_from_no_number_of_frames() -> None:
    found = habits("latency", "cost")
    logged = frame(0, cost=0.1)
    for _ in range(MOST + 5000):
        found.hear(logged)
    for kept in (found._taken.values, found._paid.values):
        assert MOST // 3 < len(kept) <= MOST
    assert found.limits == {"latency": (5.0, 5.0, 5.0), "cost": (0.1,)}


def test_what_no_guardrail_asks_for_is_not_kept() -> None:
    found = habits("error")
    for number in range(300):
        found.hear(frame(number, cost=0.1))
    assert found.limits == {}
    assert not len(found._taken.values) + len(found._paid.values)


@pytest.mark.parametrize("alone", [0, LEAST - 1, LEAST])
def test_rows_that_were_asked_alone_speak_where_there_are_enough(alone: int) -> None:
    """Of few such rows the next larger groups speak too, and in no order of the log any others."""
    frames = (
        [frame(0, taken=1, alone=True)] * alone + [frame(0, n=2, taken=20)] * 300 + [frame(0, n=9, taken=900)] * 500
    )
    for seed in range(3):
        found = habits("latency")
        for place in np.random.default_rng(seed).permutation(len(frames)):
            found.hear(frames[place])
        speaking = [1.0] * alone + [20.0] * (300 if alone < LEAST else 0)
        assert found.limits["latency"] == tuple(np.quantile(speaking, [0.5, 0.9, 0.99]).tolist())


def test_losses_are_judged_as_they_mature() -> None:
    """Outcomes count within a minute of their decision; what is judged is let go."""
    found = habits("outcome", task=REGRESSION)
    for number in range(9000):
        found.hear(frame(number))
        raw = [bytes(decision_block(place(number), 1)[0])]
        known = Outcomes(system="s", at=2 + number * MINUTE, ids=raw, values=[float(number % 3)])
        found.hear(Logged(place=place(number), record=known, cursor=(0, 0)))
    assert found._awaited is not None
    assert found._lost.n == 8191
    assert found.limits["outcome"] == tuple(np.quantile([1.0, 0.0, 1.0] * 3000, [0.5, 0.9, 0.99]).tolist())
    assert found._lost.n == 9000


def reckoned(found: Habits, kind: GuardrailKind) -> Reckoned:
    """What a plan goes by where answers change what happens."""
    age = Guardrail(name=kind, kind=kind, route="relative", limits=(1.0,), age_us=MINUTE)
    (one,) = found.reckoned(msgspec.structs.replace(TERMS, guardrails=(age,)))
    return one


def test_of_a_latency_the_first_of_each_group_counts() -> None:
    """Groups of ten, the first of one in two by itself: what it was asked with has the same moment."""
    found = habits("latency")
    for number in range(100):
        if number % 2:
            found.hear(frame(number, alone=True))
        found.hear(frame(number, n=9 if number % 2 else 10))
    one = reckoned(found, "latency")
    assert (one.share, one.rate) == (pytest.approx(0.1), pytest.approx(0.01))
    assert one.source.startswith("1,000 decisions in 1 day, asked in 100 groups")


@pytest.mark.parametrize("frames", [LEAST - 1, 4 * LEAST])
def test_outcomes_are_reckoned_by_the_log_where_it_knows_enough(frames: int) -> None:
    """Every second decision has an outcome in time, half of these are bad; the newest are too young to count."""
    found = habits("outcome", policy=Policy(output="probability", threshold=0.5, labels=("no", "yes")))
    for number in range(frames):
        logged = frame(number)
        yes = msgspec.structs.replace(logged.record, outputs={"probability": [0.9]})
        found.hear(msgspec.structs.replace(logged, record=yes))
        if number % 2:
            raw = [bytes(decision_block(place(number), 1)[0])]
            known = Outcomes(system="s", at=2 + number * MINUTE, ids=raw, values=["no" if number % 4 == 1 else "yes"])
            found.hear(Logged(place=place(number), record=known, cursor=(0, 0)))
    found.until(frames * MINUTE)
    one = reckoned(found, "outcome")
    if frames < LEAST:
        assert (one.share, one.rate) == (1.0, OUTCOME_RATE)
        assert one.source.endswith("too few, so this is assumed: each has one and 20% of them are bad")
    else:
        assert (one.share, one.rate) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.5, abs=0.01))
        assert one.source == "799 decisions of 1 minute ago and before, 399 with an outcome"
