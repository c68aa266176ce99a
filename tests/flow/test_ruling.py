"""A policy of more than a threshold, from kring.toml to what every path decides by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from fruit import write_fruit
from kring.contracts.rows_guard import row_guard
from kring.decide.impute import row_imputer
from kring.decide.outliers import scorer_of
from kring.decide.policy import judge_of, row_masks
from kring.decide.prepare_rows import row_preparer
from kring.explain.row import Asked, explain_row
from kring.explain.words import named_columns
from kring.flow import adapters
from kring.flow.deciding import Opened, open_answerers, open_decider
from kring.flow.explaining import background_of
from kring.flow.project import Project, open_project
from kring.flow.scoring.score import live_pointer
from kring.record.batch import Batch
from kring.record.decision import Decisions
from kring.record.prepare import Prepared
from kring.runtimes.chain import open_chain
from kring.serve.decider import Decider
from kring.serve.fallback import Answerer
from systems import day, kring, loans_feed, write_loans, write_parcels

POLICY = """[policy]
abstain = "probability > 0.4 and probability < 0.6"

[[policy.rule]]
when = "amount > 900 and region_rate > 0.5"
decision = false
reason = "too much"

[[policy.rule]]
when = "is_null(income) and region == 'west'"
decision = "review"

[guard]
outliers = "review\""""


def with_policy(folder: Path, policy: str = POLICY) -> Path:
    config = folder / "kring.toml"
    text = config.read_text()
    config.write_text(text.replace("[guard]", policy) if "[guard]" in text else f"{text}\n{policy}\n")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_loans(tmp_path_factory.mktemp("ruled") / "loans", feed=loans_feed(1500), out_of_contract="impute")
    told = kring("go", with_policy(folder))
    assert told.code == 0, told.err
    return folder


def asked(n: int = 300) -> pl.DataFrame:
    """Requests; every 20th breaks a limit, every 25th is unlike any other."""
    place = pl.int_range(pl.len())
    frame = loans_feed(1500).drop("repaid", "settled_at").tail(n)
    return frame.with_columns(
        amount=pl.when(place % 20 == 0).then(5000.0).otherwise("amount"),
        income=pl.when(place % 25 == 0).then(900.0).otherwise("income"),
    )


def raw(frame: pl.DataFrame) -> Batch:
    columns = frame.with_columns(pl.col("asked_at").to_physical())
    return Batch(frame.height, {name: columns[name].to_list() for name in columns.columns})


def opened_of(project: Project) -> dict[str, Opened]:
    pointer = live_pointer(project)
    return {pointer.live: open_answerers(project, pointer.live)}


def row_answerer(project: Project, opened: Opened, *, baseline: bool = False) -> Answerer[Batch]:
    """A chain as a process that knows no frames opens it."""
    manifest, files = opened.loaded.manifest, opened.loaded.files
    chain = manifest.baseline if baseline else manifest.chain
    prepared = msgspec.json.decode(files[chain.links[0].file], type=Prepared)
    kinds = {column.name: column.kind for column in prepared.columns}
    return Answerer(
        version=f"{opened.id}/baseline" if baseline else opened.id,
        prepare=row_preparer(prepared, types=project.types),
        runtime=open_chain(chain, files, open_index=adapters.open_index),
        policy=chain.policy,
        decide=project.task.decide,
        judge=judge_of(
            chain.policy,
            row_masks(chain.policy, types=project.types, kinds=kinds),
            scorer_of(chain.policy, files, preparer=lambda whole: row_preparer(whole, types=project.types)),
        ),
    )


def row_decider(project: Project, opened: Opened) -> Decider[Batch]:
    fields = [field.name for field in project.contract.fields if field.name not in project.known_later]
    guard = row_guard(project.contract, fields=[name for name in fields if name != "email"], typed=True)

    def guarded(batch: Batch) -> dict[int, list[str]]:
        rows = zip(*(batch.columns[name] for name in fields), strict=True)
        found = ((place, guard(dict(zip(fields, row, strict=True)))) for place, row in enumerate(rows))
        return {place: broken for place, broken in found if broken}

    return Decider(
        system="loans",
        pointer=live_pointer(project),
        versions={opened.id: row_answerer(project, opened)},
        baseline=row_answerer(project, opened, baseline=True),
        read=lambda batch: batch,
        guard=guarded,
        out_of_contract=project.system.guard.out_of_contract,
        default=None,
        subject="",
        monotonic=project.clock.monotonic,
        impute=row_imputer(project.contract),
    )


