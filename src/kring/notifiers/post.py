"""One POST to a server of others: pinned address, no redirects, bounded in time and size."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult

from kring.errors import Refused, Unreachable, UserError
from kring.notifiers.address import connected, encrypted, parts_of, resolved
from kring.notifiers.bounded import bounded

SCHEMES: Final = {"https": 443, "http": 80}
MOST_READ: Final = 4096
"""Bytes of an answer that are read; what it says beyond its status is nobody's business here."""

AGAIN: Final = frozenset({408, 425, 429})
"""Answers of the 400s that say: later."""


class _Pinned(http.client.HTTPConnection):
    """A connection over a socket that is there already."""

    def __init__(self, host: str, port: int, made: socket.socket, *, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self.sock = made


def post(
    url: str, body: bytes, *, headers: Mapping[str, str], inner: bool, target: str, seconds: float = 10.0,
    context: ssl.SSLContext | None = None,
) -> None:  # fmt: skip
    """Send `body` to `url`; done when the answer is one of the 200s.

    `Unreachable` or `Late` when trying again may help, `Refused` for every other answer, redirects among them, and for
    addresses that must not be reached; `UserError` for what is no address. Plain http only where `inner` allows it.
    """
    parts, port = address_of(url, target=target)
    if parts.scheme == "http" and not inner:
        raise Refused(
            f"the target {target} would be told in clear",
            got="http",
            allowed="https, or inner = true",
            key="notify.url",
        )
    host = str(parts.hostname)
    addresses = resolved(host, port, inner=inner, target=target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    made: list[socket.socket] = []
    with bounded(lambda: made[-1] if made else None, seconds=seconds, target=target):
        try:
            made.append(connected(addresses, port, seconds=seconds, target=target))
            if parts.scheme == "https":
                encrypted(made, context, host=host)
            status = _exchanged(_Pinned(host, port, made[-1], seconds=seconds), path, body, headers)
        except ssl.SSLCertVerificationError as error:
            raise Refused(
                f"the certificate of the target {target} is not good for it", got=error.verify_message,
                next="mend the certificate",
            ) from error  # fmt: skip
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Unreachable(
                f"the target {target} broke off", got=type(error).__name__, next="it is tried again"
            ) from error
        finally:
            for one in reversed(made):
                one.close()
    _require_taken(status, target)


def address_of(url: str, *, target: str) -> tuple[SplitResult, int]:
    """The parts of `url` and its port. `UserError` for what can't be asked by HTTP, and for a name in it."""
    parts, port = parts_of(url, schemes=SCHEMES, target=target)
    if parts.username is not None:
        raise UserError(
            f"the target {target} has a name in its address", allowed="https://host/path",
            next="a secret stands in the environment, secret in [[notify]] names it", key="notify.url",
        )  # fmt: skip
    return parts, port


def _exchanged(connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    connection.request("POST", path, body=body, headers={**headers, "connection": "close", "user-agent": "kring"})
    answer = connection.getresponse()
    try:
        answer.read(MOST_READ)
        return answer.status
    finally:
        answer.close()


def _require_taken(status: int, target: str) -> None:
    if 200 <= status < 300:
        return
    if status >= 500 or status in AGAIN:
        raise Unreachable(f"the target {target} can't take it now", got=f"HTTP {status}", next="it is tried again")
    redirected = 300 <= status < 400
    raise Refused(
        f"the target {target} {'sends elsewhere, and is not followed' if redirected else 'does not take it'}",
        got=f"HTTP {status}",
        allowed="an answer of the 200s",
        next="give its real address" if redirected else "see what it wants: address, secret, form",
    )
