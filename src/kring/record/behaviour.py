"""Tests of predictions as their people wrote them in `behaviours.toml`, and how they ended."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.contract import Scalar

Kind = Literal["example", "invariance", "direction"]
Inputs = dict[str, Scalar]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """For `inputs` the answer is known: the `decision`, or an output of at least `above` and at most `below`.

    `label` says whose probability is meant where there are more than two labels. Times in inputs are
    microseconds UTC, dates days since 1970-01-01.
    """

    name: str
    inputs: Inputs
    decision: Scalar = None
    above: float | None = None
    below: float | None = None
    label: str = ""
    line: int = 0


class Invariance(msgspec.Struct, frozen=True, kw_only=True):
    """Setting the field `change` to each of `to` must not change the decision; with a `tolerance`, it must not
    move the output further than that. Tried on `rows`, or on `sample` held-out rows."""

    name: str
    change: str
    to: tuple[Scalar, ...]
    tolerance: float | None = None
    rows: tuple[Inputs, ...] = ()
    sample: int = 0
    line: int = 0


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """Adding `by` to the field `change` must not make the output lower (or higher) by more than `slack`.
    Tried on `rows`, or on `sample` held-out rows."""

    name: str
    change: str
    by: float
    output: Literal["not lower", "not higher"]
    slack: float = 1e-6
    label: str = ""
    rows: tuple[Inputs, ...] = ()
    sample: int = 0
    line: int = 0


class Behaviours(msgspec.Struct, frozen=True, kw_only=True):
    """All tests of one file, in its order within each kind. `digest` is the SHA-256 of the file."""

    examples: tuple[Example, ...] = ()
    invariances: tuple[Invariance, ...] = ()
    directions: tuple[Direction, ...] = ()
    file: str = ""
    digest: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One row that did not behave: what went in, what was said, what was expected."""

    inputs: str
    said: str
    expected: str


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """How one test ended: it passed when none of its `rows` failed. A few failures are shown."""

    name: str
    kind: Kind
    passed: bool
    rows: int
    failed: int
    failures: tuple[Failure, ...] = ()
    line: int = 0
