from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from kring.errors import CandidateError
from kring.frameworks import sklearn as framework
from kring.record.batch import Batch
from kring.record.prepare import PreparedColumn
from kring.testing.framework import COLUMNS, FrameworkConformance, exported, rows, truth

NUMBERS = [column.name for column in COLUMNS if column.kind == "number"]
CATEGORIES = [column.name for column in COLUMNS if column.kind == "category"]


class TestSklearn(FrameworkConformance):
    framework = framework
    builtins = ("prior", "linear", "boosted", "forest")


def one_hot(**options: object) -> OneHotEncoder:
    return OneHotEncoder(**{"handle_unknown": "ignore", "sparse_output": False, **options})


def encoded(encoder: object, numbers: object = "passthrough") -> ColumnTransformer:
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("categories", encoder, CATEGORIES)])


def whole_rows(n: int, *, seed: int) -> Batch:
    """Rows without a missing number."""
    batch = rows(n, seed=seed)
    return Batch(
        n,
        {name: np.nan_to_num(c) if c.dtype != object else c for name, c in batch.columns.items()},  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(encoded(one_hot(), StandardScaler()), LogisticRegression()),
        make_pipeline(encoded(one_hot()), RandomForestClassifier(10, random_state=0)),
        make_pipeline(encoded(TargetEncoder()), HistGradientBoostingClassifier(max_iter=5)),
        make_pipeline(encoded(one_hot(), StandardScaler()), CalibratedClassifierCV(LogisticRegression())),
        GridSearchCV(
            make_pipeline(encoded(one_hot(), StandardScaler()), LogisticRegression()),
            {"logisticregression__C": [1.0, 0.1]},
            cv=2,
        ),
        make_pipeline(encoded(one_hot(), StandardScaler()), LinearRegression()),
    ],
    ids=["linear", "forest", "target encoder", "sigmoid", "grid", "values"],
)
def test_a_users_pipeline_is_exported(estimator: object) -> None:
    batch, unseen = whole_rows(400, seed=1), whole_rows(100, seed=2)
    np.asarray(unseen.columns["carrier"])[:50] = "somewhere else"
    fitted = framework.fit(estimator, batch, truth(batch, "probability", seed=3))
    model = framework.export(fitted, COLUMNS)
    np.testing.assert_allclose(exported(model, unseen), framework.predict(fitted, unseen), atol=1e-5)


def test_an_estimator_without_a_pipeline_takes_numbers_side_by_side() -> None:
    columns = tuple(column for column in COLUMNS if column.kind == "number")
    batch = rows(300, seed=1, columns=columns)
    fitted = framework.fit(HistGradientBoostingClassifier(max_iter=5), batch, truth(batch, "probability", seed=2))
    model = framework.export(fitted, columns)
    np.testing.assert_allclose(exported(model, batch), framework.predict(fitted, batch), atol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (make_pipeline(encoded(one_hot()), FunctionTransformer(np.log1p), LogisticRegression()), "can't be exported"),
        (CalibratedClassifierCV(make_pipeline(encoded(one_hot()), LogisticRegression())), "can't be exported"),
        (HistGradientBoostingClassifier(categorical_features=[3, 4]), "can't be exported"),
        (make_pipeline(encoded(OneHotEncoder()), LogisticRegression()), "can't answer"),
        (
            make_pipeline(
                encoded(one_hot(handle_unknown="infrequent_if_exist", min_frequency=30)), LogisticRegression()
            ),
            "unseen categories",
        ),
        (
            make_pipeline(
                encoded(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
                HistGradientBoostingClassifier(max_iter=20, categorical_features=[3, 4]),
            ),
            "otherwise once it is exported",
        ),
    ],
    ids=["function", "calibrated around", "raw categories", "unseen is an error", "infrequent", "silently wrong"],
)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning")
def test_what_can_not_be_exported_faithfully_is_refused_with_a_cure(estimator: object, said: str) -> None:
    batch = whole_rows(400, seed=1)

    def journey() -> bytes:
        return framework.export(framework.fit(estimator, batch, truth(batch, "probability", seed=2)), COLUMNS)

    with pytest.raises(CandidateError, match=said) as refused:
        journey()
    assert refused.value.next
    assert "github.com" not in str(refused.value)


@pytest.mark.parametrize(
    ("nonsense", "said"),
    [
        (None, "not a scikit-learn estimator"),
        (LogisticRegression, "not a scikit-learn estimator"),
        (object(), "not a scikit-learn estimator"),
        (LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "fitted already"),
    ],
)
def test_nonsense_is_no_estimator(nonsense: object, said: str) -> None:
    with pytest.raises(CandidateError, match=said):
        framework.fit(nonsense, rows(20, seed=0), np.zeros(20))


