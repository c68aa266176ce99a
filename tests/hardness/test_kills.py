"""SIGKILL and Ctrl-C at any moment: nothing half-written is seen, and the same command succeeds afterwards."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from commands import Spawned, kring, leftovers
from parcels import LIVE_FROM, LIVE_TO

from kring.flow import history
from kring.flow.project import open_project
from kring.flow.tidying import UNFINISHED
from kring.flow.verifying import verify_version
from kring.record.version import Version

COMMANDS: Final = {
    "check": ("check",),
    "train": ("train",),
    "release": ("release",),
    "replay": ("replay", "--from", LIVE_FROM, "--to", LIVE_TO),
    "restore": ("snapshot", "restore", "latest"),
}
SIGNALS: Final = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}


@pytest.fixture(scope="session")
def paces(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """How many seconds each command takes when it is left alone."""
    found = {}
    for name, words in COMMANDS.items():
        place = tmp_path_factory.mktemp("pace")
        folder = Path(shutil.copytree(made, place / "parcels"))
        Spawned(["status", str(folder)], place / "warm").answer()
        began = time.perf_counter()
        answer = Spawned([*words, str(folder)], place / "out").answer()
        found[name] = time.perf_counter() - began
        assert answer.exit == 0, answer
    return found


def whole(folder: Path) -> None:
    """The chain and what answers are whole; every version that is listed can be opened."""
    answer = kring("status", folder, "--verify")
    assert answer.exit == 0, answer
    project = open_project(folder)
    with project.ledger() as ledger:
        versions = list(history.all_of(ledger, Version))
    for version in versions:
        verify_version(project, version)


def is_under_way(folder: Path) -> bool:
    """Whether the dead command had begun a rollout: another one has to wait for it."""
    rollout = kring("status", folder).object["rollout"]
    return rollout is not None and rollout["state"] in ("shadow", "step", "promoted", "baking", "held")


def struck(folder: Path, words: Sequence[str], *, after: float, number: int, place: Path) -> int:
    """Run a command, send it a signal, and see what is left."""
    running = Spawned([*words, str(folder)], place)
    time.sleep(after)
    running.signal(number)
    code = running.ended()
    if number == signal.SIGINT:
        went = code in (0, 130, -signal.SIGINT) or is_under_way(folder)
        assert went, (place / "stderr").read_text()[-2000:]
        if code == 130:
            assert running.answer().error["code"] == "interrupted"
            assert leftovers(folder) == []
    whole(folder)
    return code


def again(folder: Path, words: Sequence[str]) -> None:
    """The same command succeeds, and nothing of the dead one is left."""
    answer = kring(*words, folder)
    assert answer.exit == 0 or (answer.error["code"] == "conflict" and is_under_way(folder)), answer
    assert leftovers(folder) == []
    assert not list(folder.rglob(UNFINISHED))
    whole(folder)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", SIGNALS)
def test_a_command_may_die_at_any_moment(
    name: str, how: str, released: Path, paces: dict[str, float], tmp_path: Path
) -> None:
    chance = random.Random(f"{name} {how}")
    for turn in range(3):
        after = paces[name] * chance.uniform(turn / 3, (turn + 1) / 3)
        struck(released, COMMANDS[name], after=after, number=SIGNALS[how], place=tmp_path / f"out{turn}")
    again(released, COMMANDS[name])


def test_a_replay_that_died_is_run_again_in_the_same_home(released: Path, tmp_path: Path) -> None:
    words = [*COMMANDS["replay"], "--home", str(tmp_path / "home")]
    running = Spawned([words[0], str(released), *words[1:]], tmp_path / "out")
    until = time.monotonic() + 60
    while not list((tmp_path / "home").rglob("*.log")) and time.monotonic() < until:
        time.sleep(0.005)
    running.signal(signal.SIGKILL)
    assert running.ended() == -signal.SIGKILL
    assert kring(words[0], released, *words[1:]).exit == 0
    assert not (tmp_path / "home" / UNFINISHED).exists()
    taken = kring(words[0], released, *words[1:])
    assert (taken.exit, taken.error["code"]) == (2, "use")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_long_campaign(name: str, seed: int, released: Path, paces: dict[str, float], tmp_path: Path) -> None:
    chance = random.Random(f"{name} {seed}")
    number = chance.choice(list(SIGNALS.values()))
    after = paces[name] * chance.uniform(0, 1.1)
    struck(released, COMMANDS[name], after=after, number=number, place=tmp_path / "out")
    again(released, COMMANDS[name])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_the_demo_may_die_at_any_moment(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "demo"
    running = Spawned(["demo", "--short", "--out", str(folder)], tmp_path / "out")
    time.sleep(chance.uniform(0, 30))
    running.signal(chance.choice(list(SIGNALS.values())))
    running.ended()
    answer = kring("demo", "--short", "--out", folder)
    assert answer.exit == 0, answer
    assert leftovers(folder) == []
    assert kring("status", folder, "--verify").exit == 0
