"""Two commands at once in one home: each succeeds or says that somebody else is there, and nothing is doubled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from commands import Answer, Spawned, kring, leftovers
from parcels import LIVE_FROM, LIVE_TO, rows, write_csv

from kring.flow import history
from kring.flow.project import open_project
from kring.record.operator import OperatorState
from kring.record.rollout import Pointer

REPLAY = ["replay", "--from", LIVE_FROM, "--to", LIVE_TO]
PAIRS = {
    "two trains": (["train"], ["train"]),
    "two releases": (["release"], ["release"]),
    "check and train": (["check"], ["train"]),
    "train and release": (["train"], ["release"]),
    "two checks": (["check"], ["check"]),
    "two replays": (REPLAY, REPLAY),
}


def both(folder: Path, first: list[str], second: list[str], *, place: Path, more: tuple[str, ...] = ()) -> list[Answer]:
    """Run both at the same time."""
    running = [
        Spawned([words[0], str(folder), *words[1:], *more], place / str(number))
        for number, words in enumerate((first, second))
    ]
    return [one.answer() for one in running]


def polite(answers: list[Answer]) -> None:
    """One of them at least got through, and the other did or says why not."""
    assert any(answer.exit == 0 for answer in answers), answers
    for answer in answers:
        if answer.exit != 0:
            assert answer.exit == 3
            assert answer.error["code"] in ("busy", "conflict"), answer
            assert answer.error["next"]


def single(folder: Path) -> None:
    """The chain is whole, every id stands for one thing, and no step of the operator was taken twice."""
    assert kring("status", folder, "--verify").exit == 0
    assert leftovers(folder) == []
    project = open_project(folder)
    with project.ledger() as ledger:
        events = list(ledger.read())
        steps = [one.seq for one in history.all_of(ledger, OperatorState)]
        generations = [one.generation for one in history.all_of(ledger, Pointer)]
    once = Counter(
        (event.kind, event.id) for event in events if event.kind in ("snapshot", "run", "evidence", "version")
    )
    assert [key for key, count in once.items() if count > 1] == []
    assert steps == sorted(set(steps))
    assert generations == sorted(set(generations))


@pytest.mark.parametrize("pair", PAIRS)
def test_two_commands_at_once(pair: str, released: Path, tmp_path: Path) -> None:
    first, second = PAIRS[pair]
    for turn in range(2):
        polite(both(released, first, second, place=tmp_path / f"out{turn}"))
    single(released)


def test_two_checks_of_different_feeds(released: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "other.csv", rows(1000))
    running = [
        Spawned(["check", str(released)], tmp_path / "1"),
        Spawned(["check", str(released), "--source", str(tmp_path / "other.csv")], tmp_path / "2"),
    ]
    polite([one.answer() for one in running])
    single(released)


def test_two_replays_in_one_home(released: Path, tmp_path: Path) -> None:
    answers = both(released, REPLAY, REPLAY, place=tmp_path, more=("--home", str(tmp_path / "home")))
    assert min(answer.exit for answer in answers) == 0
    told = [answer.error["code"] for answer in answers if answer.exit]
    assert told in (["busy"], ["use"])


def test_the_first_two_releases_at_once(fresh: Path, tmp_path: Path) -> None:
    """Both would make the signing key."""
    for command in ("check", "train"):
        assert kring(command, fresh).exit == 0
    polite(both(fresh, ["release"], ["release"], place=tmp_path))
    single(fresh)


def test_a_rollback_by_somebody_else_need_not_wait(released: Path) -> None:
    answer = kring("rollback", released, "--reason", "a try", "--by", "Anna")
    assert (answer.exit, answer.error["code"]) == (1, "refused")
