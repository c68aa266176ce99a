"""Folds of the rows to learn from: what they say, and what they never see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fruit import write_fruit
from kring.errors import CandidateError, DataError
from kring.experiment.folds import fold_rows
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.project import open_project
from kring.flow.training.build import Session
from kring.flow.training.fold import cross_validated, fold_answers, folds_of, out_of_fold
from kring.flow.training.material import gather
from kring.flow.training.train import train
from kring.record.evidence import Measure
from kring.record.system import Candidate
from systems import kring, parcels_feed, prices_feed, write_loans, write_parcels, write_prices

FUNCTIONS = """
import time
from sklearn.linear_model import LogisticRegression
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

def mine(spec):
    print(spec.rows)
    numbers = ColumnTransformer([("numbers", "passthrough", spec.numbers)])
    return make_pipeline(numbers, LogisticRegression(C=spec.params.get("C", 1.0)))

def large_only(spec):
    if spec.rows < 800:
        raise ValueError(f"only {spec.rows} rows")
    return mine(spec)

def slow(spec):
    time.sleep(60)
"""


def session(folder: Path, *, folds: int = 4) -> Session:
    (folder / "models.py").write_text(FUNCTIONS)
    file = folder / "kring.toml"
    file.write_text(file.read_text() + f"\n[evidence]\nfolds = {folds}\n")
    project = open_project(folder)
    snapshot = take_snapshot(project, check_feed(project))
    return Session(project=project, material=gather(project, snapshot), snapshot=snapshot, seed=3, draws=50)


def named(session: Session, name: str) -> Candidate:
    return next(one for one in session.project.system.candidates if one.name == name)


def function(name: str, **more: object) -> Candidate:
    return Candidate(name=name, fit=f"models.py:{name}", **more)  # type: ignore[arg-type]


def by_name(measures: list[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


def test_every_metric_gets_a_mean_over_folds_with_an_interval(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    measures, curves, warnings = cross_validated(made, named(made, "linear"))
    assert warnings == ()
    found = by_name(measures)
    assert {"cross_validated.roc_auc", "cross_validated.log_loss", "cross_validated.lift_over_baseline.roc_auc"} <= set(
        found
    )
    auc = found["cross_validated.roc_auc"]
    assert 0.7 < auc.low < auc.value < auc.high < 1
    assert (auc.groups, auc.better) == (4, 1)
    assert "Nadeau & Bengio" in auc.method
    (curve,) = curves
    assert (curve.name, curve.x) == ("folds", (1.0, 2.0, 3.0, 4.0))
    assert np.mean(curve.y) == pytest.approx(auc.value)
    assert sum(curve.weight) == auc.rows


def test_the_baseline_is_cross_validated_as_any_other(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    found = by_name(cross_validated(made, named(made, "prior"))[0])
    lift = found["cross_validated.lift_over_baseline.roc_auc"]
    assert (lift.value, lift.low, lift.high) == (0, 0, 0)


def test_out_of_fold_answers_are_by_who_did_not_learn_from_the_row(tmp_path: Path) -> None:
    """Each fold again by hand; the first span is nobody's; and what was computed is kept."""
    made = session(write_prices(tmp_path / "prices"))
    linear = named(made, "linear")
    outputs = out_of_fold(made, linear)
    assert len(outputs) == made.material.train_batch.n
    folds = folds_of(made)
    assert np.isnan(outputs[: folds[0].answer[0]]).all()
    assert np.isfinite(outputs[folds[0].answer[0] :]).all()
    for fold, part in zip(folds, fold_answers(made, linear, folds), strict=True):
        np.testing.assert_array_equal(outputs[fold.answer], part)
    assert out_of_fold(made, linear) is outputs


