"""Requests for the control process, passed on over its private socket, and its answers passed back."""

from __future__ import annotations

import asyncio
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from kring.access.hosts import client_address
from kring.api.exchange import Header
from kring.errors import Unavailable, UserError
from kring.host.sockets import is_taken, reachable
from kring.ports.spans import ASKED_IN

AT_ONCE: Final = 8
TIMEOUT_S: Final = 30.0
PASSED: Final = (
    *("host", "origin", "authorization", "x-api-key", "cookie", "x-kring-system"),
    *("accept", "content-type", "if-none-match", "idempotency-key", "sec-fetch-site", "traceparent", "tracestate"),
    *("ce-id", "ce-source", "ce-specversion", "ce-type", "ce-time", "inference-header-content-length"),
)
"""The headers that the control process is told; no other one reaches it."""

PATH: Final = "/:@!$&'()*+,;=~-._"
QUERY: Final = f"{PATH}?%"
HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"})
"""Headers that speak of one connection, not of the request."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


class ControlSide:
    """Whoever listens at `path`; `Unavailable` while nobody does. It is told where requests come from, `behind_proxy`
    by what the proxy says."""

    def __init__(self, path: Path, *, behind_proxy: bool) -> None:
        self._behind_proxy = behind_proxy
        self._path = reachable(path)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forward")

    def is_there(self) -> bool:
        """Whether anybody listens now."""
        return is_taken(self._path)

    async def pass_on(self, scope: Any, proto: Any, body: bytes) -> None:
        """The request as it came, and its answer as it comes."""
        target = quote(scope.path, safe=PATH)
        if scope.query_string:
            target = f"{target}?{quote(scope.query_string, safe=QUERY)}"
        proto.response_bytes(*await self._asked(scope, scope.method, target, body))

    async def get(self, scope: Any, target: str) -> tuple[int, bytes]:
        """Status and body of what is at `target`, for the caller of the request."""
        status, _, body = await self._asked(scope, "GET", target, b"")
        return status, body

    async def _asked(self, scope: Any, method: str, target: str, body: bytes) -> tuple[int, list[Header], bytes]:
        headers = [(name, value) for name in PASSED for value in scope.headers.get_all(name)]
        peer = scope.client.rpartition(":")[0]
        address = client_address(peer, scope.headers, behind_proxy=self._behind_proxy)
        headers.append(("x-forwarded-for", address))
        span = ASKED_IN.get()
        if span is not None:
            headers = [header for header in headers if header[0] != "traceparent"]
            headers.append(("traceparent", span.parental))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _ask, self._path, method, target, headers, body)


def _ask(path: Path, method: str, target: str, headers: list[Header], body: bytes) -> tuple[int, list[Header], bytes]:
    connection = UnixConnection(path)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.putheader("connection", "close")
        connection.endheaders(body)
        response = connection.getresponse()
        data = response.read()
    except ValueError as error:
        raise UserError("a header of this request can't be passed on", got=str(error)[:80]) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            "the management side of this server does not answer at the moment",
            got=type(error).__name__,
            next="decisions go on; try this again in a moment",
        ) from error
    finally:
        connection.close()
    kept = [(name.lower(), value) for name, value in response.getheaders() if name.lower() not in HOP]
    return response.status, kept, data
