"""`kring replay`: what would this system have done?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from kring.cli.moments import MOMENT
from kring.cli.output import Output, answers, folder_argument
from kring.cli.told import show_comparison, show_replay
from kring.flow.project import open_project
from kring.flow.replaying.comparing import compare_replays
from kring.flow.replaying.home import replay_in


@click.command(short_help="Run the system over history, as it would have been.")
@folder_argument
@click.option(
    "--from", "start", type=MOMENT, required=True, help="Train on what was known then, and live from then on."
)
@click.option("--to", "end", type=MOMENT, required=True, help="Live until then.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same replay.")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Where the replay keeps its state; DIR/.kring/replays/… when left out.",
)
@click.option(
    "--with",
    "others",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Other settings to compare with: a changed copy of kring.toml in the same folder. May be given several times.",
)
@answers
def command(
    output: Output, folder: Path, *, start: int, end: int, seed: int, home: Path | None, others: tuple[Path, ...]
) -> None:
    """Run the real operator, router and runtime over history with a simulated clock. The system's own
    ledger and log are not touched."""
    project = open_project(folder, say=output.progress)
    if others:
        compared, page = compare_replays(project, others, home=home, start=start, end=end, seed=seed)
        show_comparison(output, compared)
        output.say(f"report: {page}")
        output.result({"report": page, "comparison": compared})
        return
    project, result, report = replay_in(project, home=home, start=start, end=end, seed=seed)
    show_replay(output, result)
    output.say(f"report: {report}")
    output.say(f"next: kring trace {result.trace_id} {folder} --home {project.home.root}")
    days = [{"start": start, "decisions": made, "outcomes": known} for start, made, known in result.volumes]
    told = msgspec.structs.asdict(result) | {"volumes": days}
    output.result({"home": project.home.root, "report": report, "replay": told})
