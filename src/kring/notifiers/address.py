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
METADATA: Final = tuple(
    map(ipaddress.ip_network, ("fd00:ec2::/32", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)
"""Where clouds hand out credentials to whoever asks, beside the addresses of the link itself: never a target."""

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
PUBLIC: Final = (ipaddress.IPv6Network("2000::/3"), NAT64)
"""The IPv6 that is given out for all the world, and IPv4 as it is written there (RFC 6052)."""

ENDS_IN_IPV4: Final = (NAT64, *map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96")))
TRIED: Final = 4


def parts_of(url: str, *, schemes: dict[str, int], target: str) -> tuple[SplitResult, int]:
    """A URL in parts, and its port. `UserError` for other schemes, for passwords in it, and for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or schemes.get(parts.scheme, 0)
        bad = parts.scheme not in schemes or not parts.hostname or parts.password is not None
    except ValueError:
        parts, port, bad = SplitResult("", "", "", "", ""), 0, True
    if bad or not url.isprintable() or " " in url or not f"{parts.path}{parts.query}".isascii():
        raise UserError(
            f"the target {target} has no address that can be used",
            got=repr(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")[:80],
            allowed=", ".join(f"{scheme}://host" for scheme in schemes) + ", without a password; ASCII behind the host",
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
    forms = tuple(meant(ipaddress.ip_address(text.partition("%")[0])))
    never = [one for one in forms if is_never(one)]
    wrong = never or [one for one in forms if not (inner or is_public(one))]
    if wrong:
        raise Refused(
            f"the target {target} leads to an address that must not be reached",
            got=str(wrong[0]),
            allowed="an inner address, but none that hands out credentials" if inner else "a public address",
            next="" if never else "if it is meant, say inner = true in its [[notify]]",
            key="notify.url",
        )


def is_never(address: Address) -> bool:
    """Whether nobody may mean it: one of the link itself or of many, none at all, one that hands out credentials."""
    odd = address.is_link_local or address.is_multicast or address.is_unspecified
    return odd or any(address in network for network in METADATA)


def is_public(address: Address) -> bool:
    return address.is_global and (address.version == 4 or any(address in network for network in PUBLIC))


def meant(address: Address) -> Iterator[Address]:
    """An address, and those that are wrapped in it."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = [address.sixtofour, *(address.teredo or ())]
        yield from (one for one in wrapped if one is not None)
        if any(address in network for network in ENDS_IN_IPV4):
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address in LOCAL_NAT64:
            yield from (one for one in translated(address) if is_never(one) and not one.is_unspecified)


def translated(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 in it, for each length that the prefix of a translator may have: 48, 56, 64 and 96 bits; bits 64 to 71
    are left out (RFC 6052, section 2.2)."""
    octets = address.packed[:8] + address.packed[9:]
    yield from (ipaddress.IPv4Address(octets[at : at + 4]) for at in (6, 7, 8))
    yield ipaddress.IPv4Address(address.packed[12:])


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
