"""`kring serve` with a process whose fsync fails once the file that BROKEN names is there: the first worker, or what
BROKEN_PART names, `control`."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from kring.api import serve as serving
from kring.cli.app import run
from kring.console import serve as console
from kring.flow import project
from kring.flow.serving import starting
from kring.flow.serving.worker import Worker
from kring.host.files import LocalAppender, LocalFiles, storage_error


class BrokenAppender:
    """Writes as any other; making it durable fails."""

    def __init__(self, inner: LocalAppender, path: Path) -> None:
        self.write, self.size, self.close = inner.write, inner.size, inner.close
        self._inner = inner
        self._path = path

    def sync(self) -> None:
        if Path(os.environ["BROKEN"]).exists():
            raise storage_error("make durable", self._path, OSError(errno.EIO, os.strerror(errno.EIO)))
        self._inner.sync()


class BrokenFiles(LocalFiles):
    def append(self, path: Path, *, ahead: int = 0) -> BrokenAppender:  # type: ignore[override]
        return BrokenAppender(super().append(path, ahead=ahead), path)


class BrokenWorker(Worker):
    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        if named["seat"] == 0:
            self.files = BrokenFiles()


def main(arguments: list[str]) -> None:
    """The command, a worker, or the control process."""
    is_control = os.environ.get("BROKEN_PART") == "control"
    if arguments[0] == "serve":
        if is_control:
            starting.OTHERS["control"] = ("broken_server", 0)
        else:
            starting.WORKER = "broken_server"  # type: ignore[misc]
        sys.exit(run(arguments))
    if is_control:
        project.LocalFiles = BrokenFiles  # type: ignore[misc]
        console.main(arguments)
    else:
        serving.Worker = BrokenWorker  # type: ignore[misc]
        serving.main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
