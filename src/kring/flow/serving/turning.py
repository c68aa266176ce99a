"""From one pointer to the next while requests go on: versions are opened beside the loop, then a line turns to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kring.errors import KringError
from kring.flow.serving.opening import Opener, mender_of
from kring.ports.clock import Clock
from kring.record.batch import Batch
from kring.record.serving import Served
from kring.serve.copies import Copies
from kring.serve.decider import Decider
from kring.serve.fallback import Answerer
from kring.serve.line import Line

RETRY_S: Final = 1.0
"""A damaged version is looked at again after so long."""

Turned = tuple[Decider[Batch], list[Answerer[Batch]]]


class Turning:
    """One turn at a time; of those that are asked for meanwhile the newest is the next. For the loop's thread."""

    def __init__(
        self,
        lines: Mapping[str, Line],
        openers: Mapping[str, Opener],
        copies: Mapping[str, Copies],
        *,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._lines, self._openers, self._copies = lines, openers, copies
        self._clock = clock
        self._say = say
        self._next: Sequence[Served] = ()
        self._task: asyncio.Task[None] | None = None
        self._again = 0.0

    def turn_to(self, systems: Sequence[Served]) -> None:
        """Open what is new in `systems` and turn each line to it. A line whose live version can't be opened stays with
        what it has, and that is said once. One that others answer for, since its bytes are damaged, tries again."""
        self._next = systems
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._turn())

    def is_to_try_again(self) -> bool:
        """Whether a damaged live version is due to be looked at again: its bytes may have been put back."""
        now = self._clock.monotonic()
        if now < self._again or not any(opener.damaged for opener in self._openers.values()):
            return False
        self._again = now + RETRY_S
        return True

    async def _turn(self) -> None:
        while self._next:
            systems, self._next = self._next, ()
            for served in systems:
                line = self._lines.get(served.system.name)
                if line is not None and (line.served != served or self._openers[line.name].damaged):
                    await self._turn_line(line, served)

    async def _turn_line(self, line: Line, served: Served) -> None:
        before, name = line.served, line.name
        opener = self._openers[name]
        try:
            decider, shadows = await asyncio.get_running_loop().run_in_executor(None, self._opened, opener, served)
        except KringError as error:
            if served != before:
                self._say(f"{name} stays with version {before.pointer.live}: {error.message}")
            return
        line.turn(served, decider)
        line.reader.mend = mender_of(served)
        self._copies[name].answerers = shadows
        opener.keep({*named_in(before), *named_in(served)})

    def _opened(self, opener: Opener, served: Served) -> Turned:
        opener.served = served
        return opener.decider(served.pointer, clock=self._clock), opener.shadows(served.shadows)


def named_in(served: Served) -> tuple[str, ...]:
    """Every version that may be asked."""
    pointer = served.pointer
    return tuple(id for id in (pointer.live, pointer.canary, pointer.previous, *served.shadows) if id)
