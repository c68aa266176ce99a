"""`kring trial list|start|show|stop|outcomes|read`: A/B tests, looked at whenever one likes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from kring.charts.words import lines, moment
from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_DONE, EXIT_NO, UserError
from kring.flow.operating.showing import typed
from kring.flow.project import Project, open_project
from kring.flow.trial_tables import Better, TableAsked, TableSeen, read_table
from kring.flow.trials import file_outcomes, see_trial, start_trial, stop_trial, trials_of
from kring.record.trial import OutcomeSeen, TrialRun, TrialSeen

NAME = click.argument("name", metavar="NAME")
BY = click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
SHOWN: Final = 10
STATES: Final = {"running": "bold", "concluded": "bold green", "ended": "bold", "stopped": "bold yellow"}


@click.group(short_help="Compare arms on what users do, at any time.")
def command() -> None:
    """Trials: arms compared on what users do. Intervals hold however often one looks, and the rules by which a trial
    ends are declared beforehand."""


@command.command("list")
@folder_argument
@answers
def list_(output: Output, folder: Path) -> None:
    """List the trials that are declared in DIR, and what became of them."""
    known = trials_of(open_project(folder, say=output.progress))
    if known:
        rows = [
            (name, run.state if run else "not started", moment(run.started) if run else None, run.why if run else None)
            for name, run in known.items()
        ]
        output.table(("trial", "state", "started", "why"), rows)
    else:
        output.say("no trial is declared; next: write [[trial]] in kring.toml")
    output.result({"trials": [{"name": name, "run": run} for name, run in known.items()]})


@command.command("start")
@NAME
@folder_argument
@BY
@answers
def start_(output: Output, name: str, folder: Path, *, actor: str) -> None:
    """Start the trial NAME with its terms as they stand in kring.toml; what is written there later changes nothing."""
    run = start_trial(opened(output, folder, actor), name)
    terms = run.terms
    output.say(f"{name} runs as {run.id}: {shares_in(run)}", style="bold green")
    output.say(
        f"{terms.outcomes[0].name} decides, at {100 * (1 - terms.alpha):g} % however often one looks; {ends(run)}"
    )
    output.result(run)


@command.command("stop")
@NAME
@folder_argument
@click.option("--reason", "why", required=True, help="Why; it stays on the ledger.")
@BY
@answers
def stop_(output: Output, name: str, folder: Path, *, why: str, actor: str) -> None:
    """End the trial NAME. What was proven until then stays proven; nothing else becomes so."""
    run = stop_trial(opened(output, folder, actor), name, why=why)
    output.say(f"{name} is stopped: {why}", style="bold yellow")
    output.result(run)


@command.command("show")
@NAME
@folder_argument
@answers
def show_(output: Output, name: str, folder: Path) -> None:
    """Show how the trial NAME stands: arms, intervals that hold at any time, and what is proven. The exit code is 1
    while a brake keeps everybody from concluding."""
    run, seen = see_trial(open_project(folder, say=output.progress), name)
    output.say(f"{name}: {run.state} since {moment(run.ended or run.started)}", style=STATES[run.state])
    if run.why:
        output.say(f"  {run.why}")
    if seen.stops:
        output.say(f"  it ends now: {seen.stops}")
    elif run.is_running and not seen.on:
        output.say("\n".join(lines(ends(run), first="  ", rest="  ")))
    tell_brakes(output, run, seen, folder=typed(folder))
    tell(output, seen)
    output.result({"run": run, "seen": seen}, code=EXIT_NO if seen.brakes else EXIT_DONE)


@command.command("outcomes")
@NAME
@folder_argument
@click.option("--from", "path", required=True, type=click.Path(path_type=Path), help="unit, outcome, value[, at].")
@answers
def outcomes_(output: Output, name: str, folder: Path, *, path: Path) -> None:
    """Put on record what units of the trial NAME did. The last report of a unit and outcome counts, all are kept; the
    same one twice changes nothing. What can't be believed is refused; the others are recorded."""
    found = file_outcomes(open_project(folder, say=output.progress), name, path)
    output.say(
        f"{found.recorded:,} outcomes recorded, {found.corrected:,} corrected, {found.known:,} known already, "
        f"{found.refused:,} refused",
        style="bold" if not found.refused else "bold red",
    )
    for refused in found.examples:
        output.say(f"  {refused.unit}: {refused.reason}")
    output.result(found, code=EXIT_NO if found.refused else EXIT_DONE)


