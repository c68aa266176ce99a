"""`kring replay`: what would this system have done?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from kring.cli.moments import MOMENT
from kring.cli.output import Output, answers, folder_argument
from kring.cli.told import show_comparison, show_replay, show_shadow
from kring.errors import UserError
from kring.flow.project import open_project
from kring.flow.replaying.comparing import compare_replays
from kring.flow.replaying.home import replay_in
from kring.flow.replaying.shadowing import shadow_replay


@click.command(short_help="Run the system over history, as it would have been.")
@folder_argument
@click.option("--from", "start", type=MOMENT, help="Train on what was known then, and live from then on.")
@click.option("--to", "end", type=MOMENT, help="Live until then.")
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
@click.option(
    "--shadow",
    metavar="VERSION",
    help="Instead, ask this version what the log says was asked (between --from and --to if given), and compare.",
)
@answers
def command(
    output: Output,
    folder: Path,
    *,
    start: int | None,
    end: int | None,
    seed: int,
    home: Path | None,
    others: tuple[Path, ...],
    shadow: str | None,
) -> None:
    """Run the real operator, router and runtime over history with a simulated clock. The system's own
    ledger and log are not touched.

    With --shadow nothing is trained: a version that was made here is asked what is on record, and its answers are
    compared with those that were given. --home is where that record lies then.
    """
    project = open_project(folder, say=output.progress)
    if shadow is not None:
        if others:
            raise UserError("--shadow and --with are two questions", next="ask one after the other")
        found = shadow_replay(
            project.in_home(home) if home else project, version=shadow, start=start or 0, end=end or 0
        )
        show_shadow(output, found)
        output.result(found)
        return
    if start is None or end is None:
        raise UserError(
            "a replay has a span", got="no --from" if start is None else "no --to", allowed="--from MOMENT --to MOMENT",
            next="kring replay --from 2024-01-01 --to 2024-02-01; of the log alone: --shadow VERSION",
        )  # fmt: skip
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
