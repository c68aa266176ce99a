"""From feed to trace through the commands, on three small systems."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from systems import ALL, SmallSystem, Told, kring, prices_feed, write_csv, write_loans, write_parcels, write_prices

STAGES = ["decision", "version", "verdict", "evidence", "run", "snapshot", "contract", "source"]


@dataclass(frozen=True)
class Walked:
    """A system that was taken once round, and what each command answered."""

    system: SmallSystem
    folder: Path
    told: dict[str, Told]


@pytest.fixture(scope="module", params=ALL, ids=lambda system: system.name)
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    system: SmallSystem = request.param
    folder = system.write(tmp_path_factory.mktemp(system.name))
    lines = {
        "check": ["check", folder],
        "train": ["train", folder, "--seed", 3],
        "compare": ["compare", folder, "--html", folder / "page.html"],
        "release": ["release", folder, "--junit", folder / "gate.xml"],
        "status": ["status", folder, "--verify"],
        "list": ["snapshot", "list", folder],
        "show": ["snapshot", "show", folder],
    }
    return Walked(system, folder, {name: kring(*words, "--json") for name, words in lines.items()})


def test_every_command_is_done_and_answers_with_one_object(walked: Walked) -> None:
    assert {name: told.code for name, told in walked.told.items()} == dict.fromkeys(walked.told, 0)
    keys = {name: set(told.json) for name, told in walked.told.items()}
    assert keys["check"] == {"report", "snapshot", "open"}
    assert keys["train"] == {"runs"}
    assert keys["compare"] == {"candidates", "notes", "page"}
    assert keys["release"] == {"verdicts", "version", "rollout", "plan"}
    assert keys["list"] == {"snapshots"}
    assert keys["show"] == {"snapshot"}
    assert keys["status"] >= {"system", "live", "previous", "rollout", "alarms", "events", "verified"}


def test_ids_lead_from_one_answer_to_the_next(walked: Walked) -> None:
    snapshot, release = walked.told["check"].json["snapshot"], walked.told["release"].json
    runs = {one["run"]["candidate"]: one for one in walked.told["train"].json["runs"]}
    version = release["version"]
    assert {one["run"]["snapshot"] for one in runs.values()} == {snapshot["id"]}
    assert {one["run"]["seed"] for one in runs.values()} == {3}
    assert version["candidate"] == walked.system.winner
    assert version["run"] == runs[walked.system.winner]["run"]["id"]
    assert version["evidence"] == runs[walked.system.winner]["evidence"]["id"]
    assert version["verdict"] in [verdict["id"] for verdict in release["verdicts"]]
    status = walked.told["status"].json
    assert (status["live"]["id"], status["previous"], status["generation"]) == (version["id"], "", 1)
    assert status["rollout"] == release["rollout"]
    assert status["verified"] is True
    assert walked.told["show"].json["snapshot"]["id"] == snapshot["id"]
    assert kring("snapshot", "show", snapshot["id"], walked.folder, "--json").json["snapshot"] == snapshot
    assert kring("snapshot", "show", "--id", snapshot["id"], walked.folder, "--json").json["snapshot"] == snapshot
    assert kring("snapshot", "show", snapshot["id"], "--id", snapshot["id"], walked.folder, "--json").code == 2
    assert all(at.endswith("Z") for at in (status["live"]["at"], status["rollout"]["since"], version["at"]))


def test_the_best_candidate_is_measured_better_than_the_baseline(walked: Walked) -> None:
    rows = walked.told["compare"].json["candidates"]
    assert [row["candidate"] for row in rows if row["baseline"]] == [
        one["run"]["candidate"] for one in walked.told["train"].json["runs"] if one["run"]["baseline"]
    ]
    assert rows[0]["candidate"] == walked.system.winner
    assert all(lift["low"] > 0 for name, lift in rows[0]["lifts"].items() if name in ("roc_auc", "mae"))


def test_the_page_needs_nothing_from_elsewhere(walked: Walked) -> None:
    page = Path(walked.told["compare"].json["page"])
    assert page == (walked.folder / "page.html").absolute()
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!")
    assert walked.system.winner in text
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*""", text) == []
    assert re.findall(r"url\((?!['\"]?data:|#|['\"]?#)[^)]*\)", text) == []
    assert "1970-0" not in text


