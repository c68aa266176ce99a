"""feed → proposals → recipe; and the recipe applied to every feed from then on."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from kring.data.propose import propose
from kring.data.recipes import FILE, Head, RecipeFile, columns_of, decode, encode, hold_against
from kring.data.repairs import apply, changes
from kring.decide.repair_rows import beyond_rows
from kring.errors import DataError, NotFound, StorageError
from kring.flow import history
from kring.flow.project import Project
from kring.frame.places import Key, places
from kring.record.finding import CheckReport, CheckResult, Finding
from kring.record.recipe import Change, Proposal, Recipe, Repair, Trust
from kring.sources import file as source

LEVELS: Final[dict[str, tuple[Trust, ...]]] = {
    "safe": ("safe",),
    "likely": ("safe", "likely"),
    "all": ("safe", "likely", "ask"),
}
DRIFT: Final = 3.0
SLACK: Final = 10
"""A repair drifts when it changes more than `DRIFT` times the share of cells that it changed when it was accepted,
and `SLACK` cells more."""


@dataclass(frozen=True)
class Proposed:
    """What a feed needs beyond the recipe that is in force; found in `looked` of its `rows`."""

    proposals: tuple[Proposal, ...]
    recipe: RecipeFile | None
    feed: pl.LazyFrame
    source: str
    looked: int
    rows: int


def propose_repairs(project: Project, *, path: Path | None = None) -> Proposed:
    """Look at the feed, or at the file `path`, and propose repairs of the columns in the contract. Nothing is
    stored. `DataError` when it can't be read."""
    name = str(path) if path else project.system.data.source
    recipe = open_recipe(project)
    project.say(f"clean   {name}")
    feed = source.scan(path or project.folder / project.system.data.source)
    promised = {field.name for field in project.contract.fields}
    names = [column for column in feed.collect_schema().names() if column in promised]
    accepted = recipe.repairs if recipe else ()
    found = propose(feed.select(names), project.contract, accepted=accepted, later=project.known_later)
    return Proposed(found.proposals, recipe, feed, name, found.looked, found.rows)


def chosen(proposals: Sequence[Proposal], words: str) -> tuple[Repair, ...]:
    """The repairs that `words` accept: `safe`, `likely` (and safe), `all`, ids, or several of these parted by
    commas. `NotFound` for a word that is none of them."""
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    ids = [proposal.repair.id for proposal in proposals]
    for word in wanted:
        if word not in LEVELS and word not in ids:
            close = difflib.get_close_matches(word, [*LEVELS, *ids], n=1)
            raise NotFound(
                "no proposal has this id",
                got=word,
                allowed=", ".join([*LEVELS, *ids]),
                next=f"did you mean {close[0]}?" if close else "kring clean lists the proposals",
            )
    trusted = {trust for word in wanted for trust in LEVELS.get(word, ())}
    return tuple(one.repair for one in proposals if one.repair.id in wanted or one.repair.trust in trusted)


def accept(project: Project, proposed: Proposed, *, repairs: Sequence[Repair], actor: str) -> Recipe:
    """Add `repairs` to the recipe: a new version of `clean.toml`, a copy of it under its digest in the home, and a
    record on the ledger of who accepted it. `Conflict` when somebody else accepted something meanwhile."""
    with project.working(), project.ledger() as ledger:
        head = ledger.head()
        last = history.newest(ledger, Recipe)
        before = proposed.recipe.repairs if proposed.recipe else ()
        version = max(last.version if last else 0, proposed.recipe.head.version if proposed.recipe else 0) + 1
        counted = {one.repair: one for one in _counted(proposed.feed, (*before, *repairs))}
        fresh = [
            msgspec.structs.replace(one, cells=counted[one.id].cells, rows=counted[one.id].rows) for one in repairs
        ]
        made = RecipeFile(
            Head(system=project.system.name, contract=project.contract.id, version=version), (*before, *fresh)
        )
        record = Recipe(
            id=project.new_id("k"),
            system=project.system.name,
            contract=project.contract.id,
            version=version,
            digest=made.digest,
            changes=tuple(counted.values()),
            source=proposed.source,
            actor=actor,
            at=project.clock.now(),
        )
        text = encode(made)
        project.files.write(project.home.recipes / f"{made.digest}.toml", text)
        entry = history.entry(record, id=record.id, actor=actor, at=record.at)
        ledger.append([entry], expect_seq=head.seq)
        project.files.write(project.folder / FILE, text)
    return record


def open_recipe(project: Project) -> RecipeFile | None:
    """The recipe in force; None when the folder has none. `ConfigError` with every fault of the file."""
    path = project.folder / FILE
    if not path.exists():
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{FILE} can't be read", got=str(error), file=str(path), next="check the file") from error
    recipe = decode(data, file=str(path), line_of=lambda text: places(text).line)

    def line(key: Key) -> int:
        return places(data.decode("utf-8-sig")).line(key)

    hold_against(
        recipe,
        system=project.system.name,
        contract=project.contract.id,
        columns=[field.name for field in project.contract.fields],
        later=project.known_later,
        file=str(path),
        line=line,
    )
    return recipe


