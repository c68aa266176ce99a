"""What every framework must do: fit, answer, export the same answers, refuse with the cure.

class TestSklearn(FrameworkConformance):
    framework = kring.frameworks.sklearn
    builtins = ("prior", "linear", "boosted")
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kring.errors import CandidateError
from kring.ports.framework import Framework
from kring.record.batch import Batch, Column
from kring.record.prepare import ColumnKind, PreparedColumn
from kring.record.version import NUMBERS, Output

COLUMNS = (
    PreparedColumn(name="distance", expression="distance", kind="number"),
    PreparedColumn(name="hour of day", expression="hour", kind="number"),
    PreparedColumn(name="value", expression="value", kind="number"),
    PreparedColumn(name="carrier", expression="carrier", kind="category"),
    PreparedColumn(name="ziel·ort", expression="dest", kind="category"),
)
OUTPUTS: tuple[Output, ...] = ("probability", "value", "probabilities")
LABELS = 4
"""How many labels there are where probabilities of several are asked for."""


def rows(n: int, *, seed: int, columns: tuple[PreparedColumn, ...] = COLUMNS) -> Batch:
    """`n` rows with missing numbers and categories, rare and common ones."""
    random = np.random.default_rng(seed)
    made: dict[str, Column] = {}
    for column in columns:
        if column.kind == "number":
            values = random.gamma(2.0, 100.0, n).astype(np.float32)
            values[random.random(n) < 0.1] = np.nan
            made[column.name] = values
        else:
            share = [0.5, 0.3, 0.1, 0.09, 0.01]
            made[column.name] = random.choice(np.array(["a", "b", "é", "(missing)", "rare"], dtype=object), n, p=share)
    return Batch(n, made)


def truth(batch: Batch, output: Output, *, seed: int) -> NDArray[np.float64]:
    """An outcome that numbers and categories both say something about."""
    random = np.random.default_rng(seed)
    first, *_, last = (np.asarray(column) for column in batch.columns.values())
    score = np.nan_to_num(first.astype(np.float64)) / 100 + 2.0 * (last == "a") + random.normal(0, 1, batch.n)
    if output == "value":
        return np.asarray(50 * score, dtype=np.float64)
    parts = 2 if output == "probability" else LABELS
    return np.asarray(np.digitize(score, np.quantile(score, np.arange(1, parts) / parts)), dtype=np.float64)


def labels_of(output: Output) -> int:
    """How many labels the truth of `output` has."""
    return {"probability": 2, "probabilities": LABELS}.get(output, 0)


def exported(model: bytes, batch: Batch) -> NDArray[np.float64]:
    """The graph's answers: the numbers side by side, then each column of texts, where it has one input for all numbers;
    else its inputs fed in order."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    columns = [np.asarray(column) for column in batch.columns.values()]
    if names[0] == NUMBERS:
        numbers = np.stack([column for column in columns if column.dtype.kind == "f"], axis=1)
        columns = [numbers, *(column for column in columns if column.dtype.kind != "f")]
    feed = {name: column.reshape(batch.n, -1) for name, column in zip(names, columns, strict=True)}
    return np.asarray(session.run(None, feed)[0], dtype=np.float64)


def refusal(call: Callable[[], object]) -> CandidateError:
    """The `CandidateError` that `call` raises."""
    try:
        call()
    except CandidateError as error:
        return error
    raise AssertionError("nothing was refused")


