"""Two commands at once in one home: each succeeds or says that somebody else is there, and nothing is doubled."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from commands import Answer, Spawned, kring, leftovers
from parcels import LIVE_FROM, LIVE_TO, rows, write_csv

import handbook
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
    polite(both(released, first, second, place=tmp_path / "out"))
    if pair != "two releases":  # whatever comes after these waits for the rollout that one of them began
        polite(both(released, first, second, place=tmp_path / "again"))
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


def test_two_systems_begin_in_one_folder(fresh: Path, tmp_path: Path) -> None:
    words = ["new", str(tmp_path / "one"), "--from", str(fresh / "feed.csv"), "--target"]
    for turn in range(3):
        running = [Spawned([*words, target], tmp_path / f"{turn}{target}") for target in ("late", "zone")]
        answers = [one.answer() for one in running]
        assert min(answer.exit for answer in answers) == 0, answers
        for answer in answers:
            assert answer.exit in (0, 2, 3), answer
            assert answer.exit == 0 or answer.error["next"], answer
        made = [answer.object["task"] for answer in answers if answer.exit == 0]
        assert len(made) == 1, answers
        assert kring("check", tmp_path / "one").exit == 0
        assert {path.name for path in (tmp_path / "one").glob("[!.]*")} == {"kring.toml", "contract.odcs.yaml"}
        assert leftovers(tmp_path) == []
        shutil.rmtree(tmp_path / "one")


SCORE = ["score", "DIR/feed.csv", "DIR", "--force", "--out"]
BESIDE = {
    "a score": [*SCORE, "DIR/two.csv"],
    "a score into the same file": [*SCORE, "DIR/one.csv"],
    "a training": ["train", "DIR"],
    "a release": ["release", "DIR"],
    "a check": ["check", "DIR"],
    "a recipe": ["clean", "DIR", "--accept", "all"],
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_file_is_scored_beside(name: str, released: Path, tmp_path: Path) -> None:
    for turn in range(2):
        running = [
            Spawned([word.replace("DIR", str(released)) for word in words], tmp_path / f"{turn}{number}")
            for number, words in enumerate(([*SCORE, "DIR/one.csv"], BESIDE[name]))
        ]
        answers = [one.answer() for one in running]
        polite(answers)
        ids: list[str] = []
        for answer in answers:
            if "scored" in answer.object:
                ids += pl.read_csv(answer.object["out"], infer_schema=False)["decision_id"].to_list()
                assert answer.object["scored"]["decided"] == len(rows())
        assert len(set(ids)) == len(ids) or name == "a score into the same file"
    single(released)
    assert not list(released.glob(".*.part"))


@pytest.fixture(scope="module")
def wrote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system that answers in words, released; never to be changed."""
    folder = handbook.make(tmp_path_factory.mktemp("wrote") / "handbook")
    assert kring("go", folder).exit == 0
    return folder


@pytest.mark.parametrize("other", ["ask", "release", "train", "check"])
def test_a_question_is_asked_beside(other: str, wrote: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(wrote, tmp_path / "handbook"))
    question = ["ask", "Do dogs stay for free?", str(folder)]
    for turn in range(2):
        words = question if other == "ask" else [other, str(folder)]
        running = [Spawned(one, tmp_path / f"{turn}{number}") for number, one in enumerate((question, words))]
        answers = [one.answer() for one in running]
        polite(answers)
        replies = [answer.object for answer in answers if "decision" in answer.object]
        assert {reply["citations"][0] for reply in replies} <= {"docs/fees.md#dogs"}
        assert len({reply["decision"] for reply in replies}) == len(replies)
    single(folder)
