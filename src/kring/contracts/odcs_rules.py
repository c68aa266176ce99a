"""The quality rules of a contract, and the freshness that its service levels promise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from kring.contracts.odcs_custom import ENGINES_OF_CODE, read_custom, refuse_code
from kring.contracts.odcs_fields import Draft, check_pattern, known_column, shown, typed_value
from kring.contracts.odcs_keys import OPERATORS, walk_keys
from kring.contracts.yaml_lines import Node
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
SEVERITIES: Final[Mapping[str, Severity]] = {"error": "block", "warning": "warn", "info": "warn"}
DIMENSIONS: Final = ("accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness")
UNITS: Final[Mapping[str, Unit]] = {"rows": "rows", "percent": "percent"}
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
_REMEDIES: Final = {"sql": "; the dialect is the server's, so write it as engine kring with an expression"}


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
        return read_custom(node, path=path, column=column, draft=draft, begin=_base, bounded=_bound)
    if kind == "custom" and engine.lower() in ENGINES_OF_CODE:
        refuse_code(node, path=path, draft=draft)
    elif kind in ("sql", "text", "custom"):
        said = node.text("name") or node.text("description") or "a quality rule"
        of = f" of the engine {engine}" if engine else ""
        draft.note(f"{said}: {kind} rules{of} are descriptions here{_REMEDIES.get(kind, '')}", line=node.line)
    else:
        known = ("library", "custom", "sql", "text")
        draft.faults.unknown(kind, known=known, line=node.line, key=f"{path}.type", what="type")
    return None


def _library(node: Node, path: str, column: str, draft: Draft) -> Rule | None:
    key, word = f"{path}.metric", node.text("metric")
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
    if unit not in UNITS or (metric == "rowCount" and unit != "rows"):
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
    if rule.metric == "duplicateValues" and column and arguments.get("properties") is not None:
        told = "write the rule under quality of the table"
        place = f"{path}.properties"
        draft.faults.add("a rule of one column takes no properties", line=arguments.line, key=place, next=told)
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
    made = msgspec.structs.replace(
        rule,
        valid_values=tuple(dict.fromkeys(valid)),
        pattern=arguments.text("pattern"),
        minimum=low if isinstance(low, int | float) else None,
        maximum=high if isinstance(high, int | float) else None,
    )
    _agree(made, field, arguments, path, draft)
    return made


def _agree(rule: Rule, field: Field, arguments: Node, path: str, draft: Draft) -> None:
    """Note limits between which nothing lies, and values that are valid here and outside the column's limits."""
    if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
        got = f"{shown(arguments, 'minimum')} and {shown(arguments, 'maximum')}"
        draft.faults.add("no value lies between these limits", line=arguments.line, key=path, got=got)
    low = max((limit for limit in (rule.minimum, field.minimum) if limit is not None), default=-math.inf)
    high = min((limit for limit in (rule.maximum, field.maximum) if limit is not None), default=math.inf)
    for item, value in zip(arguments.list("validValues"), rule.valid_values, strict=False):
        if isinstance(value, int | float) and not low <= value <= high:
            draft.faults.add(
                f"this value is listed as valid and lies outside the limits of {field.name}",
                line=item.line,
                key=f"{path}.validValues",
                got=str(item.value),
                next="take it off the list, or widen the limits",
            )


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
