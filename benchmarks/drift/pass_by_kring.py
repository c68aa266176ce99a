"""Two files compared by Kring: frozen bins from a sample, all rows of both files counted, one look.

    python benchmarks/drift/pass_by_kring.py REFERENCE.parquet CURRENT.parquet

Prints JSON: the columns that are named, CPU seconds, peak memory in MB.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator

import polars as pl

from kring.record.drift import References
from kring.record.running import Watch
from kring.watch.binning import bins_of, counted_frames, filled, part_of
from kring.watch.drift import detector_of, looked

BATCH = 250_000
SAMPLE = 100_000


def batches(file: str) -> Iterator[pl.DataFrame]:
    yield from pl.scan_parquet(file).collect_batches(chunk_size=BATCH)


def main() -> None:
    reference, current = sys.argv[1:]
    rows = pl.scan_parquet(reference).select(pl.len()).collect().item()
    sample = pl.scan_parquet(reference).gather_every(max(1, rows // SAMPLE)).collect()
    bins = [bins_of(name, sample[name].to_numpy(), kind="number") for name in sample.columns]
    references = References(inputs=filled(bins, counted_frames(batches(reference), bins)))
    eye = detector_of(references, version="v", family="drift", plan=Watch())
    assert eye is not None
    look = looked(eye, None, part_of("v", 0, counted_frames(batches(current), bins)), end=1)
    used = resource.getrusage(resource.RUSAGE_SELF)
    drifted = [breach.feature for breach in look.breaches]
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
