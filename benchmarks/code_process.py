"""What code in a process of its own costs: the round trip of one row, and how soon it is back after a fault.

    python benchmarks/code_process.py                 2,000 questions, 20 faults of each kind
    python benchmarks/code_process.py --questions 200 --faults 3

Prints rows for the table of results: the median of one row of 30 numbers through process and checks, as a ratio to a
bare echo of as many bytes by a process that does nothing else; how long after its deadline a hung question is told; and
how long after a crash the next answer comes, as ratios to the 50 ms and the second allowed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np

from kring.errors import Unavailable
from kring.record.batch import Batch
from kring.record.version import Code, Link
from kring.runtimes.code import CodeRuntime, open_code

NAMES = tuple(f"x{number}" for number in range(30))
TIMEOUT_S, LATER_S, BACK_S = 0.2, 0.05, 1.0
SOURCE = b"""
import os, time

def score(columns, files):
    asked = columns["x0"][0]
    if asked == 1:
        time.sleep(60)
    if asked == 2:
        while True:
            pass
    if asked == 3:
        os._exit(1)
    return columns["x1"]
"""


def opened() -> CodeRuntime:
    code = Code(function="score", timeout_us=int(TIMEOUT_S * 1e6))
    link = Link(kind="code", file="links/code/own.py", inputs=NAMES, code=code)
    kinds = dict.fromkeys(NAMES, "number")
    return open_code({link.file: SOURCE}, link, kinds, output="value")  # type: ignore[arg-type] - of one kind


def row(first: float) -> Batch:
    values = dict.fromkeys(NAMES, np.zeros(1, np.float32))
    return Batch(1, {**values, "x0": np.array([first], np.float32)})


def median_of(call: Callable[[], object], *, times: int) -> float:
    """Median seconds of `call`."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def echo(size: int, *, times: int) -> float:
    """Median seconds of `size` bytes to another process and back."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        while data := os.read(theirs.fileno(), 1 << 16):
            os.write(theirs.fileno(), data)
        os._exit(0)
    theirs.close()
    found = median_of(lambda: (os.write(ours.fileno(), bytes(size)), os.read(ours.fileno(), 1 << 16)), times=times)
    ours.close()
    os.waitpid(child, 0)
    return found


def faulted(runtime: CodeRuntime, kind: float, *, times: int) -> tuple[list[float], list[float]]:
    """Seconds until a fault was told, and from there until the next answer."""
    told, back = [], []
    for _ in range(times):
        began = time.perf_counter()
        try:
            runtime.answer(row(kind))
        except Unavailable:
            told.append(time.perf_counter() - began)
        began = time.perf_counter()
        runtime.answer(row(0))
        back.append(time.perf_counter() - began)
    return told, back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=20)
    asked = parser.parse_args()
    bare = echo(160, times=asked.questions)
    with closing(opened()) as runtime:
        one, many = row(0), Batch(1000, {name: np.zeros(1000, np.float32) for name in NAMES})
        alone = median_of(lambda: runtime.answer(one), times=asked.questions)
        thousand = median_of(lambda: runtime.answer(many), times=max(1, asked.questions // 10))
        late: list[float] = []
        for kind in (1, 2):
            late += [seconds - TIMEOUT_S for seconds in faulted(runtime, kind, times=asked.faults)[0]]
        _, back = faulted(runtime, 3, times=asked.faults)
    date = datetime.datetime.now(tz=datetime.UTC).date()
    command = "| `python benchmarks/code_process.py`, {} | " + f"{date} | "
    print(
        command.format("one row of 30 numbers")
        + f"{alone / bare:.1f}x a bare echo | {alone * 1e6:.0f} us, 1,000 rows {thousand * 1e6:.0f} us |"
    )
    print(
        command.format("a hung question")
        + f"{statistics.median(late) / LATER_S:.2f}x the 50 ms allowed after its deadline | "
        + f"{statistics.median(late) * 1000:.1f} ms, at most {max(late) * 1000:.1f} ms of {len(late)} |"
    )
    print(
        command.format("the next answer after a crash")
        + f"{statistics.median(back) / BACK_S:.2f}x a second | "
        + f"{statistics.median(back) * 1000:.0f} ms, at most {max(back) * 1000:.0f} ms of {len(back)} |"
    )


if __name__ == "__main__":
    main()
