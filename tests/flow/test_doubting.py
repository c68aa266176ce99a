"""New data is looked at before anything is learned: planted rows end a training, clean ones don't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kring.errors import Refused, UserError
from kring.flow import history
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.doubting import Told, coverage_of, looks_poisoned, poison, shapes_its_labels
from kring.flow.operating.operator import operating
from kring.flow.project import Project, open_project
from kring.flow.retraining import Retraining, begun, take_data
from kring.flow.training_asked import ask_training, trainings
from kring.host.clock import SimulatedClock
from kring.record.run import Run
from kring.record.snapshot import Snapshot
from lives import live
from systems import day, kring, loans_feed, write_loans

CUT = 45
ID = "t_00000000000000000000000001"


def late(feed: pl.DataFrame) -> np.ndarray:
    return (feed["asked_at"].dt.epoch("us") > day(CUT)).to_numpy()


def flipped(feed: pl.DataFrame, where: np.ndarray) -> pl.DataFrame:
    return feed.with_columns(repaid=pl.when(pl.Series(where)).then(~pl.col("repaid")).otherwise("repaid"))


def told(folder: Path, feed: pl.DataFrame, *, before: pl.DataFrame | None = None) -> tuple[Project, Snapshot, Told]:
    """What is said of the last fifteen days of `feed`."""
    clean = loans_feed(4000) if before is None else before
    old = taken(write_loans(folder, feed=clean), CUT)
    new = taken(with_trusted(write_loans(folder, feed=feed)), 60)
    project = open_project(folder)
    return project, new, poison(project, new, before=old)


def taken(folder: Path, until: float) -> Snapshot:
    project = open_project(folder)
    return take_snapshot(project, check_feed(project, as_of=day(until)))


def with_trusted(folder: Path) -> Path:
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace("[learn]\n", '[learn]\ntrusted = "trusted.parquet"\n'))
    loans_feed(800).write_parquet(folder / "trusted.parquet")
    return folder


def test_clean_data_is_not_doubted(tmp_path: Path) -> None:
    project, new, found = told(tmp_path / "loans", loans_feed(4000))
    assert found.words == ()
    assert found.flips
    assert found.burst is not None
    assert found.trusted is not None
    assert looks_poisoned(project, new) == ()


def test_labels_flipped_at_random(tmp_path: Path) -> None:
    feed = loans_feed(4000)
    wrong = late(feed) & (np.random.default_rng(1).random(feed.height) < 0.15)
    project, new, found = told(tmp_path / "loans", flipped(feed, wrong))
    assert any("contradict the rows most like them" in words for words in found.words)
    assert looks_poisoned(project, new) == found.words


def test_labels_flipped_for_a_purpose_are_seen_on_trusted_rows(tmp_path: Path) -> None:
    feed = loans_feed(4000)
    wrong = late(feed) & (feed["region"] != "north").to_numpy()
    _, _, found = told(tmp_path / "loans", flipped(feed, wrong))
    assert any("trusted rows worse" in words for words in found.words)


def test_a_burst_of_copies(tmp_path: Path) -> None:
    feed = loans_feed(4000)
    chance = np.random.default_rng(1)
    one = feed.filter(pl.Series(late(feed))).drop_nulls()[:1]
    copies = pl.concat([one] * 40).with_columns(
        amount=pl.col("amount") + pl.Series(chance.normal(0, 0.5, 40)).round(2), repaid=~pl.col("repaid")
    )
    _, _, found = told(tmp_path / "loans", pl.concat([feed, copies]))
    assert any("almost copies" in words for words in found.words)


def test_a_training_that_began_by_itself_ends_and_a_persons_goes_on(tmp_path: Path) -> None:
    feed = loans_feed(4000)
    folder = write_loans(tmp_path / "loans", feed=feed)
    taken(folder, CUT)
    write_loans(folder, feed=flipped(feed, late(feed) & (np.random.default_rng(1).random(feed.height) < 0.2)))
    project = replace(open_project(folder), clock=SimulatedClock(day(60)))
    stopped = Retraining(project, begun(project, id=ID, trigger="schedule"), doubts=[looks_poisoned]).run()
    assert (stopped.result, stopped.broke_at, stopped.runs) == ("investigate", "data", ())
    assert "should be looked at first" in stopped.reason


def test_a_person_who_asks_is_told_and_obeyed(tmp_path: Path) -> None:
    write_loans(tmp_path / "loans", feed=loans_feed(1000))
    project = replace(open_project(tmp_path / "loans"), clock=SimulatedClock(day(60)))
    asked = begun(project, id=ID, trigger="asked for by Ada: I looked")
    retraining = Retraining(project, asked, doubts=[lambda _, __: ["these rows look alike"]])
    take_data(retraining)
    assert retraining.training.stage == "snapshot"
    assert retraining.training.doubts == ("these rows look alike",)


def test_a_trusted_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    feed = loans_feed(2000)
    old = taken(write_loans(tmp_path / "loans", feed=feed), 40)
    folder = with_trusted(write_loans(tmp_path / "loans", feed=feed))
    new = taken(folder, 60)
    (folder / "trusted.parquet").unlink()
    with pytest.raises(UserError, match="trusted"):
        poison(open_project(folder), new, before=old)


def test_a_model_that_chooses_what_it_learns_from(tmp_path: Path) -> None:
    feed = loans_feed()
    folder = write_loans(tmp_path / "loans", feed=feed)
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace('feedback = "none"', 'feedback = "some"'))
    assert kring("go", folder, "--as-of", "2024-02-15").code == 0
    asked = feed[-600:]
    asked.drop("repaid", "settled_at").write_parquet(folder / "asked.parquet")
    assert kring("score", folder / "asked.parquet", folder, "--out", folder / "answers.parquet").code == 0
    said = pl.read_parquet(folder / "answers.parquet")
    refused = (said["decision"] == "false").to_numpy()
    censored = pl.concat([feed[:-600], asked.with_columns(
        repaid=pl.when(pl.Series(refused)).then(None).otherwise("repaid")
    )])  # fmt: skip
    project = open_project(folder)
    later = replace(project, clock=SimulatedClock(project.clock.now() + 5 * 86_400_000_000))
    even = take_snapshot(later, check_feed(later))
    assert shapes_its_labels(later, even) == ()
    write_loans(folder, feed=censored)
    snapshot = take_snapshot(later, check_feed(later))
    shares = {one.decision: one.share for one in coverage_of(later, snapshot)}
    assert shares["false"] == 0
    assert shares["true"] > 0.9
    config.write_text(config.read_text().replace('feedback = "none"', 'feedback = "some"'))
    later = replace(open_project(folder), clock=later.clock)
    (words,) = shapes_its_labels(later, snapshot)
    assert "the model chooses what it learns from" in words
    config.write_text(config.read_text().replace('feedback = "some"', 'feedback = "none"'))
    assert shapes_its_labels(replace(open_project(folder), clock=later.clock), snapshot) == ()


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_a_replay_doubts_what_an_operator_would(tmp_path: Path, share: float) -> None:
    """The same code: a training that is due ends where its new rows look planted, and goes on where they don't."""
    feed = loans_feed(4000)
    wrong = (feed["asked_at"].dt.epoch("us") > day(31)).to_numpy()
    wrong &= np.random.default_rng(1).random(feed.height) < share
    folder = write_loans(tmp_path / "loans", feed=flipped(feed, wrong))
    config = folder / "kring.toml"
    before, _, after = config.read_text().partition("[learn]\n")
    rest = after[after.index("\n[") :] if "\n[" in after else ""
    config.write_text(f'{before}[learn]\nretrain_on = ["schedule"]\nevery = "20d"\n{rest}')
    lived = live(folder, tmp_path / "home", end=day(52))
    doubted = [one for one in lived.replay.alarms if "should be looked at first" in one.what]
    assert bool(doubted) == bool(share)
    with lived.project.ledger() as ledger:
        snapshots, trained = (list(history.all_of(ledger, kind)) for kind in (Snapshot, Run))
    assert len(snapshots) == 2, "the first training, and the one that was due"
    assert {one.snapshot for one in trained} == {one.id for one in snapshots[: 1 if share else 2]}
    for alarm in doubted:
        assert (alarm.kind, alarm.metric) == ("retraining", "data")
        assert "contradict the rows most like them" in alarm.what


