"""The sections of a page that a careful colleague reads first: weak slices, groups, upsets, tests, odd labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kring.charts.page import Block, Section, Table, Text
from kring.charts.words import count, percent
from kring.record.behaviour import Tested
from kring.record.evidence import Evidence
from kring.record.scrutiny import Ends, Group, GroupRate, Perturbation, Slice, Suspects

SHOWN: Final = 20
LEAST_CHANCE: Final = 0.001


def scrutiny(evidence: Evidence) -> Iterator[Section]:
    """A section for each kind of scrutiny that `evidence` holds."""
    if evidence.slices:
        yield Section(title="Where it is worse", blocks=(slice_table(evidence.slices),))
    if evidence.by_group:
        columns = dict.fromkeys(group.column for group in evidence.by_group)
        tables = [group_table(column, [one for one in evidence.by_group if one.column == column]) for column in columns]
        yield Section(title="Whom it treats how", blocks=tuple(tables))
    if evidence.robustness:
        yield Section(title="What upsets it", blocks=(upset_table(evidence.robustness),))
    if evidence.behaviours:
        yield Section(title="How it behaves", blocks=tuple(behaviour_blocks(evidence.behaviours)))
    if evidence.suspects is not None:
        yield Section(title="Outcomes that look wrong", blocks=tuple(suspect_blocks(evidence.suspects)))


def slice_table(slices: tuple[Slice, ...]) -> Table:
    """Each slice with its size, how much worse it is, and how likely that is by luck."""
    rows = [
        (
            one.name,
            "declared" if one.declared else "found",
            count(one.rows),
            percent(one.share),
            ends(one.worse),
            "< 0.001" if one.chance < LEAST_CHANCE else f"{one.chance:.2g}",
            f"{one.metric} {ends(one.score)}" if one.score else "–",
        )
        for one in slices
    ]
    return Table(
        columns=("slice", "how", "rows", "share", "loss above the rest", "by luck", "measured there"),
        rows=tuple(rows),
        caption="Mean loss of these rows minus that of all others, with its 95 % interval; the chance is corrected for "
        "how many slices were looked at.",
    )


def group_table(column: str, groups: list[Group]) -> Table:
    """Rates by group of one protected column."""
    names = list(dict.fromkeys(rate.name for group in groups for rate in group.rates))
    rows = [
        (
            group.name if group.judged else f"{group.name} (too few to compare)",
            count(group.rows),
            *(rate_of(group.rates, name) for name in names),
        )
        for group in groups
    ]
    return Table(columns=(column, "rows", *names), rows=tuple(rows), caption="Value and 95 % interval by group.")


def rate_of(rates: tuple[GroupRate, ...], name: str) -> str:
    rate = next((one for one in rates if one.name == name), None)
    return "–" if rate is None else f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def upset_table(upsets: tuple[Perturbation, ...]) -> Table:
    """What each upset costs, and how many decisions it turns."""
    rows = [
        (one.says, one.metric, ends(one.drop), "–" if one.flipped is None else percent(one.flipped.value))
        for one in upsets
    ]
    return Table(
        columns=("the same rows", "measure", "worse by", "decisions turned"),
        rows=tuple(rows),
        caption="Paired on the same rows, with 95 % intervals.",
    )


def behaviour_blocks(tests: tuple[Tested, ...]) -> Iterator[Block]:
    """Each test with its verdict; what failed with what was said and expected."""
    failed = [one for one in tests if not one.passed]
    words = f"{len(tests) - len(failed)} of {len(tests)} tests of behaviour pass."
    yield Text(words=words, tone="bad" if failed else "good")
    rows = [
        (one.name, one.kind, "passes" if one.passed else "fails", count(one.rows), count(one.failed)) for one in tests
    ]
    yield Table(columns=("test", "kind", "", "rows", "failed"), rows=tuple(rows))
    shown = [(one.name, each.inputs, each.said, each.expected) for one in failed for each in one.failures]
    if shown:
        yield Table(columns=("test", "inputs", "said", "expected"), rows=tuple(shown[:SHOWN]), folded=True)


def suspect_blocks(suspects: Suspects) -> Iterator[Block]:
    """How many, how far that can be believed, and the first of them."""
    if not suspects.count:
        yield Text(words=f"None of {count(suspects.rows)} outcomes to learn from looks wrong.", tone="good")
        return
    yield Text(
        words=f"{count(suspects.count)} of {count(suspects.rows)} outcomes to learn from look wrong: "
        f"{suspects.method}. "
        f"About {percent(suspects.false_share)} of them may be right after all. Nothing was changed: somebody should "
        "look.",
        tone="warn",
    )
    if suspects.listed:
        rows = [(one.row, one.given, one.said, f"{one.loss:.3g}") for one in suspects.listed[:SHOWN]]
        yield Table(columns=("row", "is written", "the model says", "loss"), rows=tuple(rows), folded=True)


def ends(one: Ends) -> str:
    return f"{one.value:.3g} ({one.low:.3g} to {one.high:.3g})"
