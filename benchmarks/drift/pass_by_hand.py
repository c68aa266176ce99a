"""Two files compared by hand: the deciles of a sample, then every value of both files into its bin.

    python benchmarks/drift/pass_by_hand.py search|compare REFERENCE.parquet CURRENT.parquet

`search` looks each value's bin up, as anybody would write it; `compare` counts the values below each decile, which is
as fast as numpy gets. Prints JSON: the population stability index of each column, CPU seconds, peak memory in MB.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

BATCH = 250_000
SAMPLE = 100_000
PLACES = 5
BLOCK = 1 << 14


def searched(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(cuts, values), minlength=10)


def compared(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    below = np.zeros(len(cuts), dtype=np.int64)
    less = np.empty(BLOCK, dtype=bool)
    for first in range(0, len(values), BLOCK):
        block = values[first : first + BLOCK]
        for place, cut in enumerate(cuts):
            below[place] += np.count_nonzero(np.less(block, cut, out=less[: len(block)]))
    return np.diff(below, prepend=0, append=len(values))


def counted(file: str, cuts: dict[str, np.ndarray], count: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    total = {name: np.zeros(10, dtype=np.int64) for name in cuts}
    for frame in pl.scan_parquet(file, low_memory=True).collect_batches(chunk_size=BATCH, maintain_order=True):
        for name, edges in cuts.items():
            total[name] += count(frame[name].to_numpy(), edges)
    return total


def sampled(file: str) -> pl.DataFrame:
    """Rows from some places of the file, which is not read as a whole for them."""
    frame = pl.scan_parquet(file, low_memory=True)
    rows = frame.select(pl.len()).collect().item()
    parts = [frame.slice(place * rows // PLACES, SAMPLE // PLACES) for place in range(PLACES)]
    return pl.concat([part.collect() for part in parts])


def peak_mb() -> float:
    """The most memory this process has held; ru_maxrss would count what its parent held when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    count = {"search": searched, "compare": compared}[sys.argv[1]]
    reference, current = sys.argv[2:]
    sample = sampled(reference)
    cuts = {name: np.quantile(sample[name].to_numpy(), np.arange(1, 10) / 10) for name in sample.columns}
    first, second = counted(reference, cuts, count), counted(current, cuts, count)
    found = {}
    for name in cuts:
        was, now = (np.maximum(each[name] / each[name].sum(), 1e-4) for each in (first, second))
        found[name] = float(((now - was) * np.log(now / was)).sum())
    used = resource.getrusage(resource.RUSAGE_SELF)
    drifted = [name for name, value in found.items() if value > 0.1]
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": peak_mb()}))


if __name__ == "__main__":
    main()
