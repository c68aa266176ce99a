"""A system that tells several labels apart goes round like any other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from fruit import fruit_feed, write_fruit
from systems import kring

LABELS = ("apple", "pear", "quince, ripe")


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_fruit(tmp_path_factory.mktemp("fruit") / "fruit")
    told = kring("go", folder)
    assert told.code == 0, told.err
    return folder


def test_every_candidate_is_trained_and_one_released(round_trip: Path) -> None:
    found = kring("compare", round_trip, "--json").json
    rows = {row["candidate"]: row for row in found["candidates"]}
    assert rows.keys() == {"by-width", "prior", "linear", "boosted", "forest"}
    measures = rows["linear"]["measures"]
    assert {f"recall.{label}" for label in LABELS} <= measures.keys()
    assert measures["accuracy"]["low"] > rows["prior"]["measures"]["accuracy"]["high"]
    assert "of " in kring("status", round_trip).out


def test_the_page_shows_what_was_taken_for_what(round_trip: Path) -> None:
    page = (round_trip / ".kring" / "reports" / "compare.html").read_text(encoding="utf-8")
    assert "took each label for" in page
    assert "true / decided" in page
    assert page.count("quince, ripe") > 3


def test_replay_decides_and_one_decision_is_traced(round_trip: Path) -> None:
    told = kring("replay", round_trip, "--from", "2024-01-16", "--to", "2024-01-21", "--json")
    assert told.code == 0, told.err
    found = told.json
    traced = kring("trace", found["replay"]["trace_id"], round_trip, "--home", found["home"], "--json")
    assert traced.code == 0, traced.err
    facts = traced.json["nodes"][0]["facts"]
    assert facts["decision"] in LABELS
    assert sum(float(facts[f"probability.{label}"]) for label in LABELS) == pytest.approx(1, abs=1e-3)


def relabelled(change: Callable[[pl.Series], pl.Series]) -> pl.DataFrame:
    feed = fruit_feed()
    return feed.with_columns(change(feed["kind"]).alias("kind"))


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        (relabelled(lambda kind: kind.replace("pear", "apple")), 'task = "classification"'),
        (relabelled(lambda kind: pl.Series([f"id{n}" for n in range(len(kind))])), "too many different values"),
        (relabelled(lambda kind: pl.Series([f"{n / 7}" for n in range(len(kind))])), 'task = "regression"'),
        (relabelled(lambda kind: pl.Series(["plum"] * 4 + kind.to_list()[4:])), "plum: 4"),
        (relabelled(lambda kind: kind.replace("pear", "peach")), "a price for missing each label"),
    ],
    ids=["two labels", "names", "numbers", "a rare label", "another label"],
)
def test_a_target_of_another_kind_is_refused_in_words(tmp_path: Path, feed: pl.DataFrame, says: str) -> None:
    folder = write_fruit(tmp_path / "fruit", feed=feed)
    told = kring("train", folder) if kring("check", folder).code == 0 else kring("check", folder)
    assert told.code == 2
    assert says in told.err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[[candidate]]\nname = "width"\nrule = "width"\n', "the rule gives no label"),
        ('[[candidate]]\nname = "plum"\nrule = \'"plum"\'\n', "no answer for"),
    ],
)
def test_a_rule_that_names_no_label_is_refused_with_the_others_kept(
    round_trip: Path, tmp_path: Path, more: str, says: str
) -> None:
    folder = tmp_path / "fruit"
    shutil.copytree(round_trip, folder)
    write_fruit(folder, more=more)
    told = kring("train", folder, "--candidate", more.split('"')[1])
    assert says in told.err + told.out
