"""Where to listen, and whose requests to answer there: the checks that keep a browser from being borrowed.

A page of a stranger may resolve its own name to this machine (DNS rebinding): its requests come with its own name in
`Host`. Or it may ask from where it is: then `Origin` names it, or says `null`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from kring.errors import Forbidden, UserError

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS: Final = {"http": 80, "https": 443}
SIGNS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]")
LONGEST: Final = 300


class Headers(Protocol):
    """The headers of a request by their names in lower case."""

    def get(self, name: str, /) -> str | None:
        """The value, or None."""
        ...


class Forwarded(Protocol):
    """The headers of a request that may come more than once."""

    def get_all(self, name: str, /) -> Sequence[str]:
        """Every value, in the order in which they came."""
        ...


class Authority(NamedTuple):
    """A host and its port; None when none is said."""

    host: str
    port: int | None


def is_loopback(host: str) -> bool:
    """Whether `host` is reached from this machine only: `localhost`, 127.0.0.0/8, ::1."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_private(host: str, *, behind_proxy: bool) -> bool:
    """Whether nobody comes in from other machines: only then a development key is taken."""
    return is_loopback(host) and not behind_proxy


def require_listening(host: str, *, auth: bool, tls: bool, behind_proxy: bool) -> None:
    """`UserError` when `host` is reached from other machines and who asks would be unknown or overheard."""
    if is_loopback(host) or behind_proxy or (auth and tls):
        return
    missing = " and ".join(word for word, there in (("authentication", auth), ("TLS", tls)) if not there)
    raise UserError(
        f"{host or 'every address'} is reached from other machines",
        got=f"no {missing}",
        allowed="authentication and TLS, a proxy in front that sees to them, or loopback only",
        next="give --tls-cert and --tls-key, say --behind-proxy where a proxy sees to TLS, or listen on 127.0.0.1",
    )


def hosts_allowed(bound: str, names: Iterable[str] = ()) -> frozenset[str]:
    """The names under which a server that listens on `bound` may be called: those declared in `names`, the address
    itself, and on loopback its usual names."""
    own = set() if bound in ("", "0.0.0.0", "::") else {bound}
    own |= set(LOOPBACK) if is_loopback(bound) or not own else set()
    return frozenset(name.lower().rstrip(".").strip("[]") for name in {*own, *names} - {""})


def require_names(names: Iterable[str], *, origins: Iterable[str]) -> None:
    """`UserError` for a name that is none, and for an origin that stands for more than one page: `*`, `null`."""
    for name in names:
        found = _authority(name)
        if found is None or found.port is not None:
            raise UserError(
                "this is no name of a server", got=repr(name)[:80], allowed="a host without its port", key="--name"
            )
    for origin in origins:
        scheme, _, rest = origin.partition("://")
        if scheme not in PORTS or origin != origin.lower() or _authority(rest) is None:
            raise UserError(
                "this is no origin of a page",
                got=repr(origin)[:80],
                allowed="https://host[:port] in lower case, one page each",
                next="say --origin again for another one",
                key="--origin",
            )


def require_host(headers: Headers, *, hosts: Collection[str]) -> Authority:
    """Who is asked for, by the Host header. `Forbidden` unless `hosts` names it."""
    text = headers.get("host") or ""
    found = _authority(text)
    if found is None or found.host not in hosts:
        raise Forbidden(
            "this server does not answer to that name",
            got=f"Host: {text[:LONGEST]!r}" if text else "no Host header",
            allowed=", ".join(sorted(hosts)),
            next="call it by one of these names, or allow another when it is started",
        )
    return found


def require_origin(headers: Headers, *, asked: Authority, origins: Collection[str] = ()) -> None:
    """`Forbidden` when a page of somebody else asks. `asked` is what `require_host` found, `origins` are pages that
    are let in, as `https://host[:port]` in lower case. Programs send no Origin."""
    text = headers.get("origin")
    if text is None or _is_own(text, asked) or text.lower() in origins:
        return
    raise Forbidden(
        "a page from elsewhere asks",
        got=f"Origin: {text[:LONGEST]!r}",
        allowed="pages of this server" + "".join(f", {one}" for one in sorted(origins)),
        next="call from a program, or allow this origin when the server is started",
    )


def client_address(peer: str, headers: Forwarded, *, behind_proxy: bool) -> str:
    """Who asks, for limits: `peer`, or behind a proxy of ours the last address that it added to X-Forwarded-For, or in
    a header of its own behind that of the caller. Of an IPv6 address the network of 64 bits, which is what one customer
    has."""
    told = (headers.get_all("x-forwarded-for") or ("",))[-1].rpartition(",")[2].strip() if behind_proxy else ""
    return _neighbourhood(told) or _neighbourhood(peer) or peer


@lru_cache(maxsize=4096)
def _neighbourhood(text: str) -> str:
    """The address, or its network; nothing for what is none."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_own(origin: str, asked: Authority) -> bool:
    scheme, found, rest = origin.partition("://")
    port = PORTS.get(scheme.lower())
    own = _authority(rest) if found and port else None
    return own is not None and own.host == asked.host and (own.port or port) == (asked.port or port)


@lru_cache(maxsize=256)
def _authority(text: str) -> Authority | None:
    """`host[:port]`; None for anything else: no user, no path, no list, nothing but the signs of a name."""
    text = text.lower()
    if not text or len(text) > LONGEST or not SIGNS.issuperset(text):
        return None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or (port is None and text.endswith(":")):
        return None
    return Authority(host.rstrip("."), port)
