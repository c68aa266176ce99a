"""The page of several replays side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kring.charts import over_time
from kring.charts.page import Block, Chart, KeyFigure, Page, Section, Table, Text
from kring.charts.points import Mark, Point
from kring.charts.words import count, day, interval, number
from kring.flow.replaying.untimed import told_untried
from kring.flow.watching.windows import LIVE
from kring.record.evidence import Measure
from kring.record.replay import Comparison, LiveVersion, Side
from kring.record.system import System

COST = "expected_cost"


def page_of(system: System, comparison: Comparison) -> Page:
    """Settings, what each did, how good and how dear the answers were."""
    sections = (
        Section(title="What was set otherwise", blocks=(settings(comparison),)),
        Section(title="What each would have done", blocks=(doings(comparison), exposed(comparison), *left(comparison))),
        Section(title="How good the answers were", blocks=tuple(quality(system, comparison))),
        Section(title="What mistakes cost", blocks=(costs(system, comparison),)),
        Section(title="Alarms", blocks=(alarms(comparison),)),
    )
    return Page(
        kicker=f"{system.name}: {day(comparison.start)} to {day(comparison.end)}, {len(comparison.sides)} settings",
        title="What other settings would have done",
        lead=lead(system, comparison),
        figures=tuple(figure(system, side) for side in comparison.sides),
        sections=sections,
        footer=f"{comparison.id} · seed {comparison.seed} · the same decisions and outcomes for every side",
    )


def lead(system: System, comparison: Comparison) -> str:
    """One sentence for each side that is not as it is."""
    first, *others = comparison.sides
    return " ".join(told(system, first, other) for other in others)


def told(system: System, first: Side, other: Side) -> str:
    """How a side differs from the first in what it did and what it cost."""
    moved = len(live(other)) - len(live(first))
    raised = len(other.replay.alarms) - len(first.replay.alarms)
    words = f"{other.name}: {change(raised, 'alarm')}, {change(moved, 'version')} that answered"
    mine, theirs = total(first), total(other)
    if mine is not None and theirs is not None:
        amount = number(abs(theirs - mine), digits=0)
        words += f", mistakes {amount} {system.frame.currency} {'dearer' if theirs > mine else 'cheaper'}"
    return f"{words}."


def change(by: int, word: str) -> str:
    """+2 alarms, one version fewer: in few words."""
    if not by:
        return f"as many {word}s"
    return f"{count(abs(by))} {word}{'' if abs(by) == 1 else 's'} {'more' if by > 0 else 'fewer'}"


def figure(system: System, side: Side) -> KeyFigure:
    """What the mistakes of a side cost, or how many alarms it raised where mistakes have no price."""
    cost = total(side)
    if cost is None:
        return KeyFigure(label=side.name, value=count(len(side.replay.alarms)), note="alarms")
    value = f"{number(cost, digits=0)} {system.frame.currency}".strip()
    return KeyFigure(label=side.name, value=value, note=f"cost of mistakes; {len(side.replay.alarms)} alarms")


def settings(comparison: Comparison) -> Table:
    """The keys that any side sets otherwise."""
    names = [side.name for side in comparison.sides[1:]]
    keys = sorted({key for side in comparison.sides for key in side.changed})
    rows = tuple((key, *(side.changed.get(key, "as it is") for side in comparison.sides[1:])) for key in keys)
    return Table(columns=("key", *names), rows=rows)


def doings(comparison: Comparison) -> Table:
    """Versions, trainings, rollouts and alarms of each side."""
    rows = [
        (
            side.name,
            count(len(live(side))),
            count(side.replay.snapshots),
            count(len(side.replay.refusals)),
            count(sum(rollout.state in ("rolled_back", "aborted") for rollout in side.replay.rollouts)),
            count(len(side.replay.alarms)),
        )
        for side in comparison.sides
    ]
    columns = ("settings", "versions that answered", "trainings", "stopped by the gate", "rollouts ended", "alarms")
    return Table(columns=columns, rows=tuple(rows))


def exposed(comparison: Comparison) -> Table:
    """How many decisions a version on trial was asked for."""
    rows = [
        (
            side.name,
            count(sum(one.decisions for one in side.exposures)),
            count(sum(one.decisions for one in side.exposures if one.arm == "canary")),
            count(sum(one.decisions for one in side.exposures if one.version in undone(side))),
        )
        for side in comparison.sides
    ]
    columns = ("settings", "decisions", "by the smaller arm of a rollout", "by versions that were taken back")
    return Table(columns=columns, rows=tuple(rows), caption="Who was exposed to what")


def left(comparison: Comparison) -> list[Text]:
    """What of its settings a side could not try."""
    return [
        Text(words=f"{side.name}: {told_untried(side.replay)}", tone="warn")
        for side in comparison.sides
        if side.replay.untried
    ]


def quality(system: System, comparison: Comparison) -> list[Block]:
    """The task's first measure and each metric of the gate, a line for each side."""
    lines = {line.metric: line for line in system.gate.lines}
    measured = [one.name for period in comparison.sides[0].replay.weeks[:1] for one in period.measures]
    names = dict.fromkeys([*measured[:1], *(name for name in measured if name in lines)])
    blocks: list[Block] = []
    for name in names:
        caption = f"{name} by week, as each of the settings would have had it."
        spec = over_time.quality(
            points(comparison, name), metric=name, gate=lines.get(name), marks=marks(comparison.sides)
        )
        blocks.append(Chart(spec=spec, caption=caption, alt=caption, table=whole(comparison, name)))
    return blocks or [Text(words="No outcome has matured in this span.", tone="warn")]


