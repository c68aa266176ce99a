"""`kring review`: decisions that people look at."""

from __future__ import annotations

from pathlib import Path

import click

from kring.charts.words import interval
from kring.cli.output import Output, answers
from kring.errors import EXIT_DONE, EXIT_NO, UserError
from kring.flow.project import open_project
from kring.flow.reviewing import NEXT, review, review_queue
from kring.record.review import ReviewQueue, ToReview

WHY = {
    "asked": "the answer was to ask a person",
    "flagged": "a guard fired",
    "disagreeing": "a shadow decided otherwise",
    "uncertain": "the version was least sure of it",
    "drawn": "drawn at random",
}


@click.command(short_help="Look at decisions, and say what they should have been.")
@click.argument("words", metavar="[ID] [DIR]", nargs=-1)
@click.option("--says", help="What the decision should have been.")
@click.option("--by", default="", help="Who looks at it.")
@click.option("--most", default=NEXT, show_default=True, type=click.IntRange(1, 1000), help="Show so many.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, *, words: tuple[str, ...], says: str | None, by: str, most: int, home: Path | None) -> None:
    """Show which decisions wait to be looked at, and why; or say with ID, --says and --by what one should have been.

    [learn.review] in kring.toml says which decisions these are. What the version answered is not shown: who sees it
    tends to repeat it. A review is an outcome of the decision, and a label of the next snapshot.
    """
    id, folder = meant(words)
    if bool(id) != (says is not None):
        raise UserError(
            "a review is of one decision", got=" ".join(words)[:80], allowed="ID --says VALUE --by NAME",
            next="kring review shows which decisions wait",
        )  # fmt: skip
    project = open_project(folder, say=output.progress)
    project = project.in_home(home) if home else project
    if says is None:
        queue = review_queue(project, most=most, by=by)
        show(output, queue)
        output.result(queue)
        return
    told = review(project, id, value=says, by=by)
    words_ = {"recorded": "is on record", "corrected": "replaces what was said before", "known": "was said already"}
    output.say(f"{told.id}: {says} {words_[told.heard]}" if told.heard != "refused" else f"refused: {told.reason}")
    output.result(told, code=EXIT_NO if told.heard == "refused" else EXIT_DONE)


def meant(words: tuple[str, ...]) -> tuple[str, Path]:
    """The decision, if one is named, and the folder."""
    ids = [word for word in words if word.startswith("d_")]
    folders = [word for word in words if not word.startswith("d_")]
    if len(ids) > 1 or len(folders) > 1:
        raise UserError("too many words", got=" ".join(words)[:80], allowed="one decision, one folder")
    return (ids or [""])[0], Path((folders or ["."])[0])


def show(output: Output, queue: ReviewQueue) -> None:
    """What waits, and how far people agree."""
    causes = ", ".join(f"{n:,} {cause}" for cause, n in queue.causes.items())
    output.say(
        f"{queue.system}: {queue.waiting:,} of {queue.decisions:,} decisions of the last 30 days wait to be looked at"
        + (f" ({causes})" if causes else ""),
        style="bold",
    )
    for one in queue.next:
        show_one(output, one)
    if queue.next:
        said = f" ({', '.join(map(str, queue.allowed))})" if queue.allowed else ""
        output.say(f"what should {queue.target} be?{said}  kring review ID --says … --by NAME")
    if queue.reviewed:
        output.say(f"{queue.reviewed:,} decisions were looked at")
    if queue.agreement is not None:
        kappa = queue.agreement
        output.say(f"people agree on {kappa.rows:,} of them by {kappa.name.replace('_', ' ')} {interval(kappa)}")
    for each in queue.contradictions:
        said = ", ".join(f"{name} says {value}" for name, value in each.said.items())
        output.say(f"! {each.id}: {said}", style="yellow")


def show_one(output: Output, one: ToReview) -> None:
    output.say(f"{one.id}  {one.at}", style="bold")
    output.say(f"  why    {'; '.join(WHY[cause] for cause in one.why)}")
    if one.guards:
        output.say(f"  guards {', '.join(one.guards)}")
    if one.by:
        output.say(f"  seen   by {', '.join(one.by)}")
    for name, value in one.inputs.items():
        output.say(f"  {name:<20} {'–' if value is None else value}")
