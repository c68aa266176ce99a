"""What every handler of the fold is given, and gives back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from kring.record.operator import Command, OperatorState
from kring.record.system import System

ACTOR: Final = "operator"
Step = tuple[OperatorState, list[Command]]


@dataclass(frozen=True)
class Moment:
    """The system as declared, and the time (microseconds UTC)."""

    system: System
    now: int


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