@command.command("read")
@click.option("--from", "path", required=True, type=click.Path(path_type=Path), help="A table with a row for a unit.")
@click.option("--arm", required=True, help="The column that says who was shown what.")
@click.option("--outcome", "outcomes", required=True, multiple=True, help="A column of outcomes; the first decides.")
@click.option("--unit", default="", help="The column that names units; else each row is one.")
@click.option("--control", default="", help="The arm that the others are compared with; else the first by name.")
@click.option("--share", "shares", multiple=True, metavar="ARM=SHARE", help="Planned shares; else equal ones.")
@click.option("--bounds", multiple=True, metavar="OUTCOME=LEAST..MOST", help="Between which values numbers lie.")
@click.option("--better", type=click.Choice(["higher", "lower"]), default="higher", show_default=True)
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True)
@click.option("--planned", type=click.IntRange(0), default=0, help="Units that were planned beforehand.")
@answers
def read_(
    output: Output,
    path: Path,
    arm: str,
    outcomes: tuple[str, ...],
    *,
    unit: str,
    control: str,
    shares: tuple[str, ...],
    bounds: tuple[str, ...],
    better: Better,
    alpha: float,
    planned: int,
) -> None:
    """Read a finished experiment from a table: each arm's outcomes, their differences with the interval for one look
    and the one that holds at any time, and whether the arms got their shares. The exit code is 1 while a brake keeps
    everybody from concluding."""
    asked = TableAsked(
        arm=arm,
        outcomes=outcomes,
        unit=unit,
        control=control,
        shares={name: share_in(text) for name, text in pairs(shares, key="--share")},
        bounds={name: bounds_in(text) for name, text in pairs(bounds, key="--bounds")},
        better=better,
        alpha=alpha,
        planned=planned,
    )
    found = read_table(path, asked)
    say_table(output, path, found)
    tell(output, found.seen)
    output.result(found, code=EXIT_NO if found.seen.brakes else EXIT_DONE)


def say_table(output: Output, path: Path, found: TableSeen) -> None:
    left = [(found.without, "name no arm"), (found.again, "repeat a unit and count once")]
    notes = "".join(f"; {count:,} {what}" for count, what in left if count)
    output.say(f"{path.name}: {found.rows:,} rows{notes}", style="bold")


def opened(output: Output, folder: Path, actor: str) -> Project:
    return replace(open_project(folder, say=output.progress), actor=actor)


def tell_brakes(output: Output, run: TrialRun, seen: TrialSeen, *, folder: str) -> None:
    """Since when nothing can be concluded, why, and what to do; it ends by no rule as long as that lasts."""
    if not seen.on:
        return
    output.say("  NOTHING CAN BE CONCLUDED NOW", style="bold yellow")
    for one in seen.on:
        for label, text in (("since", f"about {moment(one.since)}"), ("why", one.why), ("do", one.todo)):
            output.say("\n".join(lines(text, first=f"    {label:<7}", rest=" " * 11)))
    over = run.started + run.terms.most_us
    late = f", though its time was over {moment(over)}" if run.terms.most_us and over <= seen.at else ""
    output.say("\n".join(lines(f"As long as this lasts it does not end by itself{late}. To end it:", first="  ")))
    output.say(f"    kring trial stop {run.name} {folder} --reason '…'")


