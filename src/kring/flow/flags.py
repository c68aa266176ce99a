"""The flags of a system, for those who look after them: what they say to whom, and their kill switches."""

from __future__ import annotations

import msgspec

from kring.decide.flags import UNIT, Board, Evaluated
from kring.errors import KringError, NotFound
from kring.flow import history
from kring.flow.project import Project
from kring.flow.switching import SwitchFile
from kring.flow.trial_reports import unit_names
from kring.frame.wording import did_you_mean
from kring.ports.ledger import Ledger
from kring.record.running import Flag
from kring.record.switch import Switch
from kring.record.trial import TrialRun


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """A switch that holds. `recorded` says whether the ledger knows of it, `trouble` why not yet."""

    switch: Switch
    recorded: bool
    trouble: str = ""


class FlagSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A flag with its switch, if one was ever set, and the trial that runs on it."""

    flag: Flag
    switch: Switch | None = None
    trial: str = ""

    @property
    def is_off(self) -> bool:
        return self.switch is not None and self.switch.off


def switch_flag(project: Project, name: str, *, off: bool, why: str = "") -> Switched:
    """Switch a flag off, or on again: in every worker at once, then on the ledger.

    `NotFound` for what is no flag of the system, `StorageError` when the switch can't be written; a ledger that can't
    be reached stops nothing.
    """
    flag_named(project, name)
    file = SwitchFile(project.home.root, files=project.files)
    switch = file.set(Switch(flag=name, off=off, at=project.clock.now(), by=project.actor, why=why))
    try:
        record_switches(project)
    except KringError as error:
        return Switched(switch=switch, recorded=False, trouble=error.message)
    return Switched(switch=switch, recorded=True)


def record_switches(project: Project) -> list[Switch]:
    """Put on the ledger what it does not know yet of the switches; those that were put there."""
    known = SwitchFile(project.home.root, files=project.files).read().switches
    if not known:
        return []
    with project.ledger() as ledger:
        told = {one.flag: one.at for one in history.all_of(ledger, Switch)}
        new = sorted((one for one in known.values() if told.get(one.flag, -1) < one.at), key=lambda one: one.at)
        if new:
            entries = [history.entry(one, id=one.flag, actor=one.by, at=one.at) for one in new]
            ledger.append(entries, expect_seq=ledger.head().seq)
    return new


def flags_of(project: Project) -> list[FlagSeen]:
    """All flags. The trials are left out while the ledger can't be read."""
    switches = SwitchFile(project.home.root, files=project.files).read().switches
    trials = {one.terms.flag: one.name for one in _trials(project)}
    return [
        FlagSeen(flag=flag, switch=switches.get(flag.name), trial=trials.get(flag.name, ""))
        for flag in project.system.flags
    ]


def evaluate(project: Project, name: str, context: dict[str, object]) -> Evaluated:
    """What a worker would say now."""
    flag_named(project, name)
    off = SwitchFile(project.home.root, files=project.files).off()
    (unit,) = unit_names(project, [str(context[UNIT])], is_routed=True)
    return Board(project.system.flags, trials=_trials(project)).evaluate(name, context, unit=unit, off=off)


def flag_named(project: Project, name: str) -> Flag:
    """`NotFound` without one, with the nearest there is."""
    names = [flag.name for flag in project.system.flags]
    for flag in project.system.flags:
        if flag.name == name:
            return flag
    raise NotFound(
        f"{project.system.name} has no such flag",
        got=repr(name)[:80],
        allowed=", ".join(names) or "none",
        next=did_you_mean(name, names, otherwise="declare it as [[flag]] in kring.toml"),
    )


def running_trials(ledger: Ledger) -> tuple[TrialRun, ...]:
    """The trials that run, by their names."""
    newest = {one.id: one for one in history.all_of(ledger, TrialRun)}
    return tuple(sorted((one for one in newest.values() if one.is_running), key=lambda one: one.name))


def _trials(project: Project) -> tuple[TrialRun, ...]:
    try:
        with project.ledger() as ledger:
            return running_trials(ledger)
    except KringError:
        return ()
