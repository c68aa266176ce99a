"""What may become evidence: faithful exports of candidates that learned from nothing they should not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kring.errors import CandidateError, ConfigError
from kring.flow import history
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.project import Project, open_project
from kring.flow.training.material import gather
from kring.flow.training.train import train
from kring.record.evidence import Evidence, Measure
from kring.record.run import Run
from kring.record.snapshot import Snapshot
from systems import kring, prices_feed, write_loans, write_prices

SCALED = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def scaled(spec):
    numbers = ColumnTransformer([("numbers", StandardScaler(), spec.numbers)])
    return make_pipeline(numbers, HistGradientBoostingClassifier(max_iter=30))

def broken(spec):
    raise RuntimeError("no idea")
"""

SPEAKING = """
from sklearn.linear_model import LogisticRegression

def speaks(spec):
    raise ValueError("could not convert string to float: 'Jane Roe'")

def tried(spec):
    return speaks(spec) if "C" in spec.params else LogisticRegression()
"""


def candidate(name: str, function: str) -> str:
    return f'\n[[candidate]]\nname = "{name}"\nfit = "models.py:{function}"\n'


def checked(folder: Path) -> tuple[Project, Snapshot]:
    project = open_project(folder)
    return project, take_snapshot(project, check_feed(project))


def records(project: Project, kind: type) -> list:
    with project.ledger() as ledger:
        return list(history.all_of(ledger, kind))


def replaced(folder: Path, *pairs: tuple[str, str]) -> None:
    file = folder / "kring.toml"
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def test_a_candidate_that_does_not_export_faithfully_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    """A float32 scaler before trees moves their split points (law 7)."""
    folder = tmp_path / "loans"
    folder.mkdir()
    (folder / "models.py").write_text(SCALED)
    write_loans(folder, candidates=candidate("scaled", "scaled") + 'columns = ["amount", "income"]\n')
    replaced(folder, ('amount = "amount"', 'amount = "amount // 1 / 7"'))
    project, snapshot = checked(folder)
    trained = {one.run.candidate: one for one in train(project, snapshot, draws=50)}
    assert list(trained) == ["by-region", "linear", "scaled"]
    assert {name: one.run.state for name, one in trained.items()} == {
        "by-region": "done", "linear": "done", "scaled": "refused",
    }  # fmt: skip
    assert trained["scaled"].evidence is None
    assert "answers otherwise once it is exported" in trained["scaled"].run.reason
    assert {run.candidate: run.state for run in records(project, Run)}["scaled"] == "refused"
    assert [one.candidate for one in records(project, Evidence)] == ["by-region", "linear"]
    assert sorted(path.name for path in project.home.runs.iterdir() if not path.name.startswith(".")) == sorted(
        one.run.id for one in trained.values() if one.evidence
    )
    compared = kring("compare", folder, "--json")
    assert [row["candidate"] for row in compared.json["candidates"]] == ["linear", "by-region"]
    assert "scaled was refused" in Path(compared.json["page"]).read_text()
    told = kring("release", folder, "--candidate", "scaled", "--json")
    assert (told.code, told.json["error"]["code"]) == (2, "not_found")


def test_when_every_candidate_is_refused_the_answer_is_no(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    (folder / "models.py").write_text(SCALED)
    replaced(folder, ('builtin = "linear"', 'fit = "models.py:broken"'))
    assert kring("check", folder).code == 0
    told = kring("train", folder, "--candidate", "linear", "--json")
    assert told.code == 1
    assert [one["run"]["state"] for one in told.json["runs"]] == ["done", "refused"]
    assert "no idea" in told.json["runs"][1]["why"], "for who asked"


def test_what_a_function_says_of_a_row_stays_on_no_record(tmp_path: Path) -> None:
    """Its error, and its errors in folds and settings: the place is kept, the words are for who sits there (law 11)."""
    folder = write_prices(tmp_path / "prices")
    (folder / "models.py").write_text(SPEAKING)
    tuned = "tune = { ranges = { C = [0.1, 1.9] }, trials = 2 }\n"
    more = "".join(
        f'\n[[candidate]]\nname = "{name}"\nfit = "models.py:{name}"\ncolumns = ["demand"]\n{plan}'
        for name, plan in (("speaks", ""), ("tried", tuned))
    )
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace("[gate]", f"{more}\n[gate]"))
    project, snapshot = checked(folder)
    trained = {one.run.candidate: one for one in train(project, snapshot, only=["speaks", "tried"], draws=20)}
    assert "Jane Roe" in trained["speaks"].why
    assert trained["speaks"].run.reason == "candidate speaks: models.py:speaks raised ValueError (models.py, line 5)"
    searched = trained["tried"].run.tuned
    assert searched is not None
    assert {one.reason for one in searched.trials} == {"", trained["speaks"].run.reason.replace("speaks", "tried")}
    kept = b"".join(one.read_bytes() for one in project.home.root.rglob("*") if one.is_file())
    assert b"Jane Roe" not in kept
    assert "models.py, line 5" in Path(kring("compare", folder, "--json").json["page"]).read_text()


