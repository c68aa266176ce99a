"""Reads `behaviours.toml` and holds it against the contract: all faults at once, each with its line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from kring.contracts.values import Unread, reader
from kring.errors import ConfigError
from kring.frame.behaviour_tables import (
    SAMPLE,
    BehavioursFile,
    DirectionTable,
    ExampleTable,
    InvarianceTable,
)
from kring.frame.places import Key
from kring.frame.reading import Reading, read_types
from kring.frame.source import broken, open_source
from kring.frame.wording import did_you_mean, shown
from kring.record.behaviour import Behaviours, Direction, Example, Inputs, Invariance
from kring.record.contract import Contract, Field, Scalar

KINDS: Final = ("example", "invariance", "direction")
WAYS: Final = ("decision", "above", "below")
NUMBERS: Final = ("number", "integer")
PROBABILITIES: Final = ("probability", "probabilities")


@dataclass(frozen=True)
class Subject:
    """What the tests speak of: fields that a request has, and what is answered. `labels` is empty as long as
    nobody has seen the target's values."""

    contract: Contract
    later: Collection[str]
    output: str
    labels: Sequence[str] = ()
    fields: dict[str, Field] = field(init=False)

    def __post_init__(self) -> None:
        known = {one.name: one for one in self.contract.fields if one.name not in self.later}
        object.__setattr__(self, "fields", known)


def read_behaviours(path: Path, *, subject: Subject) -> Behaviours:
    """The tests in the file `path`, with values in the types of the contract.

    `ConfigError` with every fault at once, `DataError` for bytes that are no text.
    """
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path.name}",
            file=str(path),
            allowed="a TOML file beside kring.toml",
            next="write it, or remove behaviours from [evidence]",
        )
    source = open_source(path)
    reading = Reading(source)
    read_types(reading, BehavioursFile)
    _rules(reading, subject)
    if reading.faults:
        raise broken(source.file, reading.faults)
    file = msgspec.convert(source.table, BehavioursFile)
    built = _Builder(reading, subject, file)
    return Behaviours(
        examples=tuple(built.example(number, table) for number, table in enumerate(file.example)),
        invariances=tuple(built.invariance(number, table) for number, table in enumerate(file.invariance)),
        directions=tuple(built.direction(number, table) for number, table in enumerate(file.direction)),
        file=source.file,
        digest=source.digest,
    )


def label_of(value: Scalar) -> str:
    """A label as policies write it: `true`, `false`, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _rules(reading: Reading, subject: Subject) -> None:
    tests: list[Key] = [(kind, number) for kind in KINDS for number in range(reading.length((kind,)))]
    if not tests and not reading.faults:
        reading.fault(
            (), "there is no test in this file", allowed="[[example]], [[invariance]] or [[direction]]", next="add one"
        )
    first: dict[str, Key] = {}
    for key in tests:
        name = reading.text((*key, "name"))
        if name and name in first:
            line = reading.source.places.line((*first[name], "name"))
            next = f"the other stands in line {line}"
            reading.fault((*key, "name"), "two tests share this name", got=shown(name), next=next)
        first.setdefault(name, key)
        _label(reading, subject, key)
    _inputs(reading, subject, ("inputs",))
    for key in tests:
        if key[0] == "example":
            _example(reading, subject, key)
        else:
            _changed(reading, subject, key)


def _inputs(reading: Reading, subject: Subject, key: Key) -> None:
    for name, value in reading.entries(key).items():
        if _field(reading, subject, (*key, name), name):
            _value(reading, (*key, name), subject.fields[name], value)


def _field(reading: Reading, subject: Subject, key: Key, name: str) -> bool:
    if name in subject.fields:
        return True
    later = name in subject.later
    reading.fault(
        key,
        f"{name} is known only later, no request has it" if later else "there is no such field",
        got=shown(name),
        allowed=", ".join(subject.fields),
        next=did_you_mean(name, subject.fields, otherwise="name a raw field of the contract"),
    )
    return False


def _value(reading: Reading, key: Key, field: Field, value: object) -> None:
    """A fault for a value, right by itself, that the contract can't read as the field's type."""
    if key not in reading.good:
        return
    if not isinstance(value, bool | int | float | str) or isinstance(reader(field)(value), Unread):
        reading.fault(
            key,
            f"{field.name} can't be this value",
            got=shown(value),
            allowed=f"{'an' if field.type == 'integer' else 'a'} {field.type}",
            next="times and dates are texts, as the contract writes them"
            if field.type in ("date", "timestamp")
            else "",
        )


def _label(reading: Reading, subject: Subject, key: Key) -> None:
    """A label that is named is one of the target's; where there are more than two, one output means one label."""
    label = reading.text((*key, "label"))
    if label and subject.labels and label not in subject.labels:
        _unknown_label(reading, subject, (*key, "label"), label)
    elif label and subject.output not in PROBABILITIES:
        reading.fault((*key, "label"), "there are no labels to choose from", got=shown(label), next="remove it")
    numeric = key[0] == "direction" or {"above", "below"} & reading.entries(key).keys()
    if len(subject.labels) > 2 and numeric and not label:
        next = f'add label = "{subject.labels[0]}"'
        reading.fault(key, "it is not said whose probability is meant", allowed=", ".join(subject.labels), next=next)


