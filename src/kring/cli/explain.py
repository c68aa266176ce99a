"""`kring explain`: why one decision came out as it did."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from kring.cli.output import Output, answers, folder_argument
from kring.explain.words import shown
from kring.flow.explaining import explain
from kring.flow.project import open_project
from kring.record.explanation import Explanation, Method


@click.command(short_help="Say why a decision came out as it did.")
@click.argument("id", metavar="ID")
@folder_argument
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default="shap",
    help="shap: Shapley values (the default); lime: a linear model round the row, with the extra `explain`.",
)
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, id: str, folder: Path, method: Method, home: Path | None) -> None:
    """Explain decision ID (d_…) of the system in DIR: what each column did to the output, against rows that the version
    learned from, and the strongest reasons in words. It is found out once and kept."""
    project = open_project(folder, say=output.progress)
    explanation = explain(project.in_home(home) if home else project, id, method=method)
    show_explanation(output, explanation)
    output.result(explanation)


def show_explanation(output: Output, explanation: Explanation) -> None:
    """Who answered what, the reasons, then every column."""
    output.say(f"decision {explanation.decision}", style="bold")
    output.say(f"  answered by {explanation.answered_by}", style="dim")
    if explanation.value is not None and explanation.base is not None:
        output.say(f"  {explanation.output} is {explanation.value:.4g}; usually it is {explanation.base:.4g}")
    for reason in explanation.reasons:
        output.say(f"  · {reason}")
    if explanation.contributions:
        rows = [(one.words, shown(one.value), f"{one.effect:+.4f}") for one in explanation.contributions]
        output.table(["column", "value", "effect"], rows)
        output.say(f"  {how(explanation)}", style="dim")
    if explanation.held:
        output.say(f"  kept as they are: {', '.join(explanation.held)}", style="dim")


def how(explanation: Explanation) -> str:
    """How it was found out."""
    against = f"against {explanation.background:,} rows; {explanation.asked:,} rows answered"
    if explanation.method == "lime":
        return f"LIME, {against}; it fits {explanation.fit or 0:.0%} of what varies"
    largest = max(one.error for one in explanation.contributions)
    return f"Shapley values, {'exact' if explanation.exact else f'within ±{2 * largest:.2g}'}, {against}"
