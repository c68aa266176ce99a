"""The last segment of a system that nobody asks any more ends with its day, in the process that has it open."""

from __future__ import annotations

import asyncio
import errno
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from test_lines import Bench

from kring.errors import ReadOnly
from kring.flow.project import open_project
from kring.flow.serving.days import DAY_US, Days
from kring.flow.serving.own_logs import OwnLogs
from kring.host.clock import SimulatedClock
from kring.host.faults import FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_block
from kring.record.decision import Outcomes, Place
from kring.stores.file import FileLog
from kring.stores.sealed import sealed_segments
from systems import write_loans

MINUTE_US = 60_000_000
START = 20_000 * DAY_US + DAY_US // 2


def sealed(folder: Path) -> list[str]:
    return [one.id for one in sealed_segments(folder / ".kring" / "log")]


def test_an_idle_log_is_sealed_once_when_its_day_is_over(tmp_path: Path) -> None:
    """Though nothing is appended any more, and never while a group is being written."""
    folder, said, clock = write_loans(tmp_path / "loans"), list[str](), SimulatedClock(START)

    async def run() -> None:
        with ExitStack() as stack:
            bench = Bench(folder, stack)
            days = Days(clock, say=said.append)
            days.keep(bench.line, bench.clerk.log)
            await bench.ask()
            days.look()
            assert sealed(folder) == [], "its day is not over"
            clock.advance(START + DAY_US)
            bench.line.is_busy = True
            days.look()
            assert sealed(folder) == [], "somebody is writing"
            bench.line.is_busy = False
            days.look()
            days.look()
            clock.advance(START + 5 * DAY_US)
            days.look()
            assert sealed(folder) == ["0-1"], "an empty segment is none"
            await bench.ask()
            clock.advance(START + 6 * DAY_US)
            days.look()
            assert sealed(folder) == ["0-1", "0-2"]

    asyncio.run(run())
    assert said == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_what_is_in_the_way_is_said_and_tried_again_where_it_may_pass(tmp_path: Path, error: int) -> None:
    folder, said, clock = write_loans(tmp_path / "loans"), list[str](), SimulatedClock(START)

    async def run() -> None:
        with ExitStack() as stack:
            bench = Bench(folder, stack)
            days, log = Days(clock, say=said.append), bench.clerk.log
            assert isinstance(log, FileLog)
            days.keep(bench.line, log)
            await bench.ask()
            log._files = FaultyFiles(LocalFiles(), Plan(1, error=error))
            for minute in range(5):
                clock.advance(START + DAY_US + minute * MINUTE_US)
                days.look()
                days.look()
            assert len(said) == 1
            assert "the last segment of loans could not be sealed" in said[0]
            if error == errno.EIO:  # nobody knows what is on the disk
                assert sealed(folder) == []
                with pytest.raises(ReadOnly):
                    log.seal()
            else:
                assert sealed(folder) == ["0-1"]
                await bench.ask()

    asyncio.run(run())


@pytest.mark.parametrize("error", [0, errno.ENOSPC])
def test_what_the_control_process_wrote_is_sealed_too(tmp_path: Path, error: int) -> None:
    """Its days end though no outcome comes any more; what is in the way is said."""
    folder, said, clock = write_loans(tmp_path / "loans"), list[str](), SimulatedClock(START)
    plan = Plan(0, error=error or errno.EIO)
    project = replace(open_project(folder), clock=clock, files=FaultyFiles(LocalFiles(), plan))
    logs = OwnLogs(page=None, say=said.append)
    logs.end_days(START + DAY_US)
    id = decision_block(Place(at_ms=0, writer=0, segment=1, sequence=0), 1).tobytes()
    with logs.of(project) as log:
        log.append(Outcomes(system="loans", ids=[id], values=["yes"], at=START, source="test"))
        log.commit()
    logs.end_days(START)
    assert sealed(folder) == []
    plan.nth = plan.count + 1 if error else 0
    logs.end_days(START + DAY_US)
    logs.end_days(START + DAY_US)
    assert len(said) == bool(error)
    assert len(sealed(folder)) == (not error)
    clock.advance(START + 2 * DAY_US)
    with logs.of(project):
        assert len(sealed(folder)) == 1, "with the next record at the latest"
    logs.close()
    logs.end_days(START + 9 * DAY_US)