def cleaned(project: Project, feed: pl.LazyFrame) -> pl.LazyFrame:
    """`feed` as the recipe in force repairs it, lazily; `feed` itself without a recipe."""
    recipe = open_recipe(project)
    return apply(feed, recipe.repairs) if recipe and recipe.repairs else feed


def mends_of_rows(project: Project) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """What the recipe in force does to some rows of a feed, whichever they are. Repeated rows stay: who asks for
    decisions gets one for each row."""
    repairs, _ = repairs_of_rows(project)
    return partial(apply, repairs=repairs) if repairs else lambda rows: rows


def repairs_of_rows(project: Project) -> tuple[tuple[Repair, ...], tuple[Repair, ...]]:
    """The repairs of the recipe in force that can be applied to one row, and those that can't."""
    recipe = open_recipe(project)
    beyond = tuple(beyond_rows(recipe.repairs)) if recipe else ()
    return tuple(one for one in recipe.repairs if one not in beyond) if recipe else (), beyond


def with_recipe(project: Project, report: CheckReport, feed: pl.LazyFrame) -> CheckReport:
    """The report with what the recipe in force changed in `feed`, which is as it was delivered: a warning for each
    repair that changes far more than when it was accepted, for one whose columns are gone, and for a recipe that
    nobody accepted as it is."""
    recipe = open_recipe(project)
    if recipe is None:
        gone = _gone(project)
        worse: CheckResult = "warn" if gone and report.result == "pass" else report.result
        return msgspec.structs.replace(report, result=worse, findings=(*report.findings, *gone))
    counted = _counted(feed, recipe.repairs)
    names = feed.collect_schema().names()
    told = [
        *_drifting(recipe.repairs, counted),
        *_idle(recipe.repairs, names),
        *_edited(project, recipe),
    ]
    result: CheckResult = "warn" if told and report.result == "pass" else report.result
    return msgspec.structs.replace(
        report,
        result=result,
        findings=(*report.findings, *told),
        checked=report.checked + len(told),
        recipe=recipe.digest,
        changes=counted,
    )


def _counted(feed: pl.LazyFrame, repairs: Sequence[Repair]) -> tuple[Change, ...]:
    try:
        return changes(feed, repairs)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "the feed can't be read", got=str(error).splitlines()[0][:200], next="check the file"
        ) from error


def _drifting(repairs: Sequence[Repair], counted: Sequence[Change]) -> list[Finding]:
    found = []
    for repair, change in zip(repairs, counted, strict=True):
        usual = repair.cells / max(repair.rows, 1) * change.rows
        if change.cells > DRIFT * usual + SLACK:
            found.append(
                Finding(
                    rule=f"repair {repair.id}",
                    column=_column(repair),
                    result="warn",
                    rows=change.cells,
                    value=float(change.cells),
                    allowed=f"about {usual:,.0f}",
                    message=f"the repair changes {change.cells:,} of {change.rows:,} cells; when it was accepted it "
                    f"was {repair.cells:,} of {repair.rows:,}",
                )
            )
    return found


def _idle(repairs: Sequence[Repair], names: Collection[str]) -> list[Finding]:
    found = []
    for repair in repairs:
        gone = [name for _, name in columns_of(repair) if name not in names]
        if gone:
            found.append(
                Finding(
                    rule=f"repair {repair.id}",
                    column=_column(repair),
                    result="warn",
                    rows=0,
                    value=float(len(gone)),
                    allowed="a feed with every column of the recipe",
                    message=f"the feed has no column {', '.join(gone)}, so the repair does less than it did",
                )
            )
    return found


def _edited(project: Project, recipe: RecipeFile) -> list[Finding]:
    with project.ledger() as ledger:
        last = history.newest(ledger, Recipe)
    if last is not None and last.digest == recipe.digest:
        return []
    said = f"version {last.version} was accepted by {last.actor}" if last else "nobody has accepted a recipe"
    return [
        Finding(
            rule="recipe",
            column="",
            result="warn",
            rows=0,
            value=float(recipe.head.version),
            allowed="the recipe that was accepted last",
            message=f"{FILE} was changed by hand: {said}; kring clean --confirm accepts it as it is",
        )
    ]


def _gone(project: Project) -> list[Finding]:
    """A recipe that was accepted and is no longer there."""
    if not project.home.ledger.exists():
        return []
    with project.ledger() as ledger:
        last = history.newest(ledger, Recipe)
    if last is None:
        return []
    place = (project.home.recipes / f"{last.digest}.toml").relative_to(project.folder)
    return [
        Finding(
            rule="recipe",
            column="",
            result="warn",
            rows=0,
            value=0.0,
            allowed=f"version {last.version}, which {last.actor} accepted",
            message=f"{FILE} is gone and nothing was repaired: put back {place}, or accept repairs anew (kring clean)",
        )
    ]


def _column(repair: Repair) -> str:
    return ", ".join(name for key, name in columns_of(repair) if key in ("column", "into", "key"))