@pytest.mark.parametrize("fails", [False, True], ids=["live", "baseline"])
def test_frames_and_rows_are_decided_alike(made: Path, fails: bool) -> None:
    project = open_project(made)
    opened = opened_of(project)
    by_frames = open_decider(project, live_pointer(project), opened, clock=project.clock)
    by_rows = row_decider(project, next(iter(opened.values())))
    if fails:
        by_frames, by_rows = replace(by_frames, versions={}), replace(by_rows, versions={})
    batch = raw(asked())
    (one,), (other,) = (each.decide(batch, at=day(70), kind="batch") for each in (by_frames, by_rows))
    assert one.about.answered_by == other.about.answered_by
    assert one.record.guards == other.record.guards
    assert list(one.record.outputs) == list(other.record.outputs)
    for name in ("decision", "reason"):
        assert one.record.outputs[name] == other.record.outputs[name]
    for name in ("probability", "outlier"):
        np.testing.assert_allclose(one.record.outputs[name], other.record.outputs[name], rtol=1e-9)
    guards = {name for fired in one.record.guards.values() for name in fired}
    assert guards >= {"amount.range", "imputed", "outlier"}
    assert {"review", "false", "true"} >= set(one.record.outputs["decision"]) >= {"review", "false"}


def test_the_policy_is_pinned_and_the_record_says_who_decided(made: Path) -> None:
    project = open_project(made)
    opened = next(iter(opened_of(project).values()))
    for chain in (opened.loaded.manifest.chain, opened.loaded.manifest.baseline):
        assert [rule.decision for rule in chain.policy.rules] == ["false", "review"]
        assert chain.policy.abstain.startswith("probability")
        assert chain.policy.outliers == "review"
    prepared = msgspec.json.decode(opened.loaded.files["baseline/prepare.json"], type=Prepared)
    assert "region_rate" in {column.name for column in prepared.columns}


def test_a_row_is_explained_by_rows_as_by_frames(made: Path, tmp_path: Path) -> None:
    project = open_project(made)
    opened = next(iter(opened_of(project).values()))
    prepared = msgspec.json.decode(opened.loaded.files["prepare.json"], type=Prepared)
    asking = Asked("d_1", "loans", "true", named_columns(prepared, project.contract))
    background = background_of(opened, folder="")
    frame = asked(1).with_columns(amount=pl.lit(10.0))
    by_rows = explain_row(row_answerer(project, opened), background, raw(frame), asked=asking)
    by_frame = explain_row(opened.answerer, background, frame, asked=asking)
    assert by_rows == by_frame
    assert [one.column for one in by_rows.contributions]


def test_a_scored_file_tells_reasons_and_reviews_and_keeps_them(made: Path, tmp_path: Path) -> None:
    asked().write_parquet(tmp_path / "in.parquet")
    told = kring("score", tmp_path / "in.parquet", made, "--out", tmp_path / "out.parquet")
    assert told.code == 0, told.err
    said = pl.read_parquet(tmp_path / "out.parquet")
    ruled = said.filter(pl.col("reason") == "too much")
    assert ruled.height
    assert set(ruled["decision"]) == {"false"}
    assert said.filter(pl.col("guards").str.contains("abstained"))["decision"].unique().to_list() == ["review"]
    outliers = said.filter(pl.col("guards").str.contains("outlier") & pl.col("reason").is_null())
    assert set(outliers["decision"]) == {"review"}
    log = adapters.read_log(open_project(made).home.log, system="loans")
    record, row = log.find(ruled["decision_id"][0])
    assert isinstance(record, Decisions)
    assert record.outputs["reason"][row] == "too much"
    assert record.inputs["amount"][0] is not None, "the record keeps what came in, not what was imputed"
    broken = said.filter(pl.col("guards").str.contains("amount.range"))
    record, row = log.find(broken["decision_id"][0])
    assert record.inputs["amount"][row] == 5000.0
    assert record.guards[row][:2] == ["amount.range", "imputed"]


