"""chain → how much memory it takes to open it and to answer a thousand rows."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from kring.flow.training.fit_child import packed
from kring.flow.training.memory_child import MemoryJob
from kring.host.process import run_bounded
from kring.record.batch import Batch
from kring.record.version import Chain

ROWS: Final = 1000
TIMEOUT_S: Final = 60.0
LIMIT_MB: Final = 8192
OUTPUT_LIMIT: Final = 1 << 16


def memory_of(chain: Chain, files: Mapping[str, bytes], batch: Batch) -> tuple[float, ...]:
    """Megabytes by which a process grows that opens `chain` and answers the first thousand rows of the
    prepared `batch`, once for each try; nothing where it could not be measured."""
    first = {name: np.asarray(column)[:ROWS] for name, column in batch.columns.items()}
    rows = packed(Batch(min(batch.n, ROWS), dict(first)))
    job = MemoryJob(chain=chain, files=dict(files), n=rows.n, numbers=rows.numbers, texts=rows.texts)
    with tempfile.TemporaryDirectory(prefix="kring-memory-") as private:
        answer = Path(private) / "answer"
        run_bounded(
            [sys.executable, "-P", "-m", "kring.flow.training.memory_child", str(answer)],
            stdin=msgspec.msgpack.encode(job),
            timeout_s=TIMEOUT_S,
            memory_mb=LIMIT_MB,
            output_limit=OUTPUT_LIMIT,
            cwd=Path(private),
            env=dict(os.environ),
        )
        sizes = msgspec.json.decode(answer.read_bytes(), type=list[int]) if answer.exists() else []
    return tuple(size / 1e6 for size in sizes)
