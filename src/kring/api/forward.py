"""Requests for the control process, passed on over its private socket, and its answers passed back."""

from __future__ import annotations

import asyncio
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from kring.api.app import Forward
from kring.api.exchange import Header
from kring.errors import Unavailable, UserError

AT_ONCE: Final = 8
TIMEOUT_S: Final = 30.0
PASSED: Final = (
    *("host", "origin", "authorization", "x-api-key", "cookie", "x-kring-system"),
    *("accept", "content-type", "if-none-match", "idempotency-key", "sec-fetch-site", "traceparent", "tracestate"),
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


def forward_to(path: Path) -> Forward:
    """Passes requests on to whoever listens at `path`; `Unavailable` while nobody does."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forward")

    async def forward(scope: Any, proto: Any, body: bytes) -> None:
        headers = [(name, value) for name in PASSED for value in scope.headers.get_all(name)]
        headers.append(("x-forwarded-for", scope.client.rpartition(":")[0]))
        target = quote(scope.path, safe=PATH)
        if scope.query_string:
            target = f"{target}?{quote(scope.query_string, safe=QUERY)}"
        status, answered, data = await asyncio.get_running_loop().run_in_executor(
            pool, _ask, path, scope.method, target, headers, body
        )
        proto.response_bytes(status, answered, data)

    return forward


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
