"""The process in which the memory of a chain is measured: `python -m kring.flow.training.memory_child ANSWER < JOB`.

It knows what a serving worker knows and nothing else. Each try is a process of its own, forked before
anything is opened, so that no try finds what another one has left.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from kring.errors import KringError
from kring.flow import adapters
from kring.record.batch import Batch, Column
from kring.record.version import Chain
from kring.runtimes.chain import open_chain

TRIES: Final = 3
UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""What the peak is counted in: bytes there, KiB elsewhere."""


class MemoryJob(msgspec.Struct, frozen=True, kw_only=True):
    """A chain, its files, and prepared rows to answer: numbers as float32 bytes, categories as texts."""

    chain: Chain
    files: dict[str, bytes]
    n: int
    numbers: dict[str, bytes]
    texts: dict[str, list[str]]


def peak(*, of: int = resource.RUSAGE_SELF) -> int:
    """The largest resident size so far of this process, or of the largest that it started and that ended, in bytes."""
    return resource.getrusage(of).ru_maxrss * UNIT


def grown(job: MemoryJob) -> int:
    """By how many bytes this process, and one that it starts, grow while it opens the chain and answers all rows."""
    columns: dict[str, Column] = {name: np.frombuffer(data, np.float32) for name, data in job.numbers.items()}
    columns |= {name: np.array(texts, dtype=object) for name, texts in job.texts.items()}
    batch = Batch(job.n, columns)
    before = peak()
    with open_chain(job.chain, job.files, open_index=adapters.open_index) as chain:
        chain.answer(batch)
        own = peak() - before
    return own + peak(of=resource.RUSAGE_CHILDREN)


def tried(job: MemoryJob) -> int | None:
    """`grown` in a process of its own; None when that failed."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writes, str(grown(job)).encode())
        except KringError:
            os._exit(1)
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return int(told) if told else None


def main(answer: Path) -> None:
    """Read the job from stdin and write what each try grew by, in bytes, as JSON."""
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=MemoryJob)
    answer.write_bytes(msgspec.json.encode([size for _ in range(TRIES) if (size := tried(job)) is not None]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
