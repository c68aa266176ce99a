"""`kring train`: fit, export, prove and measure every candidate."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_NO
from kring.flow.checking import latest_snapshot
from kring.flow.project import open_project
from kring.flow.training.train import Trained, train


@click.command(short_help="Fit every candidate, export it, prove it and measure it.")
@folder_argument
@click.option("--candidate", "candidates", multiple=True, help="Only this one (beside the baseline); repeatable.")
@click.option("--snapshot", default="", help="Train on this snapshot; the newest when left out.")
@click.option("--seed", default=0, show_default=True, help="Seed of fitting and resampling.")
@answers
def command(output: Output, folder: Path, candidates: tuple[str, ...], snapshot: str, seed: int) -> None:
    """Train on a snapshot. A candidate whose export is not faithful is refused, with the reason."""
    project = open_project(folder, say=output.progress)
    trained = train(project, latest_snapshot(project, id=snapshot), only=candidates, seed=seed)
    show_trained(output, trained)
    output.say(f"next: kring compare {folder}")
    refused = all(one.evidence is None for one in trained if not one.run.baseline)
    runs = [{"run": one.run, "evidence": one.evidence, "why": one.why} for one in trained]
    output.result({"runs": runs}, code=EXIT_NO if refused and len(trained) > 1 else 0)


def show_trained(output: Output, trained: list[Trained]) -> None:
    """One line per candidate: the first measure, the seconds, the proof."""
    rows = []
    for one in trained:
        first = one.evidence.measures[0] if one.evidence else None
        quality = f"{first.name} {first.value:.3f} [{first.low:.3f}, {first.high:.3f}]" if first else one.why
        proof = f"{one.run.parity.largest:.1e}" if one.run.parity else "–"
        rows.append((one.run.candidate, one.run.kind, one.run.state, quality, proof, f"{one.run.fit_seconds:.1f}"))
    output.table(("candidate", "kind", "run", "on held-out rows", "export differs by", "seconds to fit"), rows)
