"""Rules of the engine `kring`: counted zeros, expressions over rows, conditions, aggregates of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from kring.contracts import grammar
from kring.contracts.aggregates import aggregated
from kring.contracts.odcs_fields import Draft
from kring.contracts.odcs_keys import OPERATORS, walk_keys
from kring.contracts.yaml_lines import Node
from kring.errors import ExpressionError
from kring.record.contract import Bound, Metric, Rule

KINDS: Final = ("metric", "expression", "when", "aggregate")
IMPLEMENTATION: Final = {**dict.fromkeys((*KINDS, "then", "unit"), "text"), **dict.fromkeys(OPERATORS, "any")}
CODE: Final = ("function", "python", "script", "code", "module", "file")
ENGINES_OF_CODE: Final = ("python", "py")
TRUE: Final = Bound(low=1, high=1)
ALLOWED: Final = "{expression: ...}, {when: ..., then: ...}, {aggregate: ...} or {metric: zeroValues}"

Begin = Callable[[Node, Metric, str, str, Draft], Rule]
Bounded = Callable[[Node, str, Draft], Bound | None]


def refuse_code(node: Node, *, path: str, draft: Draft) -> None:
    """A contract is data: nothing in it, and no file that it names, is ever executed."""
    draft.faults.refuse(
        "a contract executes no code",
        line=node.line,
        key=path,
        got=node.text("engine"),
        allowed=f"engine kring with {ALLOWED}",
        next="write it as an expression (docs/expressions.md), or compute a column before the feed is delivered",
    )


def read_custom(node: Node, *, path: str, column: str, draft: Draft, begin: Begin, bounded: Bounded) -> Rule | None:
    """A rule of the engine `kring` from its `implementation`; None and faults when it is none.

    `begin` makes the rule without its body, `bounded` reads the one operator of a mapping.
    """
    place = f"{path}.implementation"
    outside = [name for name in OPERATORS if node.get(name) is not None]
    if outside:
        draft.faults.add(
            "the operator of a custom rule stands inside implementation", line=node.line, key=path, got=outside[0]
        )
    body = node.get("implementation")
    if body is None or body.keys is None:
        line, got = (body.line, body.shown) if body else (node.line, "nothing")
        draft.faults.add("an implementation is a mapping", line=line, key=place, got=got, allowed=ALLOWED)
        return None
    if any(name in body.keys for name in CODE):
        refuse_code(body, path=place, draft=draft)
        return None
    walk_keys(body, IMPLEMENTATION, path=place, faults=draft.faults)
    kinds = [name for name in KINDS if body.text(name)]
    if len(kinds) != 1 or bool(body.text("then")) != (kinds == ["when"]):
        got = ", ".join(name for name in (*KINDS, "then") if body.text(name)) or "none"
        draft.faults.add("a rule has one implementation", line=body.line, key=place, got=got, allowed=ALLOWED)
        return None
    operated = any(body.get(name) is not None for name in OPERATORS)
    bound = bounded(body, place, draft) if operated else None
    if kinds == ["aggregate"]:
        return _aggregate(begin(node, "aggregate", column, path, draft), body, bound, place, draft)
    kind: Metric = "zeroValues" if kinds == ["metric"] else "expression"
    rule = msgspec.structs.replace(begin(node, kind, column, path, draft), bound=bound or Bound(high=0))
    return _zeros(rule, body, place, draft) if kinds == ["metric"] else _rows(rule, body, place, draft)


def _zeros(rule: Rule, body: Node, place: str, draft: Draft) -> Rule | None:
    metric = body.text("metric")
    if metric != "zeroValues":
        draft.faults.unknown(metric, known=("zeroValues",), line=body.line, key=f"{place}.metric", what="metric")
        return None
    if not rule.columns or draft.fields[rule.columns[0]].type not in ("number", "integer"):
        got = "".join(rule.columns) or "the table"
        draft.faults.add("zeroValues is a rule of a column of numbers", line=body.line, key=place, got=got)
        return None
    return rule


def _rows(rule: Rule, body: Node, place: str, draft: Draft) -> Rule | None:
    """An expression, or a condition and what holds under it: bad are the rows on which the one is true and
    the other false."""
    names = ("when", "then") if body.text("when") else ("expression",)
    if not all([_is_true_or_false(body.text(name), rule.line, f"{place}.{name}", draft) for name in names]):
        return None
    if names == ("expression",):
        return msgspec.structs.replace(rule, expression=body.text("expression"))
    text = f"not ({body.text('when')}) or ({body.text('then')})"
    return msgspec.structs.replace(rule, expression=text, name="when" if rule.name == "expression" else rule.name)


def _is_true_or_false(text: str, line: int, key: str, draft: Draft) -> bool:
    try:
        expression = grammar.parse(text, file=draft.faults.file, line=line, key=key)
        kind = grammar.type_of(expression, draft.types)
        lookups = grammar.lookups_of(expression)
    except ExpressionError as error:
        draft.faults.add(error.message, line=line, key=key, got=error.got, allowed=error.allowed, next=error.next)
        return False
    if kind != "boolean" or lookups:
        got = "a lookup" if lookups else f"a {kind}"
        draft.faults.add("the expression must be true on good rows", line=line, key=key, got=got, allowed="a boolean")
        return False
    return True


def _aggregate(rule: Rule, body: Node, bound: Bound | None, place: str, draft: Draft) -> Rule | None:
    key, text = f"{place}.aggregate", body.text("aggregate")
    try:
        kind = aggregated(text, types=draft.types, file=draft.faults.file, line=rule.line, key=key).type
    except ExpressionError as error:
        draft.faults.add(error.message, line=rule.line, key=key, got=error.got, allowed=error.allowed, next=error.next)
        return None
    if rule.unit != "rows":
        draft.faults.add("an aggregate is a number of its own", line=rule.line, key=place, got=f"unit {rule.unit}")
    if kind == "boolean" and bound is None:
        return msgspec.structs.replace(rule, expression=text, bound=TRUE)
    if kind in ("number", "integer") and bound is not None:
        return msgspec.structs.replace(rule, expression=text, bound=bound)
    got = f"a {kind}{' and an operator' if bound else ', no operator'}"
    allowed = "a number and one operator, such as mustBeBetween: [1, 2], or a comparison without an operator"
    draft.faults.add("what may this aggregate be?", line=rule.line, key=key, got=got, allowed=allowed)
    return None
