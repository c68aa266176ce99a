"""What of a system's records is sealed, and with whose key. Imports nothing heavy: data workers use it, too."""

from __future__ import annotations

from pathlib import Path

from kring.flow import adapters
from kring.ports.decision_log import DecisionLog
from kring.ports.random import Random
from kring.ports.sealer import Sealer
from kring.record.contract import Contract


def sealed_fields(contract: Contract, *, subject: str) -> tuple[str, ...]:
    """The fields whose values are sealed: personal ones. Identifiers are tokens anyhow; so is a personal subject."""
    return tuple(
        field.name for field in contract.fields if field.personal and not field.identifier and field.name != subject
    )


def open_sealer(contract: Contract, *, subject: str, vault: Path, random: Random) -> Sealer | None:
    """Seals what is personal; None when the contract names nothing personal."""
    if not sealed_fields(contract, subject=subject) and not is_hidden(contract, subject):
        return None
    return adapters.open_sealer(vault, random=random)


def sealing(log: DecisionLog, sealer: Sealer | None, *, contract: Contract, subject: str) -> DecisionLog:
    """The log that seals what is appended, with its sealer to be closed with it; the same log without a sealer."""
    if sealer is None:
        return log
    identifiers = [field.name for field in contract.fields if field.identifier]
    return adapters.sealing_log(
        log,
        sealer,
        fields=sealed_fields(contract, subject=subject),
        key_by=subject or next(iter(identifiers), ""),
        hide=is_hidden(contract, subject),
    )


def is_hidden(contract: Contract, subject: str) -> bool:
    """Whether the subject is personal and no identifier: then a token stands for it in the log."""
    return any(field.name == subject and field.personal and not field.identifier for field in contract.fields)
