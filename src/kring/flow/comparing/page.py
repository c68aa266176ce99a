"""The page on which candidates are compared."""

from __future__ import annotations

from pathlib import Path

from kring.charts import candidates, curves
from kring.charts.page import Block, Chart, KeyFigure, Page, Section, Table, Text, html
from kring.charts.trades import trade
from kring.charts.words import count, interval, percent
from kring.experiment.comparison import Compared, frontier
from kring.flow.comparing.compare import LIFT, Comparison
from kring.flow.comparing.labels import label_blocks
from kring.flow.comparing.scrutiny import scrutiny
from kring.flow.project import Project
from kring.metrics.gates import line_text
from kring.record.evidence import Curve, Evidence


def write_comparison(project: Project, compared: Comparison, *, path: Path | None) -> Path:
    """The page with the charts, at `path` or among the system's reports."""
    target = path or project.home.reports / "compare.html"
    project.files.write(target, html(page_of(project, compared)).encode())
    return target.absolute()


def page_of(project: Project, compared: Comparison) -> Page:
    system, best = project.system, compared.rows[0]
    first = compared.evidence[best.candidate]
    figures = [
        KeyFigure(label="candidates", value=count(len(compared.rows)), note=f"baseline: {system.baseline.name}"),
        KeyFigure(label="held-out rows", value=count(first.rows), note=f"in {first.groups} groups by {first.group_by}"),
        KeyFigure(label=compared.metrics[0], value=interval(best.measures[compared.metrics[0]]), note=best.candidate),
    ]
    return Page(
        kicker=system.name,
        title="Candidates compared",
        lead=f"{system.goal}. Good enough means: {system.frame.good_enough or 'not said'}. Every number was measured "
        "on rows that no candidate has learned from, on the exported model, with its 95 % interval.",
        figures=tuple(figures),
        sections=(
            Section(title="What the gate looks at", blocks=tuple(gate_blocks(project, compared))),
            Section(title="What one buys with the other", blocks=tuple(trade_blocks(project, compared))),
            Section(title="How far they can be believed", blocks=tuple(curve_blocks(project, compared))),
            *scrutiny(first),
            *making(compared),
            Section(title="Everything that was measured", blocks=(everything(compared), *refusals(compared))),
        ),
        footer=f"snapshot {first.snapshot} · commit {project.commit} · {first.draws} draws, seed {first.seed}",
    )


def making(compared: Comparison) -> list[Section]:
    """Searches, variants and warnings, where there are any."""
    if not compared.notes:
        return []
    return [Section(title="How they were made", blocks=(Table(columns=("candidate", "note"), rows=compared.notes),))]


def gate_blocks(project: Project, compared: Comparison) -> list[Block]:
    """One chart per metric that the gate or the cost of mistakes asks for."""
    blocks: list[Block] = []
    baseline = project.system.baseline.name
    for name in dict.fromkeys([*compared.metrics, *(line.metric for line in project.system.gate.lines)]):
        line = next((one for one in project.system.gate.lines if one.metric == name), None)
        lifted = name.startswith(LIFT)
        measures = {
            candidate: measure
            for candidate, evidence in compared.evidence.items()
            for measure in evidence.measures
            if measure.name == name and not (lifted and candidate == baseline)
        }
        if not measures:
            continue
        asked = f"; the gate asks for {line_text(line)}" if line else ""
        chart = candidates.comparison(measures, baseline=baseline, gate=line, results=compared.results)
        caption = f"{name}: each candidate's value on its 95 % interval{asked}."
        blocks.append(Chart(spec=chart, caption=caption, alt=caption))
    return blocks


def trade_blocks(project: Project, compared: Comparison) -> list[Block]:
    """Quality against everything that it is paid with, and who is beaten in all of it."""
    quality, *prices = compared.trades.values()
    best = frontier(compared.rows)
    blocks: list[Block] = []
    for price in prices:
        pairs = {
            row.candidate: (row.measures[price], row.measures[quality])
            for row in compared.rows
            if price in row.measures and quality in row.measures
        }
        caption = f"{quality} against {price}. Nobody beats {listed(best)} in everything at once."
        spec = trade(pairs, frontier=best, baseline=project.system.baseline.name)
        blocks.append(Chart(spec=spec, caption=caption, alt=caption, half=True))
    beaten = [(row.candidate, listed(row.dominated_by)) for row in compared.rows if row.dominated_by]
    if beaten:
        words = "Worse in nothing and clearly better in something. To release a dominated candidate takes a reason."
        blocks.append(Table(columns=("candidate", "is dominated by"), rows=tuple(beaten), caption=words))
    return blocks


def listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def curve_blocks(project: Project, compared: Comparison) -> list[Block]:
    """The curves of the best candidate, and everybody's where they share a plane."""
    best = compared.rows[0].candidate
    evidence = compared.evidence[best]
    found = {curve.name: curve for curve in evidence.curves}
    blocks: list[Block] = []
    if evidence.threshold is not None and "calibration" in found:
        caption = (
            f"Predicted against what came true, {best}. On the diagonal, probabilities can be taken at their word."
        )
        blocks.append(Chart(spec=curves.calibration(found["calibration"]), caption=caption, alt=caption, half=True))
    if evidence.threshold is not None and "cost" in found:
        spec = curves.cost_of_threshold(
            found["cost"], evidence.threshold, currency=project.system.frame.currency, baseline=baseline_cost(compared)
        )
        caption = f"What a decision costs at each threshold, {best}; the chosen one follows from the cost of mistakes."
        blocks.append(Chart(spec=spec, caption=caption, alt=caption, half=True))
    planes = {name: curve for name, each in compared.evidence.items() if (curve := curve_of(each, "roc"))}
    if planes:
        caption = "Right alarms against false ones, at every threshold."
        blocks.append(Chart(spec=curves.roc(planes), caption=caption, alt=caption, half=True))
    outputs = {
        label: curve for label, name in (("no", "scores_no"), ("yes", "scores_yes")) if (curve := found.get(name))
    }
    if outputs:
        caption = f"How {best} spreads its outputs over rows that turned out yes and no."
        spec = curves.scores(outputs, threshold=evidence.threshold)
        blocks.append(Chart(spec=spec, caption=caption, alt=caption, half=True))
    blocks += label_blocks(best, evidence.curves)
    return blocks or [Text(words="This kind of question has no curves.")]


def curve_of(evidence: Evidence, name: str) -> Curve | None:
    return next((curve for curve in evidence.curves if curve.name == name), None)


def baseline_cost(compared: Comparison) -> float | None:
    """What the baseline's mistakes cost, where mistakes have a price."""
    row = next((row for row in compared.rows if row.baseline), None)
    cost = row.measures.get("expected_cost") if row else None
    return cost.value if cost else None


def everything(compared: Comparison) -> Table:
    names = list(dict.fromkeys(name for row in compared.rows for name in row.measures))
    rows = [(name, *(cell(row, name) for row in compared.rows)) for name in names]
    return Table(
        columns=("measure", *(row.candidate for row in compared.rows)),
        rows=tuple(rows),
        caption="Value and 95 % interval.",
    )


def cell(row: Compared, name: str) -> str:
    measure = row.measures.get(name)
    if measure is None:
        return "–"
    return percent(measure.value) if name == "coverage" else interval(measure)


def refusals(compared: Comparison) -> list[Block]:
    return [
        Text(words=f"{one.run.candidate} was {one.run.state}: {one.run.reason}", tone="warn")
        for one in compared.refused
    ]
