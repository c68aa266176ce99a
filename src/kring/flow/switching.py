"""Kill switches of flags: one small file beside the ledger, which every worker looks at before it answers.

The file is the switch. It is written first and needs nothing else; the ledger is told of it as soon as it can be
reached. So a flag can be switched off while the ledger is down, and no process has to live for that but the worker.
Imports nothing heavy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import Busy, IntegrityError, KringError, NotFound
from kring.host.turns import alone
from kring.ports.files import Files
from kring.record.switch import Switch, Switches

FILE: Final = "switches.json"
PATIENCE_S: Final = 5.0

Stamp = tuple[int, int, int]


class SwitchFile:
    """The switches of the system whose state lies in `home`."""

    def __init__(self, home: Path, *, files: Files) -> None:
        self.path = home / FILE
        self._files = files
        self._stamp: Stamp | None = None
        self._off: frozenset[str] = frozenset()
        self._known = Switches()

    def off(self) -> frozenset[str]:
        """The flags that are off now: one look at the file's stamp, and a reading when it has changed. A file that
        can't be read changes nothing: what was known goes on."""
        try:
            there = os.stat(self.path)
            stamp: Stamp | None = (there.st_mtime_ns, there.st_ino, there.st_size)
        except FileNotFoundError:
            stamp = None
        except OSError:
            return self._off
        if stamp != self._stamp:
            try:
                self._known = self.read() if stamp is not None else Switches()
            except KringError:
                return self._off
            self._stamp = stamp
            self._off = frozenset(name for name, one in self._known.switches.items() if one.off)
        return self._off

    def read(self) -> Switches:
        """All switches that were ever set; `IntegrityError` for a file that does not hold them."""
        try:
            return msgspec.json.decode(self._files.read(self.path), type=Switches)
        except NotFound:
            return Switches()
        except msgspec.MsgspecError as error:
            raise IntegrityError(
                "the switches of the flags can't be read",
                got=str(error),
                next="set every switch again: kring flag off NAME; the file that is there is replaced",
                file=str(self.path),
            ) from error

    def set(self, switch: Switch) -> Switch:
        """Put a switch there, durably; it holds from then on. Later than the one before, whatever clocks say.

        `Busy` while somebody else sets one, `StorageError` when the disk refuses.
        """
        with taking_turns(self.path, busy="somebody else sets a switch"):
            try:
                known = self.read().switches
            except IntegrityError:
                known = {}
            before = known.get(switch.flag)
            if before is not None and before.at >= switch.at:
                switch = msgspec.structs.replace(switch, at=before.at + 1)
            self._files.write(self.path, msgspec.json.encode(Switches({**known, switch.flag: switch}), order="sorted"))
        return switch


@contextmanager
def taking_turns(path: Path, *, busy: str) -> Iterator[None]:
    """Change the file `path` alone; whoever else wants to waits for some seconds. `Busy` then. What the administrator
    writes belongs to whom the folder belongs to: workers of another user read it."""
    until, lock = time.monotonic() + PATIENCE_S, path.with_suffix(".lock")
    while True:
        turn = alone(lock, busy=busy)
        try:
            turn.__enter__()
            break
        except Busy:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            hand_over(path, lock)
        turn.__exit__(None, None, None)


def hand_over(*paths: Path) -> None:
    """Give files to whom their folders belong to, as far as they are there and the disk knows owners."""
    for path in paths:
        with suppress(OSError):
            folder = os.stat(path.parent)
            os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