def test_a_rule_that_leaves_a_row_unanswered_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    """The income of some is not known."""
    rule = '\n[[candidate]]\nname = "rich"\nrule = "income > 50"\n'
    folder = write_loans(tmp_path / "loans", candidates=rule)
    said: list[str] = []
    project, snapshot = checked(folder)
    project = replace(project, say=said.append)
    trained = {one.run.candidate: one for one in train(project, snapshot, draws=50)}
    assert {name: one.run.state for name, one in trained.items()} == {
        "by-region": "done", "linear": "done", "rich": "refused",
    }  # fmt: skip
    assert "has no answer for" in trained["rich"].run.reason
    assert "held-out rows" in trained["rich"].run.reason
    assert trained["rich"].evidence is None
    rows = trained["linear"].run.parts[0].rows
    assert f"fit     linear on {rows:,} rows" in said


def test_a_baseline_that_leaves_a_row_unanswered_is_an_error(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    replaced(folder, ('rule = "region_rate"', 'rule = "income > 50"'))
    project, snapshot = checked(folder)
    with pytest.raises(CandidateError, match="by-region has no answer for"):
        train(project, snapshot)
    assert [run.state for run in records(project, Run)] == ["refused"]


def test_a_baseline_that_fails_is_an_error(tmp_path: Path) -> None:
    """Without it there is nothing to compare with; what was tried stays on the ledger."""
    folder = write_prices(tmp_path / "prices")
    (folder / "models.py").write_text(SCALED)
    replaced(folder, ('builtin = "prior"', 'fit = "models.py:broken"'))
    project, snapshot = checked(folder)
    with pytest.raises(CandidateError, match="raised RuntimeError"):
        train(project, snapshot)
    assert [(run.candidate, run.state) for run in records(project, Run)] == [("prior", "refused")]
    assert records(project, Evidence) == []
    assert kring("train", folder).code == 2


def test_a_column_that_gives_the_outcome_away_is_named(tmp_path: Path) -> None:
    feed = prices_feed().with_columns(weekday=pl.when(pl.col("class") == "UP").then(1).otherwise(2))
    project, snapshot = checked(write_prices(tmp_path / "prices", feed=feed))
    with pytest.raises(CandidateError, match="weekday alone gives the outcome away") as refused:
        train(project, snapshot)
    assert refused.value.key == "prepare.weekday"
    assert records(project, Run) == []


@pytest.mark.parametrize("name", ["repaid", "settled_at"])
def test_what_is_known_later_can_not_be_prepared(name: str, tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    replaced(folder, ('amount = "amount"', f'amount = "{name}"'))
    with pytest.raises(ConfigError, match=f"'{name}' is known only later"):
        open_project(folder)


def test_nothing_is_learned_from_what_was_not_known_at_the_cut(tmp_path: Path) -> None:
    """Turn round every outcome that was known after the cut: what is learned from stays the same, lookups too."""
    folder = write_loans(tmp_path / "loans")
    project, snapshot = checked(folder)
    before = gather(project, snapshot)
    cut = before.parts[1].first
    feed = pl.read_csv(folder / "feed.csv", try_parse_dates=True)
    late = pl.col("settled_at").dt.epoch("us") > cut
    turned = feed.with_columns(repaid=pl.when(late).then(~pl.col("repaid")).otherwise("repaid"))
    other = write_loans(tmp_path / "other", feed=turned)
    after = gather(*checked(other))
    assert after.prepared == before.prepared
    np.testing.assert_array_equal(after.train_truth, before.train_truth)
    for name in before.train_batch.columns:
        np.testing.assert_array_equal(after.train_batch.columns[name], before.train_batch.columns[name])
        np.testing.assert_array_equal(after.test_batch.columns[name], before.test_batch.columns[name])
    assert (after.test_truth != before.test_truth).any()


def test_the_same_seed_trains_the_same(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    project, snapshot = checked(folder)
    one, two = (train(project, snapshot, seed=4, draws=50) for _ in range(2))
    for left, right in zip(one, two, strict=True):
        assert left.run.chain_digest == right.run.chain_digest
        assert left.evidence is not None
        assert right.evidence is not None
        assert measured(left.evidence) == measured(right.evidence)


def measured(evidence: Evidence) -> list[Measure]:
    """All but how long it took on this machine."""
    return [measure for measure in evidence.measures if not measure.probe]
