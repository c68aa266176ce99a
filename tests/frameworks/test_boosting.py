from __future__ import annotations

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from xgboost import XGBClassifier, XGBRegressor

from kring.errors import CandidateError
from kring.flow import adapters
from kring.frameworks import boosting
from kring.frameworks import sklearn as framework
from kring.record.batch import Batch
from kring.record.version import Output
from kring.testing.framework import COLUMNS, FrameworkConformance, exported, rows, truth

NUMBERS = tuple(column for column in COLUMNS if column.kind == "number")
BUILTINS = ("lightgbm", "xgboost")


class TestBoosting(FrameworkConformance):
    framework = boosting
    builtins = BUILTINS


def encoded() -> ColumnTransformer:
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    names = [column.name for column in NUMBERS]
    return ColumnTransformer([("numbers", "passthrough", names), ("others", one_hot, ["carrier", "ziel·ort"])])


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(encoded(), LGBMClassifier(n_estimators=20, verbosity=-1)),
        make_pipeline(encoded(), LGBMRegressor(n_estimators=20, verbosity=-1)),
        make_pipeline(encoded(), XGBClassifier(n_estimators=20, n_jobs=1)),
        make_pipeline(encoded(), XGBRegressor(n_estimators=20)),
        GridSearchCV(
            make_pipeline(encoded(), LGBMClassifier(n_estimators=5, verbosity=-1)),
            {"lgbmclassifier__num_leaves": [4, 8]},
            cv=2,
        ),
    ],
    ids=["lightgbm", "lightgbm values", "xgboost", "xgboost values", "grid"],
)
def test_boosters_in_a_users_pipeline_are_exported(estimator: object) -> None:
    assert adapters.framework_of(estimator) is boosting
    output: Output = "probability" if hasattr(estimator, "predict_proba") else "value"
    batch, unseen = rows(400, seed=1), rows(100, seed=2)
    np.asarray(unseen.columns["carrier"])[:50] = "somewhere else"
    fitted = boosting.fit(estimator, batch, truth(batch, output, seed=3))
    model = boosting.export(fitted, COLUMNS)
    np.testing.assert_allclose(exported(model, unseen), boosting.predict(fitted, unseen), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [LGBMClassifier, XGBClassifier])
def test_a_booster_alone_takes_numbers_side_by_side(kind: type) -> None:
    batch = rows(300, seed=1, columns=NUMBERS)
    fitted = boosting.fit(kind(n_estimators=10), batch, truth(batch, "probability", seed=2))
    model = boosting.export(fitted, NUMBERS)
    np.testing.assert_allclose(exported(model, batch), boosting.predict(fitted, batch), atol=1e-6)


def test_what_is_no_booster_stays_with_scikit_learn() -> None:
    linear = framework.builtin("linear", output="value", columns=COLUMNS, params={}, seed=0)
    assert adapters.framework_of(linear) is framework
    assert adapters.framework("forest") is framework
    assert adapters.framework("xgboost") is boosting


@pytest.mark.parametrize("name", BUILTINS)
@pytest.mark.parametrize("shift", [0.0, -150.0])
def test_numbers_missing_for_the_first_time_are_answered_alike(name: str, shift: float) -> None:
    """No training row lacked a number; a request may."""
    batch, asked = rows(600, seed=1), rows(200, seed=3)
    for part, missing in ((batch, 50.0), (asked, np.nan)):
        for column in NUMBERS:
            values = np.asarray(part.columns[column.name])
            values += np.float32(shift)
            values[np.isnan(values)] = missing
    estimator = boosting.builtin(name, output="probability", columns=COLUMNS, params={}, seed=0)
    fitted = boosting.fit(estimator, batch, truth(batch, "probability", seed=2))
    model = boosting.export(fitted, COLUMNS)
    np.testing.assert_allclose(exported(model, asked), boosting.predict(fitted, asked), atol=1e-6)


