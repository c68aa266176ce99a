"""What kring.toml asks of slices, groups, robustness and behaviour tests, held against what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kring.contracts.grammar import parse, type_of
from kring.decide.prepare import declare
from kring.errors import ConfigError, KringError
from kring.experiment import behaviours, fairness, robustness, worst
from kring.frame.behaviours import Subject, read_behaviours
from kring.metrics.gates import covers
from kring.ports.task import Task
from kring.record.contract import Contract, LogicalType
from kring.record.system import System
from kring.record.verdict import GateLine

KINDS: Final[dict[str, LogicalType]] = {"number": "number", "category": "string"}
PARITY: Final = re.compile(r"fairness\.\w+_(?:difference|ratio)\.(.+)")


def unsliceable(system: System, contract: Contract) -> list[ConfigError]:
    """Declared slices that are not true or false over prepared columns."""
    if not system.evidence.slices:
        return []
    later = {name for name in (system.data.target, system.data.outcome_at) if name}
    try:
        columns = declare(system.prepare, contract, system.lookups, forbidden=later)
    except KringError:  # told already
        return []
    types = {column.name: KINDS[column.kind] for column in columns}
    faults = []
    for name, text in system.evidence.slices.items():
        key = f"evidence.slices.{name}"
        try:
            found = type_of(parse(text), types)
        except KringError as error:
            faults.append(ConfigError(error.message, key=key, got=error.got, allowed=error.allowed, next=error.next))
            continue
        if found != "boolean":
            next = "compare: a slice is the rows where it is true"
            faults.append(ConfigError("a slice is true or false", key=key, got=found, allowed="boolean", next=next))
    return faults


def untestable(system: System, contract: Contract, task: Task) -> list[ConfigError]:
    """Every fault of the behaviour tests, as far as it shows without data; those of the file name it themselves."""
    name = system.evidence.behaviours
    if not name:
        return []
    later = {system.data.target, system.data.outcome_at, contract.target, contract.outcome_time} - {""}
    try:
        read_behaviours(Path(system.file).parent / name, subject=Subject(contract, later, task.output))
    except ConfigError as error:
        return list(error.faults) or [_named(error)]
    except KringError as error:
        return [_named(error)]
    return []


def measured_beyond(line: GateLine, system: System, contract: Contract, task: Task) -> bool:
    """Whether the evidence beyond the task's metrics can hold what `line` speaks of."""
    protected = {*system.data.protected, *(field.name for field in contract.fields if field.protected)}
    parity = PARITY.fullmatch(line.metric)
    if parity:
        return bool(protected) and parity[1] in (*protected, "*")
    first = next((name for name, better in task.metrics.items() if better), robustness.LOSS)
    names = [worst.PREFIX + name for name in dict.fromkeys((first, worst.LOSS))]
    names += [
        f"{robustness.PREFIX}{kind}.{name}"
        for kind in robustness.KINDS
        for name in dict.fromkeys((first, robustness.LOSS, robustness.FLIPPED))
    ]
    names += [fairness.PREFIX] if protected else []
    names += [behaviours.NAME] if system.evidence.behaviours else []
    return any(covers(line, name) for name in names)


def _named(error: KringError) -> ConfigError:
    return ConfigError(error.message, key="evidence.behaviours", got=error.got, allowed=error.allowed, next=error.next)
