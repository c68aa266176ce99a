"""A system that was opened: its file, its contract, its home, and the world it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import kring.contracts.odcs
import kring.frame.read
from kring.errors import IntegrityError
from kring.flow import adapters
from kring.flow.home import Home
from kring.flow.tidying import tidy
from kring.flow.together import hold_together, with_roles
from kring.host.clock import SystemClock
from kring.host.files import LocalFiles
from kring.host.git import commit_of
from kring.host.random import SystemRandom
from kring.host.turns import working
from kring.metrics.ids import fresh_id
from kring.ports.clock import Clock
from kring.ports.files import Files
from kring.ports.ledger import Ledger
from kring.ports.random import Random
from kring.ports.task import Task
from kring.record.contract import Contract, LogicalType
from kring.record.system import System


def silent(text: str) -> None:
    """Progress that nobody watches."""
    del text


@dataclass(frozen=True)
class Project:
    """All that a journey needs. `say` is told what is being done, in one line each time."""

    folder: Path
    system: System
    contract: Contract
    task: Task
    home: Home
    files: Files
    clock: Clock
    random: Random
    commit: str
    say: Callable[[str], None]
    actor: str = "command line"

    @property
    def types(self) -> dict[str, LogicalType]:
        """The contract's fields and their types."""
        return {field.name: field.type for field in self.contract.fields}

    @property
    def known_later(self) -> frozenset[str]:
        """Columns that no prepared column may read: they are not known when the decision is made."""
        data, contract = self.system.data, self.contract
        return frozenset({data.target, data.outcome_at, contract.target, contract.outcome_time} - {""})

    def new_id(self, prefix: str) -> str:
        return fresh_id(prefix, at=self.clock.now(), entropy=self.random.bytes(10))

    def at(self, *, home: Path, clock: Clock, random: Random, actor: str) -> Project:
        """The same system in another world: a replay's home, clock and chance."""
        return replace(self, home=Home(home), clock=clock, random=random, actor=actor)

    def in_home(self, home: Path) -> Project:
        """The same system with its state in another folder, such as a replay's."""
        return replace(self, home=Home(home))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Be at work in the home; what a killed command left there is removed when nobody else is."""
        with working(self.home.root, tidy=lambda: tidy(self.home.root, files=self.files)):
            yield

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The system's chain, closed at the end whatever happens; a new one where nothing stands on one yet."""
        self._require_ledger()
        ledger = adapters.open_ledger(self.home.ledger, system=self.system.name)
        try:
            yield ledger
        finally:
            ledger.close()

    def _require_ledger(self) -> None:
        """`IntegrityError` for versions whose ledger is gone: a new one would forget them without a word."""
        if not self.home.ledger.exists() and any(self.home.versions.glob("v_*")):
            raise IntegrityError(
                f"the ledger of {self.system.name} is gone, and its versions are still there",
                got="no ledger.db",
                allowed="the ledger that they stand on",
                next="put it back from a copy; to begin anew, move the whole folder .kring away",
                file=str(self.home.ledger),
            )


def open_project(folder: Path, *, say: Callable[[str], None] = silent, files: Files | None = None) -> Project:
    """Read `kring.toml` and its contract in `folder`, and hold them against each other.

    Every fault in either file is reported at once, as a `ConfigError`.
    """
    system, lines = kring.frame.read.read_with_lines(folder)
    folder = Path(system.file).parent
    task = adapters.task_named(system.task)
    contract = kring.contracts.odcs.read(folder / system.data.contract)
    system = with_roles(system, contract)
    hold_together(system, contract, task, lines=lines)
    return project_of(system, contract, folder=folder, say=say, files=files)


def project_of(
    system: System,
    contract: Contract,
    *,
    folder: Path,
    say: Callable[[str], None] = silent,
    files: Files | None = None,
) -> Project:
    """The system in `folder`, by what is known of it: neither file is read."""
    return Project(
        folder=folder,
        system=system,
        contract=contract,
        task=adapters.task_named(system.task),
        home=Home(folder / ".kring"),
        files=files or LocalFiles(),
        clock=SystemClock(),
        random=SystemRandom(),
        commit=commit_of(folder),
        say=say,
    )
