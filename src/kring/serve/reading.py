"""What a request holds, read in the types of its contract and held against its rules, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Literal, Protocol

import msgspec

from kring.contracts.row_rules import RowRule, row_rules
from kring.contracts.rows_guard import row_reader
from kring.contracts.rows_json import Values, rows_json
from kring.decide.repair_rows import Mender
from kring.errors import Refused, UserError
from kring.metrics.numbers import numbers_of
from kring.record.batch import Batch
from kring.record.contract import Contract, Field

SHOWN: Final = 80


class Rows(msgspec.Struct, frozen=True, gc=False):
    """Rows in the order of the line's fields and in the types of the contract; the rules that each breaks, and what was
    repaired in it."""

    values: Sequence[Values]
    fired: Mapping[int, list[str]] = {}


class Reader:
    """Reads rows for one contract. `made` gives what a row may leave out: its time, its key.

    With `reject` a row that breaks its contract is refused; else its broken rules are handed on. `mend`, which may be
    set at any time, repairs a row before it is looked at; what it says of it is handed on as well.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        fields: Sequence[Field],
        out_of_contract: Literal["reject", "flag", "impute"],
        made: Mapping[str, Callable[[], object]],
        mend: Mender | None = None,
    ) -> None:
        self.fields = tuple(fields)
        self.names = tuple(field.name for field in fields)
        self._numbers = tuple(field.name for field in fields if field.type == "number")
        self._known = frozenset(self.names)
        self._rejects = out_of_contract == "reject"
        self._made = dict(made)
        self.mend = mend
        self._look = row_reader(contract, fields=self.names)
        self._rules = {rule.full_name: rule for rule in row_rules(contract)}
        row, self._values = rows_json(contract, fields=self.names)
        self._decode = msgspec.json.Decoder(
            msgspec.defstruct("Body", [("inputs", row)], forbid_unknown_fields=True, gc=False)
        ).decode
        self._made_at = [place for place, name in enumerate(self.names) if name in self._made]

    @property
    def asked(self) -> tuple[str, ...]:
        """The fields that a caller has to name, in the contract's order: all but those that are made here."""
        return tuple(name for name in self.names if name not in self._made)

    def quick(self, body: bytes) -> Rows | None:
        """The one row of `{"inputs": {…}}` when it is in order; None when `read` has to look at it."""
        if self.mend is not None:
            return None
        try:
            values = self._values(self._decode(body).inputs)  # type: ignore[attr-defined]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if values is None:
            return None
        if self._made_at and any(values[place] is None for place in self._made_at):
            return None
        return Rows((values,))

    def read(self, raws: Sequence[Mapping[str, object]]) -> Rows:
        """Rows of named raw values. `Refused` names the first broken rule of the first broken row, with what was got
        and what is allowed; `UserError` a field that the contract does not know."""
        values: list[Values] = []
        fired: dict[int, list[str]] = {}
        notes: dict[int, list[str]] = {}
        for place, raw in enumerate(raws):
            self._require_known(raw, place)
            if self.mend is not None:
                raw, notes[place] = self.mend(raw)  # noqa: PLW2901  the row, as it is from here on
            full = {**raw, **{name: make() for name, make in self._made.items() if raw.get(name) is None}}
            read, broken = self._look(full)
            if broken:
                fired[place] = broken
            values.append(tuple(read[name] for name in self.names))
        if fired and self._rejects:
            place = min(fired)
            raise self._refusal(raws[place], fired[place], place=place, of=len(raws), broken=len(fired))
        for place, told in notes.items():
            if told:
                fired[place] = [*fired.get(place, ()), *told]
        return Rows(values, fired)

    def batch(self, values: Sequence[Values]) -> Batch:
        """Rows as columns, the numbers among them side by side as well."""
        columns: dict[str, Any] = dict(zip(self.names, map(list, zip(*values, strict=True)), strict=True))
        return Batch(len(values), columns, numbers_of(columns, self._numbers) if self._numbers else None)

    def _require_known(self, raw: Mapping[str, object], place: int) -> None:
        unknown = next((name for name in raw if name not in self._known), None)
        if unknown is None:
            return
        near = get_close_matches(str(unknown), self.names, n=1)
        raise UserError(
            f"row {place} holds a field that the contract does not know",
            got=repr(unknown)[:SHOWN],
            allowed=", ".join(self.names),
            next=f"did you mean {near[0]!r}?" if near else "leave it out",
            key=str(unknown)[:SHOWN],
        )

    def _refusal(self, raw: Mapping[str, object], rules: list[str], *, place: int, of: int, broken: int) -> Refused:
        rule = self._rules[rules[0]]
        return Refused(
            f"{broken} of {of} rows break{'s' if broken == 1 else ''} the contract: {', '.join(rules)} in row {place}",
            got=f"{rule.column} = {raw.get(rule.column)!r}"[:SHOWN] if rule.column else "the row as a whole",
            allowed=allowed_by(rule, self._types()),
            next="mend the row; GET /schema says what each field may be",
            key=rule.column,
        )

    def _types(self) -> dict[str, str]:
        return {field.name: field.type for field in self.fields}


class HasReader(Protocol):
    """Whatever reads rows of one system."""

    reader: Reader


def allowed_by(rule: RowRule, types: Mapping[str, str]) -> str:
    """What a rule lets through, in words."""
    if rule.kind == "expression":
        return rule.expression
    if rule.kind in ("required", "null", "missing"):
        return f"a value: {types.get(rule.column, '')}"
    if rule.kind == "type":
        return types.get(rule.column, "")
    if rule.kind in ("finite", "zero"):
        return "a finite number" if rule.kind == "finite" else "another number than 0"
    low = "" if rule.minimum is None else f"{'>' if rule.exclusive_minimum else '>='} {rule.minimum}"
    high = "" if rule.maximum is None else f"{'<' if rule.exclusive_maximum else '<='} {rule.maximum}"
    some = ", ".join(map(str, rule.allowed[:12])) + (" …" if len(rule.allowed) > 12 else "")
    least = "" if rule.min_length is None else f"at least {rule.min_length} signs"
    most = "" if rule.max_length is None else f"at most {rule.max_length} signs"
    pattern = rule.pattern and f"what matches {rule.pattern}"
    return " and ".join(part for part in (low, high, some, pattern, least, most) if part)


def named_rows(decoded: Any, *, most: int) -> list[dict[str, object]]:
    """One row or a list of at most `most` rows out of decoded JSON. `UserError` for anything else."""
    rows = decoded if isinstance(decoded, list) else [decoded]
    if not rows or len(rows) > most or not all(isinstance(row, dict) for row in rows):
        got = f"{len(rows)} rows" if isinstance(decoded, list) and len(rows) != 1 else type(rows[0]).__name__
        raise UserError(
            "these are no rows", got=got, allowed=f"an object of fields, or a list of 1 to {most:,} of them"
        )
    return rows
