"""A replay in a few lines, and as the one object that programs read."""

from __future__ import annotations

from pathlib import Path

from kring.charts.words import day, interval, lines, moment
from kring.cli.output import Output
from kring.flow.replaying.untimed import told_untried
from kring.metrics.measured import LIFT
from kring.record.replay import Comparison, Period, Replay
from kring.record.shadowed import ShadowReplay
from kring.watch.meaning import metric_words

MOST_DIFFERING = 5
BASELINE = "the simple rule of kring.toml"


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
    if replay.untried:
        output.say(paragraph(told_untried(replay)))
    for alarm in replay.alarms:
        said = f"{moment(alarm.at)} {alarm.kind.replace('_', ' ')}: {alarm.what}"
        output.say(paragraph(said, first=f"  {alarm.tier:<8}", rest=" " * 12))
    names = headline_metrics(replay)
    months = sorted(replay.months, key=lambda period: period.start)
    rows = [(day(period.start)[:7], period.series, *(shown(period, name) for name in names)) for period in months]
    if rows:
        output.table(("month", "series", *names), rows)
        output.say(f"live: as it was decided; baseline: {BASELINE}; frozen: the first version, never retrained")
        for name in names:
            plain = metric_words(name)
            output.say(paragraph(f"{name}: {plain}", rest="  ") if plain else name)


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
        if replay.untried:
            output.say(paragraph(told_untried(replay), first="  ", rest="  "))
    names = headline_metrics(comparison.sides[0].replay)
    rows = [
        (side.name, *(shown(period, name) for name in names))
        for side in comparison.sides
        for period in side.replay.whole
        if period.series == "live"
    ]
    if rows:
        output.table(("settings", *names), rows)


def show_shadow(output: Output, found: ShadowReplay) -> None:
    """How far the version agrees with the record, what it would have gained, and where the two differ most."""
    left = {"about people who were forgotten": found.erased, "by the version itself": found.own}
    left |= {"without an answer on record": found.unanswered, "without an answer of the version": found.failures}
    output.say(
        f"{found.version} beside {some(found.rows, 'decision')} from {moment(found.start)} to {moment(found.end)}: "
        f"{found.compared:,} compared, {found.otherwise:,} decided otherwise",
        style="bold",
    )
    output.say("".join(f"  {n:,} {why}\n" for why, n in left.items() if n).rstrip() or "  none was left out")
    for measure in found.agreement:
        output.say(f"  {measure.name:<20} {interval(measure)}")
    if found.quality:
        output.say(f"on {some(found.outcomes, 'known outcome')}, and (lift) beside what was said then:")
    lifts = {one.name: one for one in found.quality if one.name.startswith(LIFT)}
    rows = [
        (one.name, interval(one), interval(lifts[LIFT + one.name]) if LIFT + one.name in lifts else None)
        for one in found.quality
        if one.name not in lifts
    ]
    if rows:
        output.table(("measure", "the version", "lift"), rows)
    for one in found.differing[:MOST_DIFFERING]:
        inputs = ", ".join(f"{name} {value}" for name, value in one.inputs.items())
        known = f", it was {one.outcome}" if one.outcome is not None else ""
        output.say(f"  {one.id} {one.said.get('decision')} then, {one.shadow.get('decision')} now{known}: {inputs}")


def paragraph(text: str, *, first: str = "", rest: str = "") -> str:
    """Text no wider than a terminal."""
    return "\n".join(lines(text, first=first, rest=rest))


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
