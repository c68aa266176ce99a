"""A replay as a page that tells its story."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kring.charts import over_time
from kring.charts.page import Block, Chart, Code, KeyFigure, Page, Section, Step, Steps, Table, Text, Tone, html
from kring.charts.points import Mark, Point, Volume
from kring.charts.versions import Roles, Versions
from kring.charts.words import count, day, interval, moment, number, percent
from kring.flow.alarming import versions_of
from kring.flow.project import Project
from kring.flow.replaying.rollouts import rollout_blocks
from kring.flow.tracing import trace
from kring.flow.watching.windows import BASELINE, FROZEN, LIVE
from kring.record.replay import Period, Replay
from kring.record.verdict import GateLine
from kring.watch import wording

COST = "expected_cost"
LIFT = "lift_over_baseline."
ADDRESS = "http://127.0.0.1:8000/"
SAID = ("means", "since", "sure", "measured", "effect", "of", "owner", "do", "now")
NAMES = {LIVE: "live", BASELINE: "baseline", FROZEN: "never retrained"}


def write_report(project: Project, replay: Replay) -> Path:
    """The page of a replay, among the reports of its home."""
    target = project.home.reports / "replay.html"
    project.files.write(target, html(page_of(project, replay)).encode())
    return target.absolute()


def page_of(project: Project, replay: Replay) -> Page:
    system = project.system
    sections = [
        Section(title="What happened", blocks=(Text(words=f"{volumes(replay)} {story(replay)}"), history(replay))),
        Section(title="How good the answers were", blocks=tuple(quality_blocks(project, replay))),
        Section(title="What mistakes cost", blocks=tuple(cost_blocks(project, replay))),
        Section(title="How much there was to do", blocks=(volume_block(project, replay),)),
        *how_released(replay),
        Section(title="Versions", blocks=(versions(replay),)),
        Section(title="Alarms", blocks=tuple(alarms(replay, roles=versions_of(project).roles))),
        Section(title="One decision, traced", blocks=(lineage(project, replay),)),
        Section(title="What to try next", blocks=(Code(text=next_steps(project, replay)),)),
    ]
    return Page(
        kicker=f"{system.name} · replay of {day(replay.start)} to {day(replay.end)}",
        title=system.goal,
        lead=point(replay, currency=system.frame.currency),
        figures=tuple(key_figures(project, replay)),
        sections=tuple(sections),
        footer=f"{replay.id} · seed {replay.seed} · decision log {replay.log_digest[:16]} · owner {system.owner}",
    )


def how_released(replay: Replay) -> list[Section]:
    """The tests that new versions went through, where there were any."""
    blocks = rollout_blocks(replay)
    return [Section(title="How new versions came to answer", blocks=tuple(blocks))] if blocks else []


def key_figures(project: Project, replay: Replay) -> list[KeyFigure]:
    """Volumes, coverage, the money, the versions and the alarms."""
    live = sum(1 for version in replay.versions if version.live_from)
    figures = [
        KeyFigure(label="decisions", value=count(replay.decisions)),
        KeyFigure(label="with an outcome", value=percent(replay.outcomes / max(replay.decisions, 1))),
        KeyFigure(label="versions that answered", value=count(live), note=f"of {len(replay.versions)} built"),
        KeyFigure(label="alarms", value=count(len(replay.alarms)), tone="warn" if replay.alarms else "good"),
    ]
    saved = saving(replay, BASELINE)
    return figures if saved is None else [money_figure(saved, project.system.frame.currency), *figures]


def money_figure(saved: Saving, currency: str) -> KeyFigure:
    """The saving against the baseline; coloured only when its interval excludes 0."""
    tone: Tone = "plain"
    if saved.sure:
        tone = "good" if saved.value > 0 else "bad"
    note = "cost of mistakes over the whole span"
    if saved.low is not None and saved.high is not None:
        note += f"; 95 % interval {number(saved.low, digits=0)} to {number(saved.high, digits=0)}"
    value = f"{number(saved.value, digits=0)} {currency}".strip()
    return KeyFigure(label="saved against the baseline", value=value, note=note, tone=tone)


def point(replay: Replay, *, currency: str) -> str:
    """What it came to over the whole span: money and the first metric, beside what else could have answered."""
    parts = [
        compared_cost(saved, words, currency=currency)
        for other, words in ((BASELINE, "the baseline"), (FROZEN, "never retraining"))
        if (saved := saving(replay, other)) is not None
    ]
    series = {period.series: period for period in replay.whole}
    first = series[LIVE].measures[0].name if LIVE in series else ""
    values = [
        f"{interval(measure)} {words}"
        for one, words in ((LIVE, "live"), (BASELINE, "for the baseline"), (FROZEN, "never retrained"))
        if one in series and (measure := series[one].measure(first)) is not None
    ]
    if values:
        parts.append(f"Over the whole span {first} was {', '.join(values)}.")
    return " ".join(parts) or "No outcome has matured in this span, so nothing can be said of its quality."


def compared_cost(saved: Saving, words: str, *, currency: str) -> str:
    """One sentence about what mistakes cost against `words`."""
    amount = number(abs(saved.value), digits=0)
    if amount == number(0.0, digits=0):
        return f"Against {words}, mistakes cost the same."
    told = f"Against {words}, mistakes cost {f'{amount} {currency}'.strip()} {'less' if saved.value > 0 else 'more'}"
    if saved.low is None or saved.high is None:
        return f"{told}."
    ends = f"saved: {number(saved.low, digits=0)} to {number(saved.high, digits=0)}, 95 % interval"
    return f"{told} ({ends})." if saved.sure else f"{told} ({ends}, so it may be chance)."


def volumes(replay: Replay) -> str:
    """How much was decided, and how much of it is known by now."""
    return (
        f"{some(replay.decisions, 'decision')} by the real router, runtime and operator under a simulated clock. "
        f"{some(replay.outcomes, 'outcome')} came at their real delay; "
        f"{some(replay.decisions - replay.outcomes, 'decision')} without one yet, or for ever. "
        "What happened was decided by the data."
    )


def story(replay: Replay) -> str:
    """What happened in a few sentences, from the records alone."""
    live = [version for version in replay.versions if version.live_from]
    parts = [
        f"It began on {day(replay.start)} with a version of {live[0].candidate}." if live else "No version passed."
    ]
    promoted = len(live) - 1
    if promoted > 0:
        parts.append(f"{some(promoted, 'later version')} went live after a shadow on the same inputs.")
    else:
        parts.append("No later version went live.")
    if replay.refusals:
        parts.append(f"{some(len(replay.refusals), 'training')} ended without a version.")
    kinds = sorted({alarm.kind.replace("_", " ") for alarm in replay.alarms})
    if kinds:
        parts.append(f"There {'was' if len(replay.alarms) == 1 else 'were'} {some(len(replay.alarms), 'alarm')} ")
        parts[-1] += f"({', '.join(kinds)})."
    else:
        parts.append("The data gave no cause for an alarm.")
    return " ".join(parts)


def some(number: int, word: str) -> str:
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def history(replay: Replay) -> Steps:
    """Versions and alarms in the order of time."""
    steps = [
        (
            version.live_from,
            Step(name=f"{version.candidate} goes live", label=day(version.live_from), detail=version.id),
        )
        for version in replay.versions
        if version.live_from
    ]
    steps += [
        (
            alarm.at,
            Step(name=f"alarm: {alarm.kind.replace('_', ' ')}", label=day(alarm.at), detail=alarm.what, tone="warn"),
        )
        for alarm in replay.alarms
    ]
    return Steps(steps=tuple(step for _, step in sorted(steps, key=lambda pair: pair[0])))


def quality_blocks(project: Project, replay: Replay) -> list[Block]:
    """The task's first measure and each metric of the gate that matured outcomes can give."""
    lines = {line.metric: line for line in project.system.gate.lines}
    measured = [measure.name for period in replay.weeks[:1] for measure in period.measures]
    names = dict.fromkeys([*measured[:1], *(name for name in measured if name in lines)])
    blocks: list[Block] = [chart(replay, name, gate=lines.get(name)) for name in names]
    return blocks or [Text(words="No outcome has matured in this span.", tone="warn")]


