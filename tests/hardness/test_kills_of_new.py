"""SIGKILL and Ctrl-C while a system begins, is mended, goes round with several labels or scores: all or nothing."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from commands import Spawned, contents, kring, leftovers
from parcels import rows, write_csv

SIGNALS: Final = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}
LABELS: Final = ("by hand", "by bike", "by van")
FILES: Final = {"kring.toml", "contract.odcs.yaml"}


def labelled(folder: Path) -> None:
    """The way a parcel goes, which follows from its weight: three labels."""
    table = rows()
    for row in table:
        row["late"] = LABELS[min(2, int(float(row["weight"]) // 8))]
    write_csv(folder / "data.csv", table, header=("ordered_at", "zone", "weight", "stops", "way", "arrived_at"))


def spelled(folder: Path) -> None:
    """A feed in which a zone is written in two ways, which kring clean mends."""
    table = rows()
    for number, row in enumerate(table):
        row["zone"] = f" {row['zone'].upper()} " if number % 9 == 0 else row["zone"]
    write_csv(folder / "feed.csv", table)


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system of several labels, described and not yet gone round; never to be changed."""
    place = tmp_path_factory.mktemp("several")
    labelled(place)
    answer = kring("new", place / "system", "--from", place / "data.csv", "--target", "way")
    assert (answer.exit, answer.object["task"]) == (0, "multiclass"), answer
    return place


def struck(words: list[str], place: Path, *, after: float, number: int) -> int:
    running = Spawned(words, place)
    time.sleep(after)
    running.signal(number)
    code = running.ended()
    assert code in (0, 1, 130, -number), (place / "stderr").read_text()[-2000:]
    if code == 130:
        assert running.answer().error["code"] == "interrupted"
    return code


def moments(name: str, turns: int, *, pace: float) -> list[float]:
    chance = random.Random(name)
    return [pace * chance.uniform(turn / turns, (turn + 1) / turns) for turn in range(turns)]


@pytest.mark.parametrize("how", SIGNALS)
def test_a_system_begins_whole_or_not_at_all(how: str, tmp_path: Path) -> None:
    begins(tmp_path, SIGNALS[how], moments(how, 3, pace=0.6))


def begins(place: Path, number: int, when: list[float]) -> None:
    labelled(place)
    words = ["new", str(place / "system"), "--from", str(place / "data.csv"), "--target", "way"]
    for turn, after in enumerate(when):
        struck(words, place / f"out{turn}", after=after, number=number)
        if (place / "system").exists():
            assert {path.name for path in (place / "system").iterdir()} == FILES
            assert kring("check", place / "system").exit == 0
            shutil.rmtree(place / "system")
    answer = kring(*words)
    assert answer.exit == 0, answer
    assert {path.name for path in (place / "system").iterdir()} == FILES
    assert leftovers(place) == []


@pytest.mark.parametrize("how", SIGNALS)
def test_a_recipe_is_accepted_whole_or_not_at_all(how: str, released: Path, tmp_path: Path) -> None:
    mended(released, tmp_path, SIGNALS[how], moments(f"clean {how}", 3, pace=0.6))


def mended(folder: Path, place: Path, number: int, when: list[float]) -> None:
    spelled(folder)
    words = ["clean", str(folder), "--accept", "all"]
    for turn, after in enumerate(when):
        struck(words, place / f"out{turn}", after=after, number=number)
        assert kring("status", folder, "--verify").exit == 0
        assert kring("clean", folder).exit == 0
    answer = kring(*words)
    assert answer.exit == 0, answer
    if answer.object["proposals"]:
        assert answer.object["recipe"]["changes"]
    checked = kring("check", folder)
    assert checked.exit == 0, checked
    assert checked.object["report"]["changes"]
    assert leftovers(folder) == []


def test_several_labels_go_round_after_any_end(several: Path, tmp_path: Path) -> None:
    rounds(several, tmp_path, moments("go", 2, pace=4))


def rounds(several: Path, place: Path, when: list[float]) -> None:
    folder = Path(shutil.copytree(several, place / "several")) / "system"
    for turn, after in enumerate(when):
        number = list(SIGNALS.values())[turn % 2]
        struck(["go", str(folder)], place / f"out{turn}", after=after, number=number)
        assert kring("status", folder, "--verify").exit == 0
    answer = kring("go", folder)
    assert answer.exit in (0, 1), answer
    assert answer.object["verdicts"], answer
    assert leftovers(folder) == []
    assert kring("status", folder, "--verify").exit == 0


def scores(folder: Path, place: Path, number: int, when: list[float]) -> None:
    words = ["score", str(folder / "feed.csv"), str(folder), "--out", str(place / "o.csv")]
    for turn, after in enumerate(when):
        code = struck(words, place / f"out{turn}", after=after, number=number)
        assert code or (place / "o.csv").exists()
        if (place / "o.csv").exists():  # it may die between the last rename and its end
            assert pl.read_csv(place / "o.csv").height == len(rows())
        assert kring("status", folder, "--verify").exit == 0
        (place / "o.csv").unlink(missing_ok=True)
    answer = kring(*words)
    assert (answer.exit, answer.object["scored"]["decided"]) == (0, len(rows())), answer
    assert [path.name for path in place.glob(".*")] == []


@pytest.mark.parametrize("how", SIGNALS)
def test_answers_appear_whole_or_not_at_all(how: str, released: Path, tmp_path: Path) -> None:
    before = contents(released)
    (tmp_path / "answers").mkdir()
    scores(released, tmp_path / "answers", SIGNALS[how], moments(f"score {how}", 3, pace=0.6))
    after = contents(released)
    assert {path: after[path] for path in before if path != ".kring/ledger.db"}.items() <= before.items()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("how", SIGNALS)
def test_at_any_moment(how: str, seed: int, several: Path, released: Path, tmp_path: Path) -> None:
    number = SIGNALS[how]
    for name in ("new", "clean", "score"):
        (tmp_path / name).mkdir()
    begins(tmp_path / "new", number, moments(f"new {seed}", 2, pace=1.0))
    scores(released, tmp_path / "score", number, moments(f"score {seed}", 2, pace=1.0))
    mended(released, tmp_path / "clean", number, moments(f"clean {seed}", 2, pace=1.0))
    if seed < 10:
        rounds(several, tmp_path, moments(f"go {how} {seed}", 2, pace=8.0))
