from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest

from kring.errors import IntegrityError, Unsupported
from kring.frameworks import sklearn as framework
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.prepare import Prepared
from kring.record.version import Chain, Link, Policy
from kring.runtimes.chain import open_chain
from kring.testing.framework import COLUMNS, exported, rows, truth
from kring.testing.runtime import RuntimeConformance

POLICY = Policy(output="probability", threshold=0.2, labels=("no", "yes"))
PREPARED = msgspec.json.encode(Prepared(columns=COLUMNS))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model() -> bytes:
    batch = rows(200, seed=1)
    estimator = framework.builtin("linear", output="probability", columns=COLUMNS, params={}, seed=0)
    return framework.export(framework.fit(estimator, batch, truth(batch, "probability", seed=2)), COLUMNS)


MODEL = model()
FILES = {"prepare.json": PREPARED, "links/model.onnx": MODEL}
PREPARE = Link(kind="prepare", file="prepare.json", digest=digest(PREPARED))
ONNX = Link(
    kind="onnx",
    file="links/model.onnx",
    digest=digest(MODEL),
    inputs=tuple(column.name for column in COLUMNS),
)
RULE = Link(kind="rule", expression='where(carrier == "a", 0.4, 0.1)')


def chain(*links: Link) -> Chain:
    return Chain(candidate="late", links=links, policy=POLICY)


class TestOnnxChain(RuntimeConformance):
    output = "probability"

    def runtime(self) -> Runtime:
        return open_chain(chain(PREPARE, ONNX), FILES)

    def batch(self) -> Batch:
        return rows(20, seed=3)


def test_the_chain_answers_what_its_last_link_answers() -> None:
    batch = rows(50, seed=3)
    with open_chain(chain(PREPARE, ONNX), FILES) as opened:
        np.testing.assert_allclose(
            np.asarray(opened.answer(batch).columns["probability"]), exported(MODEL, batch), atol=1e-7
        )
    with open_chain(chain(PREPARE, RULE), FILES) as opened:
        expected = [0.4 if carrier == "a" else 0.1 for carrier in batch.columns["carrier"]]
        assert list(opened.answer(batch).columns["probability"]) == expected


@pytest.mark.parametrize("name", ["prepare.json", "links/model.onnx"])
def test_bytes_that_changed_or_are_absent_are_refused(name: str) -> None:
    links = chain(PREPARE, ONNX) if name.endswith("onnx") else chain(PREPARE, RULE)
    changed = FILES[name][:-1] + bytes([FILES[name][-1] ^ 1])
    with pytest.raises(IntegrityError, match="not what the chain pins"):
        open_chain(links, {**FILES, name: changed})
    with pytest.raises(IntegrityError, match="no file"):
        open_chain(links, {other: data for other, data in FILES.items() if other != name})


def test_a_prepare_link_that_is_none_is_refused() -> None:
    with pytest.raises(IntegrityError, match="not a prepare link"):
        open_chain(chain(Link(kind="prepare", file="p"), RULE), {"p": b"{}"})


@pytest.mark.parametrize("links", [(), (PREPARE,), (RULE, ONNX), (PREPARE, PREPARE, RULE), (ONNX, PREPARE)])
def test_other_chains_are_refused_with_what_runs(links: tuple[Link, ...]) -> None:
    with pytest.raises(Unsupported) as refused:
        open_chain(chain(*links), FILES)
    assert "prepare, then rule or onnx" in refused.value.allowed