def test_the_verdict_is_written_for_ci(walked: Walked) -> None:
    report = ElementTree.parse(walked.folder / "gate.xml").getroot()
    suites = [report] if report.tag == "testsuite" else list(report)
    assert sum(int(suite.get("tests", 0)) for suite in suites) >= 1
    assert len(suites) == len(walked.told["release"].json["verdicts"]), "one suite per judged candidate"
    assert [*report.iter("failure"), *report.iter("error"), *report.iter("skipped")] == []


def test_a_version_is_traced_to_its_source_with_owners(walked: Walked) -> None:
    version = walked.told["release"].json["version"]
    told = kring("trace", version["id"], walked.folder, "--json")
    nodes = told.json["nodes"]
    assert told.code == 0
    assert [node["kind"] for node in nodes] == STAGES[1:]
    assert all(node["owner"] and node["id"] and node["facts"] for node in nodes)
    assert [node["id"] for node in nodes[:5]] == [
        version["id"], version["verdict"], version["evidence"], version["run"], version["snapshot"],
    ]  # fmt: skip
    if not walked.system.timed:
        facts = [fact for node in nodes for fact in node["facts"].values()]
        assert not [fact for fact in facts if "1970-0" in fact], "without a time column nothing happened in 1970"
    people = kring("trace", version["id"], walked.folder)
    assert [people.out.count(f"{kind} ") >= 1 for kind in STAGES[1:]] == [True] * 7


@pytest.mark.parametrize("name", ["check", "train", "compare", "release", "status", "list", "show"])
def test_people_read_text_and_programs_read_nothing_else(walked: Walked, name: str) -> None:
    told = walked.told[name]
    assert set(told.json)
    if name in ("check", "train", "release"):
        assert "· " in told.err


