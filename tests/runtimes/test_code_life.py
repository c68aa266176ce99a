"""The process of code belongs to whoever opened it: it is shared between threads and never left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from code_links import ASKED, answers_again, gone, misbehaving, opened, pid_of

from kring.errors import Unavailable
from kring.record.batch import Batch

ECHO = "def score(columns, files): return columns['x']"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others on this machine run code too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def folders() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("kring-code-")}


def test_threads_share_it_and_each_gets_its_own_answer():
    with closing(opened(ECHO)) as runtime, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> bool:
            values = np.arange(number, number + 3, dtype=np.float32)
            return bool((np.asarray(runtime.answer(Batch(3, {"x": values})).columns["value"]) == values).all())

        assert all(pool.map(ask, range(400)))


def test_it_outlives_the_thread_that_opened_it_and_the_one_that_replaced_it():
    with ThreadPoolExecutor(1) as pool:
        runtime = pool.submit(misbehaving, "os._exit(1)").result()
    with closing(runtime):
        before = pid_of(runtime)
        answers_again(runtime)
        assert pid_of(runtime) == before
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(runtime.answer, ASKED).exception(), Unavailable)
        answers_again(runtime)
        replaced = pid_of(runtime)
        answers_again(runtime)
        assert pid_of(runtime) == replaced != before


def test_closing_ends_it_and_leaves_nothing():
    before = folders()
    runtime = opened(ECHO)
    pid = pid_of(runtime)
    assert folders() - before
    runtime.close()
    assert gone(pid)
    assert not folders() - before
    with pytest.raises(Unavailable, match="closed"):
        answers_again(runtime)
    runtime.close()


def test_forgetting_ends_it_too():
    before, descriptors = folders(), len(os.listdir("/dev/fd"))
    runtime = opened(ECHO)
    pid = pid_of(runtime)
    del runtime
    gc.collect()
    assert gone(pid)
    assert not folders() - before
    assert len(os.listdir("/dev/fd")) <= descriptors


def test_what_cant_be_opened_leaves_nothing():
    before = folders()
    with pytest.raises(Unavailable):
        opened("raise ValueError")
    assert not folders() - before


def test_many_losses_leave_no_descriptor_open():
    with closing(misbehaving("os._exit(1)")) as runtime:
        answers_again(runtime)
        descriptors = len(os.listdir("/dev/fd"))
        for _ in range(5):
            with pytest.raises(Unavailable):
                runtime.answer(ASKED)
            answers_again(runtime)
        assert len(os.listdir("/dev/fd")) == descriptors


HANGS = """
import sys, threading, time
sys.path.insert(0, {folder!r})
from code_links import ASKED, misbehaving, pid_of
runtime = misbehaving({body!r}, timeout_ms=600_000)
threading.Thread(target=runtime.answer, args=(ASKED,), daemon=True).start()
time.sleep(0.3)
print(pid_of(runtime), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a process that holds its interpreter outlives its parent"
)
@pytest.mark.parametrize("body", ["time.sleep(600)", "re.match('(a+)+$', 'a' * 60 + 'b')"])
def test_it_dies_with_its_parent_whatever_it_is_doing(body: str):
    program = HANGS.format(folder=str(Path(__file__).parent), body=body)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    assert gone(pid)


def test_it_is_not_disturbed_by_an_interrupt_at_the_terminal():
    with closing(opened(ECHO)) as runtime:
        assert os.getsid(pid_of(runtime)) == pid_of(runtime), "a session of its own"


def test_a_copy_made_by_fork_does_not_end_it():
    with closing(opened(ECHO)) as runtime:
        copy = os.fork()
        if not copy:
            runtime._keeper._now._end()  # type: ignore[union-attr] - what the end of a process would do
            os._exit(0)
        os.waitpid(copy, 0)
        answers_again(runtime)
