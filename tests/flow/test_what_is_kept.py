"""Which processes a serving machine keeps running, and within what bounds."""

from __future__ import annotations

import pytest

from kring.flow.serving.keeping import MEGABYTE
from kring.flow.serving.starting import processes
from kring.host.vitals import machine_memory
from kring.record.serving import Plan


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_hold_less_than_the_machine_has_between_them(workers: int) -> None:
    kept = [one for one in processes(Plan(state="/x", folders=(), workers=workers)) if one.seat is not None]
    assert len(kept) == workers
    together = sum(one.memory_mb for one in kept) * MEGABYTE
    assert machine_memory() / 2 < together < machine_memory()
