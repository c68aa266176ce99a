"""What a process uses, measured by itself, also when no more files may be opened."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from kring.host.vitals import Usage, file_limit, machine_memory, open_files, start_of


def test_memory_that_is_taken_is_counted() -> None:
    usage = Usage()
    before = usage.rss()
    held = bytearray(os.urandom(1)) * (64 << 20)
    assert 48 << 20 <= usage.rss() - before <= 96 << 20
    assert before > 10 << 20
    del held
    usage.close()
    usage.close()


def test_closed_or_elsewhere_it_still_says_a_number() -> None:
    usage = Usage()
    usage.close()
    assert usage.rss() >= 10 << 20


def test_open_files_are_counted() -> None:
    before = open_files()
    pipes = [os.pipe() for _ in range(5)]
    assert open_files() == before + 10
    for pipe in pipes:
        os.close(pipe[0])
        os.close(pipe[1])
    assert open_files() == before


def test_with_no_file_left_both_still_answer() -> None:
    usage = Usage()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    taken: list[int] = []
    try:
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        counted, memory = open_files(), usage.rss()
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert counted == 64
    assert memory > 10 << 20
    assert file_limit() == before[0]


def test_a_start_names_one_process() -> None:
    mine = start_of(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert start_of(child.pid) >= mine > 0
        child.communicate(b"\n")
    assert start_of(child.pid) == 0


def test_a_control_group_may_allow_less_than_the_machine_has(tmp_path: Path) -> None:
    of = tmp_path / "cgroup"
    nowhere = machine_memory(tmp_path, of)
    assert nowhere == machine_memory(tmp_path, tmp_path / "none") > 64 << 20
    (tmp_path / "pods" / "one").mkdir(parents=True)
    (tmp_path / "memory.max").write_text("max\n")
    of.write_text("1:cpu:/\n0::/pods/one\n")
    assert machine_memory(tmp_path, of) == nowhere
    (tmp_path / "pods" / "memory.max").write_text(f"{48 << 20}\n")
    assert machine_memory(tmp_path, of) == 48 << 20
    (tmp_path / "pods" / "one" / "memory.max").write_text(f"{32 << 20}\n")
    assert machine_memory(tmp_path, of) == 32 << 20
