"""A dominated candidate is released only with a reason, and the reason goes on record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kring.errors import UserError
from kring.flow import history
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.operating.releasing import release
from kring.flow.project import Project, open_project
from kring.flow.releasing import dominators, latest_training
from kring.flow.training.train import Trained, train
from kring.record.evidence import Measure
from kring.record.version import Version
from systems import write_prices


def trained(folder: Path) -> Project:
    """A system with two candidates that ask the same of a machine, one of them without the column that says most."""
    write_prices(folder)
    file = folder / "kring.toml"
    text = file.read_text()
    start = text.index('[[candidate]]\nname = "boosted"')
    weak = '[[candidate]]\nname = "weak"\nbuiltin = "linear"\ncolumns = ["transfer"]\n\n'
    file.write_text(text[:start] + weak + text[text.index("[gate]") :])
    project = open_project(folder)
    train(project, take_snapshot(project, check_feed(project)), draws=200)
    return project


def without_probes(each: Trained) -> Trained:
    """What a machine that does other things would say otherwise tomorrow is left out."""
    assert each.evidence is not None
    kept: tuple[Measure, ...] = tuple(one for one in each.evidence.measures if not one.probe)
    return Trained(run=each.run, evidence=msgspec.structs.replace(each.evidence, measures=kept))


def test_who_is_beaten_in_everything_is_named(tmp_path: Path) -> None:
    project = trained(tmp_path / "prices")
    found = dominators([without_probes(each) for each in latest_training(project)])
    assert found == {"prior": ("linear", "weak"), "weak": ("linear",), "linear": ()}


def test_a_dominated_candidate_takes_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = trained(tmp_path / "prices")
    plain = [without_probes(each) for each in latest_training(project)]
    monkeypatch.setattr("kring.flow.operating.releasing.latest_training", lambda _: plain)
    for reason in ("", "  "):
        with pytest.raises(UserError, match="weak is dominated: linear") as error:
            release(project, candidate="weak", because=reason)
        assert "--because" in error.value.next
    with project.ledger() as ledger:
        assert not list(history.all_of(ledger, Version))
    released = release(project, candidate="weak", because="it is explained in one sentence")
    if released.version is None:
        pytest.fail(f"the gate said {released.judged[0].verdict}")
    assert released.version.dominated_by == ("linear",)
    with project.ledger() as ledger:
        assert history.get(ledger, Version, released.version.id).because == "it is explained in one sentence"


def test_the_best_needs_no_reason(tmp_path: Path) -> None:
    project = trained(tmp_path / "prices")
    version = release(project, candidate="").version
    assert version is not None
    assert version.candidate == "linear"
