"""One at a time: who has a path alone, for how long, and what others are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kring.errors import Busy, StorageError
from kring.host.turns import alone

HOLDER = """
import subprocess, sys
from pathlib import Path
from kring.host.turns import alone
with alone(Path(sys.argv[1]), busy="held"):
    left = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    print(left.pid, flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_another_one_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "serve" / "running"
    with holder(path) as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        try:
            with pytest.raises(Busy, match="it is served already") as refused, alone(path, busy="it is served already"):
                pytest.fail("two have it")
            assert refused.value.got == f"process {process.pid}"
            process.kill()
            process.wait()
            with alone(path, busy="what a killed one left behind does not hold it"):
                assert path.read_text() == str(os.getpid())
        finally:
            os.kill(left, signal.SIGKILL)


def test_it_may_be_had_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(3):
        with (
            alone(tmp_path / "running", busy="no"),
            pytest.raises(Busy, match="not even twice"),
            alone(tmp_path / "running", busy="not even twice in one process"),
        ):
            pytest.fail("two have it")


def test_a_disk_that_refuses_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "running", tmp_path):
        with pytest.raises(StorageError), alone(path, busy="no"):
            pytest.fail("nobody can have it")
