"""What answers cost, from kring.toml through versions, batches and probes to what a rollout is judged by."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kring.flow import adapters
from kring.flow.operating.limits import Habits
from kring.flow.operating.rollout_book import bad_of
from kring.flow.probing import run_probes
from kring.flow.project import open_project
from kring.ports.decision_log import Logged
from kring.record.decision import Decisions, Place
from kring.record.rollout import Guardrail
from kring.record.running import RolloutPlan
from kring.record.system import System
from kring.record.version import Policy, Price
from kring.release.terms import freeze, told_alone
from kring.release.units import parts_of
from kring.tasks.classification import TASK
from systems import BARE, kring, parcels_feed, write_parcels

DECISION, SECOND, BOUGHT = 0.001, 0.5, 0.02
PRICES = f"\n[price]\ndecision = {DECISION}\nsecond = {SECOND}\n"


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whose winner buys something for each row."""
    folder = write_parcels(tmp_path_factory.mktemp("costs") / "parcels")
    config = folder / "kring.toml"
    text = config.read_text().replace('builtin = "linear"', f'builtin = "linear"\nprice = {BOUGHT}')
    text = text.replace("[watch]\n", '[watch]\nprobes = { file = "probes.jsonl" }\n')
    config.write_text(text + PRICES)
    row = parcels_feed(1).drop("minutes", "booked_on").with_columns(pl.col("booked_at").cast(pl.String))
    asked = {**row.row(0, named=True), "booked_at": "2024-01-01T08:00:00Z", "booked_on": "2024-01-01"}
    (folder / "probes.jsonl").write_text(json.dumps({"inputs": asked}) + "\n")
    told = kring("go", folder)
    assert told.code == 0, told.err
    return folder


def logged(folder: Path) -> list[Decisions]:
    project = open_project(folder)
    log = adapters.read_log(project.home.log, system=project.system.name)
    return [one.record for one in log.read() if isinstance(one.record, Decisions)]


def test_a_version_has_its_price_and_its_baseline_another(parcels: Path) -> None:
    """What is bought for one candidate is not paid for the other."""
    [file] = (parcels / ".kring" / "versions").glob("*/manifest.json")
    manifest = json.loads(file.read_text())
    assert manifest["chain"]["price"] == {"decision": pytest.approx(DECISION + BOUGHT), "second": SECOND}
    assert manifest["baseline"]["price"] == {"decision": DECISION, "second": SECOND}