def test_permuting_the_truth_of_a_fold_does_not_change_its_answers(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    folds = fold_rows(made.material.train_rows, made.material.train_truth, by="random", count=3, seed=0)
    before = fold_answers(made, named(made, "boosted"), folds)
    truth = made.material.train_truth.copy()
    truth[folds[1].answer] = 1 - truth[folds[1].answer]
    turned = replace(made, material=replace(made.material, train_truth=truth))
    after = fold_answers(turned, named(made, "boosted"), folds)
    np.testing.assert_array_equal(before[1], after[1])
    assert (before[0] != after[0]).any()


def test_held_out_rows_are_never_touched(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    blind = replace(made.material, test_truth=1 - made.material.test_truth, test_batch=None, test_raw=None)  # type: ignore[arg-type]
    measures = cross_validated(replace(made, material=blind, out_of_fold={}), named(made, "linear"))[0]
    assert measures == cross_validated(made, named(made, "linear"))[0]


def test_a_users_function_is_folded_in_one_child_and_told_its_rows(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    folds = folds_of(made)
    mine = fold_answers(made, function("mine"), folds)
    assert [len(part) for part in mine] == [len(fold.answer) for fold in folds]
    assert all(((part > 0) & (part < 1)).all() for part in mine)
    with pytest.raises(CandidateError, match="raised ValueError") as refused:
        fold_answers(made, function("large_only"), folds)
    assert f"only {len(folds[0].learn)} rows" in refused.value.got


def test_folds_end_with_the_candidates_time(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    for candidate in (
        function("slow", timeout_us=1_500_000),
        Candidate(name="quick", builtin="linear", timeout_us=1),
    ):
        with pytest.raises(CandidateError, match="did not end within"):
            fold_answers(made, candidate, folds_of(made))


def test_a_candidate_whose_folds_fail_is_measured_without_them(tmp_path: Path) -> None:
    more = '\n[[candidate]]\nname = "large"\nfit = "models.py:large_only"\n'
    folder = write_prices(tmp_path / "prices")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("[gate]", f"{more}\n[gate]"))
    made = session(folder)
    (_, done) = train(made.project, made.snapshot, only=["large"], draws=20)
    assert done.evidence is not None
    assert not any(measure.name.startswith("cross_validated") for measure in done.evidence.measures)
    assert done.run.warnings[-1].startswith("not cross-validated: ")
    assert "large: not cross-validated" in kring("compare", folder).out


def test_rules_are_not_cross_validated_but_lifts_rest_on_them(tmp_path: Path) -> None:
    made = session(write_loans(tmp_path / "loans"), folds=3)
    assert cross_validated(made, named(made, "by-region")) == ([], [], ())
    found = by_name(cross_validated(made, named(made, "linear"))[0])
    assert found["cross_validated.lift_over_baseline.roc_auc"].value > 0.1
    times = made.material.train_rows.times
    known = made.material.train_rows.known_at
    assert times is not None
    assert known is not None
    for fold in folds_of(made):
        assert known[fold.learn].max() <= times[fold.answer].min()


def test_numbers_are_cross_validated_too(tmp_path: Path) -> None:
    made = session(write_parcels(tmp_path / "parcels", feed=parcels_feed(600)), folds=3)
    found = by_name(cross_validated(made, named(made, "linear"))[0])
    assert found["cross_validated.mae"].better == -1
    assert found["cross_validated.mae"].low < found["cross_validated.mae"].value < 8


def test_several_labels_have_a_column_each(tmp_path: Path) -> None:
    made = session(write_fruit(tmp_path / "fruit"), folds=2)
    outputs = out_of_fold(made, named(made, "linear"))
    assert outputs.shape == (made.material.train_batch.n, len(made.material.policy.labels))
    answered = outputs[made.project.task.answered(outputs)]
    np.testing.assert_allclose(answered.sum(axis=1), 1, atol=1e-6)
    measures, _, warnings = cross_validated(made, named(made, "linear"))
    assert warnings == ()
    metric = next(iter(made.project.task.metrics))
    assert f"cross_validated.{metric}" in by_name(measures)


def test_too_few_rows_for_folds_are_a_warning(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices", feed=prices_feed(120)), folds=20)
    with pytest.raises(DataError, match="can't be cut into 20 folds"):
        folds_of(made)
    measures, _, (warning,) = cross_validated(made, named(made, "linear"))
    assert measures == []
    assert "can't be cut into 20 folds" in warning


def test_the_same_seed_gives_the_same_evidence(tmp_path: Path) -> None:
    made = session(write_prices(tmp_path / "prices"))
    one, two = (cross_validated(replace(made, out_of_fold={}), named(made, "boosted")) for _ in range(2))
    assert one == two


def test_the_gate_judges_what_was_cross_validated(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("min_rows = 50", 'min_rows = 50\n"cross_validated.roc_auc" = "> 0.9"'))
    made = session(folder, folds=3)
    train(made.project, made.snapshot, only=["linear"], draws=20)
    told = kring("release", folder, "--candidate", "linear", "--json")
    assert told.code == 1
    assert "cross_validated.roc_auc" in told.out
