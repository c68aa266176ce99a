"""Runs behaviour tests, the unit tests of predictions, through the whole chain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import isnan
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ranking import Floats
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.behaviour import Behaviours, Direction, Example, Failure, Inputs, Invariance, Kind, Tested
from kring.record.contract import Scalar
from kring.record.evidence import Measure
from kring.record.version import Policy

NAME: Final = "behaviours"
SHOWN: Final = 3
LONGEST: Final = 200
SILENT: Final = "no answer"
HIDDEN: Final = "(hidden)"
EXACT: Final = 1e-6
"""Outputs of 32 bits may miss a bound by so much."""

Answer = Callable[[Sequence[Inputs]], Batch]
"""From raw fields to the columns that the chain answers; a field that is left out is missing."""


class Trial(NamedTuple):
    """What went in, what was said, what was expected, and whether it was that."""

    inputs: str
    said: str
    expected: str
    fine: bool


Judge = Callable[[Sequence[Inputs], Batch], Batch]
"""(rows, outputs with `decision`) → what the rest of the policy makes of them."""


def as_decided(rows: Sequence[Inputs], outputs: Batch) -> Batch:
    """The judge of a policy that is its threshold and nothing more."""
    del rows
    return outputs


class Answered(NamedTuple):
    """What the chain says about rows: outputs as the task reads them, decisions, and which rows have an answer."""

    outputs: NDArray[np.float64]
    decisions: list[object]
    known: NDArray[np.bool_]


class Tryout:
    """What every test needs: the chain's answers, what is decided, and held-out rows to draw from, of which no value
    in the columns `hidden` is shown."""

    def __init__(
        self,
        task: Task,
        answer: Answer,
        held: Batch,
        *,
        policy: Policy,
        seed: int,
        hidden: Collection[str] = (),
        judge: Judge = as_decided,
    ) -> None:
        self.task = task
        self.policy = policy
        self._answer = answer
        self._held = held
        self._seed = seed
        self._hidden = hidden
        self._judge = judge

    def shown(self, field: str, value: Scalar) -> Scalar:
        """`value` of a row, or that it may not be shown."""
        return HIDDEN if field in self._hidden else value

    def answered(self, rows: Sequence[Inputs]) -> Answered:
        """The answers to `rows`, in their order."""
        batch = self._answer(rows)
        outputs = self.task.outputs(batch, self.policy)
        decisions = list(self._judge(rows, self.task.decide(batch, self.policy)).columns["decision"])
        return Answered(outputs, decisions, self.task.answered(outputs))

    def rows(self, test: Invariance | Direction) -> list[tuple[str, Inputs]]:
        """The written rows, then those drawn from the held-out ones, with what they are called."""
        written = [(f"row {number + 1}", row) for number, row in enumerate(test.rows)]
        size = min(test.sample, self._held.n)
        drawn = np.sort(np.random.default_rng(self._seed).choice(self._held.n, size, replace=False))
        columns = self._held.columns
        return written + [
            (f"held-out row {row}", {name: _plain(column[row]) for name, column in columns.items()})
            for row in drawn.tolist()
        ]

    def number(self, outputs: NDArray[np.float64], label: str) -> Floats:
        """The one output that is meant: the value, the probability of `label`, or of yes."""
        labels = self.policy.labels
        if outputs.ndim == 2:
            return outputs[:, labels.index(label)] if label in labels else np.full(len(outputs), np.nan)
        return 1 - outputs if label and labels and label == labels[0] else outputs


def run_behaviours(behaviours: Behaviours, tryout: Tryout) -> tuple[list[Measure], list[Tested]]:
    """Every test of the file, and `behaviours`, the share of them that passed: exact, on any number of tryout.

    A test without a row to try it on has not passed.
    """
    done = [
        *(_tested(test, "example", _example(test, tryout)) for test in behaviours.examples),
        *(_tested(test, "invariance", _invariance(test, tryout)) for test in behaviours.invariances),
        *(_tested(test, "direction", _direction(test, tryout)) for test in behaviours.directions),
    ]
    if not done:
        return [], []
    passed = sum(test.passed for test in done)
    share = passed / len(done)
    measure = Measure(
        name=NAME,
        value=share,
        low=share,
        high=share,
        rows=len(done),
        groups=len(done),
        better=1,
        method=f"{passed} of {len(done)} behaviour tests passed; exact",
        probe=True,
    )
    return [measure], done


def _example(test: Example, tryout: Tryout) -> list[Trial]:
    """One trial: the first expectation that is not met, or the first of all."""
    given = tryout.answered([test.inputs])
    inputs = _short(", ".join(f"{name} = {value}" for name, value in test.inputs.items() if value is not None))
    known, number = bool(given.known[0]), float(tryout.number(given.outputs, test.label)[0])
    decision, output = (str(given.decisions[0]), f"{number:.4g}") if known else (SILENT, SILENT)
    trials = [
        Trial(inputs, said, expected, known and fine)
        for asked, said, expected, fine in (
            (test.decision is not None, decision, f"decision {test.decision}", decision == str(test.decision)),
            (test.above is not None, output, f"at least {test.above}", number >= (test.above or 0.0) - EXACT),
            (test.below is not None, output, f"at most {test.below}", number <= (test.below or 0.0) + EXACT),
        )
        if asked
    ]
    return [next((trial for trial in trials if not trial.fine), trials[0])]


def _invariance(test: Invariance, tryout: Tryout) -> list[Trial]:
    """A trial for every row and every other value that the field is set to."""
    rows = tryout.rows(test)
    pairs = [(place, to) for place, (_, row) in enumerate(rows) for to in test.to if to != row.get(test.change)]
    if not pairs:
        return []
    before = tryout.answered([row for _, row in rows])
    after = tryout.answered([{**rows[place][1], test.change: value} for place, value in pairs])
    places = np.array([place for place, _ in pairs])
    old, known = before.outputs[places], before.known[places] & after.known
    by_decision = test.tolerance is None and bool(tryout.policy.labels)
    if by_decision:
        fine = known & ~tryout.task.apart(old, after.outputs, tryout.policy)[1]
    else:
        fine = known & (_apart(old, after.outputs) <= (test.tolerance or 0.0) + EXACT)
    expected = "the same decision" if by_decision else f"within {test.tolerance or 0.0:g}"
    return [
        Trial(
            f"{rows[place][0]}, {test.change} from {tryout.shown(test.change, rows[place][1].get(test.change))}"
            f" to {value}",
            _said(before, place, after, number, by_decision=by_decision),
            expected,
            bool(fine[number]),
        )
        for number, (place, value) in enumerate(pairs)
    ]


def _direction(test: Direction, tryout: Tryout) -> list[Trial]:
    """A trial for every row that has a number there."""
    rows = [
        (name, row, value) for name, row in tryout.rows(test) if (value := _number(row.get(test.change))) is not None
    ]
    if not rows:
        return []
    before = tryout.answered([row for _, row, _ in rows])
    raised = [_like(row[test.change], value + test.by) for _, row, value in rows]
    after = tryout.answered([{**row, test.change: new} for (_, row, _), new in zip(rows, raised, strict=True)])
    step = tryout.number(after.outputs, test.label) - tryout.number(before.outputs, test.label)
    wrong = -step if test.output == "not lower" else step
    fine = before.known & after.known & (wrong <= test.slack)
    return [
        Trial(
            f"{name}, {test.change} from {tryout.shown(test.change, row[test.change])}"
            f" to {tryout.shown(test.change, raised[place])}",
            _said(before, place, after, place, by_decision=False),
            test.output,
            bool(fine[place]),
        )
        for place, (name, row, _) in enumerate(rows)
    ]


def _tested(test: Example | Invariance | Direction, kind: Kind, trials: list[Trial]) -> Tested:
    failed = [trial for trial in trials if not trial.fine]
    shown = [Failure(inputs=_short(one.inputs), said=one.said, expected=one.expected) for one in failed[:SHOWN]]
    if not trials:
        shown = [Failure(inputs="no row to try it on", said=SILENT, expected="at least one row")]
    return Tested(
        name=test.name,
        kind=kind,
        passed=bool(trials) and not failed,
        rows=len(trials),
        failed=len(failed),
        failures=tuple(shown),
        line=test.line,
    )


def _apart(left: NDArray[np.float64], right: NDArray[np.float64]) -> Floats:
    """Row by row the largest difference of outputs, infinite where one is missing."""
    gap = np.abs(left - right).reshape(len(left), -1)
    largest: Floats = np.where(np.isfinite(gap), gap, np.inf).max(axis=1)
    return largest


def _said(old: Answered, place: int, new: Answered, other: int, *, by_decision: bool) -> str:
    """Before and after."""
    pairs = ((old, place), (new, other))
    words = [_words(given, at, by_decision=by_decision) if given.known[at] else SILENT for given, at in pairs]
    return " to ".join(words)


def _words(given: Answered, place: int, *, by_decision: bool) -> str:
    if by_decision:
        return str(given.decisions[place])
    return ", ".join(f"{number:.4g}" for number in np.atleast_1d(given.outputs[place]).tolist())


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if isnan(value) else float(value)


def _like(old: Scalar, new: float) -> Scalar:
    return int(new) if isinstance(old, int) else new


def _plain(value: object) -> Scalar:
    return value if isinstance(value, bool | int | float | str) else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
