"""Runs commands for the tests of hardness: in this process, or in one of their own that can be killed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing as mp
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kring.cli.app import run

BEGUN: Final = "begun"
"""A file that says that the command itself runs: no signal is sent before."""

LOCKS: Final = {".working", ".lock", "0.lock", "256.lock", "running"}
FIELDS: Final = {"code", "message", "got", "allowed", "next", "where"}
PRELOAD: Final = [
    "kring.cli.alarms",
    "kring.cli.ask",
    "kring.cli.bench",
    "kring.cli.brief",
    "kring.cli.check",
    "kring.cli.clean",
    "kring.cli.demo",
    "kring.cli.drill",
    "kring.cli.explain",
    "kring.cli.flag",
    "kring.cli.forget",
    "kring.cli.go",
    "kring.cli.key",
    "kring.cli.new",
    "kring.cli.outcome",
    "kring.cli.release",
    "kring.cli.replay",
    "kring.cli.retrain",
    "kring.cli.review",
    "kring.cli.rollback",
    "kring.cli.score",
    "kring.cli.snapshot",
    "kring.cli.status",
    "kring.cli.train",
    "kring.cli.trial",
    "kring.frameworks.sklearn",
    "kring.stores.file",
    "kring.stores.sqlite",
    "kring.stores.vault",
]


@dataclass(frozen=True)
class Answer:
    """How a command ended: its exit code, the one object on stdout, and what it told people."""

    exit: int
    object: dict[str, Any]
    told: str

    @property
    def error(self) -> dict[str, Any]:
        """The error object; empty when there is none."""
        found: dict[str, Any] = self.object.get("error", {})
        return found

    @property
    def text(self) -> str:
        """The whole answer as one text, to look for words in."""
        return json.dumps(self.object, ensure_ascii=False)


def kring(*words: str | Path) -> Answer:
    """Run one command with `--json` in this process; its stdout must be exactly one object."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        exit = run([*map(str, words), "--json"])
    return read_answer(exit, stdout.buffer.getvalue(), stderr.buffer.getvalue())  # type: ignore[attr-defined]


def read_answer(exit: int, stdout: bytes, stderr: bytes) -> Answer:
    """Hold what came out against the promise: one object on one line, an error with all its fields."""
    lines = stdout.decode().splitlines()
    assert len(lines) == 1, f"{len(lines)} lines on stdout; stderr: {stderr.decode()[-2000:]}"
    answer = Answer(exit, json.loads(lines[0]), stderr.decode())
    assert exit in (0, 1, 2, 3, 130), exit
    if "error" in answer.object:
        assert set(answer.object) == {"error"}
        assert set(answer.error) >= FIELDS, answer.error
        assert set(answer.error["where"]) == {"file", "line", "key"}
        assert answer.error["message"]
        assert answer.error["code"] != "bug", answer.error
        assert exit != 0
    else:
        assert exit in (0, 1)
    return answer


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by path. Empty folders and locks hold nothing and do not count."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name not in LOCKS
    }


def leftovers(folder: Path) -> list[str]:
    """What a command that was killed left half-written below `folder`."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*.part")]


class Spawned:
    """A command in a process group of its own, forked from a process that has everything loaded."""

    def __init__(self, words: list[str], place: Path, *, largest_file: int = 0) -> None:
        context = mp.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.process = context.Process(target=_child, args=([*words, "--json"], str(place), largest_file))
        self.process.start()
        until = time.monotonic() + 60
        while not (place / BEGUN).exists() and self.process.exitcode is None and time.monotonic() < until:
            time.sleep(0.001)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, number)

    def ended(self, timeout: float = 120.0) -> int:
        """The exit code, or minus the signal."""
        self.process.join(timeout)
        code = self.process.exitcode
        assert code is not None, "the command does not end"
        return code

    def answer(self) -> Answer:
        """What it said, once it has ended by itself."""
        code = self.ended()
        return read_answer(code, (self.place / "stdout").read_bytes(), (self.place / "stderr").read_bytes())


def _child(words: list[str], place: str, largest_file: int) -> None:
    os.setsid()
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(Path(place) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False))
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
    (Path(place) / BEGUN).touch()
    code = run(words)
    sys.stdout.flush()
    os._exit(code)
