"""A training in a process of its own: started, looked after, taken up again when it dies.

python -m kring.flow.operating.training DIR HOME ID
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kring.errors import KringError
from kring.flow import history
from kring.flow.doubting import DOUBTS
from kring.flow.project import Project, open_project
from kring.flow.retraining import Retraining, begun, told
from kring.host.child import Child, start
from kring.host.lifeline import hold
from kring.host.turns import alone
from kring.record.operator import OperatorState, Retrained
from kring.record.retraining import Training
from kring.record.run import Run
from kring.record.version import Version

MODULE: Final = "kring.flow.operating.training"
TRIES: Final = 3
"""How often a training that dies is taken up again: what kills it every time is told to a person."""

LOCK: Final = "training.lock"


@dataclass
class Trainer:
    """Looks after the one training of a system. For one thread."""

    project: Project
    _child: Child | None = None
    _id: str = ""
    _trigger: str = ""
    _tries: int = field(default=0)

    def start(self, trigger: str, *, id: str) -> None:
        """Have the training go on, from where it stands on the ledger. Nothing when it runs already."""
        if self._child is not None and self._id == id:
            return
        self.stop()
        begun(self.project, id=id, trigger=trigger)
        self._id, self._trigger, self._tries = id, trigger, 0
        self._spawn()

    def poll(self) -> Retrained | None:
        """How it ended, once it has; None while it runs, and when none does."""
        if self._child is None:
            return None
        code = self._child.poll()
        if code is None:
            return None
        self._child.close()
        self._child = None
        training = begun(self.project, id=self._id, trigger=self._trigger)
        if training.stage == "ended":
            return told(training)
        if self._tries < TRIES:
            self.project.say(f"the training {self._id} died ({code}) at {training.stage} and goes on")
            self._spawn()
            return None
        reason = f"its process died {TRIES} times, the last time with {code}, at the stage {training.stage}"
        return Retrained(trigger=self._trigger, result="fail", reason=reason, run="", broke_at="experiment")

    def stop(self) -> None:
        """End the training that runs, if any; what it has put on the ledger stays."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _spawn(self) -> None:
        self._tries += 1
        where = (str(self.project.folder), str(self.project.home.root), self._id)
        self._child = start([sys.executable, "-P", "-m", MODULE, *where], env={})


def candidates_for(project: Project) -> tuple[str, ...]:
    """The candidate that answers now is trained again, beside the baseline; all before there is one."""
    with project.ledger() as ledger:
        state = history.newest_with(ledger, OperatorState, "operator")
        if state is None or state.pointer is None:
            return ()
        version = history.get(ledger, Version, state.pointer.live)
        candidate = history.get(ledger, Run, version.run).candidate
    known = {one.name for one in project.system.candidates}
    return (candidate,) if candidate in known else ()


def run(project: Project, id: str) -> Training:
    """Take up the training and bring it to its end. `Busy` while another process is at it."""
    with alone(project.home.root / LOCK, busy=f"{project.system.name} is being trained already"):
        training = begun(project, id=id, trigger="asked for by hand")
        return Retraining(project, training, only=candidates_for(project), doubts=DOUBTS).run()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 when the training has ended, whatever it came to; 3 when it could not go on."""
    folder, home, id = arguments
    lifeline = hold()
    project = open_project(Path(folder), say=say).in_home(Path(home))
    lifeline.ready()
    try:
        run(project, id)
    except KringError as error:
        say(error.lasting)
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