def chart(replay: Replay, name: str, *, gate: GateLine | None) -> Chart:
    """One metric by week, every series that has it; the months as a table behind it."""
    series = (LIVE, FROZEN) if name.startswith(LIFT) else (LIVE, BASELINE, FROZEN)
    caption = f"{name} by week, with 95 % intervals that resample whole days."
    return Chart(
        spec=over_time.quality(points(replay.weeks, name, series), metric=name, gate=gate, marks=marks(replay)),
        caption=caption,
        alt=caption,
        table=months(replay, name, series),
    )


def cost_blocks(project: Project, replay: Replay) -> list[Block]:
    """What each policy's mistakes cost per decision; nothing to say where they have no price."""
    series = (LIVE, BASELINE, FROZEN)
    found = points(replay.weeks, COST, series)
    if not found:
        return [Text(words="This system has not said what its mistakes cost (frame.cost).", tone="warn")]
    currency = project.system.frame.currency
    caption = "Cost per decision by week: as it was decided, by the baseline, and by the first version kept for ever."
    return [
        Chart(
            spec=over_time.costs(found, currency=currency, marks=marks(replay)),
            caption=caption,
            alt=caption,
            table=months(replay, COST, series),
        )
    ]


def points(periods: Sequence[Period], name: str, series: Sequence[str]) -> list[Point]:
    """A point in the middle of each period."""
    return [
        Point(
            at=(period.start + period.end) // 2,
            value=measure.value,
            low=measure.low,
            high=measure.high,
            series=NAMES[period.series],
        )
        for one in series
        for period in periods
        if period.series == one and (measure := period.measure(name)) is not None
    ]


def marks(replay: Replay) -> list[Mark]:
    """Promotions and alarms, to be seen above every line."""
    versions = [
        Mark(at=version.live_from, label=f"{version.candidate} live", kind="version")
        for version in replay.versions
        if version.live_from
    ]
    return versions + [Mark(at=alarm.at, label=alarm.kind.replace("_", " "), kind="alarm") for alarm in replay.alarms]


