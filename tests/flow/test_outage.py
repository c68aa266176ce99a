"""A version that fails for a week: somebody else answers, says why, and is not taken for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kring.errors import Unavailable
from kring.flow import adapters
from kring.flow.project import open_project
from kring.flow.replaying.rebuild import rebuilt
from kring.flow.replaying.replay import Stage, begin, live, on_stage, renew
from kring.flow.tracing import trace
from kring.flow.watching.windows import Windows
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.metrics.ids import decision_ids
from kring.ports.clock import Clock
from kring.ports.decision_log import Logged
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place
from lives import FROM
from systems import DAY, write_loans

UNTIL = FROM + 20 * DAY
DOWN, UP = FROM + 6 * DAY, FROM + 13 * DAY


@dataclass(frozen=True)
class Interrupted:
    """A runtime that has no answer from `DOWN` to `UP`."""

    runtime: Runtime
    clock: Clock

    def answer(self, batch: Batch) -> Batch:
        if DOWN <= self.clock.now() < UP:
            raise Unavailable("the engine is gone")
        return self.runtime.answer(batch)

    def close(self) -> None:
        self.runtime.close()


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = write_loans(tmp_path_factory.mktemp("outage") / "loans")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace('["quality", "schedule"]', "[]"))
    said: list[str] = []
    own = replace(open_project(folder), say=said.append)
    project = own.at(home=folder / "home", clock=SimulatedClock(FROM), random=SeededRandom(0), actor="test")
    with on_stage(project, start=FROM, end=UNTIL, seed=0) as stage:
        begin(stage)
        opened = stage.opened[stage.first]
        broken = replace(opened.answerer, runtime=Interrupted(opened.answerer.runtime, stage.clock))
        stage.opened[stage.first] = replace(opened, answerer=broken)
        renew(stage)
        live(stage, start=FROM, end=UNTIL)
        yield stage
    assert [line for line in said if "decisions" in line]


def answers(stage: Stage) -> list[tuple[Logged, Decisions]]:
    log = adapters.read_log(stage.project.home.log, system="loans")
    records = [(one, one.record) for one in log.read() if isinstance(one.record, Decisions)]
    return [(one, record) for one, record in records if record.arm == "live"]


def test_the_baseline_answers_and_the_record_says_why(outage: Stage) -> None:
    first = outage.first
    baseline = f"{first}/baseline"
    during = [record for _, record in answers(outage) if DOWN <= record.at < UP]
    others = [record for _, record in answers(outage) if not DOWN <= record.at < UP]
    assert during
    assert others
    assert {(record.version, record.answered_by, record.fallback) for record in during} == {
        (first, baseline, f"{first}: the engine is gone")
    }
    assert {(record.version, record.answered_by, record.fallback) for record in others} == {(first, first, "")}
    assert all(None not in record.outputs["decision"] for record in during)
    assert sum(outage.windows.closed(at, at + DAY).fallbacks for at in range(FROM, UNTIL, DAY)) == sum(
        record.n for record in during
    )


def test_the_trace_of_such_a_decision_shows_it(outage: Stage) -> None:
    place, record = next((one.place, record) for one, record in answers(outage) if DOWN <= record.at < UP)
    lineage = trace(outage.project, decision_ids(place, record.n)[0])
    assert lineage.nodes[0].facts["answered by"] == f"{outage.first}/baseline"
    assert lineage.nodes[0].facts["fallback"] == f"{outage.first}: the engine is gone"
    assert lineage.nodes[1].id == outage.first


def measured(stage: Stage, series: str, start: int, end: int) -> list:
    return stage.windows.measures(series, f"{stage.first}/baseline", start=start, end=end, seed=0, draws=50)


def test_a_version_is_not_judged_by_the_answers_of_another(outage: Stage) -> None:
    """In the days it was down it said nothing; `live` is what was answered: the baseline's word."""
    down = DOWN, UP
    assert measured(outage, outage.first, *down) == []
    said = {one.name: one for one in measured(outage, "live", *down)}
    same = {one.name: one for one in measured(outage, "baseline", *down)}
    assert said
    assert said == same
    assert measured(outage, outage.first, FROM, DOWN) == measured(outage, "live", FROM, DOWN) != []


@pytest.mark.parametrize(("shared", "windows"), [(5, None), (8, 8)])
def test_windows_without_the_baseline_do_not_make_enough(shared: int, windows: int | None, outage: Stage) -> None:
    """Eight days of wrong answers, of which the baseline answered `shared`; six are needed."""
    project, first = outage.project, outage.first
    made = Windows(project.system, project.task)
    made.knows(first, outage.opened[first].answerer.policy)
    truth = [row % 2 == 0 for row in range(60)]
    for day in range(8):
        at, ids = FROM + day * DAY, [bytes(8) + (1 << 63 | day * 60 + row).to_bytes(8) for row in range(60)]
        said = answer(first, [0.1 if yes else 0.9 for yes in truth], at=at)
        waiting = made.decisions(Place(at_ms=at // 1000, writer=0, segment=0, sequence=day * 60), said)
        if day < shared:
            made.shadow(waiting, answer(f"{first}/baseline", [0.9 if yes else 0.1 for yes in truth], at=at))
        made.outcomes(ids, truth, at=FROM)
    found = made.judged(first, end=FROM + 8 * DAY, seed=0)
    assert (found.windows if found else None) == windows


def answer(version: str, probabilities: list[float], *, at: int) -> Decisions:
    return Decisions(
        system="loans",
        version=version,
        answered_by=version,
        arm="live",
        kind="batch",
        at=at,
        n=len(probabilities),
        inputs={},
        outputs={"probability": [*probabilities]},
        latency_us=0,
    )


def test_the_log_alone_tells_the_same(outage: Stage) -> None:
    project = outage.project
    logged = adapters.read_log(project.home.log, system="loans").read()
    policies = {outage.first: outage.opened[outage.first].answerer.policy}
    again = rebuilt(project.system, project.task, logged, policies=policies)
    assert again.volumes() == outage.windows.volumes()
    for series in ("live", "baseline", "frozen", outage.first):
        kept = measured(outage, series, FROM, UNTIL)
        assert again.measures(series, f"{outage.first}/baseline", start=FROM, end=UNTIL, seed=0, draws=50) == kept
