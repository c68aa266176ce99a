"""A rollout's rounds: hear the log, seal a batch, look at it, and let the operator judge; live and in replay alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from kring.flow import history
from kring.flow.operating.following import Cursors, Frames, cursors_since, frames_to
from kring.flow.operating.operator import Operator
from kring.flow.operating.rollout_book import PolicyOf, RolloutBook
from kring.flow.operator.rollouts import is_over
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.operator import BatchSealed, Braked, Command, Cursor, Looked, OperatorEvent, VersionLost
from kring.record.progress import Ranges
from kring.record.rollout import Brake, Pointer, Rollout
from kring.release.looks import holds

Heard = Callable[[], Mapping[int, Cursor]]

TESTED: Final = ("shadow", "step", "promoted", "baking", "held")
SILENT_WINDOWS: Final = 2
"""After so many windows without a decision there is no data."""


class Rounds:
    """What an operator does about the rollout of its system. `log` is read where a rollout was begun before this
    process was, and not where it is the whole world."""

    def __init__(
        self,
        operator: Operator,
        *,
        task: Task,
        policy_of: PolicyOf,
        log: Frames | None = None,
        folder: Path | None = None,
    ) -> None:
        self.operator = operator
        self._task, self._policy_of = task, policy_of
        self._log, self._folder = log, folder
        self._book: RolloutBook | None = None
        self._generation = 0

    def hear(self, logged: Logged) -> None:
        """One frame of the log."""
        if self._book is not None:
            self._book.hear(logged)

    def turn(self, heard: Heard, *, brakes: tuple[Brake, ...] = ()) -> list[Command]:
        """A batch when there is enough for one, and whatever time brings. `heard` says up to where the log was heard.

        `brakes` are those of this machine. What the operator commits is on the ledger before a batch is counted.
        """
        commands = self._open(heard)
        book, state = self._book, self.operator.state
        news = [*self._braked(brakes), *self._lost()]
        if book is None or not book.is_due or "read_only" in brakes:
            commands += self.operator.step(news) if news else self.operator.tick()
        else:
            number = state.sealed.batch + 1 if state.sealed else 1
            now = self.operator.project.clock.now()
            sealed = BatchSealed(
                rollout=book.rollout, batch=number, cuts=tuple(sorted(heard().items())), units=book.waiting, at=now
            )
            commands += self.operator.step([*news, sealed])
            if self.operator.state.sealed == sealed:
                self._follow_pointer()
                commands += self.operator.step([book.look(number, now=now)])
        self._follow_pointer()
        return commands

    def _open(self, heard: Heard) -> list[Command]:
        """The book of the rollout that is under way."""
        rollout = self.operator.state.rollout
        if rollout is None or rollout.terms is None or rollout.state not in TESTED:
            self._book = None
            return []
        if self._book is not None and self._book.rollout == rollout.id:
            return []
        book = RolloutBook(rollout, task=self._task, policy_of=self._policy_of)
        self._generation = 0
        commands: list[Command] = []
        if self._log is not None and self._folder is not None:
            last, after = self._reheard(book, rollout)
            commands = self._counted_again(last)
            pointer = self.operator.state.pointer
            self._turn_to(book, pointer, rollout)
            self._generation = pointer.generation if pointer is not None else 0
            for logged in frames_to(self._log, after, heard()):
                book.hear(logged)
        self._book = book
        return commands

    def _reheard(self, book: RolloutBook, rollout: Rollout) -> tuple[Looked | None, Cursors]:
        """Hear all of the sealed batches again; the look at the last of them, and where it ends."""
        assert self._log is not None
        assert self._folder is not None
        ledger, last = self.operator.ledger, None
        after = cursors_since(self._folder, since=rollout.terms.at if rollout.terms else 0)
        for one in history.both_of(ledger, Pointer, BatchSealed):
            if one.rollout != rollout.id:
                continue
            if isinstance(one, Pointer):
                self._turn_to(book, one, rollout)
                continue
            for logged in frames_to(self._log, after, dict(one.cuts)):
                book.hear(logged)
            last, after = book.look(one.batch, now=one.at), {**after, **dict(one.cuts)}
        return last, after

    def _counted_again(self, last: Looked | None) -> list[Command]:
        """The look that whoever sealed the batch did not live to take."""
        progress = self.operator.state.progress
        seen: Ranges = progress.seen if progress else ()
        return self.operator.step([last]) if last is not None and not holds(seen, last.look.batch) else []

    def _follow_pointer(self) -> None:
        """Turn to every pointer that there was since, whoever set it: a batch is counted by those that stand before
        its seal on the ledger."""
        state = self.operator.state
        if self._book is None or state.rollout is None or state.pointer is None:
            return
        if state.rollout.id != self._book.rollout or state.pointer.generation == self._generation:
            return
        for pointer in history.all_of(self.operator.ledger, Pointer):
            if self._generation < pointer.generation <= state.pointer.generation:
                self._turn_to(self._book, pointer, state.rollout)
        self._generation = state.pointer.generation

    def _turn_to(self, book: RolloutBook, pointer: Pointer | None, rollout: Rollout) -> None:
        share = share_of(pointer, rollout)
        if pointer is not None and share is not None:
            book.turned(share, at=pointer.at)

    def _braked(self, brakes: tuple[Brake, ...]) -> Iterator[OperatorEvent]:
        """What keeps a rollout from going on; without one there is nothing to keep."""
        state = self.operator.state
        on = set[Brake]()
        if state.rollout is not None and not is_over(state.rollout):
            on = {*brakes, *(brake for brake in state.brakes if brake == "clock")}
            on |= {"no_data"} if self._is_silent() else set()
        if tuple(sorted(on)) != state.brakes:
            yield Braked(brakes=tuple(sorted(on)))

    def _is_silent(self) -> bool:
        """Whether a version that is to be tested was asked nothing for too long."""
        rollout, book = self.operator.state.rollout, self._book
        if book is None or rollout is None or rollout.state not in ("step", "baking", "held"):
            return False
        since = max(rollout.since if rollout.state != "held" else 0, book.latest)
        project = self.operator.project
        return project.clock.now() - since > SILENT_WINDOWS * project.system.watch.window_us

    def _lost(self) -> Iterator[OperatorEvent]:
        """The version on its way must still be there to be opened by whoever starts next."""
        rollout, home = self.operator.state.rollout, self.operator.project.home
        if rollout is None or rollout.state not in ("shadow", "step"):
            return
        if not (home.versions / rollout.version).is_dir():
            yield VersionLost(version=rollout.version, why="its folder is gone")


def share_of(pointer: Pointer | None, rollout: Rollout) -> float | None:
    """The new version's share of units by `pointer`; None while it has none."""
    if pointer is None or pointer.rollout != rollout.id:
        return None
    if pointer.canary == rollout.version:
        return pointer.share
    if pointer.live == rollout.version:
        return 1 - pointer.share if pointer.canary == rollout.previous else 1.0
    return 0.0 if not pointer.canary else None
