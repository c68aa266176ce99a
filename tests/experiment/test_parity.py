from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kring.errors import CandidateError
from kring.experiment.parity import parity, require_parity
from kring.frameworks import sklearn as framework
from kring.record.batch import Batch
from kring.record.prepare import PreparedColumn
from kring.record.run import Parity
from kring.record.version import Link, Policy
from kring.runtimes.onnx import open_onnx
from kring.tasks import classification, regression

COLUMNS = tuple(PreparedColumn(name=name, expression=name, kind="number") for name in ("a", "b", "c"))
NAMES = [column.name for column in COLUMNS]


def measured(*answers: list[float], threshold: float | None = 0.5, output: str = "probability") -> Parity:
    fitted, exported, by_rows = (np.array(one, dtype=np.float64) for one in answers)
    task = classification.TASK if output == "probability" else regression.TASK
    policy = Policy(output=task.output, threshold=threshold)
    return parity(fitted, exported, by_rows, apart=lambda left, right: task.apart(left, right, policy))


def test_equal_answers_pass() -> None:
    same = [0.1, 0.5, 0.9]
    proof = measured(same, same, same)
    assert proof == Parity(rows=3, largest=0.0, decisions=0, row_path=0.0)
    require_parity(proof, candidate="late")


def test_a_difference_of_one_row_is_refused_with_the_cure() -> None:
    proof = measured([0.1, 0.2, 0.9], [0.1, 0.2002, 0.9], [0.1, 0.2002, 0.9])
    assert proof.largest == pytest.approx(2e-4)
    with pytest.raises(CandidateError, match="otherwise once it is exported") as refused:
        require_parity(proof, candidate="late")
    assert "isotonic" in refused.value.next
    assert "0.0002" in refused.value.got


def test_decisions_may_differ_only_beside_the_threshold() -> None:
    beside = measured([0.49999, 0.9], [0.50001, 0.9], [0.50001, 0.9])
    assert beside.decisions == 0
    require_parity(beside, candidate="late")
    away = measured([0.4, 0.9], [0.6, 0.9], [0.6, 0.9])
    assert away.decisions == 1
    with pytest.raises(CandidateError, match="1 decisions differ"):
        require_parity(away, candidate="late")


def test_the_row_path_is_judged_too() -> None:
    proof = measured([0.1, 0.2], [0.1, 0.2], [0.1, 0.7])
    assert proof.row_path == pytest.approx(0.5)
    assert proof.decisions == 1
    with pytest.raises(CandidateError, match="single rows"):
        require_parity(proof, candidate="late")


@pytest.mark.parametrize("wrong", [[0.1, float("nan")], [0.1, float("inf")], [0.1]])
def test_an_answer_that_is_missing_is_far_away(wrong: list[float]) -> None:
    right = [0.1, 0.2]
    for answers in ((right, wrong, wrong), (right, right, wrong)):
        proof = measured(*answers, threshold=0.5)
        with pytest.raises(CandidateError):
            require_parity(proof, candidate="late")


def test_values_are_compared_by_their_size_and_spread() -> None:
    fitted = [1e6, 2e6, 0.0]
    close = measured(fitted, [1e6 + 50, 2e6 - 100, 20.0], [1e6 + 50, 2e6 - 100, 20.0], threshold=None, output="value")
    assert close.largest < 1e-4
    require_parity(close, candidate="late")
    far = measured(fitted, [1e6 + 500, 2e6, 0.0], [1e6 + 500, 2e6, 0.0], threshold=None, output="value")
    with pytest.raises(CandidateError, match="otherwise"):
        require_parity(far, candidate="late")


def test_no_rows_prove_nothing_wrong() -> None:
    assert measured([], [], []) == Parity(rows=0, largest=0.0, decisions=0, row_path=0.0)


def proof_of(estimator: object) -> Parity:
    """Fit, export and compare on rows with numbers whose split points a float32 scaler moves."""
    random = np.random.default_rng(0)
    n = 6000
    columns = {
        "a": (1e4 + random.integers(0, 300, n)).astype(np.float32),
        "b": random.normal(0, 1, n).astype(np.float32),
        "c": (random.integers(0, 1000, n) / 7).astype(np.float32),
    }
    batch = Batch(n, dict(columns))
    score = (columns["a"] % 7) + columns["b"] + (columns["c"] > 70) * 3 + random.normal(0, 1, n)
    truth = (score > 5).astype(np.float64)
    fitted = framework.fit(estimator, batch, truth)
    runtime = open_onnx(framework.export(fitted, COLUMNS), Link(kind="onnx", inputs=tuple(NAMES)), output="probability")
    exported = np.asarray(runtime.answer(batch).columns["probability"])
    policy = Policy(output="probability", threshold=0.5)
    return parity(
        framework.predict(fitted, batch),
        exported,
        exported,
        apart=lambda left, right: classification.TASK.apart(left, right, policy),
    )


def columns(step: object) -> ColumnTransformer:
    return ColumnTransformer([("numbers", step, NAMES)])


def trees(**options: object) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=30, random_state=0, **options)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(columns(StandardScaler()), trees()),
        make_pipeline(columns("passthrough"), CalibratedClassifierCV(trees(), method="isotonic", cv=3)),
    ],
    ids=["scaler before trees", "isotonic"],
)
def test_an_export_that_really_differs_is_refused(estimator: object) -> None:
    proof = proof_of(estimator)
    assert proof.largest > 1e-3
    with pytest.raises(CandidateError) as refused:
        require_parity(proof, candidate="late")
    assert "unscaled" in refused.value.next


@pytest.mark.parametrize(
    "estimator",
    [make_pipeline(columns("passthrough"), trees()), make_pipeline(columns(StandardScaler()), LogisticRegression())],
    ids=["trees", "linear"],
)
def test_an_export_that_is_faithful_passes(estimator: object) -> None:
    proof = proof_of(estimator)
    assert proof.largest < 1e-5
    require_parity(proof, candidate="late")
