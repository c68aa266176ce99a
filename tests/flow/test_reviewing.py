"""Outcomes by key, reviews, labels of the next snapshot, and a version asked what the log says was asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from kring.data import snapshot as snapshots
from kring.errors import NotFound, UserError
from kring.flow.checking import latest_snapshot
from kring.flow.project import Project, open_project
from kring.flow.replaying.shadowing import shadow_replay
from kring.flow.reviewing import review, review_queue
from systems import Told, kring, loans_feed, write_loans

PLAN = "\n[learn.review]\nshare = 0.05\nuncertain = true\nflagged = true\nreviewers = 2\n"
ASKED = 300


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live version that was asked about the last rows of a feed that it did not learn from."""
    feed = loans_feed()
    folder = write_loans(tmp_path_factory.mktemp("decided") / "loans", feed=feed)
    with (folder / "kring.toml").open("a") as file:
        file.write(PLAN)
    assert kring("go", folder, "--as-of", "2024-02-15").code == 0
    asked = feed[-ASKED:]
    asked.drop("repaid", "settled_at").write_parquet(folder / "asked.parquet")
    told = kring("score", folder / "asked.parquet", folder, "--out", folder / "answers.parquet")
    assert told.code == 0, told.err
    return folder


@pytest.fixture
def folder(decided: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(decided, tmp_path / "loans"))


@pytest.fixture
def project(folder: Path) -> Project:
    return open_project(folder)


def ids_of(folder: Path) -> list[str]:
    return pl.read_parquet(folder / "answers.parquet")["decision_id"].to_list()


def said(folder: Path, **columns: list[object]) -> Told:
    pl.DataFrame(columns).write_csv(folder / "said.csv")
    return kring("outcome", folder, "--from", folder / "said.csv", "--json")


def test_outcomes_find_their_decisions_by_the_fields_of_the_question(folder: Path) -> None:
    feed = loans_feed()[-ASKED:]
    feed.select("asked_at", "email", value="repaid").write_csv(folder / "known.csv")
    told = kring("outcome", folder, "--from", folder / "known.csv", "--json").json
    missing = feed["repaid"].null_count()
    assert (told["recorded"], told["refused"], told["undecided"]) == (ASKED - missing, 0, missing)
    again = kring("outcome", folder, "--from", folder / "known.csv", "--json").json
    assert (again["known"], again["recorded"]) == (ASKED - missing, 0)


def test_each_kind_of_refusal_is_counted(folder: Path) -> None:
    ids = ids_of(folder)
    told = said(
        folder,
        id=[ids[0], ids[0], ids[1], "d_none", ids[2], ids[3], ids[4], ids[5], ids[5]],
        value=["true", "false", "maybe", "true", "true", "true", None, "true", "true"],
        at=[None, None, None, None, "2040-01-01T00:00:00Z", "2001-01-01", None, None, None],
    )
    assert told.code == 1
    kinds = {"contradicting": 1, "type": 1, "unknown": 1, "future": 1, "early": 1}
    assert told.json["refusals"] == kinds
    assert (told.json["recorded"], told.json["known"], told.json["undecided"]) == (1, 1, 1)
    assert {one["why"] for one in told.json["examples"]} == set(kinds)


def test_rows_that_name_no_decision_or_several(folder: Path) -> None:
    told = said(folder, region=["north", "the moon"], value=["true", "true"])
    assert told.json["refusals"] == {"ambiguous": 1, "unknown": 1}
    assert said(folder, planet=["earth"], value=["true"]).json["error"]["code"] == "data"
    assert said(folder, id=["x"], verdict=["true"]).json["error"]["code"] == "data"
    assert said(folder, id=["x"], value=["true"], at=["soon"]).json["error"]["where"]["key"] == "at"


def test_the_queue_empties_as_people_look(project: Project) -> None:
    queue = review_queue(project, most=1000)
    assert queue.decisions == ASKED
    assert 0 < queue.waiting < 60
    assert len(queue.next) == queue.waiting
    assert set(queue.causes) <= {"uncertain", "drawn", "flagged"}
    one = queue.next[0]
    assert "probability" not in one.inputs, "who sees the answer repeats it"
    assert set(one.inputs) == {"asked_at", "email", "region", "amount", "income"}
    assert review(project, one.id, value="true", by="Ada").heard == "recorded"
    assert review(project, one.id, value="true", by=" Ada ").heard == "known"
    assert review(project, one.id, value="false", by="Ada").heard == "corrected"
    assert one.id not in {each.id for each in review_queue(project, most=1000, by="Ada").next}
    assert one.id in {each.id for each in review_queue(project, most=1000, by="Bo").next}
    assert review(project, one.id, value="true", by="Bo").heard == "recorded"
    after = review_queue(project, most=1000)
    assert after.waiting == queue.waiting - 1
    assert [each.said for each in after.contradictions] == [{"Ada": False, "Bo": True}]


def test_people_who_agree_are_told_so(project: Project) -> None:
    for number, one in enumerate(review_queue(project, most=8).next):
        for by in ("Ada", "Bo"):
            review(project, one.id, value=number % 2 == 0, by=by)
    found = review_queue(project).agreement
    assert found is not None
    assert (found.name, found.value, found.rows) == ("cohen_kappa", pytest.approx(1.0), 8)


def test_what_is_no_review(project: Project, folder: Path) -> None:
    id = ids_of(folder)[0]
    assert review(project, id, value="perhaps", by="Ada").why == "type"
    for by in ("", " ", "x" * 81, "a\x00b"):
        with pytest.raises(UserError):
            review(project, id, value="true", by=by)
    with pytest.raises(NotFound):
        review(project, "d_00000000000000000000000000", value="true", by="Ada")


