"""A replay in a home of its own, with its report: all of it or nothing."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from kring.errors import UserError
from kring.flow.project import Project
from kring.flow.replaying.replay import replay
from kring.flow.replaying.report import write_report
from kring.flow.tidying import own_home
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.record.replay import Replay
from kring.sources import file as source


class Replayed(NamedTuple):
    """The project as it stands in the replay's home, what happened, and the report."""

    project: Project
    replay: Replay
    report: Path


def replay_in(project: Project, *, home: Path | None, start: int, end: int, seed: int) -> Replayed:
    """Replay in a home of its own: `home`, else a folder under the system's `.kring/replays`.

    `UserError` when the home is taken, `Busy` while another process runs a replay in it. A replay that
    fails leaves nothing there.
    """
    if end <= start:
        raise UserError("a replay ends after it begins", got=f"{start} to {end}", next="choose --to after --from")
    source.scan(project.folder / project.system.data.source)
    folder = home or project.home.root / "replays" / project.new_id("p")
    there = project.at(home=folder, clock=SimulatedClock(start), random=SeededRandom(seed), actor="replay")
    with project.working() if home is None else nullcontext(), own_home(folder, files=project.files):
        result = replay(there, start=start, end=end, seed=seed)
        return Replayed(there, result, write_report(there, result))
