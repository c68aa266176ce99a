"""A replay in a few lines, and as the one object that programs read."""

from __future__ import annotations

from pathlib import Path

from kring.charts.words import day, moment
from kring.cli.output import Output
from kring.record.replay import Comparison, Period, Replay


def show_replay(output: Output, replay: Replay) -> None:
    """Volumes, versions, alarms, and the months of the live system beside its baseline."""
    output.say(
        f"{some(replay.decisions, 'decision')}, {some(replay.outcomes, 'outcome')}, "
        f"{some(replay.snapshots, 'snapshot')}, {some(len(replay.versions), 'version')}, "
        f"{some(len(replay.alarms), 'alarm')} in {replay.seconds:.0f} s",
        style="bold",
    )
    for version in replay.versions:
        since = f"live from {moment(version.live_from)}" if version.live_from else "never live"
        output.say(f"  version {version.id} of {version.candidate}: {since}")
    for alarm in replay.alarms:
        output.say(f"  alarm   {moment(alarm.at)} {alarm.kind}: {alarm.what}")
    names = headline_metrics(replay)
    months = sorted(replay.months, key=lambda period: period.start)
    rows = [(day(period.start)[:7], period.series, *(shown(period, name) for name in names)) for period in months]
    if rows:
        output.table(("month", "series", *names), rows)


def show_comparison(output: Output, comparison: Comparison) -> None:
    """What each side set and did, in a line each."""
    for side in comparison.sides:
        output.say(side.name, style="bold")
        for key, value in side.changed.items():
            output.say(f"  {key} = {value}")
        replay = side.replay
        tried = sum(one.decisions for one in side.exposures if one.arm == "canary")
        output.say(
            f"  {some(sum(1 for version in replay.versions if version.live_from), 'version')} answered, "
            f"{some(len(replay.alarms), 'alarm')}, {some(tried, 'decision')} by the smaller arm of a rollout"
        )
    names = headline_metrics(comparison.sides[0].replay)
    rows = [
        (side.name, *(shown(period, name) for name in names))
        for side in comparison.sides
        for period in side.replay.whole
        if period.series == "live"
    ]
    if rows:
        output.table(("settings", *names), rows)


def some(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def headline_metrics(replay: Replay) -> list[str]:
    """The task's first measure and, where mistakes have a price, their cost."""
    if not replay.months:
        return []
    names = [measure.name for measure in replay.months[0].measures]
    return [names[0], *(name for name in names[1:] if name == "expected_cost")]


def shown(period: Period, name: str) -> str:
    measure = period.measure(name)
    return "–" if measure is None else f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def as_story(replay: Replay, *, report: Path) -> dict[str, object]:
    """The demo's one object. `day` in `quality` is the first day of a week."""
    return {
        "system": replay.system,
        "decisions": replay.decisions,
        "outcomes": replay.outcomes,
        "snapshots": replay.snapshots,
        "versions": [
            {"id": version.id, "candidate": version.candidate, "live_from": version.live_from}
            for version in replay.versions
        ],
        "alarms": [{"at": alarm.at, "kind": alarm.kind, "what": alarm.what} for alarm in replay.alarms],
        "rollouts": [{"id": rollout.id, "state": rollout.state} for rollout in replay.rollouts],
        "quality": [
            {
                "day": day(period.start),
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