@pytest.mark.parametrize("name", BUILTINS)
def test_numbers_side_by_side_in_float32_fall_on_the_right_side(name: str) -> None:
    """Large whole numbers a step apart: a threshold between them must not be rounded onto one of them."""
    values = (16_000_000 + np.arange(400) % 40).astype(np.float32)
    batch = Batch(400, {"distance": values})
    outcome = (np.arange(400) % 2).astype(np.float64)
    estimator = boosting.builtin(
        name, output="probability", columns=COLUMNS[:1], params={"min_frequency": 0.0, "n_estimators": 60}, seed=0
    )
    fitted = boosting.fit(estimator, batch, outcome)
    model = boosting.export(fitted, COLUMNS[:1])
    np.testing.assert_allclose(exported(model, batch), boosting.predict(fitted, batch), atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        XGBClassifier(enable_categorical=True, feature_types=["c", "c", "q"], max_cat_to_onehot=1, n_estimators=20),
        LGBMClassifier(categorical_feature=[0, 1], min_data_per_group=1, verbosity=-1, n_estimators=20),
    ],
    ids=["xgboost", "lightgbm"],
)
@pytest.mark.filterwarnings("ignore:categorical_feature keyword has been found:UserWarning")
def test_boosters_that_are_told_of_categories_are_exported(model: object) -> None:
    places = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer(
        [("others", places, ["carrier", "ziel·ort"]), ("numbers", "passthrough", ["distance"])],
    )
    batch, unseen = rows(600, seed=1), rows(300, seed=2)
    np.asarray(unseen.columns["carrier"])[:50] = "somewhere else"
    fitted = boosting.fit(make_pipeline(columns, model), batch, truth(batch, "probability", seed=2))
    np.testing.assert_allclose(
        exported(boosting.export(fitted, COLUMNS), unseen), boosting.predict(fitted, unseen), atol=1e-6
    )


@pytest.mark.parametrize("name", BUILTINS)
def test_parameters_and_seeds_reach_the_model(name: str) -> None:
    params = {"n_estimators": 3, "learning_rate": 1, "subsample": 0.5}
    pipelines = [
        boosting.builtin(name, output="probability", columns=COLUMNS, params=params, seed=seed) for seed in (1, 2)
    ]
    batch = rows(400, seed=1)
    models = [
        boosting.export(boosting.fit(one, batch, truth(batch, "probability", seed=2)), COLUMNS) for one in pipelines
    ]
    assert models[0] != models[1], "half of the rows are drawn by the seed"
    assert isinstance(pipelines[0], Pipeline)
    model = pipelines[0]["model"]
    assert (model.n_estimators, model.learning_rate, model.n_jobs) == (3, 1.0, framework.FIT_THREADS)


@pytest.mark.parametrize(
    ("name", "params", "allowed"),
    [
        ("lightgbm", {"num_leafs": 3}, "num_leaves"),
        ("lightgbm", {"n_estimators": 1.5}, "a whole number from 1"),
        ("xgboost", {"max_depth": 40}, "from 1 to 12"),
        ("xgboost", {"subsample": 0}, "from 0.05 to 1"),
    ],
)
def test_a_wrong_parameter_names_the_right_ones(name: str, params: dict[str, float], allowed: str) -> None:
    with pytest.raises(CandidateError) as refused:
        boosting.builtin(name, output="value", columns=COLUMNS, params=params, seed=0)
    assert allowed in refused.value.allowed


@pytest.mark.parametrize(
    "params", [{"n_estimators": 2000, "max_leaf_nodes": 4096}, {"n_estimators": 2000, "max_leaf_nodes": 201}]
)
def test_a_forest_that_would_be_too_large_is_refused_before_it_grows(params: dict[str, int]) -> None:
    with pytest.raises(CandidateError, match="too large") as refused:
        framework.builtin("forest", output="value", columns=COLUMNS, params=params, seed=0)
    assert refused.value.allowed == "up to 400,000"


def test_a_forest_is_small_whatever_the_rows() -> None:
    batch = rows(8000, seed=1)
    forest = framework.builtin("forest", output="value", columns=COLUMNS, params={}, seed=0)
    model = framework.export(framework.fit(forest, batch, truth(batch, "value", seed=2)), COLUMNS)
    assert len(model) < 1_500_000
