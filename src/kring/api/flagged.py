"""The declared flags of the systems that a worker serves, each ready to be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from kring.decide.flags import Board, Evaluated
from kring.errors import NotFound, UserError
from kring.flow.switching import SwitchFile
from kring.host.files import LocalFiles
from kring.record.serving import Served
from kring.serve.line import Line


class Rack:
    """The flags of one system, for as long as what is served does not change; `switches` outlive that."""

    def __init__(self, served: Served, switches: SwitchFile) -> None:
        self.served = served
        self.switches = switches
        self.board = Board(served.system.flags, trials=served.trials)

    def evaluate(self, name: str, context: Mapping[str, Any], *, unit: str) -> Evaluated:
        """The value at this moment, kill switch and all."""
        return self.board.evaluate(name, context, unit=unit, off=self.switches.off())


_racks: Final[WeakKeyDictionary[Line, Rack]] = WeakKeyDictionary()


def rack_of(line: Line) -> Rack:
    """The flags of the system that `line` serves now."""
    rack = _racks.get(line)
    if rack is None or rack.served is not line.served:
        switches = SwitchFile(Path(line.served.home), files=LocalFiles()) if rack is None else rack.switches
        rack = _racks[line] = Rack(line.served, switches)
    return rack


def declared(lines: Sequence[Line]) -> Iterator[tuple[str, Line, str]]:
    """All flags: the key, the line and the flag's own name. What two systems share is called `SYSTEM.FLAG`."""
    named = [(flag.name, line) for line in lines for flag in line.served.system.flags]
    times = Counter(name for name, _ in named)
    for name, line in named:
        yield (name if times[name] == 1 else f"{line.name}.{name}"), line, name


def declared_as(key: str, lines: Sequence[Line]) -> tuple[Line, str]:
    """The line and the name of the flag that `key` stands for: `FLAG`, or `SYSTEM.FLAG`. `NotFound`; `UserError` when
    several systems have one of this name."""
    found = [(line, flag.name) for line in lines for flag in line.served.system.flags if key == flag.name]
    for line in lines:
        found += [(line, one.name) for one in line.served.system.flags if key == f"{line.name}.{one.name}"]
    if len(found) > 1:
        raise UserError(
            "several systems have a flag of this name",
            allowed=", ".join(f"{line.name}.{name}" for line, name in found),
            key="GENERAL",
        )
    if not found:
        raise NotFound(
            "there is no such flag",
            allowed="a flag of kring.toml, or the name of a system, alone or with .arm or .canary behind it",
        )
    return found[0]
