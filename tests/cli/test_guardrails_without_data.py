"""A rollout that guards what nothing is known of: `kring release` says what is missing and what to do about it before
anything is written, and `kring check` what never could be known."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from kring.flow import adapters
from kring.flow.project import open_project
from kring.metrics.ids import decision_block
from kring.record.decision import Decisions, Outcomes
from systems import kring, write_parcels, write_prices


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_prices(tmp_path_factory.mktemp("guarded") / "prices")
    assert kring("go", folder).code == 0
    return folder


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_parcels(tmp_path_factory.mktemp("guarded") / "parcels")
    assert kring("go", folder).code == 0
    return folder


def trained(released: Path, base: Path, guardrails: str) -> Path:
    """With a newer training by which `guardrails` are guarded."""
    folder = Path(shutil.copytree(released, base / released.name))
    config = folder / "kring.toml"
    text = config.read_text()
    price = "[price]\ndecision = 0.001\n" if "cost" in guardrails else ""
    config.write_text(f'{text}\n{price}[rollout]\nshadow = "0s"\nsteps = [50]\nguardrails = {guardrails}\n')
    told = kring("train", folder, "--candidate", "linear")
    assert told.code == 0, told.err
    return folder


def decided(folder: Path, rows: int, *, value: object = None) -> None:
    """So many decisions of the live version on the log, with what they turned out as if there is a `value`."""
    project = open_project(folder)
    live = kring("status", folder, "--json").json["live"]["id"]
    now, name = time.time_ns() // 1000, project.system.name
    log = adapters.free_writer(project.home.log, files=project.files, system=name)
    for number in range(rows):
        one = Decisions(
            system=name, version=live, answered_by=live, arm="live", kind="online", at=now - 9_000_000 + number, n=1,
            inputs={}, outputs={"value": [60.0], "decision": [60.0]}, latency_us=900,
        )  # fmt: skip
        place = log.append(one)
        if value is not None:
            id = decision_block(place, 1)[0].tobytes()
            log.append(Outcomes(system=name, at=now - 8_000_000, ids=[id], values=[value]))
    log.commit()
    log.close()


def written(folder: Path) -> tuple[dict[str, int], list[str]]:
    """How many records of each kind a release leaves, and the folders of versions."""
    project = open_project(folder)
    with project.ledger() as ledger:
        kinds = Counter(event.kind for event in ledger.read())
    names = ("version", "rollout", "pointer", "operator", "alarm")
    return {kind: kinds[kind] for kind in names}, sorted(path.name for path in project.home.versions.iterdir())


FEW = "fewer than 200 decisions of it on record"


@pytest.mark.parametrize(
    ("guardrails", "rows", "said"),
    [
        ('["latency"]', 0, (FEW, "let the live version answer for a while, or leave 'latency' out")),
        ('["error", "latency"]', 199, (FEW, "leave 'latency' out of rollout.guardrails")),
        ('["cost"]', 0, (f"{FEW}, or none with a cost", "leave 'cost' out of rollout.guardrails")),
        ('["error", "cost"]', 300, (f"{FEW}, or none with a cost", "release a version for which it holds")),
    ],
)
def test_what_is_measured_needs_measurements(
    guardrails: str, rows: int, said: tuple[str, str], prices: Path, tmp_path: Path
) -> None:
    got, todo = said
    folder = trained(prices, tmp_path, guardrails)
    decided(folder, rows)
    before = written(folder)
    told = kring("release", folder, "--candidate", "linear", "--yes", "--json")
    error = told.json["error"]
    assert (told.code, error["code"], error["where"]["key"]) == (1, "refused", "rollout.guardrails")
    assert "has no data" in error["message"]
    assert error["got"] == got
    assert "200 at least, for its quantiles p" in error["allowed"]
    assert todo in error["next"]
    assert written(folder) == before


def test_mistakes_without_an_end_need_known_outcomes(parcels: Path, tmp_path: Path) -> None:
    """Of a number: how far it may be off is told by how far the live version is off."""
    folder = trained(parcels, tmp_path, '["outcome"]')
    decided(folder, 300)
    before = written(folder)
    told = kring("release", folder, "--candidate", "linear", "--yes", "--json")
    assert (told.code, told.json["error"]["code"]) == (1, "refused")
    assert told.json["error"]["got"] == "fewer than 200 decisions of it whose outcomes are known"
    assert told.json["error"]["next"].startswith("report outcomes (kring outcome, ")
    assert written(folder) == before
    decided(folder, 300, value=50.0)
    told = kring("release", folder, "--candidate", "linear", "--yes", "--json")
    assert told.code == 0, told.err
    [guardrail] = told.json["rollout"]["terms"]["guardrails"]
    assert guardrail["limits"] == [10.0, 10.0, 10.0]


def test_outcomes_that_never_came_are_told_before_a_rollout_waits_for_them(prices: Path, tmp_path: Path) -> None:
    folder = trained(prices, tmp_path, '["error", "outcome"]')
    decided(folder, 300)
    before = written(folder)
    told = kring("release", folder, "--candidate", "linear", "--json")
    assert (told.code, told.json["error"]["code"]) == (2, "use")
    assert told.json["error"]["got"] == "50 %: no outcome is on record, so it can't be compared"
    assert "--yes" in told.json["error"]["next"]
    assert written(folder) == before
    told = kring("release", folder, "--candidate", "linear", "--yes", "--json")
    assert told.code == 0, told.err
    assert told.json["plan"]["steps"][0]["waits_for"] == "outcome"
    assert told.json["plan"]["days"] is None
    page = kring("rollout", "show", folder, "--json").json
    assert any("no outcome of the new version is known yet" in line for line in page["missing"])
    for one in page["guardrails"]:
        assert (one["harm"], one["proof"]) == (1.0, 1.0), "without data nothing is proven"


@pytest.mark.parametrize("steps", ["[50]", "[]"])
def test_a_shadow_that_only_outcomes_can_prove_is_told_of_before_it_waits_for_them(
    steps: str, prices: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(prices, tmp_path / "prices"))
    config = folder / "kring.toml"
    text = config.read_text().replace("[frame]\n", '[frame]\nfeedback = "none"\n')
    config.write_text(
        f'{text}\n[rollout]\nshadow = "1d"\nstep_for = "9d"\nsteps = {steps}\nguardrails = ["error", "outcome"]\n'
    )
    assert kring("train", folder, "--candidate", "linear").code == 0
    decided(folder, 300)
    told = kring("release", folder, "--candidate", "linear", "--yes", "--json")
    assert told.code == 0, told.err
    assert told.json["rollout"]["state"] == "shadow"
    for said in (told.json["plan"]["shadow"], " ".join(told.err.split())):
        assert "no outcome is on record, and the shadow is compared with the live version by nothing else" in said
        assert "without enough of them it is held after 10 days, and a person decides" in said
    assert ("goes by" in told.err) == (steps == "[50]")


def test_what_a_plan_goes_by_is_said(prices: Path, tmp_path: Path) -> None:
    """Of 300 decisions on record all have an outcome, and every one of them was wrong."""
    folder = trained(prices, tmp_path, '["error", "latency", "outcome"]')
    decided(folder, 300, value="yes")
    told = kring("release", folder, "--candidate", "linear", "--yes", "--json")
    assert told.code == 0, told.err
    known = {one["name"]: one for one in told.json["plan"]["reckoned"]}
    assert known["error"]["source"] == "300 decisions in 1 day"
    assert known["latency"]["share"] == 1.0
    assert "asked in 300 groups" in known["latency"]["source"]
    assert "300 with an outcome" in known["outcome"]["source"] or "assumed" in known["outcome"]["source"]
    assert "goes by" in told.err


def test_a_rollout_without_any_traffic_asks_first(prices: Path, tmp_path: Path) -> None:
    folder = trained(prices, tmp_path, '["error", "fallback"]')
    before = written(folder)
    told = kring("release", folder, "--candidate", "linear", "--json")
    assert (told.code, told.json["error"]["code"]) == (2, "use")
    assert "it will be held" in told.json["error"]["got"]
    assert written(folder) == before


@pytest.mark.parametrize("rows", [0, 300])
def test_going_all_the_way_says_what_the_rollout_will_take_before_it_starts(
    rows: int, prices: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(prices, tmp_path / "prices"))
    config = folder / "kring.toml"
    config.write_text(f'{config.read_text()}\n[rollout]\nshadow = "0s"\nsteps = [50]\nguardrails = ["error"]\n')
    decided(folder, rows)
    told = kring("go", folder, "--seed", "1")
    assert told.code == 0, told.err
    before, _, after = told.out.partition("\nversion v_")
    assert f"plan, at {rows} units a day ({rows} decisions in " in before
    assert "goes by" in before
    assert ("it can't be finished within its budget, and will be held: 50 %: " in before) == (rows == 0)
    assert "step" in after.splitlines()[0]


@pytest.mark.parametrize("command", ["check", "train", "release"])
def test_who_never_abstains_has_no_abstentions_to_guard(command: str, prices: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prices, tmp_path / "prices"))
    config = folder / "kring.toml"
    text = config.read_text()
    config.write_text(f'{text}\n[rollout]\nguardrails = ["error", "abstention"]\n')
    told = kring(command, folder, "--json")
    [fault] = told.json["error"]["faults"]
    assert (told.code, fault["where"]["key"]) == (2, "rollout.guardrails[1]")
    assert fault["allowed"] == "abstention together with [policy] abstain"
    assert fault["where"]["line"]
    config.write_text(config.read_text() + '\n[policy]\nabstain = "probability > 0.4 and probability < 0.6"\n')
    assert kring("check", folder).code == 0


@pytest.mark.parametrize(
    ("lines", "key"),
    [('[rollout]\nguardrails = ["cost"]', "rollout.guardrails[0]"), ("[watch]\ncost = 0.01", "watch.cost")],
)
def test_without_a_price_no_cost_can_be_guarded_or_watched(lines: str, key: str, prices: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prices, tmp_path / "prices"))
    config = folder / "kring.toml"
    text = config.read_text()
    config.write_text(f"{text}\n{lines}\n")
    [fault] = kring("check", folder, "--json").json["error"]["faults"]
    assert (fault["where"]["key"], fault["allowed"].endswith("[price], or the price of a candidate")) == (key, True)
    assert fault["where"]["line"]
    for price in ("[price]\nsecond = 0.00001", "[price]\ndecision = 0.01"):
        config.write_text(f"{text}\n{lines}\n\n{price}\n")
        assert kring("check", folder).code == 0
    bought = text.replace('builtin = "linear"', 'builtin = "linear"\nprice = 0.01', 1)
    assert bought != text
    config.write_text(f"{bought}\n{lines}\n")
    assert kring("check", folder).code == 0