def _unknown_label(reading: Reading, subject: Subject, key: Key, label: str) -> None:
    reading.fault(
        key,
        "the target has no such label",
        got=shown(label),
        allowed=", ".join(subject.labels),
        next=did_you_mean(label, subject.labels),
    )


def _example(reading: Reading, subject: Subject, key: Key) -> None:
    _inputs(reading, subject, (*key, "inputs"))
    said = [way for way in WAYS if way in reading.entries(key)]
    if not said:
        next = 'add decision = "…", above = … or below = …'
        reading.fault(key, "it is not said what the answer should be", allowed=" or ".join(WAYS), next=next)
    decision = reading.good.get((*key, "decision"))
    if decision is not None and subject.output == "value":
        next = "write above = … and below = …"
        reading.fault((*key, "decision"), "a number is hardly ever met exactly", got=shown(decision), next=next)
    elif isinstance(decision, bool | int | float | str) and subject.labels and label_of(decision) not in subject.labels:
        _unknown_label(reading, subject, (*key, "decision"), label_of(decision))
    _possible(reading, subject, key)


def _possible(reading: Reading, subject: Subject, key: Key) -> None:
    above, below = (reading.good.get((*key, name)) for name in ("above", "below"))
    if isinstance(above, int | float) and isinstance(below, int | float) and above > below:
        got = f"above {above:g} and below {below:g}"
        reading.fault((*key, "below"), "no output is both", got=got, next="swap the two")
    if subject.output not in PROBABILITIES:
        return
    if isinstance(above, int | float) and above > 1:
        reading.fault((*key, "above"), "no probability is this large", got=f"{above:g}", allowed="1 at the most")
    if isinstance(below, int | float) and below < 0:
        reading.fault((*key, "below"), "no probability is this small", got=f"{below:g}", allowed="0 at the least")


def _changed(reading: Reading, subject: Subject, key: Key) -> None:
    for number in range(reading.length((*key, "rows"))):
        _inputs(reading, subject, (*key, "rows", number))
    name = reading.text((*key, "change"))
    if not name or not _field(reading, subject, (*key, "change"), name):
        return
    field = subject.fields[name]
    if key[0] == "invariance":
        for number in range(reading.length((*key, "to"))):
            _value(reading, (*key, "to", number), field, reading.raw((*key, "to", number)))
        return
    if field.type not in NUMBERS:
        reading.fault((*key, "change"), "only a number can be raised", got=f"{name} is a {field.type}")
    by = reading.good.get((*key, "by"))
    if by == 0:
        reading.fault((*key, "by"), "this changes nothing", got="0", allowed="a number above or below zero")
    elif field.type == "integer" and isinstance(by, float) and not by.is_integer():
        reading.fault((*key, "by"), f"{name} is a whole number", got=shown(by), allowed="a whole number")


class _Builder:
    """From tables without faults to records."""

    def __init__(self, reading: Reading, subject: Subject, file: BehavioursFile) -> None:
        self.reading = reading
        self.subject = subject
        self.usual = self.typed(file.inputs)

    def typed(self, inputs: dict[str, bool | int | float | str]) -> Inputs:
        """Values in the types of their fields: times in microseconds, dates in days."""
        return {name: self.read(name, value) for name, value in inputs.items()}

    def read(self, name: str, value: bool | int | float | str) -> Scalar:
        found = reader(self.subject.fields[name])(value)
        return None if isinstance(found, Unread) else found

    def full(self, rows: Sequence[dict[str, bool | int | float | str]]) -> tuple[Inputs, ...]:
        return tuple({**self.usual, **self.typed(row)} for row in rows)

    def line(self, kind: str, number: int) -> int:
        return self.reading.source.places.line((kind, number))

    def example(self, number: int, table: ExampleTable) -> Example:
        return Example(
            name=table.name,
            inputs=self.full([table.inputs])[0],
            decision=None if isinstance(table.decision, msgspec.UnsetType) else label_of(table.decision),
            above=None if isinstance(table.above, msgspec.UnsetType) else table.above,
            below=None if isinstance(table.below, msgspec.UnsetType) else table.below,
            label=table.label,
            line=self.line("example", number),
        )

    def invariance(self, number: int, table: InvarianceTable) -> Invariance:
        return Invariance(
            name=table.name,
            change=table.change,
            to=tuple(self.read(table.change, value) for value in table.to),
            tolerance=None if isinstance(table.tolerance, msgspec.UnsetType) else table.tolerance,
            rows=self.full(table.rows),
            sample=_sample(table),
            line=self.line("invariance", number),
        )

    def direction(self, number: int, table: DirectionTable) -> Direction:
        return Direction(
            name=table.name,
            change=table.change,
            by=table.by,
            output=table.output,
            slack=table.slack,
            label=table.label,
            rows=self.full(table.rows),
            sample=_sample(table),
            line=self.line("direction", number),
        )


def _sample(table: InvarianceTable | DirectionTable) -> int:
    if isinstance(table.sample, msgspec.UnsetType):
        return 0 if table.rows else SAMPLE
    return table.sample
