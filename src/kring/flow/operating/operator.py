"""Carries out what the operator decides: one transaction for state and outbox, then the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from kring.errors import Conflict, KringError, Refused, Unavailable
from kring.flow import history
from kring.flow.operating.telling import entry_of
from kring.flow.operator.fold import fold
from kring.flow.operator.moment import ACTOR
from kring.flow.project import Project
from kring.ports.ledger import Ledger
from kring.record.event import Entry
from kring.record.operator import (
    BatchSealed,
    Command,
    MoveRollout,
    Notify,
    OperatorEvent,
    OperatorState,
    RaiseAlarm,
    Retrain,
    Retrained,
    SetPointer,
)
from kring.record.system import Stage

LEASE: Final = "operator"
LEASE_SECONDS: Final = 3600.0
COMMAND_SECONDS: Final = 30.0
"""How long the right of a command that died keeps others waiting."""

LEADER: Final = "leader"
"""The right to follow the log and judge by it. Commands of people take no notice of it."""

TRIES: Final = 20


@dataclass
class Operator:
    """A writer of a system's operator state; its lease fences out whoever had it before.

    `retrain` carries out a `Retrain` command and says how it ended; without it trainings are somebody else's to look
    after. `undone` is what the state that was found had asked for: nobody is known to have done it. One that is
    `patient` decides anew when another command has come before it.
    """

    project: Project
    ledger: Ledger
    holder: str
    state: OperatorState
    token: int
    retrain: Callable[[str], Retrained] | None
    undone: tuple[Command, ...] = ()
    patient: bool = False

    def step(self, events: Sequence[OperatorEvent]) -> list[Command]:
        """Fold the events, commit state, outbox and records together, then do what is left to do.

        What a command brings (the end of a training) is folded in turn, and so is what had been left
        undone before. Returns all commands.
        """
        done: list[Command] = []
        left, self.undone = self.undone, ()
        waiting: list[OperatorEvent] = [*events, *self._carry_out(left)]
        while waiting:
            commands = self._decide(waiting)
            done += commands
            waiting = self._carry_out(commands)
        return done

    def tick(self) -> list[Command]:
        """What is due by the time alone."""
        commands = self._decide([])
        return commands + self.step(self._carry_out(commands))

    def resume(self) -> list[Command]:
        """Carry out what was committed before a crash and not done after it."""
        return self.step([])

    def refresh(self) -> bool:
        """Read the state again; whether another command has changed it."""
        newest = history.operator_state(self.ledger)
        if newest is None or newest.seq == self.state.seq:
            return False
        self.state = newest
        return True

    def _decide(self, events: Sequence[OperatorEvent]) -> list[Command]:
        for last in (False,) * (TRIES - 1) + (True,):
            state, commands = fold(self.project.system, self.state, events, now=self.project.clock.now())
            if not commands and not changed(self.state, state):
                break
            before = self.state.seq
            try:
                self._commit(state, commands, events)
            except Conflict as error:  # another command, or only another record on the same ledger
                is_other = self.refresh()
                if is_other and not self.patient:
                    raise overtaken(before, by=self.state.seq) from error
                if last:
                    raise
            else:
                return commands
        return []

    def _commit(self, state: OperatorState, commands: Sequence[Command], events: Sequence[OperatorEvent]) -> None:
        now = self.project.clock.now()
        sealed = [event for event in events if isinstance(event, BatchSealed) and event == state.sealed]
        entries = [entry for command in commands for entry in entries_of(command, now)]
        entries += [history.entry(one, id=one.rollout, actor=ACTOR, at=now) for one in sealed]
        entries.append(history.entry(state, id=history.OPERATOR, actor=self.holder, at=now))
        seq = self.ledger.head().seq
        newest = history.operator_state(self.ledger)
        if (newest.seq if newest else 0) != self.state.seq:
            raise overtaken(self.state.seq, by=newest.seq if newest else 0)
        self.ledger.append(entries, expect_seq=seq, token=self.token)
        self.state = state

    def _carry_out(self, commands: Sequence[Command]) -> list[OperatorEvent]:
        retrain = self.retrain
        return [retrain(command.trigger) for command in commands if isinstance(command, Retrain)] if retrain else []


def overtaken(seq: int, *, by: int) -> Conflict:
    """Another one has committed step `by` since step `seq` was read."""
    return Conflict(
        "another command has changed what is live since this one began",
        got=f"step {by}",
        allowed=f"step {seq}",
        next="run the command again",
    )


def changed(before: OperatorState, after: OperatorState) -> bool:
    """Whether a step left anything to remember besides its own number."""
    return msgspec.structs.replace(after, seq=before.seq, outbox=before.outbox) != before


def open_operator(
    project: Project,
    ledger: Ledger,
    *,
    holder: str,
    retrain: Callable[[str], Retrained] | None,
    seconds: float = LEASE_SECONDS,
    right: str = LEASE,
    patient: bool = False,
) -> Operator:
    """Take the lease `right` and read the last committed state. `Busy` while another holder has it."""
    lease = ledger.lease(right, holder=holder, ttl=seconds, now=project.clock.now())
    state = history.operator_state(ledger) or OperatorState(system=project.system.name)
    return Operator(
        project=project,
        ledger=ledger,
        holder=holder,
        state=state,
        token=lease.token,
        retrain=retrain,
        undone=state.outbox,
        patient=patient,
    )


@contextmanager
def operating(project: Project, *, holder: str) -> Iterator[Operator]:
    """The operator for one command; its right is given back at the end. Trainings are left to whoever operates."""
    with project.ledger() as ledger:
        operator = open_operator(project, ledger, holder=holder, retrain=None, seconds=COMMAND_SECONDS, patient=True)
        try:
            yield operator
        finally:
            with suppress(Unavailable):
                ledger.lease(LEASE, holder=holder, ttl=0.0, now=project.clock.now())


def entries_of(command: Command, now: int) -> list[Entry]:
    """The records a command leaves on the ledger."""
    match command:
        case RaiseAlarm(alarm=alarm):
            return [history.entry(alarm, id=alarm.id, actor=ACTOR, at=now)]
        case MoveRollout(rollout=rollout):
            return [history.entry(rollout, id=rollout.id, actor=rollout.actor, at=now)]
        case SetPointer(pointer=pointer):
            return [history.entry(pointer, id=pointer.system, actor=command.actor, at=now)]
        case Notify():
            return [entry_of(command, now=now)]
        case _:
            return []


def no_retraining(trigger: str) -> Retrained:
    """For journeys in which nothing may start a training."""
    return Retrained(trigger=trigger, result="investigate", reason="training was asked for: run kring train", run="")


def failed(trigger: str, error: KringError) -> Retrained:
    """A training that broke asks a person: about the data when the contract was, else about the experiment."""
    broke_at: Stage = "data" if isinstance(error, Refused) else "experiment"
    return Retrained(trigger=trigger, result="fail", reason=error.lasting, run="", broke_at=broke_at)