def test_a_version_without_prices_is_what_it_was_before_there_were_any(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    assert kring("go", folder).code == 0
    [file] = (folder / ".kring" / "versions").glob("*/manifest.json")
    manifest = json.loads(file.read_text())
    assert "price" not in {**manifest["chain"], **manifest["baseline"]}
    parcels_feed(50).drop("minutes").write_parquet(tmp_path / "in.parquet")
    assert kring("score", tmp_path / "in.parquet", folder, "--out", tmp_path / "out.parquet").code == 0
    assert {one.cost for one in logged(folder)} == {0.0}


def test_a_batch_costs_what_its_rows_and_its_time_cost(parcels: Path, tmp_path: Path) -> None:
    parcels_feed(400).drop("minutes").write_parquet(tmp_path / "in.parquet")
    told = kring("score", tmp_path / "in.parquet", parcels, "--out", tmp_path / "out.parquet")
    assert told.code == 0, told.err
    [record] = [one for one in logged(parcels) if one.kind == "batch"]
    assert record.cost == pytest.approx(400 * (DECISION + BOUGHT) + SECOND * record.latency_us / 1e6)


def test_a_probe_costs_what_an_answer_costs(parcels: Path) -> None:
    run_probes(open_project(parcels), repeats=2)
    found = [one for one in logged(parcels) if one.kind == "shadow"]
    assert len(found) == 2
    for record in found:
        assert record.cost == pytest.approx(DECISION + BOUGHT + SECOND * record.latency_us / 1e6)


def system(price: Price) -> System:
    plan = msgspec.structs.replace(RolloutPlan(), guardrails=("error", "cost"), steps=(20,))
    return msgspec.structs.replace(BARE, price=price, rollout=plan)


def answers(n: int, cost: float, *, alone: bool = False, number: int = 0) -> Logged:
    record = Decisions(
        system="s", version="v_1", answered_by="v_1", arm="live", kind="online", at=1 + number, n=n, inputs={},
        outputs={"value": [1.0] * n}, latency_us=900, cost=cost, alone=alone or msgspec.UNSET,
    )  # fmt: skip
    return Logged(place=Place(at_ms=0, writer=0, segment=1, sequence=number), record=record, cursor=(0, 0))


def habits(price: Price, frames: list[Logged]) -> Habits:
    found = Habits(system(price), TASK, version="v_1", policy=Policy(output="value"))
    for one in frames:
        found.hear(one)
    return found


def guardrail(price: Price, found: Habits) -> tuple[Guardrail, float, float]:
    """The guardrail that a rollout starts with, the rate of bad units that its plan goes by, and the share that
    counts."""
    terms = freeze(system(price), limits=found.limits, salt="", at=0)
    [cost] = [one for one in terms.guardrails if one.kind == "cost"]
    [reckoned] = [one for one in found.reckoned(terms) if one.name == "cost"]
    return cost, reckoned.rate, reckoned.share


def test_a_fixed_price_is_held_against_a_limit() -> None:
    """By all rows, in whatever groups: nine in ten are not above the price, nor is anyone."""
    price = Price(decision=0.1)
    found = habits(price, [answers(1 + number % 7, (1 + number % 7) * 0.1, number=number) for number in range(300)])
    cost, rate, share = guardrail(price, found)
    assert (cost.route, cost.alone, cost.limits) == ("absolute", False, (pytest.approx(0.1),))
    assert (rate, share) == (0.0, 1.0)
    [part] = [one for one in parts_of(freeze(system(price), limits=found.limits, salt="", at=0)) if one.limit]
    assert not any(bad_of(answers(n, n * 0.1).record, [part]) for n in range(1, 300))
    assert all(bad_of(answers(n, n * 0.1001).record, [part]) == part.bit for n in range(1, 300))


def test_where_time_has_a_price_rows_alone_are_compared() -> None:
    """A group of a hundred shares what one row takes: by its rows whoever has less traffic would look dearer."""
    price = Price(second=1.0)
    frames = [answers(1, 0.01 + number / 1e5, alone=True, number=number) for number in range(300)]
    frames += [answers(100, 0.02, number=300 + number) for number in range(300)]
    found = habits(price, frames)
    cost, rate, share = guardrail(price, found)
    assert (cost.route, cost.alone, cost.is_timed) == ("relative", True, True)
    assert cost.limits == (pytest.approx(0.01 + 0.9 * 299 / 1e5),)
    assert rate == pytest.approx(0.1, abs=0.01)
    assert share < 0.05
    [part] = [one for one in parts_of(freeze(system(price), limits=found.limits, salt="", at=0)) if one.limit]
    assert part.is_timed
    assert bad_of(answers(1, 0.02, alone=True).record, [part]) == part.bit
    assert not bad_of(answers(1, 0.005, alone=True).record, [part])
    assert not bad_of(answers(2, 0.9).record, [part])


def test_what_is_told_by_rows_alone_follows_from_what_is_guarded() -> None:
    timed = system(Price(second=1.0))
    assert told_alone(timed) == {"cost"}
    assert told_alone(system(Price(decision=1.0))) == frozenset()
    both = msgspec.structs.replace(timed.rollout, guardrails=("latency", "cost"))
    assert told_alone(msgspec.structs.replace(timed, rollout=both)) == {"latency", "cost"}
    assert Guardrail(name="latency", kind="latency", route="relative").is_timed, "also one that was begun before"
