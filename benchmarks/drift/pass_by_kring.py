"""Two files compared by Kring: frozen bins from a sample, all rows of both files counted, one look.

    python benchmarks/drift/pass_by_kring.py REFERENCE.parquet CURRENT.parquet

Prints JSON: the columns that are named, CPU seconds, peak memory in MB.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import polars as pl

from kring.metrics.drift import Ints
from kring.record.drift import Reference, References
from kring.record.running import Watch
from kring.watch.binning import added, bins_of, counter_of, part_of
from kring.watch.drift import detector_of, looked

BATCH = 250_000
SAMPLE = 100_000
PLACES = 5


def batches(file: str) -> Iterator[pl.DataFrame]:
    yield from pl.scan_parquet(file, low_memory=True).collect_batches(chunk_size=BATCH, maintain_order=True)


def sampled(file: str) -> pl.DataFrame:
    """Rows from some places of the file, which is not read as a whole for them."""
    frame = pl.scan_parquet(file, low_memory=True)
    rows = frame.select(pl.len()).collect().item()
    parts = [frame.slice(place * rows // PLACES, SAMPLE // PLACES) for place in range(PLACES)]
    return pl.concat([part.collect() for part in parts])


def counted(file: str, bins: Sequence[Reference]) -> dict[str, Ints]:
    """All rows of a file in their cells, part after part, by the code that counts what a version is asked."""
    count, total = counter_of(bins), dict[str, Ints]()
    for frame in batches(file):
        total = added(total, count({column.name: column.to_numpy() for column in frame.get_columns()}))
    return total


def peak_mb() -> float:
    """The most memory this process has held; ru_maxrss would count what its parent held when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    reference, current = sys.argv[1:]
    sample = sampled(reference)
    bins = [bins_of(name, sample[name].to_numpy(), kind="number") for name in sample.columns]
    known = counted(reference, bins)
    inputs = tuple(msgspec.structs.replace(one, cells={"": tuple(known[one.feature].tolist())}) for one in bins)
    references = References(inputs=inputs)
    eye = detector_of(references, version="v", family="drift", plan=Watch())
    assert eye is not None
    look = looked(eye, None, part_of("v", 0, counted(current, bins)), end=1)
    used = resource.getrusage(resource.RUSAGE_SELF)
    drifted = [breach.feature for breach in look.breaches]
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": peak_mb()}))


if __name__ == "__main__":
    main()
