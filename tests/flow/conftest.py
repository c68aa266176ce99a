"""One small system that has lived for a while: two versions, an alarm, a rollout after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kring.flow.project import Project, open_project
from kring.flow.replay_home import replay_in
from kring.record.replay import Replay
from systems import day, loans_feed, write_loans

FROM, TO, TURNS_ON = day(30), day(54), 42


@dataclass(frozen=True)
class Lived:
    """The project in the replay's home, the system's own project, and what happened."""

    project: Project
    own: Project
    replay: Replay


def live(folder: Path, home: Path, *, seed: int = 0, end: int = TO) -> Lived:
    own = open_project(folder)
    project, replay, _ = replay_in(own, home=home, start=FROM, end=end, seed=seed)
    assert not own.home.ledger.exists(), "the system's own state is not touched"
    return Lived(project, own, replay)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = write_loans(tmp_path_factory.mktemp("lived") / "loans", feed=loans_feed(turns_on=TURNS_ON))
    return live(folder, folder / "home")
