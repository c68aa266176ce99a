"""Collects every fault of a contract before anything is raised."""

from __future__ import annotations

from collections.abc import Iterable

from kring.contracts.expression import nearest
from kring.errors import ConfigError, Unsupported


class Faults:
    """The faults of one file. `add` takes what is wrong, `refuse` what is right but not built yet."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._wrong: list[ConfigError] = []
        self._refused: list[ConfigError] = []

    def add(self, message: str, *, line: int, key: str, got: object = "", allowed: str = "", next: str = "") -> None:
        """Note one fault at `line` (from 1) and `key` (`schema[0].properties[2].name`)."""
        fault = ConfigError(message, got=str(got), allowed=allowed, next=next, file=self.file, line=line, key=key)
        self._wrong.append(fault)

    def unknown(self, name: str, *, known: Iterable[str], line: int, key: str, what: str = "key") -> None:
        """Note a name that nobody knows, with the one that was probably meant."""
        names = sorted(known)
        self.add(f"unknown {what}", line=line, key=key, got=name, allowed=", ".join(names), next=nearest(name, names))

    def refuse(self, message: str, *, line: int, key: str, got: object = "", allowed: str = "", next: str = "") -> None:
        """Note something the standard knows and Kring does not enforce, so that it is never half-promised."""
        fault = ConfigError(message, got=str(got), allowed=allowed, next=next, file=self.file, line=line, key=key)
        self._refused.append(fault)

    def raise_all(self) -> None:
        """`ConfigError` with all faults in the order of the file; `Unsupported` when all that was
        found is not built yet; nothing when nothing was found."""
        faults = sorted((*self._wrong, *self._refused), key=lambda fault: fault.line)
        if not faults:
            return
        if self._wrong:
            count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
            raise ConfigError(f"{count} in the contract", faults=tuple(faults), file=self.file)
        count = f"{len(faults)} things" if len(faults) > 1 else "one thing"
        told = "\n".join(str(fault) for fault in faults)
        raise Unsupported(
            f"{count} in the contract can't be enforced yet\n{told}",
            next=faults[0].next,
            file=self.file,
            line=faults[0].line,
            key=faults[0].key,
        )
