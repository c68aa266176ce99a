"""A small system that lives through a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kring.flow.project import Project, open_project
from kring.flow.replaying.home import replay_in
from kring.record.replay import Replay
from systems import day

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
    return Lived(project, own, replay)