def tell(output: Output, seen: TrialSeen) -> None:
    """Arms, split and every outcome as tables, then in words."""
    split = seen.split
    planned = ", ".join(f"{arm} {count:,} of {100 * split.shares[arm]:g} %" for arm, count in split.units.items())
    output.say(f"units: {planned} (p = {split.p:.2g} for one look)")
    for outcome in seen.outcomes:
        tell_outcome(output, outcome, control=seen.control)
    handled = seen.handled
    notes = [
        (handled.waiting, "units whose time has not passed"),
        (handled.corrected, "corrections"),
        (handled.unknown, "reports of units that were shown no arm"),
        (handled.outside, "outcomes outside their time"),
    ]
    said = ", ".join(f"{count:,} {what}" for count, what in notes if count)
    if said:
        output.say(said)
    for words in seen.words[len(seen.on) :]:
        output.say("\n".join(lines(f"→ {words}", rest="  ")), style="bold yellow" if seen.brakes else "")


def tell_outcome(output: Output, outcome: OutcomeSeen, *, control: str) -> None:
    compared = {one.arm: one for one in outcome.compared}
    rows: list[tuple[object, ...]] = []
    for arm in outcome.arms:
        one = compared.get(arm.arm)
        rows.append(
            (
                f"{arm.arm} (control)" if arm.arm == control else arm.arm,
                f"{arm.known:,}",
                figure(arm.mean, outcome),
                span(arm.low, arm.high, outcome),
                figure(one.difference, outcome, sign="+") if one else None,
                span(one.low, one.high, outcome, sign="+") if one else None,
                span(one.classic_low, one.classic_high, outcome, sign="+") if one else None,
                f"{one.p:.2g}" if one else None,
                one.finding if one else None,
            )
        )
    sure = f"{100 * (1 - outcome.alpha):.4g} %"
    columns = ("arm", "known", "mean", "at any time", "difference", f"{sure} at any time", f"{sure} for one look")
    output.table((*columns, "p", "proven"), rows, title=f"{outcome.name} ({outcome.better} is better)")


def figure(value: float | None, outcome: OutcomeSeen, *, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{100 * value:{sign}.2f} %" if outcome.kind == "rate" else f"{value:{sign}.4g}"


def span(low: float | None, high: float | None, outcome: OutcomeSeen, *, sign: str = "") -> str:
    return f"{figure(low, outcome, sign=sign)} to {figure(high, outcome, sign=sign)}"


def shares_in(run: TrialRun) -> str:
    return ", ".join(f"{100 * run.terms.shares[arm]:.4g} % {arm} ({value})" for arm, value in run.terms.arms.items())


def ends(run: TrialRun) -> str:
    """The rules of its end, in words."""
    terms = run.terms
    rules = [f"never before {terms.least_units:,} units in each arm"]
    if terms.most_units:
        rules.append(f"at the latest with {terms.most_units:,} units")
    if terms.most_us:
        rules.append(f"nobody is taken in after {moment(run.started + terms.most_us)}")
    return "; ".join(["it ends when something is proven", *rules])


def pairs(texts: tuple[str, ...], *, key: str) -> list[tuple[str, str]]:
    """`NAME=VALUE` as pairs; `UserError` for anything else, and for a name that stands twice."""
    found = [(name, value) for name, _, value in (text.rpartition("=") for text in texts)]
    twice = [name for name, count in Counter(name for name, _ in found).items() if count > 1 or not name]
    if twice:
        raise UserError(
            "this names nothing, or something twice", got=", ".join(texts)[:80], allowed="NAME=VALUE", key=key
        )
    return found


def share_in(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UserError("this is no share", got=repr(text)[:40], allowed="a share between 0 and 1", key="--share")
    return share


def bounds_in(text: str) -> tuple[float, float]:
    least, _, most = text.partition("..")
    try:
        low, high = float(least), float(most)
    except ValueError:
        low = high = 0.0
    if not (low < high and abs(low) < 1e300 and abs(high) < 1e300):
        raise UserError(
            "these are no bounds", got=repr(text)[:40], allowed="LEAST..MOST, such as 0..100", key="--bounds"
        )
    return low, high
