"""`kring clean`: nothing is repaired until somebody accepts it; then every feed is, before it is checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from kring.data.recipes import FILE
from systems import Told, kring, loans_feed, write_csv, write_loans


def dirty_feed() -> pl.DataFrame:
    row = pl.int_range(pl.len())
    return loans_feed(900).with_columns(
        region=pl.when(row % 30 == 0).then(pl.lit(" North ")).otherwise("region"),
        income=pl.when(row % 45 == 1).then(pl.lit("N/A")).otherwise(pl.col("income").cast(pl.String)),
        amount=pl.when(row % 3 == 0).then(pl.format("{} EUR", "amount")).otherwise(pl.format("{} Euro", "amount")),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_loans(tmp_path / "loans", feed=dirty_feed())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def warnings(told: Told) -> dict[str, str]:
    return {one["rule"]: one["message"] for one in told.json["report"]["findings"] if one["result"] == "warn"}


def test_looking_changes_nothing(folder: Path) -> None:
    before = files(folder)
    told = kring("clean", folder, "--json")
    assert told.code == 0
    found = {one["repair"]["id"]: one["repair"] for one in told.json["proposals"]}
    assert found.keys() >= {"text.region", "missing.income", "unit.amount", "case.region"}
    assert found["unit.amount"]["trust"] == "safe"
    assert found["unit.amount"]["cells"] == 900
    assert told.json["recipe"] is None
    assert {path: data for path, data in files(folder).items() if ".kring" not in path} == before


def test_what_is_accepted_is_applied_to_every_feed_before_it_is_checked(folder: Path) -> None:
    assert kring("check", folder, "--dry-run").code == 1
    recipe = kring("clean", folder, "--accept", "likely", "--by", "Ada", "--json").json["recipe"]
    assert (recipe["version"], recipe["actor"]) == (1, "Ada")
    text = (folder / FILE).read_bytes()
    assert (folder / ".kring" / "recipes" / f"{recipe['digest']}.toml").read_bytes() == text
    checked = kring("check", folder, "--json")
    assert checked.code == 0
    report = checked.json["snapshot"]["report"]
    assert report["recipe"] == recipe["digest"]
    assert {one["repair"]: one["cells"] for one in report["changes"]}["unit.amount"] == 900
    assert kring("clean", folder, "--json").json["proposals"] == []
    region = next(one for one in checked.json["snapshot"]["columns"] if one["name"] == "region")
    assert {value for value, _ in region["top"]} == {"north", "south", "west"}


def test_the_repaired_feed_is_the_clean_one_for_training(folder: Path, tmp_path: Path) -> None:
    clean = write_loans(tmp_path / "clean", feed=loans_feed(900))
    kring("clean", folder, "--accept", "safe")
    amounts = [
        next(one for one in told.json["snapshot"]["columns"] if one["name"] == "amount")
        for told in (kring("check", clean, "--json"), kring("check", folder, "--json"))
    ]
    assert [amounts[0][key] for key in ("rows", "missing", "quantiles")] == [
        amounts[1][key] for key in ("rows", "missing", "quantiles")
    ]


def test_versions_add_up(folder: Path) -> None:
    kring("clean", folder, "--accept", "unit.amount")
    second = kring("clean", folder, "--accept", "safe", "--json").json["recipe"]
    assert second["version"] == 2
    assert [one["repair"] for one in second["changes"]] == ["unit.amount", "text.region", "missing.income"]


def test_each_proposal_may_be_answered_by_yes_or_no(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kring", "clean", folder, "--ask"],
        input="y\nn\nn\nn\nn\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / FILE).read_text().count("kind = ") == 1


def test_answers_that_end_accept_nothing(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kring", "clean", folder, "--ask"],
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert not (folder / FILE).exists()
    assert not (folder / ".kring" / "recipes").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--accept", "unit.amont"], "did you mean unit.amount"),
        (["--accept", "safe", "--ask"], "exclude each other"),
        (["--source", "nowhere.csv"], "no such file"),
    ],
)
def test_wrong_use_changes_nothing(folder: Path, words: list[str], said: str) -> None:
    before = files(folder)
    told = kring("clean", folder, *words)
    assert told.code == 2
    assert said in told.err
    assert files(folder).keys() - before.keys() <= {str(folder / ".kring" / "ledger.db")}
    assert not (folder / FILE).exists()


def test_a_repair_that_does_far_more_than_it_did_is_a_warning(folder: Path) -> None:
    kring("clean", folder, "--accept", "likely")
    assert warnings(kring("check", folder, "--dry-run", "--json")) == {}
    row = pl.int_range(pl.len())
    write_csv(folder, dirty_feed().with_columns(income=pl.when(row % 2 == 0).then(pl.lit("N/A")).otherwise("income")))
    told = kring("check", folder, "--dry-run", "--json")
    assert told.json["report"]["result"] == "warn"
    assert "when it was accepted it was 20 of 900" in warnings(told)["repair missing.income"]


def test_a_recipe_changed_by_hand_is_a_warning_until_somebody_confirms_it(folder: Path) -> None:
    kring("clean", folder, "--accept", "likely", "--by", "Ada")
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace('["N/A"]', '["N/A", "none"]'))
    assert "accepted by Ada" in warnings(kring("check", folder, "--dry-run", "--json"))["recipe"]
    assert kring("clean", folder, "--confirm", "--by", "Bob", "--json").json["recipe"]["version"] == 2
    assert warnings(kring("check", folder, "--dry-run", "--json")) == {}
    assert '["N/A", "none"]' in (folder / FILE).read_text()


@pytest.mark.parametrize("command", ["check", "clean", "go"])
def test_a_broken_recipe_is_told_with_its_line_by_every_command_that_reads_the_feed(folder: Path, command: str) -> None:
    kring("clean", folder, "--accept", "likely")
    lines = (folder / FILE).read_text().splitlines()
    line = next(number for number, one in enumerate(lines, 1) if one == 'kind = "unit"')
    (folder / FILE).write_text("\n".join(lines).replace('kind = "unit"', 'kind = "magic"', 1))
    told = kring(command, folder, "--json")
    assert told.code == 2
    fault = told.json["error"]["faults"][0]
    assert (fault["where"]["line"], fault["where"]["key"][-5:]) == (line, ".kind")


def test_a_recipe_of_another_contract_is_refused(folder: Path) -> None:
    kring("clean", folder, "--accept", "likely")
    (folder / FILE).write_text((folder / FILE).read_text().replace("loans-contract", "parcels-contract"))
    told = kring("check", folder, "--json")
    assert told.code == 2
    assert told.json["error"]["faults"][0]["where"]["key"] == "recipe.contract"


def test_columns_that_vanished_from_the_feed_are_told(folder: Path) -> None:
    kring("clean", folder, "--accept", "likely")
    write_csv(folder, dirty_feed().drop("region"))
    told = kring("check", folder, "--dry-run", "--json")
    assert told.code == 1
    assert "no column region" in warnings(told)["repair text.region"]


def test_an_empty_feed_needs_nothing(folder: Path) -> None:
    write_csv(folder, dirty_feed().head(0))
    told = kring("clean", folder, "--json")
    assert (told.code, told.json["proposals"], told.json["rows"]) == (0, [], 0)


def test_a_disk_that_refuses_leaves_no_half_recipe(folder: Path) -> None:
    (folder / FILE).mkdir()
    told = kring("clean", folder, "--accept", "safe")
    assert told.code in (2, 3)
    shutil.rmtree(folder / FILE)
    assert kring("clean", folder, "--accept", "safe").code == 0


def test_a_version_pins_the_recipe_that_its_data_was_repaired_by(folder: Path) -> None:
    kring("clean", folder, "--accept", "likely", "--by", "Ada")
    kring("check", folder)
    kring("train", folder)
    accepted = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(accepted[: accepted.rindex(b"[[repair]]")])
    assert "measured on another clean.toml" in str(kring("release", folder, "--json").json["verdicts"])
    (folder / FILE).write_bytes(accepted)
    told = kring("release", folder, "--json")
    assert told.code == 0, told.json
    place = folder / ".kring" / "versions" / told.json["version"]["id"]
    assert (place / FILE).read_bytes() == accepted
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["recipe_digest"] == hashlib.sha256(accepted).hexdigest()


def test_a_recipe_that_is_gone_is_told(folder: Path) -> None:
    kring("clean", folder, "--accept", "likely", "--by", "Ada")
    (folder / FILE).unlink()
    told = warnings(kring("check", folder, "--dry-run", "--json"))
    assert "clean.toml is gone" in told["recipe"]
    assert "put back .kring/recipes/" in told["recipe"]


def test_rows_are_read_as_the_version_was_measured_or_not_at_all(folder: Path, tmp_path: Path) -> None:
    kring("clean", folder, "--accept", "likely", "--by", "Ada")
    assert kring("go", folder, "--json").code == 0
    score = ("score", folder / "feed.csv", folder, "--out", tmp_path / "out.csv", "--json")
    for name in (FILE, "contract.odcs.yaml"):
        place = folder / name
        before = place.read_bytes()
        place.write_bytes(before + b"\n# a word more\n")
        told = kring(*score)
        assert (told.code, told.json["error"]["code"]) == (3, "conflict"), told.json
        assert name in told.json["error"]["message"]
        assert not (tmp_path / "out.csv").exists()
        place.write_bytes(before)
    assert kring(*score).code == 0
