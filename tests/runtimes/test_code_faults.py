"""Whatever code does wrong is one `Unavailable` with a reason, in time, and the next question is answered.

How fast it comes back is measured in benchmarks/code_process.py; here only that it does.
"""

from __future__ import annotations

import builtins
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Thread, get_ident

import numpy as np
import pytest
from code_links import ASKED, FINE, answers_again, gone, misbehaving, opened, pid_of

from kring.errors import Late, Overloaded, Unavailable
from kring.record.batch import Batch
from kring.runtimes import code_keeper

GENEROUS_S = 10.0

OTHERS = {"BaseExceptionGroup", "ExceptionGroup", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError"}
CLASSES = {
    name: one.__name__
    for name, one in vars(builtins).items()
    if isinstance(one, type) and issubclass(one, BaseException) and name not in OTHERS
}
"""Every class that can be raised with a text; SystemExit, KeyboardInterrupt, RecursionError, MemoryError among them."""


def test_every_class_of_exception_is_unavailable_and_named():
    source = """
import builtins

def score(columns, files):
    if columns["word"][0] == "fine":
        return columns["x"]
    raise getattr(builtins, columns["word"][0])("no")
"""
    with closing(opened(source, inputs=("x", "word"))) as runtime:
        for name, told in CLASSES.items():
            with pytest.raises(Unavailable, match=rf"it raised {told}\n") as refused:
                runtime.answer(Batch(1, {"x": [0.0], "word": [name]}))
            assert refused.value.got.endswith("(models.py, line 7)")
            fine = runtime.answer(Batch(1, {"x": [0.5], "word": ["fine"]}))
            np.testing.assert_array_equal(fine.columns["value"], [0.5])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return deep(0)", "RecursionError"),
        ("class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute", "Mute"),
        ("raise ValueError('\\udcff\\x00' * 100_000)", "ValueError"),
        ("raise ExceptionGroup('two', [ValueError(), KeyError()])", "ExceptionGroup"),
        ("sys.exit('bye')", "SystemExit"),
        ("one = threading.Thread(target=deep, args=(0,)); one.start(); one.join(); raise EOFError", "EOFError"),
    ],
)
def test_whatever_is_raised_leaves_the_process_alone(body: str, why: str):
    with closing(misbehaving(body)) as runtime:
        before = pid_of(runtime)
        for _ in range(2):
            with pytest.raises(Unavailable, match=why) as refused:
                runtime.answer(ASKED)
            assert len(str(refused.value)) < 3000
            answers_again(runtime)
        assert pid_of(runtime) == before


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(3600)",
        "while True: pass",
        "re.match('(a+)+$', 'a' * 60 + 'b')",
        "lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(3600)",
        "threading.Thread(target=time.sleep, args=(3600,)).start(); threading.Event().wait()",
        "while True: print('still here')",
    ],
    ids=["sleep", "busy", "holds the interpreter", "deadlock", "deaf", "threads", "chatty"],
)
def test_what_hangs_is_stopped_at_its_deadline_and_replaced(body: str):
    with closing(misbehaving(body, timeout_ms=400)) as runtime:
        before, began = pid_of(runtime), time.monotonic()
        with pytest.raises(Late, match="within 400 ms and was stopped"):
            runtime.answer(ASKED)
        took = time.monotonic() - began
        assert 0.39 < took < 0.4 + GENEROUS_S
        answers_again(runtime)
        assert pid_of(runtime) != before
        assert gone(before)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os._exit(0)", "ended with code 0"),
        ("os._exit(3)", "ended with code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.abort()", "SIG"),
        ("os.close(int(sys.argv[1])); time.sleep(3600)", "hung up"),
        ("os.write(int(sys.argv[1]), b'garbage' * 9); time.sleep(3600)", "spoke out of turn"),
        ("os.write(int(sys.argv[1]), bytes(8)); return [1.0]", "spoke out of turn"),
        ("os.write(int(sys.argv[1]), (1).to_bytes(4, 'little') + (1).to_bytes(4, 'little') + b'\\xc1')", "out of turn"),
        ("return np.zeros(9_000_000)", "spoke out of turn"),
    ],
)
def test_what_ends_the_process_is_told_and_it_is_replaced(body: str, why: str):
    with closing(misbehaving(body)) as runtime:
        before = pid_of(runtime)
        with pytest.raises(Unavailable, match=why):
            runtime.answer(ASKED)
        answers_again(runtime)
        assert pid_of(runtime) != before
        assert gone(before)


def test_what_wants_too_much_memory_is_replaced():
    with closing(
        misbehaving("return [bytearray(b'x' * 10_000_000) for _ in range(1000)]", timeout_ms=60_000)
    ) as runtime:
        before = pid_of(runtime)
        with pytest.raises(Unavailable, match="MemoryError"):
            runtime.answer(ASKED)
        answers_again(runtime)
        assert pid_of(runtime) != before


@pytest.mark.parametrize("kept", ["bytearray(1 << 20)", "b'x' * (1 << 20)"], ids=["untouched", "touched"])
def test_what_leaks_is_recycled_before_its_limit_and_no_question_fails(kept: str):
    source = f"kept = []\ndef score(columns, files):\n    kept.append({kept})\n    return columns['x']\n"
    with closing(opened(source, memory_mb=192)) as runtime:
        pids = set()
        for _ in range(500):
            answers_again(runtime)
            pids.add(pid_of(runtime))
    assert len(pids) > 2
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("stream", [1, 2])
def test_a_flood_of_a_gigabyte_is_swallowed_and_its_end_is_kept(stream: int):
    body = f"block = b'spam and eggs ' * 80_000\nfor _ in range(900): os.write({stream}, block)\n"
    body += f"os.write({stream}, b'the end')\nraise ValueError('after the flood')"
    with closing(misbehaving(body, timeout_ms=60_000)) as runtime:
        with pytest.raises(Unavailable, match="ValueError") as refused:
            runtime.answer(ASKED)
        assert refused.value.got.endswith("the end")
        assert len(refused.value.got) < 2000
        answers_again(runtime)


