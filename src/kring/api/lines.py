"""The systems that one caller may come to, by what the route does and what the caller may do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from kring.access.guard import Gatekeeper
from kring.access.roles import may
from kring.api.exchange import Action
from kring.errors import NotFound, Unauthenticated, UserError
from kring.record.access import Principal
from kring.serve.desk import Desk
from kring.serve.line import Line


class Lines:
    """The systems that one caller may come to, for one action; see `kring.api.exchange.Lines`."""

    __slots__ = ("_action", "_chosen", "_desk", "_entered", "_gate", "_let_in", "_monotonic", "principal")

    def __init__(
        self,
        desk: Desk,
        gate: Gatekeeper,
        monotonic: Callable[[], float],
        *,
        action: Action,
        principal: Principal | None = None,
    ) -> None:
        self.principal = principal
        self._desk = desk
        self._gate = gate
        self._monotonic = monotonic
        self._action = action
        self._entered: ExitStack | None = None
        self._chosen = ""
        self._let_in: tuple[str, ...] = ()

    def choose(self, name: str) -> None:
        """From here on only this one; `NotFound` when it is not the caller's to see."""
        self._seen(name, self._known())
        self._chosen = name

    def line(self, name: str) -> Line:
        gate, who = self._gate, self._known()
        name = name or self._only()
        line = self._seen(name, who)
        if name in self._let_in:  # one request counts once, however often its handler comes back
            return line
        gate.allow(who, action=self._action, system=name, tick=self._monotonic())
        if name in gate.counting:
            self._entered = self._entered or ExitStack()
            self._entered.enter_context(gate.inside(who, system=name))
        self._let_in = (*self._let_in, name)
        return line

    def all(self) -> Sequence[Line]:
        who = self._known()
        return [self._desk.lines[name] for name in self._names() if may(who, self._action, system=name)]

    def leave(self) -> None:
        """The request has been answered."""
        if self._entered is not None:
            self._entered.close()

    def _seen(self, name: str, who: Principal) -> Line:
        line = self._desk.lines.get(name)
        if line is None or not who.roles.get(name):
            raise NotFound(
                "there is no such system", got=repr(name)[:80], allowed=", ".join(self._names()) or "none for this key"
            )
        return line

    def _known(self) -> Principal:
        if self.principal is None:
            raise Unauthenticated("this route knows nobody", next="ask a route that takes a key")
        return self.principal

    def _names(self) -> list[str]:
        names = [name for name in self._desk.lines if self._known().roles.get(name)]
        return [name for name in names if self._chosen in ("", name)]

    def _only(self) -> str:
        if len(self._desk.lines) == 1:
            return next(iter(self._desk.lines))
        names = self._names()
        if len(names) == 1:
            return names[0]
        raise UserError(
            "which system is meant?" if names else "this key opens no system here",
            got="none was named",
            allowed=", ".join(names) or "none",
            next="name one in the header X-Kring-System, or put /systems/NAME before the path",
        )
