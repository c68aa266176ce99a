"""Every operator and function of the grammar: one table that parser, type check, compilers and docs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kring.record.contract import LogicalType

Accepts = Literal["number", "string", "boolean", "timestamp", "moment", "plain", "any", "same", "ordered"]
"""What a parameter takes. number: number or integer · moment: timestamp or date · plain: string, integer or
boolean · same: any one type, the same for all such parameters · ordered: as same, but not boolean."""

Option = Literal["", "zone", "digits"]
"""A last argument that may be left out and must be a literal: an IANA time zone, or an integer from 0 to 15."""

Gives = LogicalType | Literal["same"]


@dataclass(frozen=True, slots=True)
class Signature:
    """All parameters are required, the last may be given many times when it `repeats`, then comes the `option`.

    `null` allows the literal null for parameters of kind same.
    """

    parameters: tuple[Accepts, ...]
    gives: Gives
    repeats: bool = False
    null: bool = False
    option: Option = ""

    def takes(self, count: int) -> bool:
        """Whether `count` arguments are a right number."""
        least = len(self.parameters)
        return count >= least and (self.repeats or count <= least + bool(self.option))

    def arity(self) -> str:
        """'2', '1 or 2', '2 or more'."""
        least = len(self.parameters)
        return f"{least} or more" if self.repeats else f"{least} or {least + 1}" if self.option else str(least)

    def parameter(self, index: int) -> Accepts:
        """What the argument number `index` must be."""
        return self.parameters[min(index, len(self.parameters) - 1)]


_PART: Final = Signature(("timestamp",), "integer", option="zone")
_DATE_PART: Final = Signature(("moment",), "integer", option="zone")
_MEASURE: Final = Signature(("number",), "number")
_WHOLE: Final = Signature(("number",), "integer")
_TEXT: Final = Signature(("string",), "string")
_TEXT_TEST: Final = Signature(("string", "string"), "boolean")
_EXTREME: Final = Signature(("number", "number"), "number", repeats=True)
_ARITHMETIC: Final = Signature(("number", "number"), "number")
_LOGIC: Final = Signature(("boolean", "boolean"), "boolean", repeats=True)
_EQUAL: Final = Signature(("same", "same"), "boolean")
_ORDER: Final = Signature(("ordered", "ordered"), "boolean")

FUNCTIONS: Final[Mapping[str, Signature]] = {
    "hour": _PART,
    "minute": _PART,
    "day": _DATE_PART,
    "weekday": _DATE_PART,
    "month": _DATE_PART,
    "year": _DATE_PART,
    "hours_between": Signature(("timestamp", "timestamp"), "number"),
    "is_null": Signature(("any",), "boolean"),
    "coalesce": Signature(("same", "same"), "same", repeats=True, null=True),
    "where": Signature(("boolean", "same", "same"), "same", null=True),
    "min": _EXTREME,
    "max": _EXTREME,
    "clip": Signature(("number", "number", "number"), "number"),
    "abs": _MEASURE,
    "log": _MEASURE,
    "exp": _MEASURE,
    "sqrt": _MEASURE,
    "round": Signature(("number",), "integer", option="digits"),
    "floor": _WHOLE,
    "ceil": _WHOLE,
    "lower": _TEXT,
    "upper": _TEXT,
    "strip": _TEXT,
    "length": Signature(("string",), "integer"),
    "starts_with": _TEXT_TEST,
    "ends_with": _TEXT_TEST,
    "contains": _TEXT_TEST,
    "concat": Signature(("string", "string"), "string", repeats=True),
    "text": Signature(("plain",), "string"),
}

OPERATORS: Final[Mapping[str, Signature]] = {
    "+": _ARITHMETIC,
    "-": _ARITHMETIC,
    "*": _ARITHMETIC,
    "/": _ARITHMETIC,
    "//": _ARITHMETIC,
    "%": _ARITHMETIC,
    "negative": _MEASURE,
    "==": _EQUAL,
    "!=": _EQUAL,
    "<": _ORDER,
    "<=": _ORDER,
    ">": _ORDER,
    ">=": _ORDER,
    "and": _LOGIC,
    "or": _LOGIC,
    "not": Signature(("boolean",), "boolean"),
    "in": Signature(("same", "same"), "boolean", repeats=True),
}

SIGNATURES: Final[Mapping[str, Signature]] = {**FUNCTIONS, **OPERATORS}

SPECIAL: Final = ("lookup", "field")
"""Called like functions, but read by the parser: `lookup("name", key = [...])` and `field("a name with blanks")`."""
