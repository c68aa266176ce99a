"""From ledgers and configuration to what the data workers read: the systems, and who may ask them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from kring.errors import KringError, NotFound, UserError
from kring.flow import history
from kring.flow.cleaning import repairs_of_rows
from kring.flow.deciding import require_same_reading, verified
from kring.flow.flags import running_trials
from kring.flow.keys import access_list
from kring.flow.operating.operator import LEASE
from kring.flow.operator.rollouts import stage_of
from kring.flow.project import Project
from kring.flow.pulling import PullFile
from kring.flow.serving import meeting as meetings
from kring.flow.serving.meeting import Meeting
from kring.ports.ledger import Ledger
from kring.ports.page import Page
from kring.record.access import AccessList
from kring.record.erasure import Forgotten
from kring.record.operator import OperatorState
from kring.record.serving import Served


@dataclass
class Publisher:
    """Publishes what has changed on the ledgers of `projects`. `page` is told what to read again."""

    projects: Sequence[Project]
    meeting: Meeting
    page: Page | None
    say: Callable[[str], None]
    _heads: dict[str, int] = field(default_factory=dict)
    _systems: list[Served] = field(default_factory=list)
    _access: AccessList | None = None
    _trouble: str = ""

    def publish(self) -> None:
        """Read every ledger that has grown, write what follows from it, say what changed.

        A ledger that can't be read changes nothing: what was published last goes on, which is said once, and again
        when it is over. Raised is only what keeps the first publication from being made.
        """
        first = not self._systems
        try:
            with ExitStack() as stack:
                ledgers = {one.system.name: stack.enter_context(one.ledger()) for one in self.projects}
                self._publish(ledgers)
        except KringError as error:
            if first:
                raise
            self._say_trouble(error.message)
        else:
            self._say_trouble("")

    def _say_trouble(self, trouble: str) -> None:
        """Many times a second the same would be said."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        self.say(
            f"the ledger can't be read, what was known goes on: {trouble}" if trouble else "the ledger is read again"
        )

    def _publish(self, ledgers: dict[str, Ledger]) -> None:
        heads = {name: ledger.head().seq for name, ledger in ledgers.items()}
        project = self.projects[0]
        # first of all: nothing that is wrong with a version keeps a key from being ended
        self._publish_access(access_list(self.projects, ledgers, now=project.clock.now(), before=self._access))
        if heads != self._heads:
            systems = [served(one, ledgers[one.system.name]) for one in self.projects]
            if systems != self._systems:
                self._say_changes(systems)
                meetings.write(project.files, self.meeting.systems, systems)
                for one in systems:
                    PullFile(Path(one.home), files=project.files).publish(one.pointer)
                self._systems = systems
                self._bump("pointers")
            if any(self._has_forgotten(name, ledger) for name, ledger in ledgers.items()):
                self._bump("forgotten")
        self._heads = heads
        if self.page is not None:
            self.page.ledger_seen(project.clock.monotonic())

    def _say_changes(self, systems: Sequence[Served]) -> None:
        before = {one.system.name: one.pointer.live for one in self._systems}
        for one in systems:
            if before.get(one.system.name, one.pointer.live) != one.pointer.live:
                self.say(f"{one.system.name} is answered by {one.pointer.live} from here on")

    def _has_forgotten(self, name: str, ledger: Ledger) -> bool:
        """Whether somebody was forgotten since the ledger was read before."""
        return next(ledger.read(after=self._heads.get(name, 0), kind=history.KINDS[Forgotten]), None) is not None

    def _publish_access(self, access: AccessList) -> None:
        if access == self._access:
            return
        limits = self._access is None or access.policies != self._access.policies
        meetings.write(self.projects[0].files, self.meeting.access, access)
        self._access = access
        self._bump("keys")
        if limits:
            self._bump("limits")

    def _bump(self, kind: str) -> None:
        if self.page is not None:
            self.page.bump(kind)  # type: ignore[arg-type]


def served(project: Project, ledger: Ledger) -> Served:
    """What a worker must know of one system; `NotFound` without a live version, `Conflict` when the contract is not
    the one that it was made with, `IntegrityError` when it is not what was signed."""
    state = history.newest_with(ledger, OperatorState, LEASE)
    if state is None or state.pointer is None:
        raise NotFound(f"{project.system.name} has no live version yet", next=f"run kring go {project.folder} first")
    pointer, rollout = state.pointer, state.rollout
    live = verified(project, pointer.live)
    require_same_reading(project, live)
    shadows = (rollout.version,) if rollout is not None and stage_of(rollout) == "shadow" else ()
    others = (id for id in (pointer.canary, pointer.previous, *shadows) if id)
    return Served(
        home=str(project.home.root.resolve()),
        system=project.system,
        contract=project.contract,
        known_later=tuple(sorted(project.known_later)),
        pointer=pointer,
        public_key=project.files.read(project.home.public_key),
        shadows=shadows,
        roots={pointer.live: live.root} | dict(rooted(project, others)),
        repairs=repairs_of_rows(project)[0],
        trials=running_trials(ledger),
    )


def rooted(project: Project, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The roots of the versions that are whole; of the others it is said why they answer nothing."""
    for id in ids:
        try:
            yield id, verified(project, id).root
        except KringError as error:
            project.say(f"version {id} can't be opened and answers nothing: {error.message}")


def require_apart(projects: Sequence[Project]) -> None:
    """`UserError` unless there are systems, and each has a name of its own."""
    names = [project.system.name for project in projects]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice or not names:
        raise UserError(
            "two systems of one name can't be served together" if twice else "there is nothing to serve",
            got=f"{twice!r} in {', '.join(str(one.folder) for one in projects if one.system.name == twice)}",
            allowed="folders of systems with different names",
        )
