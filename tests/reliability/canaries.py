"""A system whose newest version answers a share of what is asked, and what the operator has made of it."""

from __future__ import annotations

from pathlib import Path

from kring.flow import adapters, history
from kring.flow.operating.following import frames_to
from kring.flow.operating.rollout_book import RolloutBook
from kring.flow.operating.rounds import share_of
from kring.flow.project import open_project
from kring.record.operator import BatchSealed, OperatorState
from kring.record.progress import Progress
from kring.record.rollout import Pointer, Rollout
from kring.record.version import Policy
from kring.release import judging
from systems import PRICES_STEPS, write_prices


def write_canary(folder: Path) -> Path:
    """The prices, whose rollouts go on after a few hundred units."""
    return write_prices(folder, more=PRICES_STEPS)


def row(number: int) -> dict[str, object]:
    """A row, different for each number."""
    return {"demand": round(0.1 + number % 8000 / 10_000, 4), "transfer": 0.25, "weekday": number % 7 + 1}


def state_of(folder: Path) -> OperatorState:
    """What the operator knows, by the ledger."""
    with open_project(folder).ledger() as ledger:
        return history.get(ledger, OperatorState, "operator")


def rollout_of(folder: Path) -> Rollout:
    """The newest rollout."""
    rollout = state_of(folder).rollout
    assert rollout is not None
    return rollout


def walked(folder: Path) -> list[tuple[str, int]]:
    """The states of the newest rollout with their steps, as the ledger tells them."""
    newest = rollout_of(folder)
    with open_project(folder).ledger() as ledger:
        return [(one.state, one.step) for one in history.all_of(ledger, Rollout) if one.id == newest.id]


def counted_again(folder: Path) -> Progress:
    """The evidence for the newest rollout, from the log as one stream up to each sealed batch."""
    project, rollout = open_project(folder), rollout_of(folder)
    assert rollout.terms is not None
    policy = Policy(output="probability", threshold=0.5, labels=("DOWN", "UP"))
    book = RolloutBook(rollout, task=project.task, policy_of=lambda _: policy)
    log = adapters.read_log(project.home.log, system=project.system.name)
    progress, after = judging.started(rollout.id, rollout.terms), {}
    with project.ledger() as ledger:
        for one in history.both_of(ledger, Pointer, BatchSealed):
            if one.rollout != rollout.id:
                continue
            if isinstance(one, Pointer):
                share = share_of(one, rollout)
                if share is not None:
                    book.turned(share, at=one.at)
                continue
            for logged in frames_to(log, after, dict(one.cuts)):
                book.hear(logged)
            progress = judging.advanced(progress, book.look(one.batch, now=one.at).look, rollout.terms)
            after |= dict(one.cuts)
    return progress
