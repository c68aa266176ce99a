"""Which route a path means: exact ones by one look into a table, those with parts by pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote

from kring.api.exchange import Route

PART: Final = re.compile(r"\{(\w+)\}")
SYSTEM: Final = re.compile(r"/systems/([^/]+)(/.*)")


class Found(NamedTuple):
    """The route, the parts of the path that it names, and the system that the prefix chose."""

    route: Route
    params: dict[str, str]
    system: str


class Paths:
    """Routes by method and path. A path under `/systems/NAME` means the same path for that system."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[tuple[str, str], Found] = {
            (one.method, one.path): Found(one, {}, "") for one in self.routes if "{" not in one.path
        }
        self._patterns = [
            (one, re.compile(PART.sub(r"(?P<\1>[^/:]+)", re.sub(r"[.:]", r"\\\g<0>", one.path))))
            for one in self.routes
            if "{" in one.path
        ]

    def find(self, method: str, path: str) -> Found | None:
        """None when no route is meant."""
        found = self._exact.get((method, path))
        if found is not None:
            return found
        prefixed = SYSTEM.fullmatch(path)
        if prefixed is None:
            return self._by_pattern(method, path, "")
        name, rest = unquote(prefixed[1]), prefixed[2]
        exact = self._exact.get((method, rest))
        return Found(exact.route, {}, name) if exact else self._by_pattern(method, rest, name)

    def _by_pattern(self, method: str, path: str, system: str) -> Found | None:
        for route, pattern in self._patterns:
            match = pattern.fullmatch(path) if route.method == method else None
            if match is not None:
                return Found(route, {name: unquote(part) for name, part in match.groupdict().items()}, system)
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that `path` knows, for who tried another."""
        return sorted({one.method for one in self.routes if self.find(one.method, path)})