def test_going_round_in_one_command(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    told = kring("go", folder, "--json")
    assert told.code == 0
    assert told.json["version"]["candidate"] == "linear"
    assert Path(told.json["page"]).is_file()


def test_a_gate_that_says_no_ends_with_one(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace('"lift_over_baseline.mae" = "> 0"', 'mae = "< 0.5"'))
    told = kring("go", folder, "--json")
    assert (told.code, told.json["version"]) == (1, None)
    assert [verdict["result"] for verdict in told.json["verdicts"]] == ["fail"]
    again = kring("release", folder, "--junit", tmp_path / "gate.xml", "--json")
    assert (again.code, again.json["version"]) == (1, None)
    assert "<failure" in (tmp_path / "gate.xml").read_text()
    assert kring("status", folder, "--json").json["live"] is None


def test_a_feed_that_breaks_its_contract_is_no_snapshot(tmp_path: Path) -> None:
    broken = prices_feed().with_columns(weekday=pl.lit(9))
    folder = write_prices(tmp_path / "prices", feed=broken)
    assert kring("check", folder, "--dry-run", "--json").code == 1
    assert not (folder / ".kring").exists(), "a dry run leaves nothing"
    told = kring("check", folder, "--json")
    assert (told.code, told.json["snapshot"]) == (1, None)
    failed = [finding for finding in told.json["report"]["findings"] if finding["result"] == "fail"]
    assert failed
    assert all(finding["rule"] and finding["message"] for finding in failed)
    assert any(finding["rows"] and finding["examples"] for finding in failed)
    assert told.json["report"]["at"].endswith("Z")
    assert kring("go", folder, "--json").json["report"]["result"] == "fail"
    people = kring("check", folder)
    assert (people.code, people.out.count(failed[0]["message"])) == (1, 1)
    assert "✗" not in people.err, "nothing is said twice"
    assert kring("status", folder, "--json").json["events"] == 3, "each of the three reports is kept"
    assert kring("snapshot", "list", folder, "--json").json == {"snapshots": []}
    write_csv(folder, prices_feed())
    assert kring("check", folder).code == 0


def test_what_is_released_is_what_was_measured(tmp_path: Path) -> None:
    """Evidence about other data or another policy opens no gate."""
    folder = write_parcels(tmp_path / "parcels")
    assert kring("check", folder).code == kring("train", folder).code == 0
    file = folder / "kring.toml"
    text = file.read_text()
    file.write_text(text.replace('goal = "Say', 'goal = "Tell'))
    told = kring("release", folder, "--json")
    assert told.code == 1
    assert "measured on another kring.toml" in str(told.json["verdicts"])
    file.write_text(text)
    assert kring("release", folder).code == 0


def test_a_second_version_is_shadowed_and_nothing_can_be_rolled_back_to(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    assert kring("go", folder).code == 0
    told = kring("rollback", folder, "--reason", "worse", "--json")
    assert (told.code, told.json["error"]["code"]) == (1, "refused")
    second = kring("release", folder, "--json")
    assert second.json["rollout"]["state"] == "shadow"
    status = kring("status", folder, "--json").json
    assert status["live"]["id"] != second.json["version"]["id"]
    assert status["generation"] == 1
    live, shadow = status["live"]["id"], second.json["version"]["id"]
    ended = kring("rollback", folder, "--reason", "not yet")
    assert ended.code == 0
    assert f"{shadow} is no longer asked as a shadow; {live} answers" in ended.out + ended.err
    assert "again" not in ended.out + ended.err
    assert kring("status", folder, "--json").json["rollout"]["state"] == "rolled_back"
    assert kring("rollback", folder, "--reason", "once more").code == 1


def test_one_candidate_and_an_older_snapshot_can_be_named(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    first = kring("check", folder, "--json").json["snapshot"]
    write_csv(folder, prices_feed(1200))
    second = kring("check", folder, "--json").json["snapshot"]
    assert first["digest"] != second["digest"]
    runs = kring("train", folder, "--candidate", "linear", "--snapshot", first["id"], "--json").json["runs"]
    assert [(one["run"]["candidate"], one["run"]["snapshot"]) for one in runs] == [
        ("prior", first["id"]), ("linear", first["id"]),
    ]  # fmt: skip
    told = kring("release", folder, "--json")
    assert told.code == 1
    assert "measured on another snapshot" in str(told.json["verdicts"])
    assert kring("train", folder, "--candidate", "linaer").code == 2


def test_the_past_is_what_was_known_then(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    told = kring("check", folder, "--as-of", "2024-01-20T06:00:00", "--json").json["snapshot"]
    assert told["as_of"] == "2024-01-20T06:00:00.000000Z"
    assert told["first"] < told["last"] <= told["as_of"]
    times = [one for one in told["columns"] if one["type"] == "timestamp"]
    assert times
    assert all(one["minimum"].endswith("Z") and one["maximum"].endswith("Z") for one in times)
    prices = write_prices(tmp_path / "prices")
    assert kring("check", prices, "--as-of", "2024-01-20").code == 2


def test_identifiers_are_nowhere_in_clear(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    assert kring("go", folder).code == 0
    assert kring("replay", folder, "--from", "2024-02-10", "--to", "2024-02-13").code == 0
    feed = (folder / "feed.csv").read_bytes()
    assert b"@example.org" in feed
    files = [file for file in (folder / ".kring").rglob("*") if file.is_file()]
    parquet = [file for file in files if file.suffix == ".parquet"]
    assert parquet
    assert all(not str(pl.read_parquet(file)["email"][0]).startswith("person") for file in parquet)
    assert [file.name for file in files if b"@example.org" in file.read_bytes()] == []


def test_a_replay_needs_time_and_a_span(tmp_path: Path) -> None:
    prices = write_prices(tmp_path / "prices")
    assert kring("replay", prices, "--from", "2024-01-01", "--to", "2024-02-01").code == 2
    parcels = write_parcels(tmp_path / "parcels")
    assert kring("replay", parcels, "--from", "2024-01-20", "--to", "2024-01-19").code == 2
    assert kring("replay", parcels, "--from", "2030-01-20", "--to", "2030-02-19").code == 2
    taken = tmp_path / "taken"
    shutil.copytree(prices, taken)
    told = kring("replay", parcels, "--from", "2024-01-16", "--to", "2024-01-17", "--home", taken, "--json")
    assert (told.code, told.json["error"]["code"]) == (2, "use")
