"""What a careful colleague asks for, from kring.toml to the ledger, on real systems."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from kring.errors import Unavailable
from kring.flow.project import open_project
from kring.flow.training.scrutiny import answer_rows
from kring.record.batch import Batch
from kring.record.evidence import Evidence
from systems import kring, loans_feed, write_loans, write_parcels

BEHAVIOURS = """
[inputs]
region = "north"
amount = 100

[[example]]
name = "who earns much repays"
inputs = { income = 90 }
decision = true
above = 0.6

[[example]]
name = "who earns nothing repays"
inputs = { income = 5, amount = 900 }
decision = true

[[invariance]]
name = "the region hardly matters"
change = "region"
to = ["north", "south", "west"]
tolerance = 0.9

[[direction]]
name = "more income helps"
change = "income"
by = 5
output = "not lower"
"""

GATE = """
"fairness.demographic_parity_difference.region" = "<= 0.5"
"robustness.noise.roc_auc" = "<= 0.2"
"slices.worst.loss" = "<= 5"
behaviours = ">= 1"

[evidence]
folds = 4
behaviours = "behaviours.toml"

[evidence.slices]
large = "amount > 600 and region != 'north'"

[rollout]"""


def with_scrutiny(folder: Path, *, gate: str = GATE, behaviours: str = BEHAVIOURS) -> Path:
    """`folder` with protected columns, slices, behaviour tests and gate lines."""
    file = folder / "kring.toml"
    text = file.read_text().replace("[data]\n", '[data]\nprotected = ["region", "income"]\n', 1)
    file.write_text(text.replace("\n[rollout]", gate, 1))
    (folder / "behaviours.toml").write_text(behaviours)
    return folder


def evidence_of(folder: Path) -> Evidence:
    """The newest evidence on the ledger, and what an older Kring would have had of it."""
    with open_project(folder).ledger() as ledger:
        body = [event.body for event in ledger.read() if event.kind == "evidence"][-1]
    return msgspec.json.decode(body, type=Evidence)


def flipped_feed() -> pl.DataFrame:
    """The loans, where north is worse in a way that no column shows, and one outcome in fifteen of the clear cases
    is the wrong way round."""
    feed = loans_feed(4000)
    chance = np.random.default_rng(0)
    clear = (feed["income"].fill_null(50) - 50).abs() > 20
    wrong = clear & pl.Series(chance.random(4000) < 1 / 15)
    return feed.with_columns(repaid=pl.when(wrong).then(~pl.col("repaid")).otherwise(pl.col("repaid")))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = with_scrutiny(write_loans(tmp_path_factory.mktemp("loans"), feed=flipped_feed()))
    for command in ("check", "train"):
        told = kring(command, folder)
        assert told.code == 0, told.err
    return folder


def test_all_of_it_is_measured_and_recorded(trained: Path) -> None:
    evidence = evidence_of(trained)
    names = {measure.name: measure for measure in evidence.measures}
    assert {
        "slices.worst.roc_auc",
        "slices.worst.loss",
        "fairness.demographic_parity_difference.region",
        "fairness.equalized_odds_ratio.income",
        "robustness.noise.roc_auc",
        "robustness.missing.flipped",
        "robustness.shuffled.roc_auc",
        "robustness.unknown.roc_auc",
        "behaviours",
    } <= set(names)
    assert [one.name for one in evidence.slices if one.declared] == ["large"]
    assert {group.column for group in evidence.by_group} == {"region", "income"}
    assert "(missing)" in {group.name for group in evidence.by_group if group.column == "income"}
    assert [one.name for one in evidence.robustness] == ["noise", "missing", "shuffled", "unknown"]
    assert [(one.name, one.passed) for one in evidence.behaviours] == [
        ("who earns much repays", True),
        ("who earns nothing repays", False),
        ("the region hardly matters", True),
        ("more income helps", True),
    ]
    assert names["behaviours"].value == 0.75
    assert all(np.isfinite([one.value, one.low, one.high]).all() for one in evidence.measures)


def test_income_is_found_to_decide_and_region_is_not(trained: Path) -> None:
    names = {measure.name: measure for measure in evidence_of(trained).measures}
    assert names["fairness.demographic_parity_difference.income"].low > 0.3
    assert names["fairness.demographic_parity_difference.region"].low < 0.1


def test_suspects_are_named_by_what_people_know_rows_by(trained: Path) -> None:
    suspects = evidence_of(trained).suspects
    assert suspects is not None
    assert suspects.rows > 2000
    assert suspects.count > 10
    assert suspects.listed[0].given != suspects.listed[0].said.partition(" ")[0]
    assert len({suspect.row for suspect in suspects.listed}) == len(suspects.listed)


def test_the_gate_decides_on_it(trained: Path) -> None:
    told = kring("release", trained, "--json")
    assert told.code == 1
    verdict = next(one for one in told.json["verdicts"] if one["candidate"] == "linear")
    lines = {line["metric"]: line["result"] for line in verdict["lines"]}
    assert lines["behaviours"] == "fail"
    assert lines["slices.worst.loss"] == "pass"
    assert lines["robustness.noise.roc_auc"] == "pass"


def test_the_same_seed_gives_the_same_evidence(trained: Path) -> None:
    before = evidence_of(trained)
    assert kring("train", trained).code == 0
    after = evidence_of(trained)
    for part in ("slices", "by_group", "robustness", "behaviours", "suspects"):
        assert getattr(before, part) == getattr(after, part)
    quick = [one for one in before.measures if not one.probe and one.name not in ("memory_mb", "size_mb")]
    others = {one.name: one for one in after.measures}
    assert all(others[one.name] == one for one in quick)


def test_evidence_of_older_ledgers_is_read(trained: Path) -> None:
    table = json.loads(msgspec.json.encode(evidence_of(trained)))
    for name in ("slices", "by_group", "robustness", "behaviours", "suspects"):
        del table[name]
    old = msgspec.json.decode(json.dumps(table), type=Evidence)
    assert old.slices == old.by_group == old.robustness == old.behaviours == ()
    assert old.suspects is None


def test_numbers_have_it_too(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    text = (folder / "kring.toml").read_text().replace("[data]\n", '[data]\nprotected = ["express", "booked_on"]\n', 1)
    (folder / "kring.toml").write_text(text + '\n[evidence]\nbehaviours = "behaviours.toml"\n')
    (folder / "behaviours.toml").write_text(
        '[[direction]]\nname = "farther takes longer"\nchange = "distance"\nby = 5\noutput = "not lower"\n'
    )
    for command in ("check", "train"):
        assert kring(command, folder).code == 0
    evidence = evidence_of(folder)
    names = {measure.name: measure for measure in evidence.measures}
    assert names["fairness.mae_ratio.express"].high <= 1
    assert names["robustness.noise.mae"].low > 0
    assert names["behaviours"].value == 1
    assert "slices.worst.mae" in names
    assert not any(name.endswith("flipped") for name in names)
    assert evidence.suspects is None


@pytest.mark.parametrize(
    ("gate", "behaviours", "words"),
    [
        (GATE.replace("behaviours.toml", "gone.toml"), BEHAVIOURS, "there is no file gone.toml"),
        (GATE.replace('behaviours = "behaviours.toml"', ""), BEHAVIOURS, "nothing measures behaviours"),
        (GATE.replace("noise.roc_auc", "nois.roc_auc"), BEHAVIOURS, "nothing measures robustness.nois.roc_auc"),
        (GATE.replace("difference.region", "difference.amount"), BEHAVIOURS, "nothing measures fairness"),
        (GATE.replace("slices.worst.loss", "slices.worst.mae"), BEHAVIOURS, "nothing measures slices.worst.mae"),
        (GATE.replace("amount > 600 and", "wealth > 600 and"), BEHAVIOURS, "wealth"),
        (GATE.replace("amount > 600 and region != 'north'", "amount + 600"), BEHAVIOURS, "a slice is true or false"),
        (GATE, BEHAVIOURS.replace("income = 90", "wealth = 90"), "behaviours.toml:8 example[0].inputs.wealth"),
        (GATE, BEHAVIOURS.replace("income = 90", "repaid = true"), "known only later"),
        (GATE, "", "behaviours.toml is empty"),
        (GATE, "[[example", "this is not TOML"),
    ],
)
def test_bad_wishes_are_told_before_anything_is_done(tmp_path: Path, gate: str, behaviours: str, words: str) -> None:
    folder = with_scrutiny(write_loans(tmp_path / "loans"), gate=gate, behaviours=behaviours)
    told = kring("check", folder)
    assert told.code == 2
    assert words in told.err
    assert not (folder / ".kring").exists()


def test_a_label_that_the_target_never_has_stops_the_training(tmp_path: Path) -> None:
    behaviours = BEHAVIOURS.replace("decision = true", 'decision = "perhaps"', 1)
    folder = with_scrutiny(write_loans(tmp_path / "loans"), behaviours=behaviours)
    assert kring("check", folder).code == 0
    told = kring("train", folder)
    assert told.code == 2
    assert "the target has no such label" in told.err
    assert "behaviours.toml:9" in told.err


@pytest.mark.parametrize("metric", ["fairness.*", "robustness.*", "slices.worst.*", "fairness.mae_ratio.*"])
def test_a_whole_family_may_be_gated(tmp_path: Path, metric: str) -> None:
    gate = GATE.replace('behaviours = ">= 1"', f'"{metric}" = "<= 100"')
    assert kring("check", with_scrutiny(write_loans(tmp_path / "loans"), gate=gate)).code == 0


def test_rows_on_which_a_chain_fails_have_lost_their_answer() -> None:
    def frail(batch: Batch) -> Batch:
        """Fails as a whole on a region that it does not know."""
        if "atlantis" in batch.columns["region"]:
            raise Unavailable("this category is not known")
        return Batch(batch.n, {"probability": np.full(batch.n, 0.5)})

    regions = np.array(["north", "atlantis", "south", "west", "atlantis"], dtype=object)
    silent = Batch(1, {"probability": np.array([np.nan])})
    answered = answer_rows(frail, Batch(5, {"region": regions}), silent=silent)
    assert np.isnan(answered.columns["probability"]).tolist() == [False, True, False, False, True]