class FrameworkConformance:
    """Inherit it, and name the module and its built-ins."""

    framework: ClassVar[Framework]
    builtins: ClassVar[tuple[str, ...]]

    def fitted(self, name: str, output: Output, *, n: int = 400) -> tuple[object, Batch]:
        batch = rows(n, seed=1)
        estimator = self.framework.builtin(name, output=output, columns=COLUMNS, params={}, seed=7)
        return self.framework.fit(estimator, batch, truth(batch, output, seed=2), labels=labels_of(output)), batch

    def test_answers_are_finite_and_in_range(self) -> None:
        for name in self.builtins:
            for output in OUTPUTS:
                fitted, _ = self.fitted(name, output)
                answers = self.framework.predict(fitted, rows(50, seed=3))
                assert answers.shape == ((50, LABELS) if output == "probabilities" else (50,))
                assert answers.dtype == np.float64
                assert np.isfinite(answers).all()
                assert output == "value" or ((answers >= 0) & (answers <= 1)).all()
                if output == "probabilities":
                    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)

    def test_labels_that_no_row_has_are_answered_with_0(self) -> None:
        batch = rows(400, seed=1)
        places = truth(batch, "probabilities", seed=2)
        for name in self.builtins:
            for gone in ([0.0], [LABELS - 1.0], [1.0, 2.0]):
                kept = np.flatnonzero(~np.isin(places, gone))
                columns = {name: np.asarray(column)[kept] for name, column in batch.columns.items()}
                part = Batch(len(kept), dict(columns))
                estimator = self.framework.builtin(name, output="probabilities", columns=COLUMNS, params={}, seed=7)
                fitted = self.framework.fit(estimator, part, places[kept], labels=LABELS)
                answers = self.framework.predict(fitted, batch)
                assert not answers[:, [int(place) for place in gone]].any()
                np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
                np.testing.assert_allclose(exported(self.framework.export(fitted, COLUMNS), batch), answers, atol=1e-5)

    def test_exported_equals_fitted_on_missing_and_unseen(self) -> None:
        unseen = rows(200, seed=4)
        for column in unseen.columns.values():
            values = np.asarray(column)
            values[:20] = "never seen" if values.dtype == object else np.nan
        for name in self.builtins:
            for output in OUTPUTS:
                fitted, batch = self.fitted(name, output)
                model = self.framework.export(fitted, COLUMNS)
                for part in (batch, unseen):
                    expected = self.framework.predict(fitted, part)
                    close = 1e-5 * max(1.0, float(np.std(expected)))
                    np.testing.assert_allclose(exported(model, part), expected, rtol=1e-5, atol=close)

    def test_a_graph_has_one_input_for_all_numbers_and_one_output(self) -> None:
        for output in OUTPUTS:
            fitted, _ = self.fitted(self.builtins[-1], output)
            session = onnxruntime.InferenceSession(self.framework.export(fitted, COLUMNS))
            names = {kind: [column.name for column in COLUMNS if column.kind == kind] for kind in get_args(ColumnKind)}
            numbers = [name if name != output else f"{name}_" for name in names["number"]]
            assert session.get_modelmeta().custom_metadata_map[NUMBERS].split("\n") == numbers
            assert [node.name for node in session.get_inputs()] == [NUMBERS, *names["category"]]
            assert [node.name for node in session.get_outputs()] == [output]
            kinds = {"tensor(float)", *["tensor(string)"] * len(names["category"])}
            assert {node.type for node in session.get_inputs()} == kinds

    def test_equal_fits_give_equal_bytes(self) -> None:
        for name in self.builtins:
            models = {self.framework.export(self.fitted(name, "probability")[0], COLUMNS) for _ in range(2)}
            assert len(models) == 1

    def test_one_kind_of_column_is_enough(self) -> None:
        for kind in ("number", "category"):
            columns = tuple(column for column in COLUMNS if column.kind == kind)
            batch = rows(200, seed=5, columns=columns)
            for name in self.builtins:
                estimator = self.framework.builtin(name, output="value", columns=columns, params={}, seed=0)
                fitted = self.framework.fit(estimator, batch, np.arange(200.0))
                model = self.framework.export(fitted, columns)
                np.testing.assert_allclose(
                    exported(model, batch), self.framework.predict(fitted, batch), rtol=1e-5, atol=1e-3
                )

    def test_unknown_names_are_answered_with_the_known(self) -> None:
        def build(name: str, **params: float) -> object:
            return self.framework.builtin(name, output="value", columns=COLUMNS, params=params, seed=0)

        assert all(name in refusal(lambda: build("no such")).allowed for name in self.builtins)
        assert "no_such" in str(refusal(lambda: build(self.builtins[0], no_such=1.0)))

    def test_what_can_not_be_learned_is_refused(self) -> None:
        batch = rows(60, seed=6)
        for name in self.builtins:
            estimator = self.framework.builtin(name, output="probability", columns=COLUMNS, params={}, seed=0)
            assert "same outcome" in refusal(partial(self.framework.fit, estimator, batch, np.ones(60))).message
            assert refusal(partial(self.framework.fit, estimator, batch, np.arange(60.0)))
            several = partial(self.framework.fit, estimator, batch, labels=LABELS)
            assert "same outcome" in refusal(partial(several, np.full(60, 2.0))).message
            assert refusal(partial(several, np.arange(60.0)))
