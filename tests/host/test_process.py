from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kring.errors import Unavailable
from kring.host.process import Completed, run_bounded


def run(program: str, folder: Path, **bounds: object) -> Completed:
    options = {"timeout_s": 20.0, "memory_mb": 1024, "output_limit": 1 << 20, "env": dict(os.environ), **bounds}
    return run_bounded([sys.executable, "-c", program], cwd=folder, **options)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_input_goes_in_and_output_comes_out_in_order(tmp_path: Path) -> None:
    program = (
        "import sys, os; data = sys.stdin.buffer.read(); print(len(data), flush=True); "
        "print('to stderr', file=sys.stderr, flush=True); print(os.getcwd())"
    )
    done = run(program, tmp_path, stdin=b"x" * 3_000_000)
    assert done.code == 0
    assert done.output.decode().split("\n") == ["3000000", "to stderr", str(tmp_path), ""]
    assert (done.dropped, done.timed_out) == (0, False)


def test_output_is_kept_at_its_end_and_the_rest_counted(tmp_path: Path) -> None:
    program = "import sys\nfor _ in range(3000): sys.stdout.write('x' * 100_000)\nprint('the end')"
    done = run(program, tmp_path, output_limit=1000)
    assert done.code == 0
    assert len(done.output) == 1000
    assert done.output.endswith(b"xthe end\n")
    assert done.dropped == 300_000_000 + 8 - 1000


def test_what_never_ends_is_killed_with_its_children(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    done = run(program, tmp_path, timeout_s=1.0)
    assert done.timed_out
    assert 1.0 <= done.seconds < 5
    assert gone(int(done.output.split()[0]))


def test_children_that_stay_behind_are_killed(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)"
    )
    done = run(program, tmp_path)
    assert (done.code, done.timed_out) == (0, False)
    assert done.seconds < 10
    assert gone(int(done.output.split()[0]))


def test_closed_output_does_not_end_the_wait(tmp_path: Path) -> None:
    done = run("import os, time; os.close(1); os.close(2); time.sleep(0.5); os._exit(7)", tmp_path)
    assert done.code == 7
    done = run("import os, time; os.close(1); os.close(2); time.sleep(60)", tmp_path, timeout_s=1.0)
    assert done.timed_out


def test_memory_is_bounded(tmp_path: Path) -> None:
    program = "data = []\nwhile True: data.append(bytearray(10_000_000))"
    done = run(program, tmp_path, memory_mb=200)
    assert done.code == 1
    assert b"MemoryError" in done.output


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os; os._exit(3)", 3),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("raise SystemExit(4)", 4),
    ],
)
def test_every_end_is_told_and_leaves_nothing(program: str, code: int, tmp_path: Path) -> None:
    assert run(program, tmp_path).code == code
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    done = run_bounded(
        ["/no/such/program"], timeout_s=5, memory_mb=100, output_limit=1000, cwd=tmp_path, env=dict(os.environ)
    )
    assert done.code in (126, 127)
    with pytest.raises(Unavailable, match="could not start"):
        run("pass", tmp_path / "missing")


def test_ctrl_c_kills_the_program_too(tmp_path: Path) -> None:
    parent = (
        "import os, sys\nfrom pathlib import Path\nfrom kring.host.process import run_bounded\n"
        'run_bounded([sys.executable, \'-c\', \'import os, time; open("pid", "w").write(str(os.getpid()));'
        " time.sleep(60)'],"
        " timeout_s=60, memory_mb=500, output_limit=100, cwd=Path('.'), env=dict(os.environ))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, stderr=subprocess.PIPE)
    until = time.monotonic() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert b"KeyboardInterrupt" in said
    assert gone(int((tmp_path / "pid").read_text()))
