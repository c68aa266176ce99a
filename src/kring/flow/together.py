"""kring.toml against its contract and its task: what each of them can't know by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from kring.contracts.grammar import fields_of, parse
from kring.decide.prepare import declare
from kring.errors import ConfigError, KringError
from kring.experiment.evidence import MEASURES
from kring.flow.asked import overdetermined, single_fold, untunable
from kring.flow.policy_asked import unruly
from kring.flow.scrutiny_asked import measured_beyond, unsliceable, untestable
from kring.frame.wording import did_you_mean
from kring.metrics.folds import CROSS_VALIDATED
from kring.metrics.gates import covers
from kring.ports.task import Task
from kring.record.contract import Contract
from kring.record.system import Candidate, System

LIFT = "lift_over_baseline."


def hold_together(system: System, contract: Contract, task: Task, *, lines: Mapping[str, int]) -> None:
    """Columns, roles, prepared columns, what candidates use, and what the gate speaks of.

    `lines` are the lines of the keys in `kring.toml`. `ConfigError` with every fault at once.
    """
    faults = columns(system, contract) + roles(system, contract)
    if not faults:
        faults = prepared(system, contract)
    faults += untunable(system) + overdetermined(system) + single_fold(system)
    faults += timeless(system) + uses(system) + gated(system, contract, task) + priced(system, task)
    faults += unsliceable(system, contract) + untestable(system, contract, task)
    faults += unruly(system, contract, task)
    if faults:
        faults = [fault if fault.file else located(fault, file=system.file, lines=lines) for fault in faults]
        name, other = Path(system.file).name, Path(contract.file).name
        raise ConfigError(f"{name} and {other} do not fit together", file=system.file, faults=tuple(faults))


def with_roles(system: System, contract: Contract) -> System:
    """`system` with the roles of columns that `kring.toml` leaves to the contract: time and subject."""
    data = system.data
    filled = msgspec.structs.replace(data, time=data.time or contract.time, subject=data.subject or contract.subject)
    return msgspec.structs.replace(system, data=filled)


def located(fault: ConfigError, *, file: str, lines: Mapping[str, int]) -> ConfigError:
    """`fault` with its file and the line of its key, or of the nearest table around it."""
    key = fault.key
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return ConfigError(
        fault.message,
        got=fault.got,
        allowed=fault.allowed,
        next=fault.next,
        file=file,
        line=lines.get(key, 1),
        key=fault.key,
    )


def columns(system: System, contract: Contract) -> list[ConfigError]:
    """Names of columns that the contract does not promise."""
    known = [field.name for field in contract.fields]
    return [
        ConfigError(
            f"{key} names a column that the contract does not promise",
            key=key,
            got=repr(name),
            allowed=", ".join(known),
            next=did_you_mean(name, known, otherwise=f"add it to {Path(contract.file).name}, or mend the name"),
        )
        for key, name in columns_named(system)
        if name and name not in known
    ]


def columns_named(system: System) -> list[tuple[str, str]]:
    """Every place in `kring.toml` that names a column of the contract."""
    data = system.data
    named = [
        ("data.target", data.target),
        ("data.time", data.time),
        ("data.subject", data.subject),
        ("data.group", data.group),
        ("data.outcome_at", data.outcome_at),
        ("data.supplier", data.supplier),
        *(("data.protected", name) for name in data.protected),
    ]
    for lookup in system.lookups:
        named += [(f"lookup.{lookup.name}.key", name) for name in lookup.key]
        named.append((f"lookup.{lookup.name}.value", lookup.value))
    return named


def roles(system: System, contract: Contract) -> list[ConfigError]:
    """The contract owns the roles of columns; `kring.toml` may repeat them, never differ."""
    data = system.data
    lines = {field.name: field.line for field in contract.fields}
    return [
        ConfigError(
            f"{key} differs from the contract",
            key=key,
            got=repr(ours),
            allowed=f"{theirs!r}, as in {Path(contract.file).name}:{lines.get(theirs, 0)}",
            next="the contract owns the roles of columns: leave the key out, or mend one of the two",
        )
        for key, ours, theirs in (
            ("data.target", data.target, contract.target),
            ("data.time", data.time, contract.time),
            ("data.subject", data.subject, contract.subject),
            ("data.outcome_at", data.outcome_at, contract.outcome_time),
        )
        if ours and theirs and ours != theirs
    ]


def prepared(system: System, contract: Contract) -> list[ConfigError]:
    """The first prepared column that reads what it may not, or what is not there."""
    later = {name for name in (system.data.target, system.data.outcome_at) if name}
    for name, text in system.prepare.items():
        try:
            declare({name: text}, contract, system.lookups, forbidden=later)
        except KringError as error:
            key = error.key or f"prepare.{name}"
            return [ConfigError(error.message, key=key, got=error.got, allowed=error.allowed, next=error.next)]
    return []


def timeless(system: System) -> list[ConfigError]:
    """Lookups of a system that does not know when its decisions are made: what was known then?"""
    if system.data.time:
        return []
    return [
        ConfigError(
            "a lookup holds what was known when a decision was made: it needs the time of decisions",
            key=f"lookup.{lookup.name}",
            got="no data.time",
            next="name the time column as data.time, or do without the lookup",
        )
        for lookup in system.lookups
    ]


def uses(system: System) -> list[ConfigError]:
    """Columns that a candidate uses and nobody prepares."""
    return [
        ConfigError(
            f"candidate {candidate.name} uses a column that is not prepared",
            key=f"candidate[{number}].{'rule' if candidate.rule else 'columns'}",
            got=repr(name),
            allowed=", ".join(system.prepare),
            next=did_you_mean(name, system.prepare, otherwise="declare it under [prepare]"),
        )
        for number, candidate in enumerate(system.candidates)
        for name in columns_used(candidate)
        if name not in system.prepare
    ]


def columns_used(candidate: Candidate) -> list[str]:
    return sorted(fields_of(parse(candidate.rule))) if candidate.rule else list(candidate.columns)


def gated(system: System, contract: Contract, task: Task) -> list[ConfigError]:
    """Lines of the gate on a metric that nobody measures: such a line could never pass."""
    known = {**task.metrics, **MEASURES, **{LIFT + name: 1 for name, better in task.metrics.items() if better}}
    if system.evidence.folds:
        known |= {f"{CROSS_VALIDATED}{name}": better for name, better in known.items() if name not in MEASURES}
    return [
        ConfigError(
            f"nothing measures {line.metric}",
            key=f'gate."{line.metric}"' if "." in line.metric else f"gate.{line.metric}",
            got=line.metric,
            allowed=", ".join(sorted({*task.metrics, *MEASURES})) + f", and {LIFT}… of those with a direction",
            next=did_you_mean(line.metric, known, otherwise="name a metric that kring compare shows"),
        )
        for line in system.gate.lines
        if not any(covers(line, name) for name in known) and not measured_beyond(line, system, contract, task)
    ]


def priced(system: System, task: Task) -> list[ConfigError]:
    """Prices of mistakes that the task does not know."""
    try:
        task.prices(system.frame)
    except ConfigError as error:
        key = error.key or "frame.cost"
        return [ConfigError(error.message, key=key, got=error.got, allowed=error.allowed, next=error.next)]
    return []
