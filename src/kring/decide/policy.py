"""What decides beside the threshold: business rules, abstention, the review of outliers.

Imports no polars; `kring.decide.policy_frames` gives the same masks for frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.contracts import to_rows
from kring.contracts.expression import Expression
from kring.contracts.grammar import fields_of, lookups_of, parse, type_of
from kring.errors import ConfigError, KringError
from kring.metrics.targets import label_of
from kring.record.batch import Batch, Column
from kring.record.contract import LogicalType, Scalar
from kring.record.decision import ABSTAINED, OUTLIER, REVIEW, Value
from kring.record.prepare import ColumnKind
from kring.record.version import Output, Policy, Ruling

Rows = TypeVar("Rows")
Bools = NDArray[np.bool_]

KINDS: Final[Mapping[ColumnKind, LogicalType]] = {"number": "number", "category": "string"}
SAID: Final[Mapping[Output, Mapping[str, LogicalType]]] = {
    "probability": {"probability": "number"},
    "value": {"value": "number"},
    "probabilities": {},
    "answer": {"answer": "string", "support": "number"},
}
OF_LABEL: Final = "probability."
DECISION: Final = "decision"
REASON: Final = "reason"
DECISIVE: Final = frozenset({bool, int, str})
"""Values of these types are decisions; only among others may be rows without one."""


class Judged(msgspec.Struct, frozen=True, eq=False):
    """Outputs with their last decision, and by row number the guards that fired on the way."""

    outputs: Batch
    guards: Mapping[int, list[str]]


class Outlying(NamedTuple):
    """How surprising each row was, (n,) in nats, and from where on that is an outlier."""

    score: NDArray[np.float64]
    threshold: float


Judge = Callable[[Rows, Batch, Batch], Judged]
"""(raw rows, prepared columns, outputs with `decision`) → what is decided in the end."""

Masks = Callable[[Rows, Batch, Batch], list[Bools]]
"""For each rule, then for `abstain`, the rows in which it is true, (n,)."""

Scorer = Callable[[Rows, Batch], Outlying]
"""(raw rows, prepared columns) → how surprising they are."""


def unjudged(rows: object, prepared: Batch, outputs: Batch) -> Judged:
    """The judge of a policy that is its threshold and nothing more."""
    del rows, prepared
    return Judged(outputs, {})


def judge_of(policy: Policy, masks: Masks[Rows] | None, scorer: Scorer[Rows] | None = None) -> Judge[Rows]:
    """The judge of `policy`. `masks` are those of its expressions, `scorer` that of the version's outlier model."""
    if masks is None and scorer is None:
        return unjudged

    def judge(rows: Rows, prepared: Batch, outputs: Batch) -> Judged:
        found = masks(rows, prepared, outputs) if masks is not None else []
        return judged(policy, outputs, found, scorer(rows, prepared) if scorer is not None else None)

    return judge


def judged(policy: Policy, outputs: Batch, masks: Sequence[Bools], outlying: Outlying | None = None) -> Judged:
    """Apply what fired. A row without an answer has none afterwards either: no rule stands in for a model.

    The first rule that fires wins over everything; then outliers and abstentions become `review`. Every guard that
    fired is named, whoever won. `reason` is added when a rule fired in any row, `outlier` when rows were scored.
    """
    known = np.ones(outputs.n, dtype=np.bool_)
    if missing := undecided(outputs):
        known[missing] = False
    left = known
    changes: list[tuple[Bools, Scalar]] = []
    reasons: list[tuple[Bools, str]] = []
    guards: dict[int, list[str]] = {}
    for rule, mask in zip(policy.rules, masks, strict=False):
        hit = mask & left
        left = left & ~hit  # not in place: these may be all that are known
        if hit.any():
            changes.append((hit, rule.decision))
            reasons.append((hit, rule.reason or rule.when))
    columns = dict(outputs.columns)
    if outlying is not None:
        unlike = (outlying.score > outlying.threshold) & known
        _named(guards, OUTLIER, unlike)
        columns[OUTLIER] = outlying.score
        if policy.outliers == "review":
            changes.append((unlike & left, REVIEW))
    if policy.abstain and masks:
        unsure = masks[-1] & left
        _named(guards, ABSTAINED, unsure)
        changes.append((unsure, REVIEW))
    columns[DECISION] = _changed(outputs.columns[DECISION], changes)
    if reasons:
        told = np.full(outputs.n, None, dtype=object)
        for hit, words in reasons:
            told[hit] = words
        columns[REASON] = told
    return Judged(Batch(outputs.n, columns), guards)


def undecided(outputs: Batch) -> list[int]:
    """The numbers of the rows whose `decision` is None or NaN: they have no answer."""
    decision = outputs.columns[DECISION]
    if isinstance(decision, np.ndarray) and decision.dtype.kind == "f":
        return np.isnan(decision).nonzero()[0].tolist()
    values = decision.tolist() if isinstance(decision, np.ndarray) else decision
    if DECISIVE.issuperset(map(type, values)):
        return []
    return [row for row, value in enumerate(values) if value is None or (isinstance(value, float) and isnan(value))]


