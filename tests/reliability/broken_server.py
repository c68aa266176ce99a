"""`kring serve` with a first worker whose fsync fails as soon as the file that BROKEN names is there."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from kring.api import serve as serving
from kring.cli.app import run
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


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        starting.WORKER = "broken_server"  # type: ignore[misc]
        sys.exit(run(sys.argv[1:]))
    serving.Worker = BrokenWorker  # type: ignore[misc]
    serving.main(sys.argv[1:])
