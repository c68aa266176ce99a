"""Data workers whose disk, or clock, goes wrong on purpose, each a copy of one process that has everything imported.

A line of JSON in: what goes wrong (`Wrong`). A line out: the number of the process, which serves as any worker does.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kring.api import serve as serving
from kring.flow.serving.worker import Worker
from kring.host.clock import SystemClock
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles


@dataclass(frozen=True)
class Wrong:
    """The operation on the disk numbered `nth` (0 for none) fails with `error`; with `crash` the process is killed
    there, and with `power` what was not durable is gone. The wall clock is off by as many microseconds as stand in
    the file `clock`."""

    plan: str
    log: str
    nth: int = 0
    error: str = "ENOSPC"
    crash: bool = False
    power: bool = False
    stays: bool = False
    clock: str = ""


class DyingFiles(FaultyFiles):
    """A crash is one."""

    def fail(self, action: str, path: Path) -> None:
        try:
            super().fail(action, path)
        except Crash:
            os.kill(os.getpid(), signal.SIGKILL)


class JumpingClock(SystemClock):
    """Its wall jumps; what is monotonic does not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> int:
        return super().now() + int(self._path.read_text() or "0")


def serve_wrongly(wrong: Wrong) -> None:
    """Be a data worker of which this goes wrong, until it is ended."""
    faults = Plan(wrong.nth, error=getattr(errno, wrong.error), crash=wrong.crash, power=wrong.power, stays=wrong.stays)

    class Unlucky(Worker):
        def __init__(self, *args: object, **named: object) -> None:
            super().__init__(*args, **named)  # type: ignore[arg-type]
            self.files = DyingFiles(LocalFiles(), faults)  # type: ignore[assignment]
            if wrong.clock:
                self.clock = JumpingClock(Path(wrong.clock))

    serving.Worker = Unlucky  # type: ignore[misc]
    try:
        serving.main([wrong.plan, "0"])
    finally:
        print(f"operations: {faults.count}", flush=True)


def main() -> None:
    """Copies of this process, until nobody asks for more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    born: list[int] = []
    for line in sys.stdin:
        wrong = Wrong(**json.loads(line))
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            with Path(wrong.log).open("ab") as out, Path(os.devnull).open("rb") as nothing:
                os.dup2(nothing.fileno(), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            code = 1
            try:
                serve_wrongly(wrong)
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        born.append(pid)
        print(pid, flush=True)
    for pid in born:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


class Nursery:
    """The one process, as tests see it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def born(self, wrong: Wrong) -> int:
        """The number of a new worker's process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(wrong)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


if __name__ == "__main__":
    main()
