"""What kring.toml asks of the policy beyond the threshold, held against what can be known when a decision is made."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from kring.contracts.grammar import fields_of, parse
from kring.decide.policy import OF_LABEL, SAID, expressions_of, names_of, pinned_rules, read_by, unfit
from kring.decide.prepare import declare
from kring.errors import ConfigError, KringError
from kring.ports.task import Task
from kring.record.contract import Contract, LogicalType
from kring.record.prepare import ColumnKind, PreparedColumn
from kring.record.system import System
from kring.record.version import Policy


def unruly(system: System, contract: Contract, task: Task) -> list[ConfigError]:
    """Expressions of the policy that read what is not there or are neither true nor false, and an outlier score
    where there is nothing to score. Labels are not known yet: `pinned_policy` holds the rules against them."""
    faults = []
    if system.guard.outliers != "off" and task.output == "answer":
        faults.append(
            ConfigError(
                "questions have no outlier score",
                key="guard.outliers",
                got=system.guard.outliers,
                allowed="off",
                next="leave guard.outliers out",
            )
        )
    texts = texts_of(system)
    if not texts:
        return faults
    later = {system.data.target, system.data.outcome_at, contract.target, contract.outcome_time} - {""}
    try:
        columns = declare(system.prepare, contract, system.lookups, forbidden=later)
    except KringError:  # told already
        return faults
    policy = Policy(output=task.output)
    types = known_types(contract, later)
    for key, text in texts.items():
        known = names_of(policy, types=types, kinds=kinds_of(columns)) | labels_in(text, task)
        faults += [found] if (found := unfit(text, known, key=key)) else []
    return faults


def pinned_policy(system: System, contract: Contract, policy: Policy, *, columns: Collection[PreparedColumn]) -> Policy:
    """The task's `policy` with what `kring.toml` adds to it. `ConfigError` for a decision, or the probability of a
    label, that the system doesn't know."""
    plan = system.policy
    policy = msgspec.structs.replace(
        policy, rules=pinned_rules(plan.rules, policy), abstain=plan.abstain, outliers=system.guard.outliers
    )
    known = names_of(policy, types={field.name: field.type for field in contract.fields}, kinds=kinds_of(columns))
    for key, text in texts_of(system).items():
        if found := unfit(text, known, key=key):
            raise found
    return policy


def texts_of(system: System) -> dict[str, str]:
    """Every expression of the policy by its key."""
    plan = system.policy
    texts = {f"policy.rule[{number}].when": rule.when for number, rule in enumerate(plan.rules)}
    return texts | ({"policy.abstain": plan.abstain} if plan.abstain else {})


def known_types(contract: Contract, later: Collection[str]) -> dict[str, LogicalType]:
    """The raw fields that a rule may read: known in time, and no identifiers, which are tokens by then."""
    return {field.name: field.type for field in contract.fields if field.name not in later and not field.identifier}


def kinds_of(columns: Collection[PreparedColumn]) -> dict[str, ColumnKind]:
    return {column.name: column.kind for column in columns}


def labels_in(text: str, task: Task) -> dict[str, LogicalType]:
    """The probabilities of labels that an expression speaks of, as long as nobody knows the labels."""
    if SAID[task.output]:
        return {}
    try:
        return {name: "number" for name in fields_of(parse(text)) if name.startswith(OF_LABEL)}
    except KringError:  # told by whoever reads the expression
        return {}


def fields_read(policy: Policy) -> list[str]:
    """Every name that the policy's expressions read."""
    return read_by(expressions_of(policy))