def test_the_given_estimator_stays_unfitted() -> None:
    estimator = framework.builtin("linear", output="value", columns=COLUMNS, params={}, seed=0)
    batch = rows(50, seed=0)
    for _ in range(2):
        framework.fit(estimator, batch, np.arange(50.0))


def test_a_column_without_any_value_is_named_or_imputed() -> None:
    batch = rows(100, seed=0)
    np.asarray(batch.columns["distance"])[:] = np.nan
    outcome = np.tile([0.0, 1.0], 50)
    linear = framework.builtin("linear", output="probability", columns=COLUMNS, params={}, seed=0)
    fitted = framework.fit(linear, batch, outcome)
    np.testing.assert_allclose(
        exported(framework.export(fitted, COLUMNS), batch), framework.predict(fitted, batch), atol=1e-6
    )
    boosted = framework.builtin("boosted", output="probability", columns=COLUMNS, params={}, seed=0)
    with pytest.raises(CandidateError) as refused:
        framework.fit(boosted, batch, outcome)
    assert "distance" in refused.value.next


def test_infinite_numbers_are_named() -> None:
    batch = rows(100, seed=0)
    np.asarray(batch.columns["value"])[3] = np.inf
    linear = framework.builtin("linear", output="probability", columns=COLUMNS, params={}, seed=0)
    with pytest.raises(CandidateError) as refused:
        framework.fit(linear, batch, np.tile([0.0, 1.0], 50))
    assert "value" in refused.value.next


@pytest.mark.parametrize(
    ("name", "params", "allowed"),
    [
        ("boosted", {"learning_rat": 0.1}, "learning_rate"),
        ("boosted", {"learning_rate": 0.0}, "from 0.0001 to 1"),
        ("boosted", {"max_iter": 2.5}, "a whole number from 1"),
        ("boosted", {"max_iter": True}, "a whole number from 1"),
        ("linear", {"alpha": "1"}, "a number from"),
        ("linear", {"alpha": None}, "a number from"),
        ("linear", {"alpha": float("nan")}, "a number from"),
        ("prior", {"alpha": 1.0}, "no parameters"),
    ],
)
def test_a_wrong_parameter_names_the_right_ones(name: str, params: dict[str, object], allowed: str) -> None:
    with pytest.raises(CandidateError) as refused:
        framework.builtin(name, output="value", columns=COLUMNS, params=params, seed=0)  # type: ignore[arg-type]
    assert allowed in refused.value.allowed
    assert refused.value.key.startswith("params.")


def test_parameters_reach_the_model() -> None:
    boosted = framework.builtin(
        "boosted", output="value", columns=COLUMNS, params={"max_iter": 3, "learning_rate": 1}, seed=0
    )
    assert isinstance(boosted, Pipeline)
    assert boosted["model"].max_iter == 3
    assert boosted["model"].learning_rate == 1.0


DIGESTS = """
import hashlib
from kring.frameworks import sklearn as framework
from kring.testing.framework import COLUMNS, rows, truth
batch = rows(300, seed=1)
def digest(name):
    estimator = framework.builtin(name, output="probability", columns=COLUMNS, params={}, seed=7)
    model = framework.export(framework.fit(estimator, batch, truth(batch, "probability", seed=2)), COLUMNS)
    return hashlib.sha256(model).hexdigest()
digests = [digest(name) for name in ("prior", "linear", "boosted")]
"""


def test_bytes_do_not_depend_on_the_process() -> None:
    here: dict[str, list[str]] = {}
    exec(DIGESTS, here)
    there = subprocess.run(
        [sys.executable, "-c", DIGESTS + "print(*digests)"],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert there.stdout.split() == here["digests"]
    assert len(set(here["digests"])) == 3


def test_a_graph_holds_no_trace_of_where_and_when() -> None:
    batch = rows(100, seed=0)
    estimator = framework.builtin("linear", output="value", columns=COLUMNS, params={}, seed=0)
    model = onnx.load_from_string(framework.export(framework.fit(estimator, batch, np.arange(100.0)), COLUMNS))
    onnx.checker.check_model(model)
    assert model.graph.name == "kring"
    assert not model.doc_string
    assert len(hashlib.sha256(model.SerializeToString()).hexdigest()) == 64


def test_a_single_column_is_enough_for_a_graph() -> None:
    column = PreparedColumn(name="probability", expression="p", kind="number")
    batch = rows(100, seed=0, columns=(column,))
    estimator = framework.builtin("prior", output="probability", columns=(column,), params={}, seed=0)
    fitted = framework.fit(estimator, batch, np.tile([0.0, 0.0, 0.0, 1.0], 25))
    np.testing.assert_allclose(exported(framework.export(fitted, (column,)), batch), 0.25)
