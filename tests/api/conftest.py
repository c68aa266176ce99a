"""One server for all tests of the protocols: four small systems, released once, one of each kind of answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import Keyring
from granian import _futures

import handbook
from fruit import write_fruit
from kring.api.early_bodies import SCHEDULER
from served import Server, serving, wait_until_managed
from systems import kring, write_loans, write_parcels

VERTEX = {"AIP_HEALTH_ROUTE": "/vertex/health", "AIP_PREDICT_ROUTE": "/vertex/predict"}


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of released systems, by name; never to be changed or served: copy them."""
    base = tmp_path_factory.mktemp("released")
    folders = {
        "loans": write_loans(base / "loans", out_of_contract="reject"),
        "parcels": write_parcels(base / "parcels"),
        "fruit": write_fruit(base / "fruit"),
        "handbook": handbook.make(base / "handbook"),
    }
    for folder in folders.values():
        told = kring("go", folder)
        assert told.code == 0, told.err
    return folders


@pytest.fixture(scope="session")
def server(released: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All four systems on one port, and gRPC beside it. Tests may ask and wrong it; none may stop it."""
    base = tmp_path_factory.mktemp("served")
    copies = [Path(shutil.copytree(folder, base / name)) for name, folder in released.items()]
    with serving(copies, grpc=True, environ=VERTEX) as running:
        yield running
        assert running.process.poll() is None, running.log.read_text()
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="session")
def keyring(server: Server) -> Keyring:
    """Keys of any role in any of the systems."""
    wait_until_managed(server)
    return Keyring(server)


@pytest.fixture
def granian_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has granian do is undone after it."""
    monkeypatch.setattr(_futures, SCHEDULER, getattr(_futures, SCHEDULER))
