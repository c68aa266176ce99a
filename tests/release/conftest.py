from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from kring.host.random import SeededRandom
from kring.record.prepare import Prepared, PreparedColumn
from kring.record.version import Chain, Link, Manifest, Policy
from kring.release.sign import new_key

CONTRACT = b"""# what the flights promise
version: 1.0.0
kind: DataContract
apiVersion: v3.1.0
id: flights
status: active
schema: [{name: flights, properties: [{name: hour, logicalType: integer}]}]
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tiny_model(bias: float = 0.25) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Add", ["hour", "bias"], ["probability"])],
        "tiny",
        [helper.make_tensor_value_info("hour", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("bias", TensorProto.FLOAT, [1], [bias])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="session")
def model() -> Callable[..., onnx.ModelProto]:
    return tiny_model


@pytest.fixture(scope="session")
def key() -> bytes:
    return new_key(SeededRandom(1))


@pytest.fixture(scope="session")
def other_key() -> bytes:
    return new_key(SeededRandom(2))


@pytest.fixture(scope="session")
def content() -> Callable[..., tuple[Manifest, dict[str, bytes]]]:
    """A manifest and the files it pins; `bias` makes another model."""

    def make(bias: float = 0.25) -> tuple[Manifest, dict[str, bytes]]:
        prepared = Prepared(columns=(PreparedColumn(name="hour", expression="hour", kind="number"),))
        files = {
            "contract.odcs.yaml": CONTRACT,
            "prepare.json": msgspec.json.encode(prepared),
            "links/model.onnx": tiny_model(bias).SerializeToString(),
            "baseline/prepare.json": msgspec.json.encode(prepared),
            "lineage.json": b'{"snapshot": "s_1"}',
            "environment.json": b'{"python": "3.11"}',
        }
        policy = Policy(output="probability", threshold=0.5, labels=("no", "yes"))
        manifest = Manifest(
            format=1,
            system="flights",
            task="classification",
            chain=Chain(
                candidate="boosted",
                links=(
                    Link(kind="prepare", file="prepare.json", digest=sha256(files["prepare.json"])),
                    Link(
                        kind="onnx",
                        file="links/model.onnx",
                        digest=sha256(files["links/model.onnx"]),
                        inputs=("hour",),
                    ),
                ),
                policy=policy,
            ),
            baseline=Chain(
                candidate="rule",
                links=(
                    Link(kind="prepare", file="baseline/prepare.json", digest=sha256(files["baseline/prepare.json"])),
                    Link(kind="rule", expression="hour > 17", inputs=("hour",)),
                ),
                policy=policy,
            ),
            contract="contract.odcs.yaml",
            contract_digest=sha256(CONTRACT),
            config_digest="c" * 64,
            snapshot="s_1",
            snapshot_digest="d" * 64,
            run="r_1",
            baseline_run="r_0",
            evidence="e_1",
            verdict="j_1",
            commit="0" * 40,
            owner="ops@example.org",
            accountable="ops@example.org",
            environment={"python": "3.11"},
        )
        return manifest, files

    return make
