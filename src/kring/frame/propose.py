"""A system proposed for a table: what is asked, by which columns, held out how, against which baseline."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kring.contracts.grammar import quoted
from kring.errors import DataError
from kring.frame.aim import Aim, aim
from kring.frame.holdout import Holdout, holdout
from kring.frame.inspect import Looked
from kring.frame.uses import Use, clear, weighed

LEAST_ROWS: Final = 40
LONGEST: Final = 50
SIMPLE: Final = range(2, 65)
"""A simple baseline is the mean by a column with so many different values."""

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "clock": ("month", "weekday", "hour"),
    "day": ("month", "weekday"),
    "timestamp": ("year", "month", "weekday", "hour"),
    "date": ("year", "month", "weekday"),
}
"""What is made of a moment: of the time of decisions with a clock or by the day, and of any other."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One column that candidates see: its name, its expression, and the column of the data it is made of."""

    name: str
    expression: str
    column: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """All that `kring.toml` and the contract are written from. `baseline` is the column by whose means the
    simplest candidate answers; without one the prior is the baseline."""

    looked: Looked
    aim: Aim
    split: Holdout
    uses: Mapping[str, Use]
    prepared: tuple[Prepared, ...]
    baseline: str = ""
    outcome_after: str = ""

    @property
    def protected(self) -> tuple[str, ...]:
        return tuple(name for name, use in self.uses.items() if use.protected and use.seen.field and not use.identifier)


def propose(looked: Looked, target: str) -> Proposal:
    """A system that answers what `target` asks. `DataError` when the table can't carry one: too few rows, a target
    that can't be foretold, or no column to foretell it from."""
    if looked.rows < LEAST_ROWS:
        raise DataError(
            "there are too few rows to learn from and to measure",
            got=f"{looked.rows:,} rows",
            allowed=f"at least {LEAST_ROWS}",
            next="gather more rows first",
        )
    aimed = aim(looked, target)
    uses = clear(looked, target)
    split = holdout(looked, aimed, left_out=[name for name, use in uses.items() if use.left_out])
    uses = weighed(uses, looked, aimed, split)
    after = _outcome_after(looked, split)
    prepared = _prepared(uses, time=split.time, clock=after == "0s")
    if not prepared:
        told = "; ".join(f"{name}: {use.left_out}" for name, use in list(uses.items())[:5])
        raise DataError(
            f"no column is left to foretell {target} from",
            got=told or "only the target",
            allowed="at least one column that is known when the decision is made",
            next="add columns to the data, or name another target",
        )
    baseline = _baseline(uses, aimed) if after not in ("", "0s") else ""
    return Proposal(
        looked=looked,
        aim=aimed,
        split=split,
        uses=uses,
        prepared=prepared,
        baseline=baseline,
        outcome_after=after,
    )


def _outcome_after(looked: Looked, split: Holdout) -> str:
    """A day where decisions are made by the day; else at once, until somebody knows better."""
    if not split.time:
        return ""
    column = looked.sample[split.time]
    days = looked.columns[split.time].type == "date" or bool((column == column.dt.truncate("1d")).all())
    return "1d" if days else "0s"


def _baseline(uses: Mapping[str, Use], aimed: Aim) -> str:
    """The input that says most by the means of its few values; only where outcomes have a mean."""
    if aimed.target.type not in ("number", "integer", "boolean") or aimed.output == "probabilities":
        return ""
    simple = [
        (use.strength, name)
        for name, use in uses.items()
        if not use.left_out
        and use.seen.type in ("string", "integer", "boolean")
        and len(use.seen.values) in SIMPLE
        and name == quoted(name)
    ]
    return max(simple)[1] if simple else ""


def _prepared(uses: Mapping[str, Use], *, time: str, clock: bool) -> tuple[Prepared, ...]:
    made: list[Prepared] = []
    taken: set[str] = set()
    for name, use in uses.items():
        if use.left_out:
            continue
        kind = use.seen.type
        if name == time:
            kind = "clock" if clock else "day"
        for part, expression in _parts(name, kind):
            plain = plain_name(f"{name}_{part}" if part else name, taken)
            taken.add(plain)
            made.append(Prepared(name=plain, expression=expression, column=name))
    return tuple(made)


def _parts(name: str, kind: str) -> list[tuple[str, str]]:
    """A moment is no input: what matters about it is. The years of decisions to come were never seen."""
    parts = PARTS.get(kind, ())
    return [(part, f"{part}({quoted(name)})") for part in parts] or [("", quoted(name))]


def plain_name(name: str, taken: set[str]) -> str:
    """A name in letters, digits and _ that is not taken, like `name` as far as it can be."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "_", folded).strip("_")[:LONGEST] or "column"
    if plain[0].isdigit():
        plain = f"c_{plain}"
    if keyword.iskeyword(plain) or plain.lower() in ("true", "false", "null"):
        plain += "_"
    unique, number = plain, 2
    while unique in taken:
        unique, number = f"{plain}_{number}", number + 1
    return unique


def system_name(text: str) -> str:
    """A system's name like `text`: lower-case letters, digits and -, a letter first."""
    plain = plain_name(text, set()).lower().strip("_").replace("_", "-")
    return plain if plain[:1].isalpha() else f"system-{plain}"