def row_masks(
    policy: Policy, *, types: Mapping[str, LogicalType], kinds: Mapping[str, ColumnKind]
) -> Masks[Batch] | None:
    """The masks of a policy's expressions for rows as they come in requests; None for a policy without any.

    `types` are those of the raw fields, `kinds` those of the chain's prepared columns. `ExpressionError` when an
    expression doesn't fit them.
    """
    expressions = expressions_of(policy)
    if not expressions:
        return None
    known = names_of(policy, types=types, kinds=kinds)
    said = outputs_of(policy)
    cells = [to_rows.compile(one, types=known, tables={}) for one in expressions]
    names = read_by(expressions)

    def masks(rows: Batch, prepared: Batch, outputs: Batch) -> list[Bools]:
        parts = [outputs if name in said else rows if name in types else prepared for name in names]
        columns = [_plain(part.columns.get(name, [None] * rows.n)) for name, part in zip(names, parts, strict=True)]
        table = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * outputs.n
        return [np.array([cell(row) is True for row in table], dtype=np.bool_) for cell in cells]

    return masks


def expressions_of(policy: Policy) -> list[Expression]:
    """The conditions of the rules in order, then `abstain` if there is one."""
    texts = [(f"policy.rule[{number}].when", rule.when) for number, rule in enumerate(policy.rules)]
    texts += [("policy.abstain", policy.abstain)] if policy.abstain else []
    return [parse(text, key=key) for key, text in texts]


def read_by(expressions: Iterable[Expression]) -> list[str]:
    """Every name that one of them reads."""
    return sorted({name for one in expressions for name in fields_of(one)})


def outputs_of(policy: Policy) -> dict[str, LogicalType]:
    """What the chain says, by name and type."""
    labels = policy.labels if policy.output == "probabilities" else ()
    return {**SAID[policy.output], **{OF_LABEL + label: "number" for label in labels}}


def names_of(
    policy: Policy, *, types: Mapping[str, LogicalType], kinds: Mapping[str, ColumnKind]
) -> dict[str, LogicalType]:
    """What an expression may read. Of one name, the output comes before the raw field, this before the prepared
    column."""
    return {**{name: KINDS[kind] for name, kind in kinds.items()}, **types, **outputs_of(policy)}


def says_review(policy: Policy) -> bool:
    """Whether a row may be handed to a person."""
    rules = any(rule.decision == REVIEW for rule in policy.rules)
    return rules or bool(policy.abstain) or policy.outliers == "review"


def pinned_rules(rules: Sequence[Ruling], policy: Policy) -> tuple[Ruling, ...]:
    """The rules with their decisions as `policy` takes them. `ConfigError` for a decision that it can't take."""
    return tuple(_pinned(rule, policy, key=f"policy.rule[{number}].decision") for number, rule in enumerate(rules))


def _pinned(rule: Ruling, policy: Policy, *, key: str) -> Ruling:
    decision = rule.decision
    if decision == REVIEW:
        return rule
    if policy.output == "value":
        if isinstance(decision, bool) or not isinstance(decision, int | float):
            raise _impossible(decision, "a number", key=key)
        return Ruling(when=rule.when, decision=float(decision), reason=rule.reason)
    if policy.labels and label_of(decision) not in policy.labels:
        raise _impossible(decision, ", ".join(policy.labels), key=key)
    return Ruling(when=rule.when, decision=label_of(decision), reason=rule.reason)


def _impossible(decision: Scalar, allowed: str, *, key: str) -> ConfigError:
    return ConfigError(
        "a business rule takes a decision that the system does not know",
        got=repr(decision),
        allowed=f"{allowed}, or {REVIEW!r}",
        next=f"take one of them, or {REVIEW!r} to let a person decide",
        key=key,
    )


def unfit(text: str, types: Mapping[str, LogicalType], *, key: str) -> ConfigError | None:
    """What is wrong with an expression of the policy over names of these `types`, if anything."""
    try:
        expression = parse(text, key=key)
        if lookups_of(expression):
            next = "declare the column under [prepare], and read that"
            return ConfigError("a rule of the policy can't look things up", got=text[:80], next=next, key=key)
        found = type_of(expression, types)
    except KringError as error:
        return ConfigError(error.message, got=error.got, allowed=error.allowed, next=error.next, key=key)
    if found == "boolean":
        return None
    return ConfigError(
        "this is neither true nor false", got=found, allowed="boolean", next="compare: amount > 1000", key=key
    )


def _named(guards: dict[int, list[str]], name: str, rows: Bools) -> None:
    for row in rows.nonzero()[0].tolist():
        guards.setdefault(row, []).append(name)


def _changed(decision: Column, changes: Sequence[tuple[Bools, Scalar]]) -> Column:
    """`decision` with the changes; a column of numbers stays one as long as only numbers are put into it."""
    changes = [(rows, value) for rows, value in changes if rows.any()]
    if not changes:
        return decision
    was = np.asarray(decision)
    numbers = was.dtype.kind == "f" and all(isinstance(value, float) for _, value in changes)
    now = was.copy() if numbers else was.astype(object)
    for rows, value in changes:
        now[rows] = value
    return now


def _plain(column: Column) -> list[Value]:
    """Python values: numpy's own numbers are no int and no float."""
    values: Iterable[object] = column.tolist() if isinstance(column, np.ndarray) else column
    return [value if isinstance(value, bool | int | float | str) else None for value in values]
