"""What processes use, told by number and without what they were told."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from kring.host.tree import usage_below

WORK = "sum(range(20_000_000)); print('done', flush=True); input()"


def test_a_child_is_found_with_what_it_has_used() -> None:
    command = [sys.executable, "-c", WORK, "secret"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = usage_below(os.getpid())
        child.communicate(b"\n")
    mine = found[child.pid]
    assert mine.cpu_us > 0
    assert 1 < mine.rss_mb < 1000
    assert mine.name.startswith("python")
    assert os.getpid() in found
    assert not any("secret" in used.name for used in found.values())


def test_a_module_is_named_instead_of_its_interpreter() -> None:
    command = [sys.executable, "-m", "timeit", "-n", "1", "-s", "import time", "time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        names = [""]
        until = time.monotonic() + 20
        while "timeit" not in names and time.monotonic() < until:
            names = [used.name for used in usage_below(child.pid).values()]
        child.kill()
    assert names == ["timeit"]


def test_nothing_is_below_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        number = child.pid
    assert usage_below(number) == {}
