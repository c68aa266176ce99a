"""Telling people: what the operator wants told lies on the ledger until it has arrived, and is sent beside its work.

A `Notify` becomes a `Delivery` in the same transaction as the step that asked for it. Each target has a thread of its
own that sends what waits for it, so that one which hangs keeps nobody; what fails is tried again, later each time.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec

from kring.charts.versions import NONE, Versions, answered
from kring.errors import KringError, NotFound, Unreachable
from kring.flow import adapters, history
from kring.flow.project import Project
from kring.flow.verifying import no_way_back
from kring.ports.ledger import Ledger
from kring.ports.notifier import Notifier
from kring.record.event import Entry
from kring.record.message import Delivery, Message
from kring.record.operator import Notify
from kring.record.rollout import Pointer
from kring.record.running import Notify as Target
from kring.watch import wording

ACTOR: Final = "operator"
LOOK_S: Final = 1.0
FIRST_US: Final = 5_000_000
LONGEST_US: Final = 3_600_000_000
GIVEN_UP_US: Final = 3 * 86_400_000_000
"""What could not be told in this time is not told: the alarm itself stays where it is."""

STOP_S: Final = 2.0
SILENT: Final = ("KRING_TELL", "0")
"""In the environment of an operator: nobody is told. So run the copies of a system that are put under load or harm."""

Open = Callable[[Target], Notifier]


def entry_of(notify: Notify, *, now: int) -> Entry:
    """What the ledger holds of a message that is to be sent."""
    delivery = Delivery(id=notify.id, target=notify.target, state="waiting", since=now, due=now, notify=notify)
    return history.entry(delivery, id=delivery.id, actor=ACTOR, at=now)


def message_of(
    notify: Notify, *, system: str, at: int, machine: str = "its machine", folder: str = "", versions: Versions = NONE
) -> Message:
    """A message in words, as it was at `at`; the same each time it is sent, but for a way back that is closed only by
    then. It says on which `machine` and in which `folder` something can be done, and what is known of `versions`."""
    return Message(
        id=notify.id,
        system=system,
        at=at,
        news=notify.news,
        tier=notify.alarms[0].tier if notify.alarms else "note",
        subject=wording.subject(system, notify.alarms, news=notify.news, more=notify.more),
        text=wording.text(
            notify.alarms,
            more=notify.more,
            versions=msgspec.structs.replace(versions, roles=notify.roles) if notify.roles else None,
            machine=machine,
            folder=folder,
            at=at,
        ),
        alarms=notify.alarms,
        more=notify.more,
    )


def versions_at(project: Project, ledger: Ledger, at: int) -> Versions:
    """Since when each version answered by the moment `at`, and whether the one before could answer again."""
    pointers = [one for one in history.all_of(ledger, Pointer) if one.at <= at]
    closed = no_way_back(project, ledger, pointers[-1] if pointers else None)
    return Versions(answered=answered(pointers), no_way_back=closed)


def send_test(project: Project, name: str, *, environ: Mapping[str, str]) -> Message:
    """Send a message without an alarm to the target `name`, at once. `NotFound`, or what keeps it from arriving."""
    target = target_named(project, name)
    message = Message(
        id=project.new_id("n"),
        system=project.system.name,
        at=project.clock.now(),
        news="test",
        tier=target.least,
        subject=f"[{target.least}] {project.system.name}, test: nothing has happened",
        text=f"This is how alarms of {project.system.name} reach {name}. Nothing has happened.",
    )
    adapters.open_notifier(target, environ=environ, clock=project.clock).send(message)
    return message


def target_named(project: Project, name: str) -> Target:
    found = next((one for one in project.system.notify if one.name == name), None)
    if found is None:
        raise NotFound(
            "nobody is told by this name",
            got=repr(name)[:80],
            allowed=", ".join(one.name for one in project.system.notify) or "no [[notify]] in kring.toml",
            next="add a [[notify]] with name, to and url",
        )
    return found


class Teller:
    """Sends what waits for one target. For one thread."""

    def __init__(self, project: Project, ledger: Ledger, target: Target, *, open_target: Open) -> None:
        self._project = project
        self._ledger = ledger
        self._target = target
        self._open = open_target
        self._notifier: Notifier | None = None
        self._after = 0
        self._waiting: dict[str, Delivery] = {}

    def round(self) -> int:
        """Send what is due, in the order in which it was asked for; how many arrived. After one that has to be tried
        again the others wait as long as it does, or until something new is to be told: then it is tried once before
        its time, and if that is in vain nothing has changed."""
        is_new = self._read_on()
        sent = 0
        for delivery in list(self._waiting.values()):
            is_due = delivery.due <= self._project.clock.now()
            if not (is_due or is_new):
                break
            after = self._attempt(delivery)
            if is_due or after.state != "waiting":
                self._keep(after)
            if after.state == "waiting":
                break
            sent += after.state == "sent"
        return sent

    def _read_on(self) -> bool:
        """Whether something waits now that did not at the last look, and was never tried."""
        known = {*self._waiting}
        for event in self._ledger.read(after=self._after, kind=history.KINDS[Delivery]):
            self._after = event.seq
            delivery = history.decode(event, Delivery)
            if delivery.target != self._target.name:
                continue
            if delivery.state == "waiting":
                self._waiting[delivery.id] = delivery
            else:
                self._waiting.pop(delivery.id, None)
        return any(not one.attempts for id, one in self._waiting.items() if id not in known)

    def _attempt(self, delivery: Delivery) -> Delivery:
        notify = delivery.notify
        assert notify is not None
        try:
            self._notifier = self._notifier or self._open(self._target)
            self._notifier.send(
                message_of(
                    notify,
                    system=self._project.system.name,
                    at=delivery.since,
                    machine=os.uname().nodename,
                    folder=shlex.quote(str(self._project.folder.resolve())),
                    versions=versions_at(self._project, self._ledger, delivery.since),
                )
            )
        except Exception as error:  # noqa: BLE001  the edge: whatever is wrong with it, the next is told
            return after_failure(delivery, failure_of(error, self._target.name), now=self._project.clock.now())
        return msgspec.structs.replace(delivery, state="sent", attempts=delivery.attempts + 1, reason="", notify=None)

    def _keep(self, delivery: Delivery) -> None:
        if delivery.state == "waiting":
            self._waiting[delivery.id] = delivery
        else:
            self._waiting.pop(delivery.id, None)
        now = self._project.clock.now()
        self._ledger.append([history.entry(delivery, id=delivery.id, actor=ACTOR, at=now)])


def failure_of(error: Exception, target: str) -> KringError:
    """An error of ours as it is; of a fault only its kind: its words may hold the secret, or what was to be sent."""
    if isinstance(error, KringError):
        return error
    return Unreachable(f"the target {target} could not be told: {type(error).__name__}")


def after_failure(delivery: Delivery, error: KringError, *, now: int) -> Delivery:
    """Once more later, twice as long each time; or given up, when that can't help or has not helped for long."""
    reason = "; ".join(part for part in (error.message, error.got) if part)
    attempts = delivery.attempts + 1
    if not error.retryable or now - delivery.since >= GIVEN_UP_US:
        return msgspec.structs.replace(delivery, state="failed", attempts=attempts, reason=reason, notify=None)
    wait = min(FIRST_US << min(attempts - 1, 20), LONGEST_US)
    return msgspec.structs.replace(delivery, attempts=attempts, due=now + wait, reason=reason)


