"""A replay in a few lines, and as the one object that programs read."""

from __future__ import annotations

from pathlib import Path

from kring.cli.moments import rfc3339, show
from kring.cli.output import Output
from kring.record.evidence import Measure
from kring.record.replay import Period, Replay


def show_replay(output: Output, replay: Replay) -> None:
    """Volumes, versions, alarms, and the months of the live system beside its baseline."""
    output.say(
        f"{replay.decisions:,} decisions, {replay.outcomes:,} outcomes, {replay.snapshots} snapshots, "
        f"{len(replay.versions)} versions, {len(replay.alarms)} alarms in {replay.seconds:.0f} s",
        style="bold",
    )
    for version in replay.versions:
        since = f"live from {show(version.live_from)} UTC" if version.live_from else "never live"
        output.say(f"  version {version.id} of {version.candidate}: {since}")
    for alarm in replay.alarms:
        output.say(f"  alarm   {show(alarm.at)} UTC {alarm.kind}: {alarm.what}")
    names = headline_metrics(replay)
    months = sorted(replay.months, key=lambda period: period.start)
    rows = [(show(period.start)[:7], period.series, *(shown(period, name) for name in names)) for period in months]
    if rows:
        output.table(("month", "series", *names), rows)


def headline_metrics(replay: Replay) -> list[str]:
    """The task's first measure and, where mistakes have a price, their cost."""
    if not replay.months:
        return []
    names = [measure.name for measure in replay.months[0].measures]
    return [names[0], *(name for name in names[1:] if name == "expected_cost")]


def shown(period: Period, name: str) -> str:
    measure = measure_of(period, name)
    return "–" if measure is None else f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def measure_of(period: Period, name: str) -> Measure | None:
    return next((measure for measure in period.measures if measure.name == name), None)


def as_story(replay: Replay, *, report: Path) -> dict[str, object]:
    """The demo's one object; times in RFC 3339."""
    return {
        "system": replay.system,
        "decisions": replay.decisions,
        "outcomes": replay.outcomes,
        "snapshots": replay.snapshots,
        "versions": [
            {
                "id": version.id,
                "candidate": version.candidate,
                "live_from": rfc3339(version.live_from) if version.live_from else None,
            }
            for version in replay.versions
        ],
        "alarms": [{"at": rfc3339(alarm.at), "kind": alarm.kind, "what": alarm.what} for alarm in replay.alarms],
        "rollouts": [{"id": rollout.id, "state": rollout.state} for rollout in replay.rollouts],
        "quality": [
            {
                "day": rfc3339(period.start)[:10],
                "metric": measure.name,
                "value": measure.value,
                "low": measure.low,
                "high": measure.high,
            }
            for period in replay.weeks
            if period.series == "live"
            for measure in period.measures
        ],
        "report": report,
        "trace_id": replay.trace_id,
    }