def test_a_number_or_a_persons_word_is_told_as_text(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    policy = '[policy]\nabstain = "distance > 35"\n\n[[policy.rule]]\nwhen = "value < 20"\ndecision = 20'
    told = kring("go", with_policy(folder, policy))
    assert told.code == 0, told.err
    rows = pl.read_parquet(folder / "feed.parquet").drop("minutes").tail(200)
    rows.write_parquet(tmp_path / "in.parquet")
    assert kring("score", tmp_path / "in.parquet", folder, "--out", tmp_path / "out.parquet").code == 0
    said = pl.read_parquet(tmp_path / "out.parquet")
    assert said.filter(pl.col("distance") > 35)["decision"].unique().to_list() == ["review"]
    assert said.filter(pl.col("value") < 20)["decision"].unique().to_list() == ["20.0"]


@pytest.mark.parametrize(
    ("policy", "key", "told"),
    [
        ('[policy]\nabstain = "amount"', "policy.abstain", "neither true nor false"),
        ('[policy]\nabstain = "probabilty > 0.4"', "policy.abstain", "probability"),
        ('[policy]\nabstain = "repaid"', "policy.abstain", "repaid"),
        ('[policy]\nabstain = "email == 1"', "policy.abstain", "email"),
        ('[policy]\nabstain = "1 +"', "policy.abstain", "not an expression"),
        ("[policy]\nabstain = 3", "policy.abstain", "a text"),
        ("[policy]\nabstain = 'lookup(\"by_region\", key=[region]) > 0'", "policy.abstain", "look things up"),
        ('[[policy.rule]]\ndecision = "no"', "policy.rule[0].when", "missing"),
        ('[[policy.rule]]\nwhen = "amount > 1"', "policy.rule[0].decision", "missing"),
        ('[[policy.rule]]\nwhen = "amount > 1"\ndecision = []', "policy.rule[0].decision", "not allowed"),
        ('[policy]\nrule = "amount > 1"', "policy.rule", "a list"),
        ("[policy]\nabstains = true", "policy.abstains", "abstain"),
        ('[guard]\noutliers = "maybe"', "guard.outliers", "review"),
    ],
)
def test_a_policy_that_can_not_be_is_told_by_its_key(tmp_path: Path, policy: str, key: str, told: str) -> None:
    folder = write_loans(tmp_path / "loans", feed=loans_feed(50))
    config = folder / "kring.toml"
    text = config.read_text()
    config.write_text(text.replace("[guard]", policy) if policy.startswith("[guard]") else f"{text}\n{policy}\n")
    found = kring("check", folder, "--json")
    assert found.code == 2
    fault = next(one for one in found.json["error"]["faults"] if one["where"]["key"] == key)
    assert fault["where"]["line"] > 1
    assert told in " ".join((fault["message"], fault["got"], fault["allowed"], fault["next"]))


@pytest.mark.parametrize(
    ("write", "policy", "key"),
    [
        (write_loans, '[[policy.rule]]\nwhen = "amount > 1"\ndecision = "perhaps"', "policy.rule[0].decision"),
        (write_fruit, "[policy]\nabstain = 'field(\"probability.plum\") > 0.5'", "policy.abstain"),
        (write_parcels, '[[policy.rule]]\nwhen = "value > 1"\ndecision = "soon"', "policy.rule[0].decision"),
    ],
)
def test_what_only_the_labels_can_tell_is_told_before_training(tmp_path: Path, write, policy: str, key: str) -> None:
    folder = write(tmp_path / "made")
    config = folder / "kring.toml"
    config.write_text(f"{config.read_text()}\n{policy}\n")
    found = kring("go", folder, "--json")
    assert found.code == 2
    assert found.json["error"]["where"]["key"] == key
