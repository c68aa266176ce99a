"""What the operator needs of a core to follow a rollout, by how long it has gone on.

    python benchmarks/operating.py

Decisions of both versions in frames of 100 rows, of 5 and of one, about subjects by day or requests, with outcomes a
day later. Each frame is heard, batches are sealed when they are due, looked at and judged: the whole path of the
operator but for the log that it reads and the ledger. CPU seconds. Prints rows for the table of results: command, date,
cost per decision in the longest run over that in the shortest, decisions a second.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import numpy as np

from kring.flow import adapters
from kring.flow.operating.rollout_book import RolloutBook
from kring.metrics.ids import decision_block
from kring.ports.decision_log import Logged
from kring.record.decision import Decisions, Outcomes, Place
from kring.record.rollout import Guardrail, Rollout, Terms, UnitKind
from kring.record.version import Policy
from kring.release import judging

DAY = 86_400_000_000
BEGAN = 20_000 * DAY
PER_DAY = 100_000
SHARE = 0.2
COMMAND = "python benchmarks/operating.py"


def rollout_of(unit: UnitKind) -> Rollout:
    guardrails = (
        Guardrail(name="error", kind="error", route="absolute"),
        Guardrail(name="fallback", kind="fallback", route="absolute"),
        Guardrail(name="latency", kind="latency", route="relative", limits=(4000.0, 6000.0, 9000.0)),
        Guardrail(name="outcome", kind="outcome", route="relative", age_us=DAY),
    )
    terms = Terms(
        unit=unit, salt="s", steps=(20, 50), margins=(1.5, 1.25), alpha=0.05, beta=0.05, floor=0.005, delta=0.01,
        holdback=0.05, min_units=10**9, shadow_us=0, step_us=10**18, bake_us=DAY, guardrails=guardrails, config="",
        at=BEGAN,
    )  # fmt: skip
    return Rollout(
        id="ro", system="bench", version="v_new", previous="v_old", state="step", seq=4, reason="", actor="operator",
        at=BEGAN, since=BEGAN, step=20, terms=terms,
    )  # fmt: skip


def frames(decisions: int, *, rows: int) -> Iterator[Logged]:
    """One day after the other: decisions, and the outcomes of the day before."""
    chance = np.random.default_rng(7)
    for day in range(-(-decisions // PER_DAY)):
        here = min(PER_DAY, decisions - day * PER_DAY)
        new = chance.random(here // rows) < SHARE
        taken = chance.gamma(4.0, 1000.0, here // rows)
        told: list[bytes] = []
        for number, (is_new, us) in enumerate(zip(new.tolist(), taken.tolist(), strict=True)):
            at = BEGAN + day * DAY + 20_000_000 + number * rows * 800_000
            version = "v_new" if is_new else "v_old"
            side = "n" if is_new else "o"
            # a subject is in one arm; each comes about three times a day
            people = chance.integers(0, PER_DAY // 3, rows).tolist()
            place = Place(at_ms=at // 1000, writer=0, segment=1, sequence=day * PER_DAY + number * rows)
            record = Decisions(
                system="bench", version=version, answered_by=version, arm="canary" if is_new else "live", kind="online",
                at=at, n=rows, inputs={}, outputs={"probability": chance.random(rows).tolist()}, latency_us=int(us),
                subjects=[f"{side}{one}" for one in people],
            )  # fmt: skip
            told += [row.tobytes() for row in decision_block(place, rows)]
            yield Logged(place=place, record=record, cursor=(1, 0))
        values = (chance.random(len(told)) < 0.2).tolist()
        known = Outcomes(system="bench", at=BEGAN + (day + 1) * DAY - 1, ids=told, values=values)
        yield Logged(place=Place(at_ms=0, writer=1, segment=1, sequence=0), record=known, cursor=(1, 0))


def run(decisions: int, *, rows: int, unit: UnitKind) -> float:
    """CPU seconds of hearing, looking and judging."""
    policy = Policy(output="probability", threshold=0.5, labels=("False", "True"))
    rollout = rollout_of(unit)
    book = RolloutBook(rollout, task=adapters.task_named("classification"), policy_of=lambda _: policy)
    book.turned(SHARE, at=BEGAN)
    assert rollout.terms is not None
    progress, spent, batch = judging.started("ro", rollout.terms), 0.0, 0
    waiting: list[Logged] = []
    for logged in frames(decisions, rows=rows):
        waiting.append(logged)
        if len(waiting) * rows < 10_000 and isinstance(logged.record, Decisions):
            continue
        began = time.process_time()
        for one in waiting:
            book.hear(one)
        if book.is_due:
            batch += 1
            looked = book.look(batch, now=logged.record.at)
            progress = judging.advanced(progress, looked.look, rollout.terms)
            judging.judged(progress, rollout.terms, step=20)
        spent += time.process_time() - began
        waiting = []
    return spent


def main() -> None:
    sizes = [10**5, 10**6, 10**7]
    today = datetime.date.today().isoformat()
    kinds = (("subject_day", 100, 10**7), ("request", 100, 10**6), ("subject_day", 5, 10**5), ("subject_day", 1, 10**5))
    for unit, rows, most in kinds:
        costs = {size: run(size, rows=rows, unit=unit) / size for size in sizes if size <= most}  # type: ignore[arg-type]
        first, last = costs[min(costs)], costs[max(costs)]
        speeds = ", ".join(f"{1 / cost:,.0f} a second of {size:.0e}" for size, cost in costs.items())
        told = f"{unit} units, frames of {rows}: {speeds}"
        print(f"| `{COMMAND}` | {today} | {last / first:.2f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
