"""Which addresses may be reached: resolved once, judged, and then connected to as they are.

So a name that means one thing when it is looked at and another when it is used (DNS rebinding) gains nothing, and the
many ways to write an address (decimal, octal, IPv4 in IPv6) are all read by the resolver before anything is judged.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kring.errors import Refused, Unreachable, UserError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
METADATA: Final = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))
"""Where clouds hand out credentials to whoever asks: never a target."""

TRIED: Final = 4
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def parts_of(url: str, *, schemes: dict[str, int], target: str) -> tuple[SplitResult, int]:
    """A URL in parts, and its port. `UserError` for other schemes, for passwords in it, and for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or schemes.get(parts.scheme, 0)
        bad = parts.scheme not in schemes or not parts.hostname or parts.password is not None
    except ValueError:
        parts, port, bad = SplitResult("", "", "", "", ""), 0, True
    if bad or not url.isprintable() or " " in url:
        raise UserError(
            f"the target {target} has no address that can be used",
            got=repr(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")[:80],
            allowed=", ".join(f"{scheme}://host" for scheme in schemes) + ", without a password",
            next="mend url in [[notify]]; a secret stands in the environment",
            key="notify.url",
        )
    return parts, port


def resolved(host: str, port: int, *, inner: bool, target: str) -> list[str]:
    """The addresses of `host`. `Refused` when any of them is not to be reached, `Unreachable` when there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(
            f"the host of the target {target} is not known", got=host[:80], next="mend its name"
        ) from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for text in addresses:
        require_reachable(text, inner=inner, target=target)
    return addresses


def require_reachable(text: str, *, inner: bool, target: str) -> None:
    """`Refused` for an address that a target must not have."""
    for address in meant(ipaddress.ip_address(text.partition("%")[0])):
        never = address.is_multicast or address.is_unspecified or address in METADATA
        if never or (not address.is_global and not inner):
            raise Refused(
                f"the target {target} leads to an address that must not be reached",
                got=str(address),
                allowed="an inner address, but none that hands out credentials" if inner else "a public address",
                next="" if inner or never else "if it is meant, say inner = true in its [[notify]]",
                key="notify.url",
            )


def meant(address: Address) -> Iterator[Address]:
    """An address, and those that are wrapped in it."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        wrapped += [low] if address in NAT64 or int(address) >> 32 == 0 else []
        yield from (one for one in wrapped if one is not None)


def connected(addresses: list[str], port: int, *, seconds: float, target: str) -> socket.socket:
    """A connection to the first of the addresses that answers; nothing is resolved again."""
    failure: OSError | None = None
    tried = addresses[:TRIED]
    for address in tried:
        try:
            made = socket.create_connection((address, port), timeout=seconds / len(tried))
            made.settimeout(seconds)
            return made
        except OSError as error:
            failure = error
    raise Unreachable(
        f"the target {target} can't be reached",
        got=str(failure),
        next="see whether it runs, and whether it is let through",
    ) from failure


def encrypted(made: list[socket.socket], context: ssl.SSLContext | None, *, host: str) -> ssl.SSLSocket:
    """The newest connection of `made` in TLS, added to it before the other side has said a word: so it can be shut
    down from beside while it is still being agreed on."""
    context = context or ssl.create_default_context()
    made.append(wrapped := context.wrap_socket(made[-1], server_hostname=host, do_handshake_on_connect=False))
    wrapped.do_handshake()
    return wrapped
