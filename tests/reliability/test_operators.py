"""R22 an operator that is killed, R23 and R30 one that stands still while another takes over: real processes of
`kring operate`, on a log that a test writes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from canaries import counted_again, rollout_of, state_of, walked
from released import Released

from kring.flow import adapters, history
from kring.flow.project import open_project
from kring.metrics.assignment import assigned
from kring.record.decision import Arm, Decisions
from kring.record.operator import BatchSealed
from kring.record.rollout import Pointer
from living import kill, until

KILLS, LONG_KILLS = 6, 60
STILL_S = 20.0
"""Longer than a lease."""


class Writer:
    """Puts decisions on the log as the pointer of the moment says, a few at a time, with all answered."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder, self._chance = folder, random.Random(seed)
        project = open_project(folder)
        self._log = adapters.free_writer(project.home.log, files=project.files, system="prices")

    def write(self, rows: int) -> None:
        pointer = state_of(self.folder).pointer
        assert pointer is not None
        for _ in range(rows):
            name = f"{self._chance.randrange(10**12)}"
            is_canary = pointer.canary and assigned([name], salt=pointer.salt, share=pointer.share)[0]
            version = pointer.canary if is_canary else pointer.live
            self._log.append(answered(version, "canary" if is_canary else "live"))
        self._log.commit()

    def close(self) -> None:
        self._log.close()


def answered(version: str, arm: Arm) -> Decisions:
    return Decisions(
        system="prices",
        version=version,
        answered_by=version,
        arm=arm,
        kind="online",
        at=time.time_ns() // 1000,
        n=1,
        inputs={},
        outputs={"probability": [0.5]},
        latency_us=900,
    )


@contextmanager
def writing(folder: Path, *, seed: int) -> Iterator[Writer]:
    writer = Writer(folder, seed=seed)
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def operating(folder: Path, name: str = "one") -> Iterator[subprocess.Popen[bytes]]:
    """`kring operate`, ended whatever happens."""
    words = [sys.executable, "-m", "kring", "operate", str(folder)]
    with log_of(folder, name).open("ab") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        kill(process.pid)
        process.wait(60)


def log_of(folder: Path, name: str) -> Path:
    return folder.parent / f"{name}.log"


def said(folder: Path, name: str) -> str:
    return log_of(folder, name).read_text()


def holds(folder: Path) -> None:
    """No step left out, no batch twice, one pointer after the other, and the evidence is what the log says."""
    way = [step for state, step in walked(folder) if state == "step"]
    assert list(dict.fromkeys(way)) == [20, 50]
    with open_project(folder).ledger() as ledger:
        ledger.verify()
        rollout = rollout_of(folder).id
        seals = [one.batch for one in history.all_of(ledger, BatchSealed) if one.rollout == rollout]
        generations = [one.generation for one in history.all_of(ledger, Pointer)]
    assert seals == list(range(1, len(seals) + 1))
    assert generations == list(range(1, len(generations) + 1))
    assert counted_again(folder) == state_of(folder).progress


def killed_again_and_again(folder: Path, *, kills: int, seed: int) -> None:
    """SIGKILL at a moment that the seed draws, and another operator each time, until the version answers everything."""
    chance = random.Random(seed)
    with writing(folder, seed=seed) as writer:
        for _ in range(kills):
            with operating(folder) as process:
                end = time.monotonic() + 1.0 + chance.random() * 3
                while time.monotonic() < end:
                    writer.write(10)
                    time.sleep(0.02)
                kill(process.pid)
                process.wait(60)
        with operating(folder):

            def arrives() -> bool:
                writer.write(20)
                return rollout_of(folder).state == "baking"

            until(arrives, "the promotion", log=log_of(folder, "one"), every=0.2, seconds=120)
    holds(folder)


@pytest.mark.parametrize("seed", [1])
def test_an_operator_that_is_killed_leaves_nothing_half_done(canary: Released, seed: int) -> None:
    try:
        killed_again_and_again(canary.folder, kills=KILLS, seed=seed)
    except BaseException as error:
        raise AssertionError(f"seed {seed}") from error


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 7))
def test_an_operator_that_is_killed_sixty_times(canary: Released, seed: int) -> None:
    try:
        killed_again_and_again(canary.folder, kills=LONG_KILLS // 5, seed=seed)
    except BaseException as error:
        raise AssertionError(f"seed {seed}") from error


def test_an_operator_that_stood_still_is_kept_out(canary: Released) -> None:
    stood_still(canary.folder, seconds=STILL_S)


@pytest.mark.long
def test_an_operator_that_stood_still_for_a_minute_is_kept_out(canary: Released) -> None:
    stood_still(canary.folder, seconds=60.0)


def stood_still(folder: Path, *, seconds: float) -> None:
    """Its lease runs out, another one leads and judges; when it goes on it sees that, writes nothing, and waits; and
    leads again when the other one is gone."""
    with writing(folder, seed=3) as writer, operating(folder, "first") as first:
        until(lambda: "prices is operated here" in said(folder, "first"), "the first", log=log_of(folder, "first"))
        with operating(folder, "second") as second:
            until(lambda: "operated elsewhere" in said(folder, "second"), "the wait", log=log_of(folder, "second"))
            os.kill(first.pid, signal.SIGSTOP)
            began = time.monotonic()

            def leads() -> bool:
                writer.write(20)
                return "prices is operated here" in said(folder, "second") and state_of(folder).sealed is not None

            until(leads, "the second", log=log_of(folder, "second"), every=0.2)
            until(lambda: time.monotonic() - began > seconds, "the end of the standstill", seconds=seconds + 60)
            os.kill(first.pid, signal.SIGCONT)
            until(
                lambda: said(folder, "first").count("\n") > 2 and "operated elsewhere" in said(folder, "first"),
                "the first one's insight",
                log=log_of(folder, "first"),
            )
            kill(second.pid)
            second.wait(60)

        def arrives() -> bool:
            writer.write(20)
            return rollout_of(folder).state == "baking"

        until(arrives, "the promotion by the first", log=log_of(folder, "first"), every=0.2, seconds=120)
        assert said(folder, "first").count("prices is operated here") == 2
    holds(folder)
