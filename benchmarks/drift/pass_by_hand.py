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

import numpy as np
import polars as pl

BATCH = 250_000
SAMPLE = 100_000
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
    for frame in pl.scan_parquet(file).collect_batches(chunk_size=BATCH):
        for name, edges in cuts.items():
            total[name] += count(frame[name].to_numpy(), edges)
    return total


def main() -> None:
    count = {"search": searched, "compare": compared}[sys.argv[1]]
    reference, current = sys.argv[2:]
    rows = pl.scan_parquet(reference).select(pl.len()).collect().item()
    sample = pl.scan_parquet(reference).gather_every(max(1, rows // SAMPLE)).collect()
    cuts = {name: np.quantile(sample[name].to_numpy(), np.arange(1, 10) / 10) for name in sample.columns}
    first, second = counted(reference, cuts, count), counted(current, cuts, count)
    found = {}
    for name in cuts:
        was, now = (np.maximum(each[name] / each[name].sum(), 1e-4) for each in (first, second))
        found[name] = float(((now - was) * np.log(now / was)).sum())
    used = resource.getrusage(resource.RUSAGE_SELF)
    drifted = [name for name, value in found.items() if value > 0.1]
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
