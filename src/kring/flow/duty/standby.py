"""A duty whenever its files hold and nobody else has it, kept apart from those of other systems in the same process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from kring.errors import Busy, KringError
from kring.flow.duty.prober import fault_of
from kring.flow.duty.turns import Duty
from kring.flow.project import Project, open_project

LONGEST_S: Final = 60.0
"""A duty that breaks is taken up again after so long at the latest, and as sound again when it has lasted so long."""


class Unread:
    """The duty of a system from the moment on at which its files can be read. What is wrong with them is said once, and
    keeps no other system waiting."""

    def __init__(self, folder: Path, *, begin: Callable[[Project], Standby], say: Callable[[str], None]) -> None:
        self._folder, self._begin = folder, begin
        self._say, self._said = say, ""
        self._standby: Standby | None = None

    def turn(self, *, read_only: bool = False) -> None:
        """As `Standby.turn`, once there is one."""
        if self._standby is None:
            try:
                self._standby = self._begin(open_project(self._folder, say=self._say))
            except KringError as error:
                if error.lasting != self._said:
                    self._say(f"{self._folder} is not operated before its files can be read: {error.lasting}")
                self._said = error.lasting
                return
        self._standby.turn(read_only=read_only)

    def close(self) -> None:
        if self._standby is not None:
            self._standby.close()


class Standby:
    """A duty whenever nobody else has it. What is wrong with one system is not wrong with others: a fault of the code
    ends the duty, and it is taken up again after a while that grows."""

    def __init__(
        self, project: Project, *, holder: str, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.project = project
        self._holder, self._environ = holder, environ
        self._say, self._said = say, ""
        self._duty: Duty | None = None
        self._is_told = False
        self._since = self._rests_until = self._rest_s = 0.0
        self._faults: set[str] = set()

    def turn(self, *, read_only: bool = False) -> None:
        """One turn of the duty, if it can be had. What is in its way is said once."""
        name, at = self.project.system.name, self.project.clock.monotonic()
        if at < self._rests_until:
            return
        try:
            self._turn(at, read_only=read_only)
        except Busy as error:
            self._leave(f"{name} is operated elsewhere: {error.message}")
        except KringError as error:
            self._leave(f"{name} is not operated for the moment: {error.message}")
        except Exception as error:  # noqa: BLE001  the edge: other systems are operated beside it
            self._rest(f"{name} is not operated for the moment: {fault_of(error)}", at=at)

    def close(self) -> None:
        duty, self._duty, self._is_told = self._duty, None, False
        if duty is not None:
            duty.close()

    def _turn(self, at: float, *, read_only: bool) -> None:
        if self._duty is None:
            self._duty, self._since = self._taken(), at
        self._duty.turn(read_only=read_only)
        self.project, self._said = self._duty.project, ""
        if not self._is_told:
            self._say(f"{self.project.system.name} is operated here")
        self._is_told = True
        if at - self._since >= LONGEST_S:
            self._rest_s = 0.0
            self._faults.clear()

    def _taken(self) -> Duty:
        return Duty(self.project, holder=self._holder, environ=self._environ, say=self._say)

    def _leave(self, why: str) -> None:
        self.close()
        if why != self._said:
            self._say(why)
        self._said = why

    def _rest(self, why: str, *, at: float) -> None:
        """Leave it for twice as long as the last time. The same fault is said once."""
        if why not in self._faults:
            self._say(why)
        self._faults.add(why)
        self._rest_s = min(2 * self._rest_s or 1.0, LONGEST_S)
        self._rests_until = at + self._rest_s
        with suppress(Exception):  # what is broken need not close
            self.close()
