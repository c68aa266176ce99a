"""One request to the management side, and what is done at one path of it.

As for the data workers, a route can't be written that forgets to ask who comes: handlers come to a system only
through `Call.project`, which holds what the caller may do against what the route does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec

from kring.api.bodies import json_of, require_media
from kring.api.exchange import Headers, Response, one_system
from kring.api.faults import native
from kring.errors import KringError, NotFound, Unauthenticated, UserError
from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.retaining import deleted
from kring.flow.serving.control import Control
from kring.record.access import Action, Principal

T = TypeVar("T", bound=msgspec.Struct)
SHOWN: Final = 80


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request. `system` is what a header or prefix chose, if any; `who` is None on public routes only. `let_in` are
    the systems that it came to, by what was to be done there: it counts once, however many decisions it names."""

    control: Control
    who: Principal | None
    action: Action
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    address: str
    system: str = ""
    let_in: dict[tuple[Action, str], Project] = {}

    @property
    def principal(self) -> Principal:
        if self.who is None:
            raise Unauthenticated("this route knows nobody", next="show a key: Authorization: Bearer KEY")
        return self.who

    def project(self, name: str, *, action: Action | None = None) -> Project:
        """The project of the system `name`, when the caller may do there what the route does. `UserError` when header
        or prefix chose another one."""
        one_system(self.system, name)
        asked = (action or self.action, name)
        if asked not in self.let_in:
            self.let_in[asked] = self.control.allow(self.principal, *asked)
        return self.let_in[asked]

    def seen(self) -> list[Project]:
        """The projects of all systems that the caller may see."""
        return [one for one in self.control.seen(self.principal) if self.system in ("", one.system.name)]

    def deciding(self, id: str) -> Project:
        """The project of the system that made the decision `id`: `NotFound` when no system of the caller's did, and
        when it is deleted."""
        project = self.maker(id)
        if project is not None:
            return project
        gone = next(filter(None, (deleted(one, id) for one in self.seen())), None)
        raise gone or NotFound(
            "there is no such decision", got=repr(id)[:SHOWN], next="use the id that came with the answer"
        )

    def maker(self, id: str) -> Project | None:
        """The project of the system in whose log the decision `id` is; None when it is in none of the caller's."""
        for project in self.seen():
            try:
                adapters.read_log(project.home.log, system=project.system.name).find(id)
            except NotFound:
                continue
            return self.project(project.system.name)
        return None

    def read(self, kind: type[T]) -> T:
        """The body as one of our types. `UserError` for anything else, and for keys that it does not have."""
        require_media(self.headers)
        try:
            return msgspec.convert(json_of(self.body), kind)
        except msgspec.ValidationError as error:
            raise UserError(
                "the body is not what this route reads",
                got=str(error),
                allowed=f"the keys {', '.join(field.encode_name for field in msgspec.structs.fields(kind))}",
                next="see GET /schema",
            ) from error


Answer = Callable[[Call], Response]
Fault = Callable[[KringError, int], Response]
Shown = Callable[[KringError, int, str], Response]
"""An error as a page, with the path on which it happened."""


class Managed(msgspec.Struct, frozen=True, kw_only=True):
    """What is done at one path. `takes` and `gives` are the types of the bodies, `asks` what may stand in the query
    with what it means. What `creates` answers 201. A `page` is for people: it takes a session besides keys, and is
    no part of the interface; `shown` tells its errors to who wants to read them."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Answer
    action: Action
    summary: str
    public: bool = False
    page: bool = False
    creates: bool = False
    takes: Any = None
    gives: Any = None
    asks: Mapping[str, str] = {}
    fault: Fault = native
    shown: Shown | None = None


def wants_page(headers: Headers) -> bool:
    """Whether who asks would rather read than compute: browsers ask for HTML, programs for JSON."""
    accept = str(headers.get("accept") or "").lower()
    return "text/html" in accept or "json" not in accept


def answer(value: object, *, status: int = 200) -> Response:
    """`value` as JSON."""
    return Response(status, msgspec.json.encode(value))


def whole(text: str | None, *, name: str, most: int, default: int) -> int:
    """A whole number out of the query."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise UserError(f"{name} is no such number", got=repr(text)[:SHOWN], allowed=f"1 to {most}", key=name)
    return int(text[:9])