@contextmanager
def telling(project: Project, *, environ: Mapping[str, str], say: Callable[[str], None]) -> Iterator[None]:
    """Send what waits while the block runs. What is being sent at its end is sent again next time, with its id.
    Nothing is sent where the environment says so."""
    stopped = threading.Event()

    def open_target(target: Target) -> Notifier:
        return adapters.open_notifier(target, environ=environ, clock=project.clock)

    threads = [
        threading.Thread(
            target=tell_on,
            args=(project, target, stopped),
            kwargs={"open_target": open_target, "say": say},
            name=f"tell {target.name}",
            daemon=True,
        )
        for target in (() if environ.get(SILENT[0]) == SILENT[1] else project.system.notify)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(STOP_S)


def tell_on(
    project: Project, target: Target, stopped: threading.Event, *, open_target: Open, say: Callable[[str], None]
) -> None:
    """Look at the ledger again and again. What fails is said once, and tried again."""
    said = ""
    while not stopped.is_set():
        try:
            with project.ledger() as ledger:
                teller = Teller(project, ledger, target, open_target=open_target)
                while not stopped.wait(LOOK_S):
                    teller.round()
                    said = ""
        except Exception as error:  # noqa: BLE001  the edge: nobody else tells this target
            why = error.message if isinstance(error, KringError) else type(error).__name__
            if why != said:
                say(f"{target.name} can't be told: {why}")
            said = why
            stopped.wait(LOOK_S)
