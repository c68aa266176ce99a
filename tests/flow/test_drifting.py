"""The drift monitor over records of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from kring.flow.watching.drifting import Drifting
from kring.record.alarm import Breach, Effect
from kring.record.batch import Column
from kring.record.decision import Decisions
from kring.record.drift import DriftSeen, References
from kring.record.running import Watch
from kring.watch.binning import reference_of

DAY = 86_400_000_000
RANDOM = np.random.default_rng(11)
LEARNED, SAID = RANDOM.normal(size=20_000), RANDOM.random(20_000)
REFERENCES = References(
    inputs=(reference_of("heat", LEARNED, kind="number"),),
    outputs=(reference_of("probability", SAID, kind="number"),),
)


def record(day: float, heat: Column, said: Column | None = None, **more: object) -> Decisions:
    known = {"version": "v_1", "answered_by": "v_1", "arm": "live", "kind": "online", "system": "s", "latency_us": 1}
    outputs = {"probability": list(said if said is not None else np.random.default_rng(len(heat)).random(len(heat)))}
    return Decisions(at=int(day * DAY), n=len(heat), inputs={"heat": list(heat)}, outputs=outputs, **(known | more))  # type: ignore[arg-type]  # the fields of Decisions


def normal(seed: int, *, shift: float = 0.0, rows: int = 600) -> Column:
    return np.random.default_rng(seed).normal(shift, 1.0, rows).tolist()


def eye(plan: Watch | None = None, **more: object) -> Drifting:
    found = Drifting(SimpleNamespace(watch=plan or Watch()), **more)  # type: ignore[arg-type]  # reads nothing else
    found.knows("v_1", REFERENCES)
    return found


def close(
    monitor: Drifting, day: int, *, live: str = "v_1", effect: Effect | None = None
) -> tuple[tuple[Breach, ...], tuple[str, ...]]:
    return monitor.closed(day * DAY, (day + 1) * DAY, version=live, effect=lambda _feature: effect)


def kinds(breaches: Sequence[Breach]) -> list[str]:
    return [breach.kind for breach in breaches]


def test_inputs_and_answers_are_watched_apart() -> None:
    monitor = eye()
    monitor.count([record(0.5, normal(1, shift=1.0))])
    effect = Effect(metric="accuracy", value=-0.1)
    breaches, keys = close(monitor, 0, effect=effect)
    assert kinds(breaches) == ["drift"]
    assert breaches[0].effect == effect
    assert keys == (
        "drift/distribution/heat/",
        "drift/distribution//",
        "prediction_drift/distribution/probability/",
        "prediction_drift/distribution//",
    )
    monitor.count([record(1.5, normal(2), said=[0.99] * 600)])
    assert "prediction_drift" in kinds(close(monitor, 1)[0])


def test_answers_of_others_say_nothing_of_a_version() -> None:
    monitor = eye()
    monitor.count([record(0.2, normal(2, shift=3.0), version="v_0", answered_by="v_0")])
    assert close(monitor, 0) == ((), ())
    monitor.count([record(1.3, normal(3), said=[0.99] * 600, answered_by="v_1/baseline")])
    assert all(key.startswith("drift/") for key in close(monitor, 1)[1])


def test_inputs_drift_whoever_answered() -> None:
    monitor = eye()
    monitor.count([record(0.3, normal(3, shift=2.0), answered_by="v_1/baseline")])
    monitor.count([record(0.4, normal(4, shift=2.0), said=[], answered_by="nobody")])
    breaches, _ = close(monitor, 0)
    assert kinds(breaches) == ["drift"]
    assert breaches[0].rows == 1200


def test_what_nothing_can_be_said_of_is_told() -> None:
    monitor = eye()
    monitor.count([record(0.3, ["?"] * 600, sealed=["heat"])])
    close(monitor, 0)
    [inputs, outputs] = monitor.seen({}).versions
    assert (inputs.family, outputs.family) == ("drift", "prediction_drift")


def test_sealed_values_are_not_counted() -> None:
    monitor = eye()
    monitor.count([record(0.1, ["zzz"] * 600, sealed=["heat"])])
    breaches, keys = close(monitor, 0)
    assert breaches == ()
    assert keys[0].startswith("prediction_drift")


def test_a_version_without_references_is_not_watched() -> None:
    for plan, references in ((Watch(), None), (Watch(drift=0.0), REFERENCES)):
        monitor = eye(plan)
        monitor.knows("v_2", references)
        monitor.count([record(0.1, normal(1, shift=3.0), version="v_2", answered_by="v_2")])
        assert close(monitor, 0, live="v_2") == ((), ())


def test_late_rows_count_in_the_first_window_that_is_open() -> None:
    monitor = eye()
    monitor.count([record(0.5, normal(1))])
    assert not close(monitor, 0)[0]
    monitor.count([record(0.9, normal(2, shift=2.0))])
    assert kinds(close(monitor, 1)[0]) == ["drift"]


@pytest.mark.parametrize("sizes", [[600], [1] * 600, [7, 500, 93]])
def test_the_size_of_records_and_their_order_change_nothing(sizes: list[int]) -> None:
    values, first, records = normal(1, shift=0.2), 0, []
    for size in sizes:
        records.append(record(0.5, values[first : first + size], said=[0.5] * size))
        first += size
    whole, parts = eye(), eye()
    whole.count([record(0.5, values, said=[0.5] * 600)])
    parts.count(records[::-1][:1])
    parts.count(records[::-1][1:])
    assert close(parts, 0) == close(whole, 0)
    assert parts.states == whole.states


def test_another_process_goes_on_where_the_first_stopped() -> None:
    one, days = eye(), [record(day + 0.5, normal(day, shift=0.12)) for day in range(20)]
    told = []
    for day, each in enumerate(days):
        one.count([each])
        told.append(close(one, day))
    half = eye()
    for day, each in enumerate(days[:10]):
        half.count([each])
        close(half, day)
    again = eye(seen=msgspec.json.decode(msgspec.json.encode(half.seen({0: (1, 2)})), type=DriftSeen))
    assert again.until == half.until == 10 * DAY
    for day, each in enumerate(days[10:], start=10):
        again.count([each])
        assert close(again, day) == told[day]
    assert again.states == one.states
