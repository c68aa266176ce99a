"""The quality rules of a contract, and the freshness that its service levels promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from kring.contracts import grammar
from kring.contracts.odcs_fields import Draft, check_pattern, known_column, typed_value
from kring.contracts.odcs_keys import OPERATORS, walk_keys
from kring.contracts.yaml_lines import Node
from kring.errors import ExpressionError
from kring.record.contract import Bound, Field, Metric, Rule, Scalar, Severity, Unit

ARGUMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "nullValues": {},
    "missingValues": {"missingValues": "[scalar]"},
    "invalidValues": {"validValues": "[scalar]", "pattern": "text", "minimum": "scalar", "maximum": "scalar"},
    "duplicateValues": {"properties": "[text]"},
    "rowCount": {},
}
METRICS: Final[Mapping[str, Metric]] = {
    "nullValues": "nullValues",
    "missingValues": "missingValues",
    "invalidValues": "invalidValues",
    "duplicateValues": "duplicateValues",
    "rowCount": "rowCount",
}
OLD_RULES: Final = {"duplicateCount": "duplicateValues", "nullCheck": "nullValues", "rowCount": "rowCount"}
"""What ODCS v3.0 calls `rule`, and the metric that took its place."""

SEVERITIES: Final[Mapping[str, Severity]] = {"error": "block", "warning": "warn", "info": "warn"}
DIMENSIONS: Final = ("accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness")
UNITS: Final[Mapping[str, Unit]] = {"rows": "rows", "percent": "percent"}
IMPLEMENTATION: Final = {"metric": "text", "expression": "text", "unit": "text", **dict.fromkeys(OPERATORS, "any")}
AGES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("s", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400),
    **dict.fromkeys(("y", "yr", "year", "years"), 365 * 86_400),
}
FRESH: Final = ("latency", "freshness")
NONE_AT_ALL: Final = Bound(high=0)


def read_quality(node: Node, *, path: str, column: str, draft: Draft) -> Rule | None:
    """One item of `quality`, of the column or (without a name) of the table; None when it is not enforced."""
    dimension = node.text("dimension")
    if dimension and dimension not in DIMENSIONS:
        key = f"{path}.dimension"
        draft.faults.unknown(dimension, known=DIMENSIONS, line=node.line, key=key, what="dimension")
    kind = "library" if node.get("metric") is not None else node.text("type") or "library"
    engine = node.text("engine")
    if kind == "library":
        return _library(node, path, column, draft)
    if kind == "custom" and engine == "kring":
        return _custom(node, path, column, draft)
    if kind in ("sql", "text", "custom"):
        said = node.text("name") or node.text("description") or "a quality rule"
        of = f" of the engine {engine}" if engine else ""
        draft.note(f"{said}: {kind} rules{of} are descriptions here", line=node.line)
    else:
        known = ("library", "custom", "sql", "text")
        draft.faults.unknown(kind, known=known, line=node.line, key=f"{path}.type", what="type")
    return None


def _library(node: Node, path: str, column: str, draft: Draft) -> Rule | None:
    key = f"{path}.metric" if node.get("metric") is not None else f"{path}.rule"
    word = node.text("metric") or OLD_RULES.get(node.text("rule"), node.text("rule"))
    if not word:
        allowed = ", ".join(METRICS)
        draft.faults.add("a rule without a metric", line=node.line, key=f"{path}.metric", allowed=allowed)
        return None
    if word not in METRICS:
        draft.faults.unknown(word, known=METRICS, line=node.line, key=key, what="metric")
        return None
    metric = METRICS[word]
    whole = metric == "rowCount" or (metric == "duplicateValues" and not column)
    if bool(column) == whole:
        place = "the table" if whole else "a column"
        draft.faults.add(f"{metric} is a rule of {place}", line=node.line, key=key, got=column or "the table")
        return None
    rule = _base(node, metric, column, path, draft)
    rule = msgspec.structs.replace(rule, bound=_bound(node, path, draft) or NONE_AT_ALL)
    arguments = node.get("arguments") or Node(line=node.line, keys={})
    place = f"{path}.arguments"
    walk_keys(arguments, ARGUMENTS[metric], path=place, faults=draft.faults)
    return _with_arguments(rule, arguments, column, place, draft)


def _base(node: Node, metric: Metric, column: str, path: str, draft: Draft) -> Rule:
    word = node.text("severity") or "error"
    if word not in SEVERITIES:
        key = f"{path}.severity"
        draft.faults.unknown(word, known=SEVERITIES, line=node.line, key=key, what="severity")
    implementation = node.get("implementation")
    unit = node.text("unit") or (implementation.text("unit") if implementation else "") or "rows"
    if unit not in UNITS or (metric in ("rowCount", "freshness") and unit != "rows"):
        draft.faults.unknown(unit, known=UNITS, line=node.line, key=f"{path}.unit", what="unit")
    return Rule(
        name=node.text("name") or node.text("id") or metric,
        metric=metric,
        columns=(column,) if column else (),
        severity=SEVERITIES.get(word, "block"),
        unit=UNITS.get(unit, "rows"),
        description=node.text("description"),
        line=node.line,
    )


def _bound(node: Node, path: str, draft: Draft) -> Bound | None:
    """The one operator of `node`; None and a fault when there is none or several."""
    there = [name for name in OPERATORS if node.get(name) is not None]
    if len(there) != 1:
        got = ", ".join(there) or "none"
        draft.faults.add("a rule has one operator", line=node.line, key=path, got=got, allowed=", ".join(OPERATORS))
        return None
    name, operand = there[0], (node.keys or {})[there[0]]
    pair = name.endswith("Between")
    numbers = [item.value for item in (operand.items or ())] if pair else [operand.value]
    right = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
    if not right or len(numbers) != (2 if pair else 1):
        allowed = "two numbers in brackets, the smaller first" if pair else "a number"
        draft.faults.add(
            "the operator needs numbers", line=operand.line, key=f"{path}.{name}", got=operand.shown, allowed=allowed
        )
        return None
    low, high = float(numbers[0] or 0), float(numbers[-1] or 0)
    if low > high:
        got = f"[{low:g}, {high:g}]"
        draft.faults.add("the smaller number comes first", line=operand.line, key=f"{path}.{name}", got=got)
    return {
        "mustBe": Bound(low=low, high=high),
        "mustNotBe": Bound(low=low, high=high, negate=True),
        "mustBeGreaterThan": Bound(low=low, exclude_low=True),
        "mustBeGreaterOrEqualTo": Bound(low=low),
        "mustBeLessThan": Bound(high=high, exclude_high=True),
        "mustBeLessOrEqualTo": Bound(high=high),
        "mustBeBetween": Bound(low=low, high=high),
        "mustNotBeBetween": Bound(low=low, high=high, negate=True),
    }[name]


def _with_arguments(rule: Rule, arguments: Node, column: str, path: str, draft: Draft) -> Rule | None:
    if rule.metric == "missingValues":
        return msgspec.structs.replace(rule, missing_values=_missing(arguments, draft.fields[column], path, draft))
    if rule.metric == "invalidValues":
        return _invalid(rule, arguments, draft.fields[column], path, draft)
    if rule.metric == "duplicateValues" and not column:
        names = [(item, str(item.value)) for item in arguments.list("properties")]
        place = f"{path}.properties"
        if not names:
            draft.faults.add(
                "which columns must not repeat together?", line=arguments.line, key=place, allowed="a list"
            )
            return None
        known = [known_column(name, line=item.line, key=place, draft=draft) for item, name in names]
        return msgspec.structs.replace(rule, columns=tuple(name for _, name in names)) if all(known) else None
    return rule


def _missing(arguments: Node, field: Field, path: str, draft: Draft) -> tuple[Scalar, ...]:
    """Texts as they stand in the feed, numbers for columns of numbers; null is always missing."""
    values: list[Scalar] = []
    for item in arguments.list("missingValues"):
        number = isinstance(item.value, int | float) and not isinstance(item.value, bool)
        if isinstance(item.value, str) or (number and field.type in ("number", "integer")):
            values.append(item.value)
        elif not item.is_null:
            key = f"{path}.missingValues"
            draft.faults.add("not a sign for missing", line=item.line, key=key, got=item.shown, allowed="texts, null")
    return tuple(dict.fromkeys(values))


def _invalid(rule: Rule, arguments: Node, field: Field, path: str, draft: Draft) -> Rule | None:
    present = [name for name in ARGUMENTS["invalidValues"] if arguments.get(name) is not None]
    if not present:
        allowed = " or ".join(ARGUMENTS["invalidValues"])
        draft.faults.add("what makes a value valid?", line=arguments.line, key=path, allowed=allowed)
        return None
    for name in present:
        wrong = (name == "pattern") != (field.type == "string") and name != "validValues"
        if wrong or (name in ("minimum", "maximum") and field.type == "boolean"):
            draft.faults.add(f"{name} does not fit a {field.type}", line=arguments.line, key=f"{path}.{name}")
            return None
    place = f"{path}.validValues"
    valid = [
        typed_value(item, field, key=place, faults=draft.faults)
        for item in arguments.list("validValues")
        if not item.is_null
    ]
    ends = {
        name: typed_value(node, field, key=f"{path}.{name}", faults=draft.faults)
        for name in ("minimum", "maximum")
        if (node := arguments.get(name)) is not None
    }
    if "pattern" in present:
        check_pattern(arguments.text("pattern"), line=arguments.line, key=f"{path}.pattern", faults=draft.faults)
    low, high = ends.get("minimum"), ends.get("maximum")
    return msgspec.structs.replace(
        rule,
        valid_values=tuple(dict.fromkeys(valid)),
        pattern=arguments.text("pattern"),
        minimum=low if isinstance(low, int | float) else None,
        maximum=high if isinstance(high, int | float) else None,
    )


def _custom(node: Node, path: str, column: str, draft: Draft) -> Rule | None:
    """A rule of the engine `kring`: `{metric: zeroValues}` or `{expression: "..."}`, its operator beside it."""
    place = f"{path}.implementation"
    outside = [name for name in OPERATORS if node.get(name) is not None]
    if outside:
        draft.faults.add(
            "the operator of a custom rule stands inside implementation", line=node.line, key=path, got=outside[0]
        )
    body = node.get("implementation")
    if body is None or body.keys is None:
        allowed = "{metric: zeroValues} or {expression: ...}"
        line, got = (body.line, body.shown) if body else (node.line, "nothing")
        draft.faults.add("an implementation is a mapping", line=line, key=place, got=got, allowed=allowed)
        return None
    walk_keys(body, IMPLEMENTATION, path=place, faults=draft.faults)
    operated = any(body.get(name) is not None for name in OPERATORS)
    bound = (_bound(body, place, draft) if operated else None) or NONE_AT_ALL
    metric, text = body.text("metric"), body.text("expression")
    if bool(metric) == bool(text):
        draft.faults.add("either metric or expression", line=body.line, key=place, allowed="one of the two")
        return None
    if text:
        rule = _base(node, "expression", column, path, draft)
        return _expression(msgspec.structs.replace(rule, bound=bound, expression=text), f"{place}.expression", draft)
    if metric != "zeroValues":
        draft.faults.unknown(metric, known=("zeroValues",), line=body.line, key=f"{place}.metric", what="metric")
        return None
    if not column or draft.fields[column].type not in ("number", "integer"):
        draft.faults.add(
            "zeroValues is a rule of a column of numbers", line=body.line, key=place, got=column or "the table"
        )
        return None
    return msgspec.structs.replace(_base(node, "zeroValues", column, path, draft), bound=bound)


def _expression(rule: Rule, key: str, draft: Draft) -> Rule | None:
    try:
        expression = grammar.parse(rule.expression, file=draft.faults.file, line=rule.line, key=key)
        types = {field.name: field.type for field in draft.fields.values()}
        kind = grammar.type_of(expression, types)
        lookups = grammar.lookups_of(expression)
    except ExpressionError as error:
        draft.faults.add(error.message, line=rule.line, key=key, got=error.got, allowed=error.allowed, next=error.next)
        return None
    if kind != "boolean" or lookups:
        got = "a lookup" if lookups else f"a {kind}"
        draft.faults.add(
            "the expression must be true on good rows", line=rule.line, key=key, got=got, allowed="a boolean"
        )
        return None
    return rule


def read_freshness(node: Node, *, path: str, default: str, table: str, draft: Draft) -> list[Rule]:
    """The rules of one service level; a note when it is not `latency` or `freshness`."""
    word, value = node.text("property"), node.get("value")
    if word not in FRESH:
        draft.note(f"service level {word}", line=node.line)
        return []
    unit = node.text("unit")
    if unit not in AGES:
        draft.faults.unknown(unit, known=AGES, line=node.line, key=f"{path}.unit", what="unit")
        return []
    age = value.value if value is not None else None
    if not isinstance(age, int | float) or isinstance(age, bool) or age <= 0:
        got = value.shown if value else "nothing"
        draft.faults.add(
            "how old may the newest row be?", line=node.line, key=f"{path}.value", got=got, allowed="a number above 0"
        )
        return []
    rules = []
    for element in (node.text("element") or default).split(","):
        column = element.strip().removeprefix(f"{table}.")
        if not known_column(column, line=node.line, key=f"{path}.element", draft=draft):
            continue
        if draft.fields[column].type not in ("date", "timestamp"):
            kind = draft.fields[column].type
            allowed = "a date or timestamp column"
            draft.faults.add(f"{column} has no age", line=node.line, key=f"{path}.element", got=kind, allowed=allowed)
            continue
        rules.append(
            Rule(
                name="freshness",
                metric="freshness",
                columns=(column,),
                max_age_us=round(age * AGES[unit] * 1_000_000),
                description=node.text("description"),
                line=node.line,
            )
        )
    return rules
