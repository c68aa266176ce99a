"""What code of a version can't do, where the kernel lets us deny it, and what it doesn't see anywhere."""

from __future__ import annotations

import os
import platform
import resource
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from code_links import opened

from kring.errors import Unavailable
from kring.record.batch import Batch
from kring.runtimes.code import CodeRuntime

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux denies these")

RUNS = """
import ctypes, multiprocessing, os, pathlib, resource, signal, socket, subprocess, sys, tempfile, threading
import numpy as np

def score(columns, files):
    names = {**globals()}
    exec(columns["word"][0], names)
    return np.full(len(columns["x"]), float(names.get("found", 0)))
"""


@pytest.fixture(scope="module")
def runtime() -> Iterator[CodeRuntime]:
    with closing(opened(RUNS, inputs=("x", "word"))) as found:
        yield found


def run(runtime: CodeRuntime, program: str) -> float:
    """What the program puts into `found`, run as code of a version."""
    answered = runtime.answer(Batch(1, {"x": [0.0], "word": [program]}))
    return float(np.asarray(answered.columns["value"])[0])


def refused(runtime: CodeRuntime, program: str) -> str:
    with pytest.raises(Unavailable) as error:
        run(runtime, program)
    return str(error.value)


@linux
def test_what_is_denied_is_told(runtime: CodeRuntime):
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("Kring has no table of calls for this machine")
    assert set(runtime.open()) >= {"network", "programs", "writing"}


@linux
@pytest.mark.parametrize(
    "program",
    [
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "subprocess.run(['true'])",
        "os.system('true') and 1 / 0",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.fork()",
        "multiprocessing.get_context('fork').Process(target=print).start()",
        "os.kill(os.getppid(), 0)",
        "os.killpg(0, 9)",
        "os.pidfd_open(os.getppid())",
        "open('here', 'w')",
        "pathlib.Path(PLACE).write_text('x')",
        "open(PLACE, 'a')",
        "open(EXISTING, 'r+')",
        "os.open(EXISTING, os.O_RDONLY | os.O_TRUNC)",
        "tempfile.TemporaryFile()",
        "tempfile.mkdtemp()",
        "os.unlink(EXISTING)",
        "os.rename(EXISTING, PLACE)",
        "os.symlink(EXISTING, PLACE)",
        "os.link(EXISTING, PLACE)",
        "os.chmod(EXISTING, 0o777)",
        "os.truncate(EXISTING, 0)",
        "os.utime(EXISTING)",
        "os.mkfifo(PLACE)",
        "os.memfd_create('x')",
        "os.open('/proc/self/mem', os.O_RDWR)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (10, 10))",
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 5)",
        "assert ctypes.CDLL(None).syscall(425, 8, ctypes.create_string_buffer(256)) >= 0",
        "assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0",
        "assert ctypes.CDLL(None).unshare(0x40000000) == 0",
    ],
)
def test_network_programs_and_writing_are_denied(runtime: CodeRuntime, program: str, tmp_path: Path):
    existing, place = tmp_path / "existing", tmp_path / "place"
    existing.write_text("as it was")
    before = stat.S_IMODE(existing.stat().st_mode)
    where = f"PLACE = {str(place)!r}; EXISTING = {str(existing)!r}\n"
    assert "raised" in refused(runtime, where + program)
    assert existing.read_text() == "as it was"
    assert stat.S_IMODE(existing.stat().st_mode) == before
    assert os.listdir(tmp_path) == ["existing"]


@linux
def test_files_outside_of_pythons_folders_are_not_read(runtime: CodeRuntime, tmp_path: Path):
    if "reading outside of Python's folders" not in runtime.open():
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "secret").write_text("secret")
    for path in (tmp_path / "secret", Path(__file__), Path("/etc/hostname"), Path(f"/proc/{os.getpid()}/environ")):
        assert "PermissionError" in refused(runtime, f"open({str(path)!r}).read()")
    assert "PermissionError" in refused(runtime, f"os.listdir({str(tmp_path)!r})")


def test_threads_and_reading_pythons_own_files_work(runtime: CodeRuntime):
    assert run(runtime, "t = threading.Thread(target=print); t.start(); t.join(); found = 1") == 1
    assert run(runtime, "import decimal, sqlite3, wave; found = len(open(decimal.__file__).read()) > 0") == 1
    assert run(runtime, "found = len(os.urandom(4))") == 4


def test_no_secret_of_ours_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere.py")
    monkeypatch.setenv("LANG", "C.UTF-8")
    hidden = "{'DATABASE_PASSWORD', 'PYTHONSTARTUP', 'HOME', 'PATH', 'USER'}"
    with closing(opened(RUNS, inputs=("x", "word"))) as runtime:
        assert run(runtime, "found = os.environ['LANG'] == 'C.UTF-8'") == 1
        assert run(runtime, f"found = {hidden} & set(os.environ) == set()") == 1
        assert run(runtime, "found = 'hunter2' in str(os.environ)") == 0


@linux
def test_nothing_of_ours_is_open_to_it(tmp_path: Path):
    seen = "[os.readlink(f'/proc/self/fd/{one}') for one in range(4096) if os.path.lexists(f'/proc/self/fd/{one}')]"
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        with closing(opened(RUNS, inputs=("x", "word"))) as runtime:
            assert run(runtime, f"found = any({str(tmp_path)!r} in name for name in {seen})") == 0
            assert run(runtime, f"found = len({seen})") == 6, "in, out, errors, questions, life, its own memory"
            assert run(runtime, "found = sys.stdin.read() == ''") == 1


def test_it_works_in_a_folder_of_its_own(runtime: CodeRuntime):
    assert run(runtime, f"found = os.getcwd() != {os.getcwd()!r} and os.stat('.').st_mode & 0o777 == 0o700") == 1


def test_modules_come_from_the_version_and_never_from_the_folder_it_was_made_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "beside.py").write_text("raise SystemExit('imported from the folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match="ModuleNotFoundError"):
        opened("import beside\ndef score(columns, files): pass")


def test_limits_hold(runtime: CodeRuntime):
    assert run(runtime, "found = resource.getrlimit(resource.RLIMIT_CORE)[1]") == 0
    assert run(runtime, "found = resource.getrlimit(resource.RLIMIT_FSIZE)[1]") == 0
    assert run(runtime, "found = resource.getrlimit(resource.RLIMIT_DATA)[1]") == 512 << 20
    assert resource.getrlimit(resource.RLIMIT_DATA)[1] != 512 << 20
    assert "ValueError" in refused(runtime, "resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))")
