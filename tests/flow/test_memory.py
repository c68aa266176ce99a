"""How much memory a chain takes is measured where a worker would open it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from kring.flow.training.memory import memory_of
from kring.frameworks import sklearn as framework
from kring.record.batch import Batch
from kring.record.prepare import PreparedColumn
from kring.record.version import Chain, Link, Policy

COLUMNS = tuple(PreparedColumn(name=name, expression=name, kind="number") for name in ("a", "b"))


def forest(trees: int) -> tuple[Chain, dict[str, bytes], Batch]:
    random = np.random.default_rng(trees)
    columns = {name: random.normal(size=4000).astype(np.float32) for name in ("a", "b")}
    batch = Batch(4000, dict(columns))
    estimator = RandomForestRegressor(n_estimators=trees, random_state=0)
    model = framework.export(framework.fit(estimator, batch, random.normal(size=4000)), COLUMNS)
    link = Link(kind="onnx", file="model.onnx", digest=hashlib.sha256(model).hexdigest(), inputs=("a", "b"))
    return Chain(candidate="forest", links=(link,), policy=Policy(output="value")), {"model.onnx": model}, batch


def test_a_larger_model_takes_more_memory() -> None:
    small, large = memory_of(*forest(1)), memory_of(*forest(60))
    assert len(small) == len(large) == 3
    assert min(small) > 0
    assert min(large) > max(small) + 5


def test_a_chain_that_does_not_open_is_not_measured() -> None:
    chain, files, batch = forest(1)
    assert memory_of(chain, {name: data[:-9] for name, data in files.items()}, batch) == ()


def test_rows_without_numbers_are_measured_too() -> None:
    rule = Link(kind="rule", expression="0.5")
    chain = Chain(candidate="rule", links=(rule,), policy=Policy(output="probability"))
    assert len(memory_of(chain, {}, Batch(3, {"city": np.array(["a", "b", "c"], dtype=object)}))) == 3


@pytest.fixture(autouse=True)
def _quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """What a child says of a broken file is not a test's business."""
    del capfd
