"""A load test as a page."""

from __future__ import annotations

from pathlib import Path

from kring.charts import load
from kring.charts.page import Block, Chart, KeyFigure, Page, Section, Table, Text, html
from kring.charts.words import count, moment, number, percent
from kring.flow.project import Project
from kring.record.load import Level, LoadTest

COPY = "The server was a copy of the system with its own log on the same disk: nothing of this test is on record."
THERE = "The server was there already: it has a record of every answer of this test, and windows count them."


def write_page(project: Project, test: LoadTest, *, path: Path | None) -> Path:
    """The page with the charts, at `path` or among the system's reports."""
    target = path or project.home.reports / "bench-serve.html"
    project.files.write(target, html(page_of(project, test)).encode())
    return target.absolute()


def page_of(project: Project, test: LoadTest) -> Page:
    return Page(
        kicker=f"{test.system} · load test",
        title="How much it answers, and how fast",
        lead=f"Each connection asks again as soon as it is answered, with {test.rows} rows of the newest snapshot in "
        "turn. Client and server share this machine, so they share its cores: read CPU for each answer and latency "
        "rather than answers per second.",
        figures=tuple(key_figures(test)),
        sections=(
            Section(title="Under load", blocks=tuple(chart_blocks(project, test))),
            Section(title="In numbers", blocks=(levels_table(test), *process_tables(test))),
            Section(title="What was asked", blocks=(Text(words=COPY if test.workers else THERE),)),
        ),
        footer=f"{moment(test.at)} · snapshot {test.snapshot} · client {test.client} · {test.url}",
    )


def key_figures(test: LoadTest) -> list[KeyFigure]:
    best = max(test.levels, key=lambda level: level.per_s)
    last = test.levels[-1]
    bad = sum(level.refused + level.failed for level in test.levels)
    figures = [
        KeyFigure(label="answers per second", value=count(round(best.per_s)), note=f"at {connections(best)}"),
        KeyFigure(label="99 % answered within", value=milliseconds(last.p99_ms), note=f"at {connections(last)}"),
        KeyFigure(label="refused or unanswered", value=count(bad), tone="bad" if bad else "good"),
    ]
    if last.cpu_us is not None:
        note = f"all processes, at {connections(last)}"
        figures.append(KeyFigure(label="CPU for each answer", value=f"{number(last.cpu_us, digits=0)} µs", note=note))
    if test.first_answer_s is not None:
        value = f"{number(test.first_answer_s, digits=1)} s"
        figures.append(KeyFigure(label="from start to first answer", value=value))
    return figures


def chart_blocks(project: Project, test: LoadTest) -> list[Block]:
    limit_ms = project.system.guard.timeout_us / 1000
    drawn = (
        (load.throughput(test.levels), "Answers per second at each number of connections."),
        (
            load.latency(test.levels, limit_ms=limit_ms),
            f"How long requests waited; the dashed line is guard.timeout, {limit_ms:g} ms.",
        ),
        (
            load.cpu(test.levels),
            "CPU time for each answer: of the busiest process, usually the worker, and of all others.",
        ),
        (load.failures(test.levels), "Requests that were refused, or got no answer."),
    )
    return [Chart(spec=spec, caption=caption, alt=caption, half=True) for spec, caption in drawn]


def levels_table(test: LoadTest) -> Table:
    columns = ("connections", "per second", "median", "90 %", "99 %", "CPU µs", "answered", "refused", "no answer")
    rows = tuple(
        (
            count(level.connections),
            count(round(level.per_s)),
            milliseconds(level.p50_ms),
            milliseconds(level.p90_ms),
            milliseconds(level.p99_ms),
            number(level.cpu_us, digits=0),
            count(level.answered),
            count(level.refused),
            count(level.failed),
        )
        for level in test.levels
    )
    return Table(columns=columns, rows=rows)


def process_tables(test: LoadTest) -> list[Table]:
    """Where the CPU went at the highest level, process by process."""
    last = test.levels[-1]
    if not last.processes:
        return []
    all_us = last.cpu_us or 1.0
    rows = tuple(
        (one.name, number(one.cpu_us, digits=1), percent(one.cpu_us / all_us), number(one.rss_mb, digits=0))
        for one in last.processes
    )
    caption = f"Processes of the server at {connections(last)}."
    return [Table(columns=("process", "CPU µs for each answer", "share", "memory, MB"), rows=rows, caption=caption)]


def milliseconds(value: float | None) -> str:
    return f"{number(value, digits=1)} ms" if value is not None else number(None)


def connections(level: Level) -> str:
    return f"{level.connections} connection{'' if level.connections == 1 else 's'}"
