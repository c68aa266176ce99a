"""What the control process holds: projects, the gatekeeper, the newest decisions; and what it keeps up to date."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from kring.access.guard import Gatekeeper
from kring.access.hosts import Headers, is_private
from kring.access.roles import may
from kring.access.sessions import Sessions
from kring.access.tokens import token_readers
from kring.errors import KringError, NotFound
from kring.flow import adapters
from kring.flow.outcomes import record_outcomes
from kring.flow.project import Project, project_of
from kring.flow.recording import sealing_for
from kring.flow.serving import meeting as meetings
from kring.flow.serving.drawings import Drawings
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.overhearing import Ears
from kring.flow.serving.own_logs import OwnLogs
from kring.flow.serving.publish import Publisher
from kring.flow.serving.tallies import computing
from kring.flow.viewing.decisions import Follower
from kring.host.files import LocalFiles
from kring.host.page import open_page
from kring.ports.page import Page
from kring.record.access import Action, Principal
from kring.record.outcome import Reported, Told
from kring.record.serving import Plan, Served

POLL_S: Final = 0.25
"""How often the ledgers are looked at: a key that is revoked is dead within a second."""


@dataclass
class Control:
    """Everything that the management side answers from. May be used from any thread."""

    plan: Plan
    gate: Gatekeeper
    sessions: Sessions
    followers: Mapping[str, Follower]
    drawings: Drawings
    publisher: Publisher
    ears: Ears
    logs: OwnLogs
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def projects(self) -> Mapping[str, Project]:
        """The systems by their names, as they are served now."""
        return {project.system.name: project for project in self.publisher.projects}

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https."""
        return bool(self.plan.certificate) or self.plan.behind_proxy

    def now(self) -> int:
        return self._any.clock.now()

    def refresh(self) -> None:
        """Publish what the ledgers say now, and believe it here too."""
        with self._lock:
            try:
                self.publisher.publish()
            finally:
                access = meetings.read_access(self._any.files, self.publisher.meeting)
                self.gate.replace(keys=access.keys, policies=access.policies, tokens=token_readers(access))

    def whoever(self, headers: Headers, *, address: str) -> Principal:
        """Who shows a key or token; `Unauthenticated`, or `TooMuch` after too many wrong ones."""
        tick = self._any.clock.monotonic()
        return self.gate.authenticate(headers, now=self.now(), tick=tick, address=lambda: address)

    def in_session(self, text: str) -> Principal:
        """Whose session this is; `Unauthenticated` when it has ended, or its key has."""
        return self.gate.holder_of(self.sessions.key_of(text, now=self.now()), now=self.now())

    def allow(self, who: Principal, action: Action, system: str) -> Project:
        """The project of a system in which `who` may do `action`. `NotFound` for systems that are not theirs to see,
        `Forbidden`, `TooMuch`."""
        project = self.require_seen(who, system)
        self.gate.allow(who, action=action, system=system, tick=project.clock.monotonic())
        return project

    def require_seen(self, who: Principal, system: str) -> Project:
        """The project of a system in which `who` has any role; `NotFound` for all others, whether there are any."""
        project = self.projects.get(system)
        if project is None or not who.roles.get(system):
            raise NotFound(
                "there is no such system",
                got=repr(system)[:80],
                allowed=", ".join(one.system.name for one in self.seen(who)) or "none for this key",
            )
        return project

    def report(self, project: Project, reports: Sequence[Reported], *, source: str) -> list[Told]:
        """Put on record, durably, what turned out to be true of decisions of one system."""
        target = next(one for one in project.contract.fields if one.name == project.system.data.target)
        with self.logs.of(project) as log:
            return record_outcomes(
                log,
                adapters.read_log(project.home.log, system=project.system.name),
                reports,
                system=project.system.name,
                target=target,
                now=project.clock.now(),
                source=source,
            )

    def close(self) -> None:
        """Let go of what was opened to be written."""
        self.logs.close()
        self.ears.close()

    def systems(self) -> list[Served]:
        """What was published of every system."""
        return meetings.read_systems(self._any.files, self.publisher.meeting)

    def computing(self, system: str) -> list[tuple[str, str, int]]:
        """The versions of a system, what computes each, and in how many workers."""
        return computing(self.publisher.meeting.metrics, system=system)

    def may(self, who: Principal, action: Action, system: str) -> bool:
        """Whether a role of `who` in the system allows it."""
        return may(who, action, system=system)

    def seen(self, who: Principal) -> list[Project]:
        """The projects of the systems in which `who` has any role."""
        return [project for name, project in self.projects.items() if who.roles.get(name)]

    @property
    def _any(self) -> Project:
        return next(iter(self.projects.values()))


def open_control(plan: Plan, *, say: Callable[[str], None]) -> Control:
    """Open every system of the plan as the workers know it. Neither a ledger that can't be read nor a `kring.toml` or
    contract that does not hold keeps one from being opened."""
    meeting, files = Meeting(Path(plan.state)), LocalFiles()
    page, before = _page(meeting), meetings.read_systems(files, meeting)
    projects = [as_published(one, say=say) for one in before]
    control = Control(
        plan=plan,
        gate=Gatekeeper(dev_keys=is_private(plan.host, behind_proxy=plan.behind_proxy)),
        sessions=Sessions(projects[0].random),
        followers={project.system.name: Follower(project) for project in projects},
        drawings=Drawings(meeting.drawings, files=files),
        publisher=Publisher(projects, meeting, page, say, before=before),
        ears=Ears(lambda: meetings.read_systems(files, meeting), logs=OwnLogs(sealing_for, page=page, say=say)),
        logs=OwnLogs(page=page, say=say),
    )
    try:
        control.refresh()
    except KringError as error:
        say(f"what was published last goes on: {error.message}")
    return control


def as_published(one: Served, *, say: Callable[[str], None]) -> Project:
    """The project of what is served. Its files may be others by now, so its digest is that of none: the first look at
    them takes what holds of them."""
    system = msgspec.structs.replace(one.system, digest="")
    return project_of(system, one.contract, folder=Path(one.home).parent, say=say)


@contextmanager
def kept_up(control: Control, *, say: Callable[[str], None]) -> Iterator[None]:
    """Look at the ledgers again and again while the block runs. What fails is said once, and tried again."""
    stopped = threading.Event()

    def run() -> None:
        failed = ""
        while not stopped.wait(POLL_S):
            try:
                control.logs.end_days(control.now())
                control.ears.end_days(control.now())
                control.refresh()
                failed = ""
            except KringError as error:
                if error.message != failed:
                    say(f"what the ledgers say could not be published: {error.message}")
                failed = error.message

    thread = threading.Thread(target=run, name="ledgers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        control.close()


def _page(meeting: Meeting) -> Page | None:
    try:
        return open_page(meeting.page, writer=True)
    except NotFound:
        return None
