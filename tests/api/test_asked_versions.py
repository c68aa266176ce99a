"""A caller can't choose a version that is open and not live: each protocol says so in its own form, and what it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from kring.flow import adapters, history
from kring.flow.project import open_project
from kring.record.decision import Decisions
from kring.record.operator import OperatorState
from kring.record.rollout import Pointer
from served import Reply, Server, serving
from systems import PRICES_STEPS, kring, write_prices

ROW = {"demand": 0.4, "transfer": 0.25, "weekday": 3}
TYPES = {"demand": "FP64", "transfer": "FP64", "weekday": "INT64"}
TENSORS = {"inputs": [{"name": name, "shape": [1], "datatype": TYPES[name], "data": [ROW[name]]} for name in ROW]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A version answers a fifth."""
    folder = write_prices(tmp_path_factory.mktemp("asked") / "prices", more=PRICES_STEPS)
    for words in (("go",), ("train", "--candidate", "linear"), ("release", "--yes")):
        told = kring(words[0], folder, *words[1:])
        assert told.code == 0, told.err
    with serving([folder], grpc=True) as running:
        yield running


@pytest.fixture(scope="module")
def pointer(server: Server) -> Pointer:
    with open_project(server.folders[0]).ledger() as ledger:
        found = history.get(ledger, OperatorState, "operator").pointer
    assert found is not None
    assert found.canary
    return found


def asked(server: Server, version: str) -> dict[str, Reply]:
    """Every path that names a version, and what it says."""
    ways: dict[str, tuple[str, Any]] = {
        "/v2/models/prices/versions/{}": ("GET", None),
        "/v2/models/prices/versions/{}/ready": ("GET", None),
        "/v2/models/prices/versions/{}/infer": ("POST", TENSORS),
        "/v1/models/prices/versions/{}": ("GET", None),
        "/v1/models/prices/versions/{}/metadata": ("GET", None),
        "/v1/models/prices/versions/{}:predict": ("POST", {"instances": [ROW]}),
        "/v1/models/prices/versions/{}:classify": ("POST", {"examples": [ROW]}),
    }
    return {path: server.ask(method, path.format(version), body) for path, (method, body) in ways.items()}


def test_the_live_one_may_be_named(server: Server, pointer: Pointer) -> None:
    assert {path: told.status for path, told in asked(server, pointer.live).items() if told.status != 200} == {}


def test_one_that_answers_a_share_may_not(server: Server, pointer: Pointer) -> None:
    for path, told in asked(server, pointer.canary).items():
        assert told.status == 404, path
        assert list(told.json) == ["error"], path
        assert f"got: {pointer.canary}, which answers a share; allowed: {pointer.live}" in told.json["error"], path


def test_nor_one_that_nobody_knows(server: Server, pointer: Pointer) -> None:
    for path, told in asked(server, "v_1").items():
        assert (told.status, f"got: v_1; allowed: {pointer.live}" in told.json["error"]) == (404, True), path


def test_nor_over_grpc(server: Server, pointer: Pointer) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    for call in (
        lambda: client.get_model_metadata("prices", pointer.canary, headers=server.bearer),
        lambda: client.infer("prices", [], model_version=pointer.canary, headers=server.bearer),
    ):
        with pytest.raises(InferenceServerException, match="which answers a share") as caught:
            call()
        assert caught.value.status() == str(grpc.StatusCode.NOT_FOUND)
    client.close()


def decided(server: Server) -> int:
    """Rows on record."""
    log = adapters.read_log(server.folders[0] / ".kring" / "log", system="prices")
    return sum(one.record.n for one in log.read() if isinstance(one.record, Decisions))


def test_who_is_refused_leaves_nothing_that_a_rollout_could_count(server: Server, pointer: Pointer) -> None:
    before = decided(server)
    asked(server, pointer.canary)
    assert decided(server) == before
