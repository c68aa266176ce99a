"""A finished replay as one record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from kring.flow import history
from kring.flow.alarming import all_alarms
from kring.flow.project import Project
from kring.flow.replaying.rollouts import moves
from kring.flow.watching.windows import BASELINE, FROZEN, LIVE, Windows
from kring.metrics.ids import decision_id
from kring.ports.ledger import Ledger
from kring.record.event import Segment
from kring.record.replay import LiveVersion, Period, Replay
from kring.record.rollout import Pointer, Rollout
from kring.record.snapshot import Snapshot
from kring.record.version import Version

WEEK_US: Final = 7 * 86_400_000_000
AGAINST: Final = {LIVE: BASELINE, BASELINE: BASELINE, FROZEN: BASELINE}


def summed(
    project: Project, windows: Windows, *, id: str, start: int, end: int, seed: int,
    decisions: int, outcomes: int, refusals: list[str], example: bytes, seconds: float,
) -> Replay:  # fmt: skip
    """Everything a reader of the replay wants to know, from the ledger and the windows."""
    with project.ledger() as ledger:
        segments = list(history.all_of(ledger, Segment))
        return Replay(
            id=id,
            system=project.system.name,
            start=start,
            end=end,
            seed=seed,
            decisions=decisions,
            outcomes=outcomes,
            snapshots=len({one.id for one in history.all_of(ledger, Snapshot)}),
            versions=tuple(live_versions(ledger)),
            alarms=tuple(all_alarms(ledger)),
            rollouts=tuple(last_states(ledger)),
            moves=tuple(moves(ledger)),
            refusals=tuple(refusals),
            weeks=tuple(periods(windows, list(weeks(start, end)), seed=seed)),
            months=tuple(periods(windows, list(months(start, end)), seed=seed)),
            whole=tuple(periods(windows, [(start, end)], seed=seed)),
            volumes=tuple(windows.volumes()),
            trace_id=decision_id(example),
            log_digest=hashlib.sha256("".join(segment.digest for segment in segments).encode()).hexdigest(),
            seconds=seconds,
        )


def live_versions(ledger: Ledger) -> Iterator[LiveVersion]:
    """Every version, with the moment from which it first answered."""
    since: dict[str, int] = {}
    for pointer in history.all_of(ledger, Pointer):
        since.setdefault(pointer.live, pointer.at)
    for version in history.all_of(ledger, Version):
        yield LiveVersion(id=version.id, candidate=version.candidate, live_from=since.get(version.id, 0))


def last_states(ledger: Ledger) -> Iterator[Rollout]:
    """Each rollout as it stands now, in the order in which they began."""
    last: dict[str, Rollout] = {}
    for rollout in history.all_of(ledger, Rollout):
        last[rollout.id] = rollout
    yield from last.values()


def periods(windows: Windows, spans: list[tuple[int, int]], *, seed: int) -> Iterator[Period]:
    """Measures of each series over each span; a span without outcomes is left out."""
    volumes = windows.volumes()
    for series, against in AGAINST.items():
        for start, end in spans:
            measures = windows.measures(series, against, start=start, end=end, seed=seed)
            if not measures:
                continue
            inside = [(decided, known) for window, decided, known in volumes if start <= window < end]
            yield Period(
                series=series,
                start=start,
                end=end,
                decisions=sum(decided for decided, _ in inside),
                outcomes=sum(known for _, known in inside),
                measures=tuple(measures),
            )


def weeks(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of seven days from `start`; a last one of less than half a week joins its neighbour."""
    while start < end:
        after = start + WEEK_US
        if end - after < WEEK_US // 2:
            after = max(end, after)
        yield start, min(after, end)
        start = after


def months(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Calendar months (UTC) within [start, end)."""
    while start < end:
        day = datetime.fromtimestamp(start / 1e6, tz=UTC)
        first = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        after = min(int(first.timestamp()) * 1_000_000, end)
        yield start, after
        start = after
