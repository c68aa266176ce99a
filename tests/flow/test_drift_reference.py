"""What a version carries to tell drift by: its inputs as they were learned from, its answers as they are given."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kring.flow import adapters
from kring.flow.project import Project, open_project
from kring.flow.scoring.score import live_pointer
from kring.record.decision import Decisions
from kring.record.drift import Reference, References
from kring.record.running import Watch
from kring.release.load import open_version
from kring.watch.binning import added, counter_of, merge, part_of
from kring.watch.drift import detector_of, looked, references_in
from systems import kring, loans_feed, write_loans, write_parcels

POLICY = """[policy]
abstain = "probability > 0.45 and probability < 0.55"

[[policy.rule]]
when = "amount > 900 and region == 'north'"
decision = false
reason = "no large loans in the north"

[guard]
outliers = "review\""""
HELD_OUT = timedelta(days=12)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Loans with a personal field, rules, abstentions and a review of outliers: released, and the held-out rows asked
    again."""
    folder = write_loans(tmp_path_factory.mktemp("drift") / "loans", feed=loans_feed(1500))
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace("[guard]", POLICY))
    promise = folder / "contract.odcs.yaml"
    personal = "        customProperties:\n          - property: kring.personal\n            value: true\n"
    plain = "      - name: income\n        logicalType: number\n"
    promise.write_text(promise.read_text().replace(plain, plain + personal))
    told = kring("go", folder)
    assert told.code == 0, told.err
    feed = loans_feed(1500)
    rows = feed.filter(pl.col("asked_at") > pl.col("asked_at").max() - HELD_OUT).drop("repaid", "settled_at")
    rows.write_parquet(folder / "asked.parquet")
    told = kring("score", folder / "asked.parquet", folder, "--out", folder / "said.parquet")
    assert told.code == 0, told.err
    return open_project(folder)


@pytest.fixture(scope="module")
def references(project: Project) -> References:
    public = project.files.read(project.home.public_key)
    found = references_in(open_version(project.home.versions / live_pointer(project).live, public_pem=public).files)
    assert found is not None
    return found


def by_name(references: tuple[Reference, ...]) -> dict[str, Reference]:
    return {one.feature: one for one in references}


def test_the_fields_that_are_read_are_kept_as_they_were_learned_from(references: References) -> None:
    inputs = by_name(references.inputs)
    assert sorted(inputs) == ["amount", "region"]
    assert inputs["amount"].kind == "number"
    assert set(inputs["region"].words) >= {"north", "south"}
    assert sum(inputs["amount"].cells[""]) == sum(inputs["region"].cells[""]) > 1000


def test_nothing_personal_is_kept(references: References) -> None:
    assert references.withheld == ("income",)
    text = msgspec.json.encode(references)
    assert b'"feature":"income"' not in text
    assert b"email" not in text
    assert b"@" not in text


def test_answers_are_kept_as_they_are_logged(project: Project, references: References) -> None:
    """Every cell: rules, abstentions and reviews are in the reference as they are in the log."""
    outputs, count = by_name(references.outputs), counter_of(references.outputs)
    counts = {}
    log = adapters.read_log(project.home.log, system=project.system.name)
    for logged in log.read():
        if isinstance(logged.record, Decisions):
            counts = added(counts, count(logged.record.outputs))
    assert sorted(counts) == sorted(outputs)
    assert {"decision", "probability", "outlier"} <= set(counts)
    assert {"review", "false", "true"} <= set(outputs["decision"].words)
    assert sum(counts["decision"]) > 200
    for name, cells in counts.items():
        assert tuple(cells.tolist()) == outputs[name].cells[""], name


def test_a_decision_that_is_the_output_itself_is_looked_at_once(tmp_path: Path) -> None:
    told = kring("go", folder := write_parcels(tmp_path / "parcels"))
    assert told.code == 0, told.err
    project = open_project(folder)
    version = project.home.versions / live_pointer(project).live
    found = references_in(open_version(version, public_pem=project.files.read(project.home.public_key)).files)
    assert found is not None
    assert list(by_name(found.outputs)) == ["decision"]
    assert found.outputs[0].kind == "number"


def test_the_log_of_usual_rows_raises_nothing(project: Project, references: References) -> None:
    for family, columns in (("drift", references.inputs), ("prediction_drift", references.outputs)):
        eye = detector_of(references, version="v", family=family, plan=Watch())
        assert eye is not None
        log, count = (
            adapters.read_log(project.home.log, system=project.system.name),
            counter_of(columns),
        )
        parts = [
            part_of("v", 0, count(one.record.inputs if family == "drift" else one.record.outputs), seq=number)
            for number, one in enumerate(log.read())
            if isinstance(one.record, Decisions)
        ]
        look = looked(eye, None, merge(parts)["v", 0], end=1)
        assert look.looked
        assert not look.breaches


def test_what_is_no_reference_is_no_version(project: Project, tmp_path: Path) -> None:
    """Verified bytes only: a file that was touched is refused before anything is read from it."""
    folder = project.home.versions / live_pointer(project).live
    public = project.files.read(project.home.public_key)
    path = folder / "drift.json"
    whole = path.read_bytes()
    path.chmod(0o644)
    try:
        path.write_bytes(whole.replace(b"north", b"nerth"))
        told = kring("score", project.folder / "asked.parquet", project.folder, "--out", tmp_path / "said.parquet")
        assert told.code != 0
    finally:
        path.write_bytes(whole)
    open_version(folder, public_pem=public)
