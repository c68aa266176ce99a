"""The tiny system: trained and released once, copied for each test."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import parcels as system
import pytest
from commands import kring

from kring.flow.operating.operator import operating
from kring.flow.project import open_project
from kring.host.clock import SimulatedClock
from kring.record.operator import ShadowCompared

DAY_US: Final = 86_400_000_000


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checked, trained and released; never to be changed."""
    folder = system.make(tmp_path_factory.mktemp("made") / "parcels")
    for command in ("check", "train", "release"):
        answer = kring(command, folder)
        assert answer.exit == 0, answer
    return folder


@pytest.fixture(scope="session")
def promoted(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a second version live, so that there is one to go back to; never to be changed."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("promoted") / "parcels"))
    for command in ("train", "release"):
        assert kring(command, folder).exit == 0
    project = open_project(folder)
    later = SimulatedClock(project.clock.now() + 2 * DAY_US)
    with operating(replace(project, clock=later), holder=project.actor) as operator:
        rollout = operator.state.rollout
        assert rollout is not None
        seen = ShadowCompared(version=rollout.version, rows=100, failures=0, agreement=1.0, mean_difference=0.0)
        operator.step([seen])
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The system's files, without state."""
    return system.make(tmp_path / "parcels")


@pytest.fixture
def released(made: Path, tmp_path: Path) -> Path:
    """A system with a snapshot, runs and a live version."""
    return Path(shutil.copytree(made, tmp_path / "parcels"))


@pytest.fixture
def two_versions(promoted: Path, tmp_path: Path) -> Path:
    """A system with a live and a previous version."""
    return Path(shutil.copytree(promoted, tmp_path / "parcels"))