def costs(system: System, comparison: Comparison) -> Block:
    """Cost per decision by week, a line for each side."""
    found = points(comparison, COST)
    if not found:
        return Text(words="This system has not said what its mistakes cost (frame.cost).", tone="warn")
    caption = "Cost per decision by week."
    spec = over_time.costs(found, currency=system.frame.currency, marks=marks(comparison.sides))
    return Chart(spec=spec, caption=caption, alt=caption, table=whole(comparison, COST))


def alarms(comparison: Comparison) -> Table:
    """How many alarms of each kind each side raised."""
    counted = [Counter(alarm.kind for alarm in side.replay.alarms) for side in comparison.sides]
    kinds = sorted({kind for counter in counted for kind in counter})
    rows = tuple((kind.replace("_", " "), *(count(counter[kind]) for counter in counted)) for kind in kinds)
    return Table(columns=("kind", *(side.name for side in comparison.sides)), rows=rows)


def points(comparison: Comparison, name: str) -> list[Point]:
    """What the live answers of each side scored, in the middle of each week."""
    return [
        Point(
            at=(period.start + period.end) // 2,
            value=measure.value,
            low=measure.low,
            high=measure.high,
            series=side.name,
        )
        for side in comparison.sides
        for period in side.replay.weeks
        if period.series == LIVE and (measure := period.measure(name)) is not None
    ]


def marks(sides: Sequence[Side]) -> list[Mark]:
    """When later versions went live."""
    return [Mark(at=version.live_from, label=side.name, kind="version") for side in sides for version in live(side)[1:]]


def whole(comparison: Comparison, name: str) -> Table:
    """The measure over the whole span, by side."""
    rows = [(side.name, interval(one) if (one := over_all(side, name)) else "–") for side in comparison.sides]
    return Table(columns=("settings", name), rows=tuple(rows), folded=True)


def live(side: Side) -> list[LiveVersion]:
    """The versions that answered, in the order in which they were made."""
    return [version for version in side.replay.versions if version.live_from]


def undone(side: Side) -> set[str]:
    """The versions whose rollout was taken back."""
    return {rollout.version for rollout in side.replay.rollouts if rollout.state in ("rolled_back", "aborted")}


def total(side: Side) -> float | None:
    """What all mistakes cost, over the outcomes of the whole span; None where they have no price."""
    measure = over_all(side, COST)
    return None if measure is None else measure.value * measure.rows


def over_all(side: Side, name: str) -> Measure | None:
    """A measure of the live answers over the whole span."""
    return next((one.measure(name) for one in side.replay.whole if one.series == LIVE), None)
