"""From ledgers and configuration to what the data workers read: the systems, and who may ask them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from kring.errors import KringError, NotFound, UserError
from kring.flow import history
from kring.flow.cleaning import repairs_of_rows
from kring.flow.flags import running_trials
from kring.flow.keys import access_list, keys_on
from kring.flow.project import Project
from kring.flow.pulling import PullFile
from kring.flow.serving import meeting as meetings
from kring.flow.serving.configured import Configured, alike
from kring.flow.serving.meeting import Meeting
from kring.flow.versions import require_same_reading, verified
from kring.ports.ledger import Ledger
from kring.ports.page import Page
from kring.record.access import AccessList, ApiKey
from kring.record.erasure import Forgotten
from kring.record.serving import Served


@dataclass
class Known:
    """What one ledger has said: `keys` and who was forgotten up to place `heard`, who answers up to place `turned`.
    `is_heard` says whether it could be read this time, `is_edited` that kring.toml has changed since."""

    configured: Configured
    is_edited: bool = False
    is_heard: bool = False
    keys: Sequence[ApiKey] = ()
    heard: int = -1
    served: Served | None = None
    turned: int = -1
    trouble: str = ""


@dataclass
class Publisher:
    """Publishes what has changed on the ledgers of `projects`, and in their files. `page` is told what to read again.
    Where a server runs already, `before` is what it serves by."""

    projects: Sequence[Project]
    meeting: Meeting
    page: Page | None
    say: Callable[[str], None]
    before: Sequence[Served] = ()
    _known: dict[str, Known] = field(default_factory=dict)
    _systems: list[Served] = field(default_factory=list)
    _access: AccessList | None = None

    def __post_init__(self) -> None:
        by_name = {one.system.name: one for one in self.before}
        for project in self.projects:
            one = by_name.get(project.system.name)
            served = replace(project, system=one.system, contract=one.contract) if one is not None else project
            self._known[project.system.name] = Known(Configured(served, newest=project, say=self.say))

    def publish(self) -> None:
        """Read every ledger that has grown, write what follows from it, say what changed.

        A system whose ledger can't be read, or whose live version is not to be opened, goes on as it was published
        last, which is said once, and again when it is over; it keeps no other system waiting. Raised is only what
        keeps the first publication from being made.
        """
        is_first = not self._systems
        for project in self.projects:
            known = self._known[project.system.name]
            known.is_heard = False
            known.is_edited |= known.configured.look()
            try:
                self._read(known)
            except KringError as error:
                if is_first:
                    raise
                self._say_trouble(project.system.name, known, error.message)
            else:
                self._say_trouble(project.system.name, known, "")
        self.projects = [known.configured.served for known in self._known.values()]
        self._publish_access()
        self._publish_systems()
        if self.page is not None and all(known.is_heard for known in self._known.values()):
            self.page.ledger_seen(self.projects[0].clock.monotonic())

    def _read(self, known: Known) -> None:
        """The keys first: nothing that is wrong with a version keeps one from being ended."""
        with known.configured.served.ledger() as ledger:
            head = ledger.head().seq
            if head != known.heard:
                is_forgotten = next(ledger.read(after=max(known.heard, 0), kind=history.KINDS[Forgotten]), None)
                known.keys, known.heard = keys_on(ledger), head
                if is_forgotten is not None:
                    self._bump("forgotten")
            known.is_heard = True
            if head != known.turned or known.is_edited:
                waits = known.configured.turn(running_trials(ledger))
                known.served = msgspec.structs.replace(served(known.configured.served, ledger), waits=waits)
                known.turned, known.is_edited = head, False

    def _say_trouble(self, name: str, known: Known, trouble: str) -> None:
        """Many times a second the same would be said."""
        if trouble == known.trouble:
            return
        known.trouble = trouble
        self.say(f"{name} goes on as it was known: {trouble}" if trouble else f"the ledger of {name} is read again")

    def _publish_systems(self) -> None:
        systems = [known.served for known in self._known.values() if known.served is not None]
        if systems == self._systems:
            return
        self._say_changes(systems)
        files = self.projects[0].files
        meetings.write(files, self.meeting.systems, systems)
        for one in systems:
            PullFile(Path(one.home), files=files).publish(one.pointer)
        self._systems = systems
        self._bump("pointers")

    def _say_changes(self, systems: Sequence[Served]) -> None:
        before = {one.system.name: one for one in self._systems or self.before}
        for one in systems:
            name, other = one.system.name, before.get(one.system.name, one)
            if other.pointer.live != one.pointer.live:
                self.say(f"{name} is answered by {one.pointer.live} from here on")
            if not alike(other.system, one.system):
                self.say(f"{name} goes by the flags, limits and rollouts of another kring.toml from here on")
            if one.waits and other.waits != one.waits:
                self.say(f"{name}: {one.waits}")

    def _publish_access(self) -> None:
        project = self.projects[0]
        held = {name: known.keys for name, known in self._known.items()}
        access = access_list(self.projects, held, now=project.clock.now(), before=self._access)
        if access == self._access:
            return
        limits = self._access is None or access.policies != self._access.policies
        meetings.write(project.files, self.meeting.access, access)
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
    state = history.operator_state(ledger)
    if state is None or state.pointer is None:
        raise NotFound(f"{project.system.name} has no live version yet", next=f"run kring go {project.folder} first")
    pointer, rollout = state.pointer, state.rollout
    live = verified(project, pointer.live)
    require_same_reading(project, live)
    shadows = (rollout.version,) if rollout is not None and rollout.stage == "shadow" else ()
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
