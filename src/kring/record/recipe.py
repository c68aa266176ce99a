"""Repairs of a feed that a person accepted: pure data, replayed as they were accepted."""

from __future__ import annotations

from typing import Literal

import msgspec

Trust = Literal["safe", "likely", "ask"]
Tidying = Literal["invisible", "unicode", "space"]
DateForm = Literal["d.m.y", "d/m/y", "m/d/y", "d-m-y", "m-d-y", "y/m/d", "y.m.d"]
Over = Literal["unknown", "any"]


class _Repair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every repair says of itself. `cells` were changed of `rows` when it was accepted."""

    id: str
    why: str = ""
    trust: Trust = "ask"
    cells: int = 0
    rows: int = 0


class Text(_Repair, frozen=True, kw_only=True, tag="text"):
    """Signs that can't be seen go, letters are composed (NFC), white space around goes."""

    column: str
    steps: tuple[Tidying, ...]


class Missing(_Repair, frozen=True, kw_only=True, tag="missing"):
    """These texts, exactly, stand for nothing."""

    column: str
    spellings: tuple[str, ...]


class Unit(_Repair, frozen=True, kw_only=True, tag="unit"):
    """A number with one of these suffixes keeps the number, with the suffix `keep` instead."""

    column: str
    suffixes: tuple[str, ...]
    keep: str = ""


class Decimal(_Repair, frozen=True, kw_only=True, tag="decimal"):
    """`1.234,5` becomes `1234.5`."""

    column: str


class Dates(_Repair, frozen=True, kw_only=True, tag="dates"):
    """Dates in these forms become `2024-12-31`; a time behind them stays. The first form that fits counts."""

    column: str
    forms: tuple[DateForm, ...]


class Values(_Repair, frozen=True, kw_only=True, tag="values"):
    """One value for another."""

    column: str
    table: dict[str, str]


class Scale(_Repair, frozen=True, kw_only=True, tag="scale"):
    """A number with `low` ≤ |number| < `high` is multiplied by `factor`."""

    column: str
    low: float
    high: float
    factor: float


class Split(_Repair, frozen=True, kw_only=True, tag="split"):
    """Where `into` is missing and `column` ends with one of `tails`, the tail moves there."""

    column: str
    into: str
    tails: tuple[str, ...]


class Dependency(_Repair, frozen=True, kw_only=True, tag="dependency"):
    """`by` has a table of values of `column` for each column that decides it; most votes count, then the first.

    Over `unknown`, a missing value is filled (with `fill`), and a value that is not `known` is replaced when it is
    a misspelling: it differs in no sign but `signs`, or is near when there are none. Over `any`, every value
    that the tables contradict is replaced.
    """

    column: str
    by: dict[str, dict[str, str]]
    over: Over = "unknown"
    fill: bool = False
    signs: str = ""
    known: tuple[str, ...] = ()


class Duplicates(_Repair, frozen=True, kw_only=True, tag="duplicates"):
    """Rows that repeat an earlier row in every column go. `key` are the columns that must not repeat."""

    key: tuple[str, ...]


Repair = Text | Missing | Unit | Decimal | Dates | Values | Scale | Split | Dependency | Duplicates
"""In the order in which they are applied."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A repair that nobody accepted yet. `examples` are at most five `before → after`."""

    repair: Repair
    examples: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How many cells (of `duplicates`: rows) one repair changed in a feed of `rows`."""

    repair: str
    cells: int
    rows: int


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The repairs of one system as somebody accepted them. `digest` is the SHA-256 of the repairs' canonical
    JSON; `changes` are what each of them did to the feed it was accepted on."""

    id: str
    system: str
    contract: str
    version: int
    digest: str
    changes: tuple[Change, ...]
    source: str
    actor: str
    at: int