def months(replay: Replay, name: str, series: Sequence[str]) -> Table:
    """The same by calendar month."""
    starts = sorted({period.start for period in replay.months})
    by = {(period.start, period.series): period for period in replay.months}
    rows = [
        (day(start)[:7], *(shown(by.get((start, one)), name) for one in series), count(by[start, LIVE].outcomes))
        for start in starts
        if (start, LIVE) in by
    ]
    return Table(
        columns=("month", *(NAMES[one] for one in series), "outcomes"), rows=tuple(rows), caption=name, folded=True
    )


def shown(period: Period | None, name: str) -> str:
    measure = period.measure(name) if period else None
    return interval(measure) if measure else "–"


@dataclass(frozen=True)
class Saving:
    """What the live answers' mistakes cost less than another's, in money over all outcomes, with the
    95 % interval where the two were measured in pairs."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def saving(replay: Replay, other: str) -> Saving | None:
    """The cost per decision of `other` minus that of the live answers, times the outcomes of the whole span."""
    series = {period.series: period for period in replay.whole}
    if LIVE not in series or other not in series:
        return None
    mine, theirs = series[LIVE].measure(COST), series[other].measure(COST)
    if mine is None or theirs is None:
        return None
    value = (theirs.value - mine.value) * mine.rows
    lift = series[LIVE].measure(LIFT + COST) if other == BASELINE else None
    return Saving(value=value, low=lift.low * mine.rows, high=lift.high * mine.rows) if lift else Saving(value=value)


def volume_block(project: Project, replay: Replay) -> Chart:
    width = project.system.watch.window_us
    days = [Volume(start=at, end=at + width, decisions=made, outcomes=known) for at, made, known in replay.volumes]
    caption = "Decisions in each window, and how many of them have an outcome by now."
    return Chart(spec=over_time.volumes(days), caption=caption, alt=caption)


def versions(replay: Replay) -> Table:
    states = {rollout.version: rollout for rollout in replay.rollouts}
    rows = [
        (
            version.id,
            version.candidate,
            moment(version.live_from) if version.live_from else "never",
            states[version.id].state if version.id in states else "–",
            states[version.id].reason if version.id in states else "",
        )
        for version in replay.versions
    ]
    return Table(columns=("version", "candidate", "live from", "rollout", "why"), rows=tuple(rows))


def alarms(replay: Replay, *, roles: Roles | None = None) -> list[Block]:
    """Every alarm in the words in which it is told: what it means, since when, how sure, what it does, what to do."""
    if not replay.alarms:
        return [Text(words="The data gave no cause for an alarm.", tone="good")]
    known = Versions(roles={**roles}) if roles else None
    steps = [
        Step(
            name=f"{alarm.tier}: {alarm.what}",
            label=f"{alarm.kind.replace('_', ' ')}, {day(alarm.at)}",
            facts=tuple(fact for fact in wording.facts(alarm, versions=known) if fact[0] in SAID),
            tone="bad" if alarm.tier == "page" else "warn",
        )
        for alarm in replay.alarms
    ]
    return [Text(words=f"{some(len(steps), 'alarm')}, as they were told."), Steps(steps=tuple(steps))]


def lineage(project: Project, replay: Replay) -> Steps:
    """The example decision back to its source."""
    return Steps(
        steps=tuple(
            Step(
                name=node.kind,
                label=node.id,
                detail=f"{moment(node.at)} · {node.owner} · "
                + "; ".join(f"{k} {v}" for k, v in list(node.facts.items())[:6]),
            )
            for node in trace(project, replay.trace_id).nodes
        )
    )


def next_steps(project: Project, replay: Replay) -> str:
    """Commands under a line that says what each is for."""
    folder = shlex.quote(str(project.folder.resolve()))
    return "\n".join(
        line for what, command in next_commands(project, replay, folder=folder) for line in (f"# {what}", command)
    )


def next_commands(project: Project, replay: Replay, *, folder: str) -> list[tuple[str, str]]:
    """What can be done with what a replay has left, as (what for, command); only what would work."""
    is_home = project.home.root == project.folder / ".kring"
    where = folder if is_home else f"{folder} --home {shlex.quote(str(project.home.root))}"
    told = [
        ("what rang: what it means, how sure it is, what to do", f"kring alarms {where} --all"),
        ("how the newest version came to answer, and how sure that is", f"kring rollout show {where}"),
        ("where it stands; --verify recomputes the whole ledger", f"kring status {where} --verify"),
        ("one decision, back to its source", f"kring trace {replay.trace_id} {where}"),
    ]
    if "previous" in versions_of(project).roles.values():
        told.append(("let the previous version answer again", f"kring rollback {where} --reason 'trying it'"))
    ends = f"--from {day(replay.start)} --to {day(replay.end)}"
    told.append(
        (f"what would have happened otherwise: edit {folder}/kring.toml, then", f"kring replay {folder} {ends}")
    )
    if is_home:
        told.append((f"its pages, at {ADDRESS} (sign in with the key that this shows once)", f"kring serve {folder}"))
    return told