def test_people_ask_for_trainings_and_end_them(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans", feed=loans_feed())
    project = open_project(folder)
    assert trainings(project).last == ()
    with pytest.raises(Refused, match="no live version"):
        ask_training(project, "now", reason="try", actor="Ada")
    assert kring("go", folder, "--as-of", "2024-02-15").code == 0
    for what in ("--approve", "--refuse", "--cancel"):
        told_ = kring("retrain", folder, what, "--because", "why not", "--json")
        assert (told_.code, told_.json["error"]["code"]) == (1, "refused")
    for words in (("--now",), ("--because", "x"), ("--now", "--because", " "), ("--now", "--because", "x" * 1001)):
        assert kring("retrain", folder, *words, "--json").json["error"]["code"] == "use"
    asked = kring("retrain", folder, "--now", "--because", "new prices", "--by", "Ada", "--json").json
    assert asked["runs"] == "asked for by Ada: new prices"
    assert asked["training"].startswith("t_")
    assert kring("retrain", folder, "--now", "--because", "again", "--json").json["error"]["code"] == "refused"
    assert "runs, asked for by Ada" in kring("retrain", folder).out
    with operating(project, holder="another command") as operator:
        operator.resume()
    assert kring("retrain", folder, "--json").json["training"] == asked["training"], "no other command ends it"
    ended = kring("retrain", folder, "--cancel", "--because", "not now", "--json").json
    assert (ended["runs"], ended["training"]) == ("", "")
    assert "cancelled" in kring("alarms", folder).out
