"""`kring.toml` as it is now, beside what is served: what of an edit holds at once, what waits for the next start."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import KringError
from kring.flow.configuration import by_file
from kring.flow.project import Project
from kring.record.running import Flag
from kring.record.system import System
from kring.record.trial import TrialRun

AT_THE_START: Final[Mapping[str, Callable[[System], object]]] = {
    "system.task": lambda system: system.task,
    "frame.default": lambda system: system.frame.default,
    "data": lambda system: (system.data.subject, system.data.time, system.data.target, system.data.outcome_at),
    "guard": lambda system: (system.guard.out_of_contract, system.guard.timeout_us),
    "log": lambda system: system.log,
    "govern.retention": lambda system: system.govern.retention_us,
}
"""What lines, logs and readers of a worker are made of, and what upkeep goes by. Flags, access and rollouts are taken
at once; all else is the operator's, which reads the file itself, or belongs to a version and comes with the next."""


@dataclass
class Configured:
    """One system: as it is `served`, and the `newest` that its file has said. `trouble` is what keeps the file as it is
    now from being gone by."""

    served: Project
    newest: Project
    say: Callable[[str], None]
    trouble: str = field(default="", init=False)

    def look(self) -> bool:
        """Whether the file says something else than at the last look, or is wrong in another way."""
        before, trouble = self.newest, self.trouble
        try:
            self.newest, self.trouble = by_file(before, say=self.say) or before, ""
        except KringError as error:
            name = Path(error.file).name if error.file else "kring.toml"
            self.trouble = f"{name} is not gone by as it is now: {error.lasting}"
        return self.newest is not before or self.trouble != trouble

    def turn(self, trials: Iterable[TrialRun]) -> str:
        """Have served what holds at once; in words what of the file waits. A flag on which one of the `trials` runs
        stays as it is: an arm goes on to mean what it meant."""
        own, file = self.served.system, self.newest.system
        held = {one.terms.flag for one in trials} - {""}
        flags = merged(own.flags, file.flags, held=held)
        system = msgspec.structs.replace(own, flags=flags, access=file.access, rollout=file.rollout)
        self.served = replace(self.served, system=system)
        return self._waiting(changed(flags, file.flags))

    def _waiting(self, flags: Collection[str]) -> str:
        own, file = self.served, self.newest
        parts = [name for name, part in AT_THE_START.items() if not alike(part(own.system), part(file.system))]
        parts += ["the contract"] if own.contract.digest != file.contract.digest else []
        waits = [self.trouble] if self.trouble else []
        waits += [f"the edit of {', '.join(parts)} holds when kring serve is started again"] if parts else []
        waits += [f"the edit of the flag {name} holds when the trial on it has ended" for name in sorted(flags)]
        return "; ".join(waits)


def merged(own: Sequence[Flag], file: Sequence[Flag], *, held: Collection[str]) -> tuple[Flag, ...]:
    """The flags of the file, but those that are `held` as they are."""
    kept = {flag.name: flag for flag in own if flag.name in held}
    return (*(kept.pop(flag.name, flag) for flag in file), *kept.values())


def alike(one: object, other: object) -> bool:
    """Whether both are published in the same words: what was read from there may be of other types."""
    return msgspec.json.encode(one) == msgspec.json.encode(other)


def changed(before: Sequence[Flag], after: Sequence[Flag]) -> set[str]:
    """The names of the flags that are not the same in both."""
    one, two = ({flag.name: flag for flag in flags} for flags in (before, after))
    return {name for name in one.keys() | two.keys() if not alike(one.get(name), two.get(name))}
