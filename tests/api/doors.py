"""Every route of a running server, from the tables that it is built of; and keys of all roles to try them with."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from faces import FACES, LOAN

from kring.api.protocols import routes_of
from kring.console.serve import managed
from served import Reply, Server

PUBLIC: Final = {
    *(("GET", path) for path in ("/livez", "/readyz", "/ping", "/health", "/vertex/health")),
    *(("GET", path) for path in ("/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/version")),
    *(("GET", path) for path in ("/sign-in", "/assets/console.css", "/assets/icon.svg", "/favicon.ico")),
    *(("POST", path) for path in ("/sign-in", "/sign-out")),
}
"""All that a stranger may be answered: is it there, what is it, how does one sign in."""

METHODS: Final = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"),
    *("PROPFIND", "BREW"),
)
VERTEX: Final = {"AIP_HEALTH_ROUTE": "/vertex/health", "AIP_PREDICT_ROUTE": "/vertex/predict"}
PART: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Way:
    """One route. Parts of its path are left open."""

    method: str
    path: str
    action: str
    public: bool
    prefixed: bool
    """Whether it may stand behind /systems/NAME."""

    def at(self, **parts: str) -> str:
        """The path with its parts; those that nobody names mean the first one there is."""
        known = {"version": "1", "label": "stable", "name": "greetings"} | parts
        return PART.sub(lambda found: quote(known[found[1]], safe=""), self.path)

    def body(self) -> Any:
        """A request in order, as far as one is known; nothing else for what reads none."""
        own = {face.path.replace("/systems/{model}", ""): face.good for face in FACES.values()}
        plain = re.sub(r"/(versions|labels)/\{\w+\}", "", self.path)
        known = {
            "/api/decisions": {"inputs": LOAN},
            "/api/decisions/{id}/outcome": {"value": True},
            "/api/outcomes": {"outcomes": []},
            "/api/review": {"id": "d_00000000000000000000000000", "value": True},
            "/api/events/kserve": {"instances": [LOAN]},
            "/api/alarms/{id}/acknowledge": {"reason": "seen by a test"},
            "/api/alarms/{id}/silence": {"for": "1h"},
            "/api/alarms/{id}/resolve": {"reason": "ended by a test"},
            "/api/trials/{name}/outcomes": {"outcomes": [{"unit": "ada", "outcome": "bought", "value": True}]},
            "/api/flags/{name}/switch": {"off": True},
            "/api/keys": {"label": "made by a test", "role": "viewer", "systems": ["loans"], "days": 1},
            "/ofrep/v1/evaluate/flags": {"context": {"targetingKey": "ada"}},
            "/ofrep/v1/evaluate/flags/{key}": {"context": {"targetingKey": "ada"}},
        }
        return (own | known).get(plain) if self.method == "POST" else None


def ways() -> list[Way]:
    """All of them: data workers, management, pages."""
    workers = routes_of(lambda: (True, {}), environ=VERTEX)
    others = managed(workers)
    return [
        *(Way(one.method, one.path, one.action, one.public, True) for one in workers),
        *(
            Way(one.method, one.path, one.action, one.public, one.path.startswith(("/api", "/schema")))
            for one in others
        ),
    ]


@dataclass
class Wire:
    """One connection that is kept; thousands of small questions go over it."""

    server: Server
    _open: http.client.HTTPConnection | None = field(default=None, init=False)

    def ask(self, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None) -> Reply:
        if self._open is None:
            self._open = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            self._open.request(method, path, body=body or None, headers=dict(headers or {}))
            answer = self._open.getresponse()
            told = Reply(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        except (http.client.HTTPException, OSError):
            self.close()
            raise
        if told.headers.get("connection") == "close" or method == "CONNECT":
            self.close()
        return told

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class Keyring:
    """Keys of any role in any system, made once each, and known to the data workers when they are handed out."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: dict[tuple[str, str], str] = {}

    def __call__(self, role: str, system: str) -> str:
        if (role, system) not in self._made:
            body = {"label": f"{role} of {system}", "role": role, "systems": [system]}
            told = self._server.ask("POST", "/api/keys", body)
            assert told.status == 201, told.body
            self._made[role, system] = known(self._server, told.json["secret"])
        return self._made[role, system]


def known(server: Server, key: str) -> str:
    """The key, once a data worker takes it."""
    end = time.monotonic() + 30
    while server.ask("GET", "/metrics", key=key).status in (401, 429):
        assert time.monotonic() < end, "no worker has heard of the key"
        time.sleep(0.05)
    return key