def test_corrections_and_reports_become_labels_of_the_next_snapshot(project: Project, folder: Path) -> None:
    feed = loans_feed()[-ASKED:]
    ids, truth = ids_of(folder), feed["repaid"].to_list()
    wrong = [row for row, value in enumerate(truth) if value is not None][:3]
    gap = next(row for row, value in enumerate(truth) if value is None)
    for row in wrong[:2]:
        for by in ("Ada", "Bo"):
            review(project, ids[row], value=not truth[row], by=by)
    review(project, ids[wrong[2]], value=not truth[wrong[2]], by="Ada")
    review(project, ids[wrong[2]], value=truth[wrong[2]], by="Bo")
    assert kring("outcome", folder, "--decision", ids[gap], "--value", "true").code == 0
    assert kring("outcome", folder, "--decision", ids[wrong[2]], "--value", str(not truth[wrong[2]])).code == 0
    told = kring("check", folder)
    assert told.code == 0, told.err
    assert "1 outcomes filled in, 2 corrected by people who looked, 1 of which reviewers contradict" in told.err
    snapshot = latest_snapshot(project)
    assert any("from the log" in note for note in snapshot.report.notes)
    frame = snapshots.load(snapshot, folder=project.home.data).sort("asked_at")[-ASKED:]
    labels = frame["repaid"].to_list()
    changed = {row for row, (one, other) in enumerate(zip(labels, truth, strict=True)) if one != other}
    assert changed == {*wrong[:2], gap}
    assert frame["settled_at"][gap] is not None, "since when it is known"


def test_what_is_said_later_is_no_label_of_an_earlier_snapshot(project: Project, folder: Path) -> None:
    for id in ids_of(folder)[:5]:
        review(project, id, value="true", by="Ada")
    assert "labels" not in kring("check", folder, "--as-of", "2024-02-27").err


def test_a_version_is_asked_what_the_log_says_was_asked(project: Project, folder: Path) -> None:
    live = next(project.home.versions.glob("v_*")).name
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace('builtin = "linear"', 'builtin = "linear"\ncolumns = ["income"]'))
    assert kring("go", folder, "--as-of", "2024-02-15").code == 0
    feed = loans_feed()[-ASKED:]
    feed.select("asked_at", "email", value="repaid").write_csv(folder / "known.csv")
    kring("outcome", folder, "--from", folder / "known.csv")
    own = shadow_replay(project, version=live)
    assert (own.rows, own.own, own.compared) == (ASKED, ASKED, 0)
    worse = [one.name for one in project.home.versions.glob("v_*") if one.name != live]
    found = kring("replay", folder, "--shadow", worse[0], "--json").json
    assert (found["rows"], found["compared"], found["failures"]) == (ASKED, ASKED, 0)
    agreement = {one["name"]: one["value"] for one in found["agreement"]}["agreement"]
    assert found["otherwise"] == round((1 - agreement) * ASKED) > 0
    lift = {one["name"]: one for one in found["quality"]}["lift_over_baseline.roc_auc"]
    assert lift["high"] < 0, "a version that sees less is worse on the outcomes that are known"
    apart = [one["apart"] for one in found["differing"]]
    assert apart == sorted(apart, reverse=True)
    assert all(one["said"]["decision"] != one["shadow"]["decision"] for one in found["differing"])


def test_shadows_that_can_t_be(folder: Path, tmp_path: Path) -> None:
    for words, code in (
        (("--shadow", "v_none"), "not_found"),
        (("--shadow", ""), "not_found"),
        (("--shadow", "v_", "--from", "2031-01-01"), "data"),
        (("--shadow", "v_", "--from", "2031-01-01", "--to", "2030-01-01"), "use"),
        (("--shadow", "v_", "--with", folder / "kring.toml"), "use"),
        (("--shadow", "v_", "--home", tmp_path / "nowhere"), "not_found"),
    ):
        assert kring("replay", folder, *words, "--json").json["error"]["code"] == code, words


def test_an_empty_log_has_nothing_to_ask(folder: Path) -> None:
    live = next(open_project(folder).home.versions.glob("v_*")).name
    shutil.rmtree(folder / ".kring" / "log")
    assert kring("replay", folder, "--shadow", live, "--json").json["error"]["message"].startswith("no decision")


def test_the_rows_of_who_was_forgotten_are_left_out(tmp_path: Path) -> None:
    feed = loans_feed()
    folder = write_loans(tmp_path / "loans", feed=feed)
    promise = folder / "contract.odcs.yaml"
    plain = "- name: income\n        logicalType: number\n"
    personal = "        customProperties:\n          - property: kring.personal\n            value: true\n"
    promise.write_text(promise.read_text().replace(plain, plain + personal))
    assert kring("go", folder, "--as-of", "2024-02-15").code == 0
    asked = feed.drop_nulls("income")[-4:]
    asked.drop("repaid", "settled_at").write_parquet(folder / "asked.parquet")
    assert kring("score", folder / "asked.parquet", folder, "--out", folder / "answers.parquet").code == 0
    live = next(open_project(folder).home.versions.glob("v_*")).name
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace('builtin = "linear"', 'builtin = "linear"\ncolumns = ["income"]'))
    assert kring("go", folder, "--as-of", "2024-02-15").code == 0
    (other,) = [one.name for one in open_project(folder).home.versions.glob("v_*") if one.name != live]
    assert shadow_replay(open_project(folder), version=other).compared == 4
    assert kring("forget", asked["email"][-1], folder).code == 0
    found = shadow_replay(open_project(folder), version=other)
    assert (found.rows, found.erased, found.compared) == (4, 1, 3)
    for email in asked["email"][:-1]:
        assert kring("forget", email, folder).code == 0
    told = kring("replay", folder, "--shadow", other, "--json")
    assert "the keys are gone" in told.json["error"]["message"]
