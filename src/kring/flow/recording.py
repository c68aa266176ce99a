"""Decisions on their way into the log and out of it: what is personal is sealed with the key of whom it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.sealing import open_sealer, sealing
from kring.ports.decision_log import DecisionLog
from kring.ports.sealer import Sealer
from kring.record.decision import Decisions

Unsealing = Callable[[Decisions], Decisions]


def sealing_for(project: Project, log: DecisionLog) -> DecisionLog:
    """The log as this system has to be recorded."""
    subject = project.system.data.subject
    try:
        sealer = open_sealer(project.contract, subject=subject, vault=project.home.vault, random=project.random)
    except BaseException:
        log.close()
        raise
    return sealing(log, sealer, contract=project.contract, subject=subject)


def unsealed(project: Project, record: Decisions) -> Decisions:
    """The record with its personal values, `(erased)` where the person was forgotten."""
    with unsealing(project) as unseal:
        return unseal(record)


@contextmanager
def unsealing(project: Project) -> Iterator[Unsealing]:
    """As `unsealed`, for many records: the vault is opened once, when the first that is sealed comes."""
    opened: list[Sealer] = []

    def unseal(record: Decisions) -> Decisions:
        if not record.sealed:
            return record
        if not opened:
            opened.append(adapters.open_sealer(project.home.vault, random=project.random))
        return adapters.unsealed(record, opened[0])

    try:
        yield unseal
    finally:
        for sealer in opened:
            sealer.close()
