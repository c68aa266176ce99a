"""Systems that are released once, and copies of them that a test may serve and harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benches import Bench, bench_of
from canaries import write_canary
from moods import write_moody
from nursery import Nursery
from released import Released, released

from systems import write_parcels


@pytest.fixture(scope="session")
def parcels_once(tmp_path_factory: pytest.TempPathFactory) -> Released:
    return released(write_parcels(tmp_path_factory.mktemp("once") / "parcels"), ("go",))


@pytest.fixture(scope="session")
def moody_once(tmp_path_factory: pytest.TempPathFactory) -> Released:
    folder = write_moody(tmp_path_factory.mktemp("moods") / "moody")
    return released(folder, ("check",), ("train", "--candidate", "moody"), ("release", "--candidate", "moody"))


@pytest.fixture
def parcels(parcels_once: Released, tmp_path: Path) -> Released:
    """A number for three fields: see `parcel`."""
    return parcels_once.copy(tmp_path)


@pytest.fixture
def moody(moody_once: Released, tmp_path: Path) -> Released:
    """A system whose version does what its row says: see `moods`."""
    return moody_once.copy(tmp_path)


@pytest.fixture(scope="session")
def canary_once(tmp_path_factory: pytest.TempPathFactory) -> Released:
    folder = write_canary(tmp_path_factory.mktemp("canaries") / "prices")
    return released(folder, ("go",), ("train", "--candidate", "linear"), ("release", "--yes"))


@pytest.fixture
def canary(canary_once: Released, tmp_path: Path) -> Released:
    """A version that answers a fifth, on its way up: see `canaries`."""
    return canary_once.copy(tmp_path)


@pytest.fixture(scope="module")
def bench(parcels_once: Released, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Workers of the parcels whose disk or clock goes wrong."""
    base = tmp_path_factory.mktemp("bench")
    nursery = Nursery()
    try:
        yield bench_of(parcels_once.copy(base), nursery, base)
    finally:
        nursery.close()
