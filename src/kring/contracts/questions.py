"""Which field of a request holds the question, when a system is asked in words."""

from __future__ import annotations

from collections.abc import Mapping

from kring.contracts.grammar import fields_of, parse
from kring.record.contract import LogicalType


def texts_read(prepare: Mapping[str, str], *, types: Mapping[str, LogicalType]) -> tuple[str, ...]:
    """The texts that prepared columns are made from, sorted. One that is asked in words has exactly one."""
    read = {name for text in prepare.values() for name in fields_of(parse(text))}
    return tuple(sorted(name for name in read if types.get(name) == "string"))
