"""Decisions on their way into the log and out of it: what is personal is sealed with the key of whom it is about."""

from __future__ import annotations

from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.sealing import open_sealer, sealing
from kring.ports.decision_log import DecisionLog
from kring.record.decision import Decisions


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
    if not record.sealed:
        return record
    sealer = adapters.open_sealer(project.home.vault, random=project.random)
    try:
        return adapters.unsealed(record, sealer)
    finally:
        sealer.close()
