"""Probes: fixed questions, put again and again to the version that is live."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from kring.errors import ConfigError, DataError, NotFound, Unsupported
from kring.flow import adapters, history
from kring.flow.probing import probes_due, read_probes, run_probes
from kring.flow.project import open_project
from kring.record.decision import Decisions
from systems import DAY, kring, write_loans

PROBES = [
    {
        "id": "high",
        "inputs": {"region": "north", "amount": 10, "income": 90.0},
        "paraphrases": [{"region": "north", "amount": 10.5, "income": 90.0}],
    },
    {
        "id": "low",
        "inputs": {"region": "south", "amount": 990, "income": 10.0},
        "paraphrases": [{"region": "south", "amount": 10, "income": 95.0}],
    },
]
AT = "2024-02-01T12:00:00Z"


def asking(folder: Path, lines: list[object]) -> Path:
    for one in lines:
        if isinstance(one, dict):
            for row in [one.get("inputs"), *one.get("paraphrases", [])]:
                if isinstance(row, dict):
                    row.setdefault("asked_at", AT)
    (folder / "probes.jsonl").write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    config = folder / "kring.toml"
    if "watch.probes" not in config.read_text():
        config.write_text(config.read_text() + '\n[watch.probes]\nfile = "probes.jsonl"\nevery = "1d"\n')
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = asking(write_loans(tmp_path_factory.mktemp("probed") / "loans"), PROBES)
    assert kring("go", folder).code == 0
    return folder


@pytest.fixture
def made(released: Path, tmp_path: Path) -> Path:
    """A released system to which no probe was ever put."""
    return Path(shutil.copytree(released, tmp_path / "loans"))


def test_probes_are_on_record_and_are_no_traffic(made: Path) -> None:
    project = open_project(made)
    assert probes_due(project, now=project.clock.now())
    run, watched = run_probes(project, repeats=3)
    assert (run.probes, run.rows, run.repeats, run.failures) == (("high", "low"), 4, 3, 0)
    assert run.repeated.same == run.repeated.pairs == 8
    assert run.paraphrased.pairs == 2
    assert run.paraphrased.same == 1, "the second of them does not say the same"
    assert run.paraphrased.examples == ("low",)
    assert run.against == ""
    assert set(watched.looked) == {"probes/repeats//", "probes/paraphrases//", "probes/answered//"}
    again, watched = run_probes(project, repeats=1)
    assert again.against == run.id
    assert again.changed.same == again.changed.pairs == 2
    assert "probes/change//" in watched.looked
    assert not watched.breaches
    log = adapters.read_log(project.home.log, system="loans").read()
    said = [one.record for one in log if isinstance(one.record, Decisions)]
    assert {(one.kind, one.arm, one.version) for one in said} == {("shadow", "shadow", run.version)}
    assert not probes_due(project, now=project.clock.now())
    assert probes_due(project, now=project.clock.now() + 2 * DAY)


def test_a_silent_change_is_a_breach(made: Path) -> None:
    project = open_project(made)
    first, _ = run_probes(project, repeats=1)
    before = (made / "probes.jsonl").read_bytes()
    (made / "probes.jsonl").write_bytes(before + b"\n")
    _, digest = read_probes(project)
    turned = [1 - each for each in first.answers["probability"]]
    other = replace(first, id=project.new_id("pr"), digest=digest, answers={**first.answers, "probability": turned})
    with project.ledger() as ledger:
        ledger.append([history.entry(other, id=other.id, actor="test", at=other.at)])
    run, watched = run_probes(project, repeats=1)
    (made / "probes.jsonl").write_bytes(before)
    assert (run.against, run.changed.pairs, run.changed.same) == (other.id, 2, 0)
    [breach] = [one for one in watched.breaches if one.metric == "change"]
    assert breach.kind == "probes"
    assert "something that it calls has" in breach.what


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "{}",
        {"inputs": 3},
        {"inputs": {"colour": "red"}},
        {"inputs": {"repaid": True}},
        {"inputs": {"region": "north", "amount": 10, "income": 1.0}, "question": "which?"},
        {"question": "which?"},
        {"inputs": {"region": "north", "amount": -10, "income": 1.0}},
        {"inputs": {"region": "north", "amount": 10, "income": 1.0}, "other": 1},
        "",
    ],
)
def test_what_is_no_probe_is_refused(made: Path, line: object) -> None:
    before = (made / "probes.jsonl").read_bytes()
    try:
        asking(made, [line])
        with pytest.raises((DataError, Unsupported)):
            run_probes(open_project(made))
    finally:
        (made / "probes.jsonl").write_bytes(before)


def test_without_probes_or_a_version_there_is_nothing_to_ask(tmp_path: Path) -> None:
    folder = write_loans(tmp_path / "loans")
    with pytest.raises(ConfigError, match="no probes"):
        run_probes(open_project(folder))
    asking(folder, PROBES)
    with pytest.raises(NotFound, match="no live version"):
        run_probes(open_project(folder))
    assert not probes_due(open_project(folder), now=0)
    (folder / "probes.jsonl").unlink()
    with pytest.raises(NotFound):
        run_probes(open_project(folder))
