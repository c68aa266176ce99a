"""How many decisions a second all monitors together take in, on one core; and what they hold of decisions of one row.

python benchmarks/watch.py
"""

from __future__ import annotations

import gc
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from kring.flow.watching.labelled import Labelled
from kring.flow.watching.monitors import Monitors
from kring.metrics.ids import decision_block, decision_bytes
from kring.record.decision import Decisions, Place
from kring.record.drift import References
from kring.record.running import Slo, Watch
from kring.record.system import Candidate, Data, Frame, System
from kring.record.version import Policy
from kring.tasks.classification import TASK
from kring.watch.binning import reference_of

ROWS: Final = 200_000
FIELDS: Final = 10
FEW: Final = 10_000
MANY: Final = 400_000
PAIRS: Final = 500
DAY_US: Final = 86_400_000_000
PRICES: Final = {"false_positive": 1.0, "false_negative": 2.0}
POLICY: Final = Policy(output="probability", threshold=1 / 3, labels=("no", "yes"), cost=PRICES, currency="EUR")


def system(*, queries: bool) -> System:
    """Every monitor has a limit."""
    return System(
        name="s",
        goal="g",
        task="classification",
        owner="o",
        frame=Frame(decision="d", cost=PRICES, currency="EUR"),
        data=Data(source="x", contract="c", target="y", supplier="who"),
        candidates=(Candidate(name="b", baseline=True, rule="x"),),
        watch=Watch(outliers=0.1, cost=1.0, latency_ms=50.0, queries=queries, min_windows=5),
        slo=Slo(availability=0.99, latency=0.95, latency_ms=50.0, success=0.99),
    )


def batches(random: np.random.Generator, size: int) -> list[tuple[Place, Decisions]]:
    """The same day in batches of `size`."""
    found = []
    for at in range(0, ROWS, size):
        said = random.random(size)
        inputs = {f"f{number}": random.normal(size=size).tolist() for number in range(FIELDS)}
        record = Decisions(
            system="s",
            version="v_1",
            answered_by="v_1",
            arm="live",
            kind="online",
            at=at,
            n=size,
            inputs={**inputs, "who": ["a", "b"] * (size // 2)},
            outputs={"probability": said.tolist()},
            latency_us=3000,
            guards={0: ["outlier"]},
            subjects=[f"u{number}" for number in random.integers(0, 50, size).tolist()],
        )
        found.append((Place(at_ms=0, writer=0, segment=1, sequence=at), record))
    return found


def measured(size: int, *, queries: bool) -> tuple[float, float]:
    """Decisions a second, and outcomes a second, of CPU time."""
    random = np.random.default_rng(0)
    columns = [reference_of(f"f{number}", random.normal(size=20_000), kind="number") for number in range(FIELDS)]
    monitors = Monitors(system(queries=queries), TASK)
    monitors.knows("v_1", POLICY, references=References(inputs=tuple(columns)))
    day = batches(random, size)
    began = time.process_time()
    for place, record in day:
        monitors.decisions(place, record)
    monitors.figures(0, DAY_US)
    decided = time.process_time()
    told = []
    for place, record in day:
        raw = decision_block(place, record.n).tobytes()
        told.append([raw[at : at + 16] for at in range(0, len(raw), 16)])
    asked = time.process_time()
    for ids in told:
        monitors.outcomes(ids, ["yes"] * len(ids), at=DAY_US)
    return ROWS / (decided - began), ROWS / (time.process_time() - asked)


def held(frames: int) -> tuple[float, float]:
    """Bytes of a decision of one row that waits for its outcome, with something else between any two of them in the
    log; and milliseconds of CPU time of one more decision and its outcome beside them."""
    windows = Labelled(system(queries=False), TASK)
    windows.knows("v_1", POLICY)
    [(_, day)] = batches(np.random.default_rng(0), ROWS)[:1]
    one = msgspec.structs.replace(day, n=1, inputs={}, outputs={"probability": [0.5]}, subjects=[], guards={})
    before = resident()
    for number in range(frames):
        windows.decisions(Place(at_ms=0, writer=0, segment=1, sequence=2 * number), one)
    after = resident()
    began = time.process_time()
    for number in range(frames, frames + PAIRS):
        place = Place(at_ms=0, writer=0, segment=1, sequence=2 * number)
        windows.decisions(place, one)
        windows.outcomes([decision_bytes(place)], ["yes"], at=DAY_US)
    return (after - before) / frames, 1000 * (time.process_time() - began) / PAIRS


def resident() -> int:
    """Bytes of memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    """Batches of 64, and beside it smaller ones and queries; then what is held."""
    today = datetime.now(UTC).date()
    plain, outcomes = measured(64, queries=False)
    small, _ = measured(8, queries=False)
    asking, _ = measured(64, queries=True)
    ratio = f"{plain / 200_000:.1f}x of 200,000 decisions/s on one core"
    beside = (
        f"all monitors and drift of {FIELDS} columns, in batches of 64: {plain:,.0f} decisions/s, {outcomes:,.0f} "
        f"outcomes/s; of 8: {small:,.0f}; with query patterns: {asking:,.0f}"
    )
    print(f"| `python benchmarks/watch.py` | {today} | {ratio} | {beside} |")
    few, many = held(FEW), held(MANY)
    print(
        f"| `python benchmarks/watch.py`, a decision and its outcome beside {MANY:,} held | {today} | "
        f"{many[1] / few[1]:.2f}x that beside {FEW:,} | {many[1]:.3f} ms, {many[0]:.0f} bytes a decision of one row |"
    )


if __name__ == "__main__":
    main()
