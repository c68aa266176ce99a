"""A search for params stays within its budget, its ranges and the rows to learn from, and says what it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kring.errors import CandidateError
from kring.flow import history
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.project import open_project
from kring.flow.training.build import Session
from kring.flow.training.material import gather
from kring.flow.training.train import train
from kring.flow.training.tune import tune
from kring.record.run import Run
from kring.record.system import Candidate, Tune
from systems import kring, parcels_feed, prices_feed, write_parcels, write_prices

FUNCTIONS = """
from sklearn.linear_model import LogisticRegression

def picky(spec):
    if spec.params["C"] > 1:
        raise ValueError("too much")
    return LogisticRegression(C=spec.params["C"], max_iter=200)
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    folder = write_prices(tmp_path / "prices", feed=prices_feed(400))
    (folder / "models.py").write_text(FUNCTIONS)
    project = open_project(folder)
    snapshot = take_snapshot(project, check_feed(project))
    return Session(project=project, material=gather(project, snapshot), snapshot=snapshot, seed=3, draws=20)


RANGES = {"alpha": (0.01, 10_000.0), "max_iter": (100, 400)}


def searched(trials: int, *, timeout_us: int = 300_000_000) -> Candidate:
    return Candidate(
        name="searched",
        builtin="linear",
        params={"min_frequency": 0.01},
        tune=Tune(ranges=RANGES, trials=trials, timeout_us=timeout_us),  # type: ignore[arg-type]
    )


def test_the_best_setting_wins_and_the_whole_search_is_told(session: Session) -> None:
    candidate, tuned = tune(session, searched(6))
    assert tuned is not None
    assert (tuned.metric, tuned.folds, tuned.ended, tuned.seed) == ("roc_auc", 5, "trials", 3)
    assert len(tuned.trials) == 7
    assert tuned.trials[0].params == {}
    values = [trial.value for trial in tuned.trials if trial.value is not None]
    assert tuned.value == max(values)
    assert candidate.params == {"min_frequency": 0.01, **tuned.params}
    for trial in tuned.trials[1:]:
        assert isinstance(trial.params["max_iter"], int)
        assert 100 <= trial.params["max_iter"] <= 400
        assert 0.01 <= float(trial.params["alpha"] or 0) <= 10_000


def test_the_same_seed_searches_the_same_and_never_sees_held_out_rows(session: Session) -> None:
    blind = replace(session.material, test_truth=1 - session.material.test_truth, test_batch=None, test_raw=None)  # type: ignore[arg-type]
    found = [tune(one, searched(4))[1] for one in (session, replace(session, material=blind), replace(session, seed=4))]
    first, again, other = [[(trial.params, trial.value) for trial in each.trials] for each in found if each]
    assert first == again
    assert first != other


def test_what_is_smaller_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels", feed=parcels_feed(400))
    project = open_project(folder)
    snapshot = take_snapshot(project, check_feed(project))
    made = Session(project=project, material=gather(project, snapshot), snapshot=snapshot, seed=0, draws=20)
    candidate = Candidate(
        name="ridge", builtin="linear", params={"alpha": 1e8}, tune=Tune(ranges={"alpha": (1e-3, 1e8)}, trials=8)
    )
    better, tuned = tune(made, candidate)
    assert tuned is not None
    assert tuned.metric == "mae"
    assert tuned.value == min(trial.value for trial in tuned.trials if trial.value is not None)
    assert float(better.params["alpha"] or 0) < 1e8


def test_time_ends_a_search(session: Session) -> None:
    candidate, tuned = tune(session, searched(10_000, timeout_us=3_000_000))
    assert tuned is not None
    assert tuned.ended == "timeout"
    assert 1 <= len(tuned.trials) < 1000
    assert tuned.seconds < 60
    assert candidate.params["min_frequency"] == 0.01


def test_a_setting_that_fails_is_recorded_and_skipped(session: Session) -> None:
    """As it is written it lacks its C, and a large one raises."""
    plan = Tune(ranges={"C": (0.5, 1.5)}, trials=3)
    _, tuned = tune(session, Candidate(name="picky", fit="models.py:picky", columns=("demand",), tune=plan))
    assert tuned is not None
    assert "KeyError" in tuned.trials[0].reason
    failed = [trial for trial in tuned.trials[1:] if trial.value is None]
    assert failed
    assert all(float(trial.params["C"] or 0) > 1 and "ValueError" in trial.reason for trial in failed)
    assert float(tuned.params["C"] or 0) <= 1


def test_when_every_setting_fails_the_candidate_is_refused(session: Session) -> None:
    candidate = Candidate(
        name="none", builtin="forest", timeout_us=1, tune=Tune(ranges={"n_estimators": (1, 3)}, trials=1)
    )
    with pytest.raises(CandidateError, match="none of the settings") as refused:
        tune(session, candidate)
    assert "did not end within" in refused.value.got


def test_without_a_search_nothing_changes(session: Session) -> None:
    candidate = Candidate(name="plain", builtin="linear")
    assert tune(session, candidate) == (candidate, None)


def test_a_search_stands_on_the_run_and_shows_in_the_comparison(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    file = folder / "kring.toml"
    asked = 'builtin = "linear"\ntune = { trials = 2, ranges = { alpha = [0.01, 100.0] } }'
    file.write_text(file.read_text().replace('builtin = "linear"', asked) + "\n[evidence]\nfolds = 2\n")
    project = open_project(folder)
    (_, done) = train(project, take_snapshot(project, check_feed(project)), only=["linear"], draws=20)
    assert done.run.tuned is not None
    with project.ledger() as ledger:
        assert history.get(ledger, Run, done.run.id) == done.run
    assert done.evidence is not None
    measure = next(one for one in done.evidence.measures if one.name == "cross_validated.roc_auc")
    assert "chosen on the same folds" in measure.method
    told = kring("compare", folder)
    assert "best of 3 settings" in told.out
    assert "best of 3 settings" in (project.home.reports / "compare.html").read_text()