def test_what_is_printed_does_not_disturb_answers():
    with closing(
        opened("def score(columns, files):\n    print('hello', flush=True)\n    return columns['x']")
    ) as runtime:
        for _ in range(50):
            answers_again(runtime)


def test_what_fails_at_every_start_is_started_later_and_later():
    """The process dies a moment after it was ready, again and again: questions are refused at once, not queued."""
    source = """
import os, threading
threading.Timer(0.05, os._exit, (9,)).start()
def score(columns, files):
    threading.Event().wait()
"""
    with closing(opened(source, patience_s=0, timeout_ms=2000)) as runtime:
        reasons: list[str] = []
        until = time.monotonic() + 60
        while not (reasons and "times in a row" in reasons[-1]) and time.monotonic() < until:
            with pytest.raises(Unavailable) as refused:
                runtime.answer(FINE)
            reasons.append(str(refused.value))
            time.sleep(0.01)
        assert "ended with code 9" in reasons[0]
        assert "times in a row" in reasons[-1]
        assert "started again in" in reasons[-1]


def test_a_slow_start_is_not_ready_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(code_keeper, "START_S", 1.0)
    with pytest.raises(Unavailable, match="not ready within 1 s"):
        opened("import time\ntime.sleep(3600)\ndef score(columns, files): pass")


def test_without_patience_a_question_does_not_wait_for_a_new_process():
    source = """
import os, time
time.sleep(1.0)
def score(columns, files):
    if columns["x"][0] < 0:
        os._exit(1)
    return columns["x"]
"""
    with closing(opened(source, timeout_ms=100, patience_s=0)) as runtime:
        answers_again(runtime)
        with pytest.raises(Unavailable, match="ended with code 1"):
            runtime.answer(ASKED)
        with pytest.raises(Unavailable, match="is starting"):
            runtime.answer(FINE)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                answers_again(runtime)
                break
            except Unavailable as error:
                assert "is starting" in error.message or "in a row" in error.message  # noqa: PT017 - until it is there
        answers_again(runtime)


def test_a_question_waits_for_its_turn_no_longer_than_its_time():
    with closing(misbehaving("pass", timeout_ms=200, patience_s=0)) as runtime:
        runtime._turn.acquire()
        try:
            with pytest.raises(Overloaded, match="busy"):
                runtime.answer(FINE)
        finally:
            runtime._turn.release()


def test_a_question_that_came_late_does_not_cost_the_process_its_time():
    body = "time.sleep(0.5); return columns['x'] * 2"
    with closing(misbehaving(body, timeout_ms=2000, patience_s=0)) as runtime:
        before, question = pid_of(runtime), runtime._question(ASKED)
        process = runtime._keeper._now
        assert process is not None
        with pytest.raises(Overloaded, match="busy"):
            runtime._asked(process, question, n=1, until=time.monotonic() + 0.1)
        with pytest.raises(Overloaded, match="busy"):
            runtime._asked(process, question, n=1, until=time.monotonic() + 0.1)
        answers_again(runtime)
        assert pid_of(runtime) == before


def test_what_hangs_while_nobody_waits_is_stopped_by_the_next_question():
    with closing(misbehaving("time.sleep(3600)", timeout_ms=500, patience_s=0)) as runtime:
        process = runtime._keeper._now
        assert process is not None
        with pytest.raises(Overloaded, match="busy"):
            runtime._asked(process, runtime._question(ASKED), n=1, until=time.monotonic() + 0.1)
        time.sleep(0.5)
        with pytest.raises(Late, match="was stopped"):
            runtime.answer(FINE)
        assert gone(process.pid)


def test_a_wait_for_its_turn_can_be_broken_off_too():
    with closing(misbehaving("pass")) as runtime, ThreadPoolExecutor(1) as pool:
        runtime._turn.acquire()
        me: list[int] = []
        asking = pool.submit(lambda: (me.append(get_ident()), runtime.answer(FINE)))
        until = time.monotonic() + 60
        while not asking.done() and time.monotonic() < until:
            if me:
                runtime.stop(me[0])
            time.sleep(0.01)
        runtime._turn.release()
        assert isinstance(asking.exception(), Late)
        answers_again(runtime)


def test_an_answer_can_be_broken_off_by_another_thread():
    with closing(misbehaving("time.sleep(3600)", timeout_ms=60_000)) as runtime:
        told: list[BaseException] = []
        asking: list[int] = []

        def ask() -> None:
            asking.append(get_ident())
            try:
                runtime.answer(ASKED)
            except Unavailable as error:
                told.append(error)

        thread = Thread(target=ask)
        thread.start()
        until = time.monotonic() + 60
        while thread.is_alive() and time.monotonic() < until:
            runtime.stop(get_ident())
            if asking:
                runtime.stop(asking[0])
            time.sleep(0.01)
        thread.join(1)
        assert isinstance(told[0], Late)
        before = pid_of(runtime)
        runtime.stop(asking[0])
        answers_again(runtime)
        assert pid_of(runtime) == before, "nobody waited"


def test_what_breaks_off_in_the_middle_leaves_no_answer_for_the_next_question(monkeypatch: pytest.MonkeyPatch):
    with closing(misbehaving("return [1.0]")) as runtime:
        process = runtime._keeper._now
        assert process is not None

        def interrupted(number: int, *, until: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(process, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runtime.answer(ASKED)
        answers_again(runtime)
